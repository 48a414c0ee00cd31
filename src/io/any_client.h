// A client of every binding: the scheme of what is opened chooses between HTTPS and CoAPS.
#pragma once

#include "io/coaps_client.h"
#include "io/https_client.h"

namespace imprint::io {

// unsupported: a scheme other than https and coaps.
std::unique_ptr<RequestClient> make_any_client(Loop& loop, const Guard& guard, Rng& rng, const HttpsClient::Keys& keys,
                                               std::function<void(std::uint64_t session)> lost,
                                               const CoapsClientOptions& coaps = {});

}  // namespace imprint::io
