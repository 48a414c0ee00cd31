// A CoAPS server on one loop: CoAP (RFC 7252, RFC 7959) over many DTLS associations on one UDP port.
#pragma once

#include <memory>

#include "base/rng.h"
#include "coap/messaging.h"
#include "io/dtls_server.h"
#include "io/requests.h"

namespace imprint::io {

struct CoapsServerOptions {
  DtlsListenOptions listen;
  coap::Parameters coap;
  Duration max_age{600000};  // of an association: then it is asked no more on it
};

// `requests` are whole ones, after their blocks were put together; `bytes` are those of datagrams.
struct CoapsServerStats {
  DtlsServerStats dtls;
  std::uint64_t requests = 0;
};

class CoapsServer : public RequestServer {
 public:
  struct Handlers {
    std::function<void(Exchange, Request)> request;  // on the loop's thread; answer now or later by reply()
    std::function<void(Exchange)> gone;              // the association ended before it was answered
    std::function<void(std::uint64_t session, const Error&)> handshake_failed;  // may be empty
  };
  // Errors: those of DtlsServer::listen. `rng` stays.
  static Result<std::unique_ptr<CoapsServer>> listen(Loop& loop, Rng& rng, CoapsServerOptions options,
                                                     Handlers handlers);
  CoapsServer() = default;

  // Later handshakes use this context (certificate renewed, anchors changed); those under way end. Associations of
  // before are asked no more: quiet ones end at once, others when what they have asked was answered and could be
  // fetched.
  virtual void set_context(std::shared_ptr<DtlsContext> dtls) = 0;
  virtual CoapsServerStats stats() const = 0;
  virtual std::uint16_t wrapped_port() const = 0;  // for stateless join proxies (DtlsListenOptions); 0: there is none
};

}  // namespace imprint::io
