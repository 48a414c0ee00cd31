#include "sim/network.h"

#include <cassert>
#include <set>

#include "crypto/hash.h"

namespace imprint::sim {
namespace {

constexpr Duration kConnectTimeout{10'000};  // as io::HttpsClientOptions
constexpr Duration kRequestTimeout{30'000};
constexpr Duration kCoapTimeout{300'000};  // longer than the message layer's own

Error over() { return {Fault::unreachable, "the session is over"}; }

}  // namespace

class NetworkServer final : public io::HttpsServer {
 public:
  NetworkServer(Network& network, Endpoint endpoint, Handlers handlers)
      : network_(network), endpoint_(std::move(endpoint)), handlers_(std::move(handlers)) {
    network_.servers_[endpoint_.port] = this;
  }
  NetworkServer(const NetworkServer&) = delete;
  NetworkServer& operator=(const NetworkServer&) = delete;
  ~NetworkServer() override { network_.forget_server(this); }

  std::uint16_t port() const override { return endpoint_.port; }
  void reply(Exchange to, const Response& response) override;
  bool start_stream(Exchange, const Response&) override { return false; }
  bool stream(Exchange, std::string_view) override { return false; }
  void end_stream(Exchange) override {}
  void set_tls(std::shared_ptr<io::TlsContext>) override {}
  void drain(Duration, std::function<void()> done) override { network_.clock_.post(std::move(done)); }
  io::HttpsServerStats stats() const override { return stats_; }

  const Endpoint& endpoint() const { return endpoint_; }
  void arrive(std::uint64_t wire, std::uint64_t number, Request request);
  void lose(std::uint64_t wire);  // the connection is over

 private:
  // Whom an exchange is with.
  struct Asker {
    std::uint64_t wire = 0, number = 0;
  };
  Network& network_;
  Endpoint endpoint_;
  Handlers handlers_;
  io::HttpsServerStats stats_;
  std::map<std::uint64_t, Asker> askers_;
};

class NetworkClient final : public io::HttpsClient {
 public:
  NetworkClient(Network& network, Keys keys, std::function<void(std::uint64_t)> lost)
      : network_(network), keys_(std::move(keys)), lost_(std::move(lost)), number_(++network.last_client_) {
    network_.clients_[number_] = this;
  }
  NetworkClient(const NetworkClient&) = delete;
  NetworkClient& operator=(const NetworkClient&) = delete;
  ~NetworkClient() override {
    for (const auto& [id, attempt] : attempts_) {
      network_.clock_.cancel(attempt.timer);
    }
    for (const auto& [number, pending] : pending_) {
      network_.clock_.cancel(pending.timer);
    }
    network_.forget_client(this);
  }

  void open(Open what, std::function<void(Result<SessionRef>)> done) override;
  void request(std::uint64_t session, Request what, std::function<void(Result<Response>)> done) override;
  void close(std::uint64_t session) override;

  std::uint64_t number() const { return number_; }
  // Calls `what` with this client at its arrival, if it still has power.
  void carry(std::function<void(NetworkClient&)> what);
  void opened(std::uint64_t attempt, Result<std::uint64_t> wire, const Open& what);
  void answered(std::uint64_t number, const Response& response);
  void lose(std::uint64_t wire);
  void finish(std::uint64_t number, Result<Response> answer);

 private:
  struct Attempt {
    std::function<void(Result<SessionRef>)> done;
    std::uint64_t timer = 0;
  };
  struct Pending {
    std::uint64_t wire = 0, timer = 0;
    std::function<void(Result<Response>)> done;
  };
  void finish_attempt(std::uint64_t id, Result<SessionRef> answer);
  Result<SessionRef> judge(const Open& what, std::uint64_t wire) const;

  Network& network_;
  Keys keys_;
  std::function<void(std::uint64_t)> lost_;
  std::uint64_t number_;
  std::map<std::uint64_t, Attempt> attempts_;
  std::map<std::uint64_t, Pending> pending_;
  std::set<std::uint64_t> open_;
  std::uint64_t last_ = 0;
};

// ---- the server's end ----

void NetworkServer::arrive(std::uint64_t wire, std::uint64_t number, Request request) {
  const auto it = network_.wires_.find(wire);
  if (it == network_.wires_.end() || it->second.server != this) {
    return;
  }
  request.session = it->second.server_side;
  const Exchange exchange{++network_.last_exchange_};
  askers_[exchange.id] = {wire, number};
  ++stats_.requests;
  handlers_.request(exchange, std::move(request));
}

void NetworkServer::reply(Exchange to, const Response& response) {
  const auto asker = askers_.extract(to.id);
  if (asker.empty()) {
    return;
  }
  const auto it = network_.wires_.find(asker.mapped().wire);
  if (it == network_.wires_.end() || it->second.client == nullptr) {
    return;
  }
  if (it->second.coap) {
    const auto keep = it->second.coap;
    keep->reply(asker.mapped().number, response);
    return;
  }
  network_.link_.carry(
      [&network = network_, client = it->second.client->number(), number = asker.mapped().number, response] {
        if (const auto there = network.clients_.find(client); there != network.clients_.end()) {
          there->second->answered(number, response);
        }
      });
}

void NetworkServer::lose(std::uint64_t wire) {
  std::vector<std::uint64_t> waiting;
  for (const auto& [exchange, asker] : askers_) {
    if (asker.wire == wire) {
      waiting.push_back(exchange);
    }
  }
  for (const std::uint64_t exchange : waiting) {
    askers_.erase(exchange);
    handlers_.gone({exchange});
  }
}

// ---- the client's end ----

void NetworkClient::carry(std::function<void(NetworkClient&)> what) {
  network_.link_.carry([&network = network_, number = number_, what = std::move(what)] {
    if (const auto there = network.clients_.find(number); there != network.clients_.end()) {
      what(*there->second);
    }
  });
}

void NetworkClient::open(Open what, std::function<void(Result<SessionRef>)> done) {
  if (what.as) {
    if (const auto key = keys_(what.as->key_id); !key) {
      network_.clock_.post([done = std::move(done), why = key.error()] { done(why); });
      return;
    }
  }
  const std::uint64_t id = ++last_;
  const std::uint64_t timer = network_.clock_.after(kConnectTimeout, [this, id] {
    finish_attempt(id, Error{Fault::unreachable, "connect: no answer in time"});
  });
  attempts_[id] = {std::move(done), timer};
  carry([id, what = std::move(what)](NetworkClient& self) {
    if (!self.attempts_.contains(id)) {
      return;
    }
    const Result<std::uint64_t> wire = self.network_.accept(what, self);
    self.carry([id, what, wire](NetworkClient& there) { there.opened(id, wire, what); });
  });
}

void NetworkClient::opened(std::uint64_t attempt, Result<std::uint64_t> wire, const Open& what) {
  if (!attempts_.contains(attempt)) {
    return;  // too late, or a second copy
  }
  if (!wire) {
    finish_attempt(attempt, wire.error());
    return;
  }
  Result<SessionRef> session = judge(what, *wire);
  if (!session) {
    network_.cut(*wire);
  } else {
    open_.insert(*wire);
  }
  finish_attempt(attempt, std::move(session));
}

Result<SessionRef> NetworkClient::judge(const Open& what, std::uint64_t wire) const {
  const auto it = network_.wires_.find(wire);
  CHECK_OR(it != network_.wires_.end(), over());
  Session session = *it->second.client_side;
  if (what.trust == Trust::anchors) {
    TRY(session.proven, verify_chain(session.presented.front(), session.presented, what.anchors,
                                     {Purpose::tls_server, network_.clock_.now(), what.judges_time}));
  }
  return std::make_shared<const Session>(std::move(session));
}

void NetworkClient::finish_attempt(std::uint64_t id, Result<SessionRef> answer) {
  const auto node = attempts_.extract(id);
  if (!node.empty()) {
    network_.clock_.cancel(node.mapped().timer);
    node.mapped().done(std::move(answer));
  }
}

void NetworkClient::request(std::uint64_t session, Request what, std::function<void(Result<Response>)> done) {
  if (!open_.contains(session)) {
    network_.clock_.post([done = std::move(done)] { done(over()); });
    return;
  }
  const std::uint64_t number = ++last_;
  const auto wire = network_.wires_.find(session);
  if (wire != network_.wires_.end() && wire->second.coap) {
    // Its message layer has time-outs of its own, but ends with the connection, and the word of that may be lost.
    const std::uint64_t limit = network_.clock_.after(kCoapTimeout, [this, number, session] {
      network_.cut(session);
      finish(number, Error{Fault::unreachable, "no answer in time"});
    });
    pending_[number] = {session, limit, std::move(done)};
    const auto keep = wire->second.coap;
    keep->request(what, [&network = network_, client = number_, number](Result<Response> answer) {
      if (const auto there = network.clients_.find(client); there != network.clients_.end()) {
        there->second->finish(number, std::move(answer));
      }
    });
    return;
  }
  const std::uint64_t timer = network_.clock_.after(kRequestTimeout, [this, number, session] {
    network_.cut(session);
    finish(number, Error{Fault::unreachable, "no answer in time"});
  });
  pending_[number] = {session, timer, std::move(done)};
  network_.link_.carry([&network = network_, session, number, what = std::move(what)] {
    const auto it = network.wires_.find(session);
    if (it != network.wires_.end() && it->second.server != nullptr) {
      it->second.server->arrive(session, number, what);
    }
  });
}

void NetworkClient::answered(std::uint64_t number, const Response& response) { finish(number, response); }

void NetworkClient::finish(std::uint64_t number, Result<Response> answer) {
  const auto node = pending_.extract(number);
  if (!node.empty()) {
    network_.clock_.cancel(node.mapped().timer);
    node.mapped().done(std::move(answer));
  }
}

void NetworkClient::close(std::uint64_t session) {
  open_.erase(session);
  network_.cut(session);
}

void NetworkClient::lose(std::uint64_t wire) {
  if (open_.erase(wire) == 0) {
    return;
  }
  std::vector<std::uint64_t> waiting;
  for (const auto& [number, pending] : pending_) {
    if (pending.wire == wire) {
      waiting.push_back(number);
    }
  }
  for (const std::uint64_t number : waiting) {
    finish(number, over());
  }
  lost_(wire);
}

// ---- between them ----

Network::~Network() { assert(clients_.empty() && servers_.empty()); }

std::unique_ptr<io::HttpsClient> Network::client(io::HttpsClient::Keys keys, std::function<void(std::uint64_t)> lost) {
  return std::make_unique<NetworkClient>(*this, std::move(keys), std::move(lost));
}

std::unique_ptr<io::HttpsServer> Network::server(Endpoint endpoint, io::HttpsServer::Handlers handlers) {
  return std::make_unique<NetworkServer>(*this, std::move(endpoint), std::move(handlers));
}

// What a handshake would give both ends. A client certificate that is presented must verify, as in io::TlsContext.
Result<std::uint64_t> Network::accept(const Open& what, NetworkClient& by) {
  const auto server = servers_.find(what.to.port);
  CHECK_OR(server != servers_.end(), Error{Fault::unreachable, "connect: refused"});
  const Endpoint& endpoint = server->second->endpoint();
  const std::uint64_t id = ++last_wire_;
  const bool coaps = what.to.scheme == "coaps";
  Session client{id, what.trust, what.to.host, endpoint.chain, {}, {}, coaps ? "DTLSv1.2" : "TLSv1.3"};
  client.channel_binding.resize(32);
  rng_.fill(client.channel_binding);
  Session accepted{id, Trust::anchors, {}, {}, {}, client.channel_binding, client.protocol};
  if (what.as) {
    accepted.presented = what.as->chain;
    TRY(accepted.proven, verify_chain(accepted.presented.front(), accepted.presented, endpoint.anchors,
                                      {Purpose::tls_client, clock_.now(), true}));
  }
  wires_[id] = {std::make_shared<const Session>(std::move(client)),
                std::make_shared<const Session>(std::move(accepted)), &by, server->second, nullptr};
  if (coaps) {
    wires_[id].coap =
        std::make_shared<CoapWire>(clock_, rng_, link_, [this, id](std::uint64_t number, Request request) {
          const auto it = wires_.find(id);
          if (it != wires_.end() && it->second.server != nullptr) {
            it->second.server->arrive(id, number, std::move(request));
          }
        });
  }
  return id;
}

void Network::cut(std::uint64_t wire) {
  const auto node = wires_.extract(wire);
  if (node.empty()) {
    return;
  }
  const Wire& ends = node.mapped();
  if (ends.client != nullptr) {
    ends.client->carry([wire](NetworkClient& there) { there.lose(wire); });
  }
  if (ends.server != nullptr) {
    link_.carry([this, server = ends.server, port = ends.server->port(), wire] {
      const auto there = servers_.find(port);
      if (there != servers_.end() && there->second == server) {
        server->lose(wire);
      }
    });
  }
}

void Network::forget_client(NetworkClient* client) {
  clients_.erase(client->number());
  std::vector<std::uint64_t> ended;
  for (auto& [id, wire] : wires_) {
    if (wire.client == client) {
      wire.client = nullptr;
      if (wire.coap) {
        wire.coap->lose_client();
      }
      ended.push_back(id);
    }
  }
  for (const std::uint64_t id : ended) {
    cut(id);
  }
}

void Network::forget_server(NetworkServer* server) {
  servers_.erase(server->port());
  std::vector<std::uint64_t> ended;
  for (auto& [id, wire] : wires_) {
    if (wire.server == server) {
      wire.server = nullptr;
      if (wire.coap) {
        wire.coap->lose_server();
      }
      ended.push_back(id);
    }
  }
  for (const std::uint64_t id : ended) {
    cut(id);
  }
}

}  // namespace imprint::sim
