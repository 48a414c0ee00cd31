// A request made as the server wishes (RFC 7030 section 4.5, RFC 9908).
#pragma once

#include "proto/est/client.h"

namespace imprint::est {

// The request's contents: the plan's names, or the template's subject with its open attributes filled from them; the
// extensions wished for; and the linking value if the channel has a binding ("SHOULD always", RFC 7030 section 3.5).
// A name that only the server can know (an otherName) goes beside our own, unless names are to stay as they are (RFC
// 7030 section 4.2.2).
RequestTemplate fill_request(const CsrAttributes& wishes, const Plan& plan, BytesView channel_binding);

// These wishes (DER; empty: none) with names for the request besides. Wishes that cannot be read are left out.
Bytes with_names(BytesView wishes, const std::vector<GeneralName>& names);

}  // namespace imprint::est
