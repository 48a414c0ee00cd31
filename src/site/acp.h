// The names of nodes of an Autonomic Control Plane (RFC 8994): who gets which one (RFC 8995 section 5.9.2).
#pragma once

#include "model/acp_name.h"
#include "site/masa_book.h"
#include "site/policy.h"

namespace imprint::site {

// For Policy::acp_name. A device that asks by an IDevID gets a name of its own if it is known who speaks for its maker,
// since such devices come by BRSKI. Who asks by a certificate of ours keeps what is in it (RFC 8994 section 6.11.7.4),
// and gets none if there is none in it. Everybody else gets none.
std::optional<GeneralName> acp_name_for(const AcpDomain& domain, const MasaBook& book,
                                        const std::vector<Certificate>& owner_anchors, const Session& session,
                                        Instant now);

}  // namespace imprint::site
