// CoAP between two parties of the simulator: the real message layer at both ends, each datagram over the link by
// itself.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "coap/endpoint.h"
#include "sim/link.h"

namespace imprint::sim {

class CoapWire : public std::enable_shared_from_this<CoapWire> {
 public:
  using Asked = std::function<void(std::uint64_t number, Request request)>;
  CoapWire(Clock& clock, SeededRng& rng, Link& link, Asked asked)
      : clock_(clock), rng_(rng), link_(link), asked_(std::move(asked)) {}
  CoapWire(const CoapWire&) = delete;
  CoapWire& operator=(const CoapWire&) = delete;
  ~CoapWire();

  // At the client's end. Nothing is told after the client's power has gone.
  void request(const Request& what, std::function<void(Result<Response>)> done);
  // At the server's end: answers what was asked under this number.
  void reply(std::uint64_t number, const Response& response);

  // An end has lost its power: it hears and says nothing any more.
  void lose_client() { lose(client_); }
  void lose_server() { lose(server_); }

 private:
  struct End {
    coap::Endpoint endpoint;
    std::uint64_t timer = 0;
    bool powered = true;
  };
  void lose(End& end);
  void arrive(bool at_server, BytesView datagram);
  void settle(bool at_server, coap::Endpoint::Out out);

  Clock& clock_;
  SeededRng& rng_;
  Link& link_;
  Asked asked_;
  End client_, server_;
  std::map<std::uint64_t, std::function<void(Result<Response>)>> waiting_;
};

}  // namespace imprint::sim
