// A request made as the server wishes (RFC 7030 section 4.5, RFC 9908).
#pragma once

#include "proto/est/client.h"

namespace imprint::est {

// The request's contents: the plan's names, or the template's subject with its open attributes filled from them; the
// extensions wished for; and the linking value if the channel has a binding ("SHOULD always", RFC 7030 section 3.5).
RequestTemplate fill_request(const CsrAttributes& wishes, const Plan& plan, BytesView channel_binding);

}  // namespace imprint::est
