// Which names a certificate of the owner's may carry.
#pragma once

#include "role/questions.h"
#include "site/policy.h"

namespace imprint::site {

// Whether a name fits a pattern of a profile.
bool fits(std::string_view name, std::string_view pattern, const Device& device);

// Each device id that a name in the request could be taken for.
std::vector<std::string> ids_named(const CertificateRequest& request);

// The names that the certificate will carry, or nothing if the profile does not allow what is asked. Only names that we
// have given before (`ours`: the certificate presented is one of ours) are kept without a look at the profile.
// `others`: ids of other devices, which no pattern gives to this one.
std::optional<RequestedNames> grant_names(const Profile& profile, const Device& device,
                                          const std::vector<std::string>& others, bool ours, const Admit& q);

}  // namespace imprint::site
