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
// `others`: ids of other devices, which no pattern gives to this one. Names of an ACP's nodes are passed on as they are
// asked for where `acp` says that they were judged before.
std::optional<RequestedNames> grant_names(const Profile& profile, const Device& device,
                                          const std::vector<std::string>& others, bool ours, const Admit& q,
                                          bool acp = false);

// Names of nodes of an ACP (RFC 8994 section 6.2.2) are no matter of a profile's patterns: what is asked for, without
// them.
std::vector<GeneralName> without_acp_names(std::vector<GeneralName> names);

// Whether a request for these names has the one that is its due (`given`), as often as it should: once, or, where it is
// not `needed`, not at all. Nobody has another one.
bool has_acp_name_given(const std::vector<GeneralName>& names, const std::optional<GeneralName>& given, bool needed);

}  // namespace imprint::site
