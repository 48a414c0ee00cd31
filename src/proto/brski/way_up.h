// The way up from a certificate of somebody who need not be known, among certificates that came along: what it costs is
// bounded, whatever came.
#pragma once

#include <optional>
#include <vector>

#include "crypto/x509.h"

namespace imprint::brski {

// How many signatures on certificates one request may have looked at: they are dear, and many look-alikes are cheap to
// make. An honest request has a few.
inline constexpr std::size_t kMostSignatures = 32;

struct Climbing {
  const std::vector<Certificate>& along;    // that came
  const std::vector<Certificate>& anchors;  // empty: each end of a way may be taken as the anchor, the farthest first
  std::optional<Instant> now;               // none: times do not count
  std::size_t& left;                        // signatures that may still be looked at
};

// A name has several owners, and a key several certificates: a link counts if its signature is good. Faults:
// Fault::expired, a certificate that is needed is not good now; Fault::unauthentic, no way; Fault::limit, more
// signatures than are looked at.
Result<CertificateChain> way_up(const Certificate& signer, const Climbing& how);

}  // namespace imprint::brski
