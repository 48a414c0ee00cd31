#include "io/coaps_server.h"

#include <map>
#include <unordered_map>

#include "coap/endpoint.h"
#include "io/deadlines.h"

namespace imprint::io {
namespace {

constexpr Duration kLinger{5000};

class Server final : public CoapsServer {
 public:
  Server(Loop& loop, Rng& rng, const coap::Parameters& parameters, Handlers handlers)
      : loop_(loop),
        rng_(rng),
        parameters_(parameters),
        handlers_(std::move(handlers)),
        deadlines_(loop, [this](std::uint64_t id) { expire(id); }) {}

  Status listen(DtlsListenOptions options) {
    DtlsServer::Handlers handlers;
    handlers.opened = [this](std::uint64_t id, const SessionRef& session) {
      peers_.emplace(id, Peer{coap::Endpoint(parameters_), session, {}, {}});
    };
    handlers.message = [this](std::uint64_t id, BytesView message) { receive(id, message); };
    handlers.closed = [this](std::uint64_t id, const std::optional<Error>&) { forget(id); };
    handlers.handshake_failed = [this](std::uint64_t id, const Error& why) {
      if (handlers_.handshake_failed) {
        handlers_.handshake_failed(id, why);
      }
    };
    TRY(dtls_, DtlsServer::listen(loop_, std::move(options), std::move(handlers)));
    return Ok{};
  }

  std::uint16_t port() const override { return dtls_->port(); }

  void reply(Exchange to, const Response& response) override {
    const auto it = exchanges_.find(to.id);
    if (it == exchanges_.end()) {
      return;
    }
    const Asker asker = it->second;
    exchanges_.erase(it);
    Peer& peer = peers_.at(asker.peer);
    peer.asked.erase(asker.number);
    if (peer.end_at) {
      peer.end_at = loop_.now() + kLinger;
    }
    coap::Endpoint::Out out;
    peer.endpoint.reply(asker.number, response, loop_.now(), rng_, out);
    perform(asker.peer, std::move(out));
  }

  void set_context(std::shared_ptr<DtlsContext> dtls) override {
    dtls_->set_context(std::move(dtls));
    end_all_soon();
  }

  void drain(Duration grace, std::function<void()> done) override {
    end_all_soon();
    dtls_->drain(grace, std::move(done));
  }

  CoapsServerStats stats() const override { return {dtls_->stats(), requests_}; }

 private:
  struct Peer {
    coap::Endpoint endpoint;
    SessionRef session;
    std::map<std::uint64_t, std::uint64_t> asked;  // the endpoint's number to ours
    std::optional<Instant> end_at;                 // but not while something is asked
  };
  struct Asker {
    std::uint64_t peer = 0;
    std::uint64_t number = 0;  // in its endpoint
  };

  void receive(std::uint64_t id, BytesView message) {
    const auto it = peers_.find(id);
    if (it == peers_.end()) {
      return;
    }
    coap::Endpoint::Out out;
    it->second.endpoint.receive(message, loop_.now(), rng_, out);
    perform(id, std::move(out));
  }

  void expire(std::uint64_t id) {
    const auto it = peers_.find(id);
    if (it == peers_.end()) {
      return;
    }
    if (it->second.end_at && it->second.asked.empty() && *it->second.end_at <= loop_.now()) {
      dtls_->close(id);
      forget(id);
      return;
    }
    coap::Endpoint::Out out;
    it->second.endpoint.expire(loop_.now(), rng_, out);
    perform(id, std::move(out));
  }

  // A handler may answer at once, and so come back here before this is done.
  void perform(std::uint64_t id, coap::Endpoint::Out out) {
    for (const Bytes& datagram : out.datagrams) {
      // A datagram may always be lost: what cannot be sent is sent again, or its sender gives up.
      [[maybe_unused]] const Status sent = dtls_->send(id, datagram);
    }
    set_deadline(id);
    for (coap::Endpoint::Event& event : out.events) {
      const auto it = peers_.find(id);
      if (it == peers_.end()) {
        return;
      }
      auto& asked = std::get<coap::Endpoint::Asked>(event);  // we ask nothing, so nothing is answered
      const Exchange exchange{++last_exchange_};
      exchanges_.emplace(exchange.id, Asker{id, asked.number});
      it->second.asked.emplace(asked.number, exchange.id);
      ++requests_;
      asked.request.session = it->second.session;
      handlers_.request(exchange, std::move(asked.request));
    }
  }

  void set_deadline(std::uint64_t id) {
    const auto it = peers_.find(id);
    if (it == peers_.end()) {
      return;
    }
    std::optional<Instant> when = it->second.endpoint.deadline();
    if (it->second.end_at) {
      when = when ? std::min(*when, *it->second.end_at) : it->second.end_at;
    }
    if (when) {
      deadlines_.set(id, *when);
    } else {
      deadlines_.clear(id);
    }
  }

  void forget(std::uint64_t id) {
    const auto it = peers_.find(id);
    if (it == peers_.end()) {
      return;
    }
    const Peer gone = std::move(it->second);
    peers_.erase(it);
    deadlines_.clear(id);
    for (const auto& [number, exchange] : gone.asked) {
      exchanges_.erase(exchange);
      handlers_.gone(Exchange{exchange});
    }
  }

  // Answers of the last moment may get lost on their way: what has asked lately stays for a while.
  void end_all_soon() {
    std::vector<std::uint64_t> idle;
    for (auto& [id, peer] : peers_) {
      const bool quiet = peer.asked.empty() && !peer.endpoint.deadline();
      peer.end_at = loop_.now() + (quiet ? Duration(0) : kLinger);
      if (quiet) {
        idle.push_back(id);
      } else {
        set_deadline(id);
      }
    }
    for (const std::uint64_t id : idle) {
      dtls_->close(id);
      forget(id);
    }
  }

  Loop& loop_;
  Rng& rng_;
  coap::Parameters parameters_;
  Handlers handlers_;
  std::unordered_map<std::uint64_t, Peer> peers_;
  std::unordered_map<std::uint64_t, Asker> exchanges_;
  std::uint64_t last_exchange_ = 0;
  std::uint64_t requests_ = 0;
  Deadlines deadlines_;
  std::unique_ptr<DtlsServer> dtls_;  // let go first: its handlers use the rest
};

}  // namespace

Result<std::unique_ptr<CoapsServer>> CoapsServer::listen(Loop& loop, Rng& rng, CoapsServerOptions options,
                                                         Handlers handlers) {
  auto out = std::make_unique<Server>(loop, rng, options.coap, std::move(handlers));
  TRY(Ok{}, out->listen(std::move(options.listen)));
  return std::unique_ptr<CoapsServer>(std::move(out));
}

}  // namespace imprint::io
