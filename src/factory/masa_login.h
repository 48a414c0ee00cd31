// Customers of a MASA who say who they are by a password: HTTP Basic (RFC 7617) or Digest (RFC 7616, role/digest.h).
#pragma once

#include "factory/masa_policy.h"

namespace imprint::factory {

// The protection space of a MASA's customers. What is kept for HTTP Digest stands on it.
inline constexpr std::string_view kCustomerRealm = "imprint-masa";

// What is kept of a password so that challenges can be answered by it (Customer::digest), sealed under a key of the
// pepper and bound to the customer's MAC. Fault::internal if OpenSSL fails.
Result<Bytes> customer_digest(const Secret& pepper, const std::string& id, const Secret& password);

// The account whose password this login shows, in a way that the policy takes. Whether the nonce of a challenge is ours
// and fresh is for who made it to say. MASA-LOGIN: it is nobody's; whose fault that is does not show, in time neither.
Result<std::string> account_of_login(const MasaPolicy& policy, store::MakerReader& reader, const Login& login);

// Whether an account can log in, as the policy is.
bool may_log_in(const MasaPolicy& policy, const Customer& customer);

}  // namespace imprint::factory
