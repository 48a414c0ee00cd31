// Outgoing CoAPS connections of one loop: CoAP over one DTLS association each.
#pragma once

#include <memory>
#include <string>

#include "base/rng.h"
#include "coap/messaging.h"
#include "io/dtls_client.h"
#include "io/requests.h"

namespace imprint::io {

struct CoapsClientOptions {
  DtlsClientSettings dtls;
  coap::Parameters coap;
};

// A request that waits for its acknowledgement is sent again; one that was acknowledged waits for its answer
// (coap::Parameters::response_timeout). `lost` is told of sessions that end by themselves. `rng` stays.
std::unique_ptr<RequestClient> make_coaps_client(Loop& loop, const Guard& guard, Rng& rng, CoapsClientOptions options,
                                                 DtlsClient::Keys keys,
                                                 std::function<void(std::uint64_t session)> lost);

}  // namespace imprint::io
