// Certificate revocation lists of other CAs (RFC 5280 section 5): those that we check certificates against.
#pragma once

#include <optional>
#include <vector>

#include "crypto/x509.h"

namespace imprint {

// A list whose signature is its issuer's.
struct RevocationList {
  Name issuer;   // as the certificate of whoever signed it has it
  Bytes signer;  // the key that signed it (SubjectPublicKeyInfo)
  Instant this_update;
  std::optional<Instant> next_update;  // none: the list does not say when it is too old
  std::vector<Bytes> serials;          // of what is revoked, sorted; as in Certificate::serial
  bool operator==(const RevocationList&) const = default;

  bool has(BytesView serial) const;
};

// Reads a list, DER or PEM, and finds who of `issuers` signed it. Faults: malformed (no list), unauthentic (none of
// them signed it), unsupported (a delta, an indirect list, one of some certificates or reasons only, or a critical
// extension that we do not know: entries could be missed).
Result<RevocationList> read_revocation_list(BytesView file, const std::vector<Certificate>& issuers);

}  // namespace imprint
