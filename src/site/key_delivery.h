// How a key that the owner makes gets to its device.
#pragma once

#include "crypto/enveloped.h"
#include "site/policy.h"

namespace imprint::site {

// Sets the decision's delivery, or refuses: SITE-SERVER-KEYS-*. The key of the certificate that the connection
// presented may unwrap, or that of one on record for the device, or a shared key on record for it.
Status choose_delivery(const Profile& profile, store::Reader& store, const Device& device, const Admit& q, Instant now,
                       Decision& d);

// What wrapping takes.
struct WrapMeans {
  std::vector<imprint::Signer> signers;  // who vouches for a wrapped key; the first one that can
  Secret pepper;                         // opens the shared key that the delivery names
};

// Makes the key, in the form in which it travels; the key lives in the answer and nowhere else. It is wrapped wherever
// the delivery is not expressly in clear. Faults: refused, by SITE-SERVER-KEYS-UNKNOWN (a shared key that nobody has
// looked up), -UNREADABLE, -SIGNER or -CIPHER; internal.
Result<MadeKey> make_key_for(const KeyDelivery& delivery, const WrapMeans& means);

// Whether the shared key that wraps is on record still, if one does. SITE-SERVER-KEYS-UNKNOWN.
Status check_wrap_key(store::Reader& store, const KeyDelivery& delivery);

// The answer that a retry puts in the place of: its key was not kept, so it is of no use to anybody else. Nothing if
// there is none. A used one-time token gets this for a while only, counted from its first certificate.
struct LostAnswer {
  Bytes serial;
  std::size_t retries = 0;  // before this one, at most kMostRetries
  bool in_time = false;
};
inline constexpr std::size_t kMostRetries = 16;
Result<std::optional<LostAnswer>> lost_answer(const Policy& policy, store::Reader& store, const Admit& q, Instant now);

}  // namespace imprint::site
