// Who asks the owner for a certificate, as far as it is proven. Private to the policy.
#pragma once

#include "role/questions.h"
#include "site/policy.h"

namespace imprint::site {

// With the inventory's entry if there is one.
struct Applicant {
  std::optional<Device> device;
  std::optional<store::CertificateRow> current;  // the presented certificate, if it is ours
  bool spent = false;                            // a one-time token that has been used
  bool renewal = false;                          // what is asked for takes the place of `current`
  bool only_handed_on = false;  // what is presented was handed on: its device is known to a gateway alone
  bool for_another = false;     // a registration authority that hands on a request of its device's
};

// Ends the profile on record of what was handed on; no profile's own name has a space in it. Such a certificate is on
// record as the registration authority's, and must never stand for it: its device holds the key.
inline constexpr std::string_view kHandedOnMark = " (handed on)";

// Whether the certificate presented leads to a device that may have something.
bool is_of_use(const Applicant& who);

// By the certificate presented if it leads to a device that may have something, else by the secret. Says in the
// decision what was proven.
Result<Applicant> identify(const Policy& policy, store::Reader& store, const Admit& q, Instant now, Decision& d);

// The secret on record that was presented: proven in the handshake, in HTTP Basic or by HTTP Digest, if the policy
// takes that. Says in the decision whether the nonce was all that was wrong.
Result<std::optional<DeviceSecret>> presented_secret(const Policy& policy, store::Reader& store, const Admit& q,
                                                     Instant now, Decision& d);

}  // namespace imprint::site
