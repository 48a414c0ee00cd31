// What joins the messages of stateless join proxies (proto/brski/jpy.h) to the sockets at both ends.
#pragma once

#include <memory>

#include "base/rng.h"
#include "io/udp_join_proxy.h"

namespace imprint {

// The registrar's end: any header, given back as it came.
io::Envelope jpy_envelope();

// The proxy's end: headers of its own, under keys that it makes itself and keeps nowhere (brski::HeaderKeys): after a
// restart those on their way begin anew. `rng` stays.
io::ReturnEnvelope jpy_return_envelope(Rng& rng);

}  // namespace imprint
