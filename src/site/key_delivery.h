// How a key that the owner makes gets to its device.
#pragma once

#include "site/policy.h"

namespace imprint::site {

// Sets the decision's delivery, or refuses: SITE-SERVER-KEYS-*. The key of the certificate that the connection
// presented may unwrap, or that of one on record for the device.
Status choose_delivery(const Profile& profile, store::Reader& store, const Device& device, const Admit& q, Instant now,
                       Decision& d);

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
