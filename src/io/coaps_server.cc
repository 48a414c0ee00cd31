#include "io/coaps_server.h"

#include <map>
#include <unordered_map>

#include "coap/endpoint.h"
#include "io/deadlines.h"

namespace imprint::io {
namespace {

// For the client to fetch what is left of an answer, and for copies of what it asked.
constexpr Duration kLinger{30000};
constexpr Duration kParting{1000};  // the same, when the server is about to stop

class Server final : public CoapsServer {
 public:
  Server(Loop& loop, Rng& rng, const CoapsServerOptions& options, Handlers handlers)
      : loop_(loop),
        rng_(rng),
        parameters_(options.coap),
        max_age_(options.max_age),
        handlers_(std::move(handlers)),
        deadlines_(loop, [this](std::uint64_t id) { expire(id); }) {}

  Status listen(DtlsListenOptions options) {
    DtlsServer::Handlers handlers;
    handlers.opened = [this](std::uint64_t id, const SessionRef& session) {
      coap::Parameters parameters = parameters_;
      parameters.block_exponent = std::min(parameters.block_exponent, coap::block_exponent_for(dtls_->max_message(id)));
      peers_.emplace(id, Peer{coap::Endpoint(parameters), session, {}, steady_clock(), {}, {}});
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
  std::uint16_t wrapped_port() const override { return dtls_->wrapped_port(); }

  void reply(Exchange to, const Response& response) override {
    const auto it = exchanges_.find(to.id);
    if (it == exchanges_.end()) {
      return;
    }
    const Asker asker = it->second;
    exchanges_.erase(it);
    Peer& peer = peers_.at(asker.peer);
    peer.asked.erase(asker.number);
    if (peer.end_at) {  // the answer still has to be fetched
      peer.end_at = steady_clock() + (draining_ ? kParting : kLinger);
    }
    coap::Endpoint::Out out;
    peer.endpoint.reply(asker.number, response, steady_clock(), rng_, out);
    perform(asker.peer, std::move(out));
  }

  void set_context(std::shared_ptr<DtlsContext> dtls) override {
    dtls_->set_context(std::move(dtls));
    end_all(kLinger);
  }

  void drain(Duration grace, std::function<void()> done) override {
    draining_ = true;
    end_all(kParting);
    dtls_->drain(grace, std::move(done));
  }

  CoapsServerStats stats() const override { return {dtls_->stats(), requests_}; }

 private:
  struct Peer {
    coap::Endpoint endpoint;
    SessionRef session;
    std::map<std::uint64_t, std::uint64_t> asked;  // the endpoint's number to ours
    Instant opened, heard;                         // heard: the last datagram; none yet: long ago
    // It asks nothing more: what it was let in by is out of date. It ends then, but not while it waits for an answer.
    std::optional<Instant> end_at;
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
    it->second.heard = steady_clock();
    coap::Endpoint::Out out;
    it->second.endpoint.receive(message, steady_clock(), rng_, out);
    perform(id, std::move(out));
  }

  void expire(std::uint64_t id) {
    const auto it = peers_.find(id);
    if (it == peers_.end()) {
      return;
    }
    if (it->second.end_at && it->second.asked.empty() && *it->second.end_at <= steady_clock()) {
      end_peer(id);
      return;
    }
    coap::Endpoint::Out out;
    it->second.endpoint.expire(steady_clock(), rng_, out);
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
      // We ask nothing, so nothing is answered.
      take(id, it->second, std::move(std::get<coap::Endpoint::Asked>(event)));
    }
  }

  void take(std::uint64_t id, Peer& peer, coap::Endpoint::Asked asked) {
    if (peer.end_at || steady_clock() - peer.opened >= max_age_) {
      end_peer(id);  // the client opens another association, and is looked at anew
      return;
    }
    const Exchange exchange{++last_exchange_};
    exchanges_.emplace(exchange.id, Asker{id, asked.number});
    peer.asked.emplace(asked.number, exchange.id);
    ++requests_;
    asked.request.session = peer.session;
    handlers_.request(exchange, std::move(asked.request));
  }

  void end_peer(std::uint64_t id) {
    dtls_->close(id);
    forget(id);
  }

  void set_deadline(std::uint64_t id) {
    const auto it = peers_.find(id);
    if (it == peers_.end()) {
      return;
    }
    std::optional<Instant> when = it->second.endpoint.deadline();
    if (it->second.end_at && it->second.asked.empty()) {
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

  // Answers of the last moment may get lost on their way: who has spoken lately stays for a while.
  void end_all(Duration linger) {
    const Instant now = steady_clock();
    std::vector<std::uint64_t> quiet;
    for (auto& [id, peer] : peers_) {
      peer.end_at = peer.heard + linger;
      if (peer.asked.empty() && *peer.end_at <= now) {
        quiet.push_back(id);
      } else {
        set_deadline(id);
      }
    }
    for (const std::uint64_t id : quiet) {
      end_peer(id);
    }
  }

  Loop& loop_;
  Rng& rng_;
  coap::Parameters parameters_;
  Duration max_age_;
  Handlers handlers_;
  std::unordered_map<std::uint64_t, Peer> peers_;
  std::unordered_map<std::uint64_t, Asker> exchanges_;
  std::uint64_t last_exchange_ = 0;
  std::uint64_t requests_ = 0;
  bool draining_ = false;
  Deadlines deadlines_;
  std::unique_ptr<DtlsServer> dtls_;  // let go first: its handlers use the rest
};

}  // namespace

Result<std::unique_ptr<CoapsServer>> CoapsServer::listen(Loop& loop, Rng& rng, CoapsServerOptions options,
                                                         Handlers handlers) {
  auto out = std::make_unique<Server>(loop, rng, options, std::move(handlers));
  TRY(Ok{}, out->listen(std::move(options.listen)));
  return std::unique_ptr<CoapsServer>(std::move(out));
}

}  // namespace imprint::io
