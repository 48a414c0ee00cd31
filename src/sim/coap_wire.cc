#include "sim/coap_wire.h"

#include <algorithm>

namespace imprint::sim {

CoapWire::~CoapWire() {
  lose(client_);
  lose(server_);
}

void CoapWire::request(const Request& what, std::function<void(Result<Response>)> done) {
  coap::Endpoint::Out out;
  waiting_[client_.endpoint.request(what, clock_.now(), rng_, out)] = std::move(done);
  settle(false, std::move(out));
}

void CoapWire::reply(std::uint64_t number, const Response& response) {
  coap::Endpoint::Out out;
  server_.endpoint.reply(number, response, clock_.now(), rng_, out);
  settle(true, std::move(out));
}

void CoapWire::lose(End& end) {
  end.powered = false;
  clock_.cancel(end.timer);
}

void CoapWire::arrive(bool at_server, BytesView datagram) {
  End& end = at_server ? server_ : client_;
  if (end.powered) {
    coap::Endpoint::Out out;
    end.endpoint.receive(datagram, clock_.now(), rng_, out);
    settle(at_server, std::move(out));
  }
}

void CoapWire::settle(bool at_server, coap::Endpoint::Out out) {
  const auto keep = shared_from_this();  // an event may end the connection
  for (const Bytes& datagram : out.datagrams) {
    link_.carry([wire = weak_from_this(), at_server, datagram] {
      if (const auto there = wire.lock()) {
        there->arrive(!at_server, datagram);
      }
    });
  }
  End& end = at_server ? server_ : client_;
  clock_.cancel(end.timer);
  if (const auto deadline = end.endpoint.deadline()) {
    end.timer = clock_.after(std::max(Duration(0), *deadline - clock_.now()), [this, at_server] {
      coap::Endpoint::Out later;
      (at_server ? server_ : client_).endpoint.expire(clock_.now(), rng_, later);
      settle(at_server, std::move(later));
    });
  }
  for (coap::Endpoint::Event& event : out.events) {
    if (auto* const asked = std::get_if<coap::Endpoint::Asked>(&event)) {
      asked_(asked->number, std::move(asked->request));
      continue;
    }
    auto& answered = std::get<coap::Endpoint::Answered>(event);
    const auto waits = waiting_.extract(answered.number);
    if (!waits.empty() && client_.powered) {
      waits.mapped()(std::move(answered.answer));
    }
  }
}

}  // namespace imprint::sim
