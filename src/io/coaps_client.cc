#include "io/coaps_client.h"

#include <map>
#include <unordered_map>

#include "coap/endpoint.h"
#include "io/deadlines.h"

namespace imprint::io {
namespace {

const Error kClosed{Fault::unreachable, "the session was closed"};
const Error kOver{Fault::unreachable, "the session has ended"};

class Client final : public RequestClient {
 public:
  Client(Loop& loop, const Guard& guard, Rng& rng, const CoapsClientOptions& options, DtlsClient::Keys keys,
         std::function<void(std::uint64_t)> lost)
      : loop_(loop),
        rng_(rng),
        parameters_(options.coap),
        lost_(std::move(lost)),
        deadlines_(loop, [this](std::uint64_t id) { expire(id); }) {
    DtlsClient::Handlers handlers;
    handlers.message = [this](std::uint64_t id, BytesView message) { receive(id, message); };
    handlers.closed = [this](std::uint64_t id, std::optional<Error> why) { closed(id, why); };
    dtls_ = DtlsClient::make(loop, guard, options.dtls, std::move(keys), std::move(handlers));
  }

  void open(Open what, std::function<void(Result<SessionRef>)> done) override {
    DtlsOpen how;
    how.to = std::move(what.to);
    how.trust = what.trust;
    how.anchors = std::move(what.anchors);
    how.as = std::move(what.as);
    how.names_anchors = what.names_anchors;
    how.judges_time = what.judges_time;
    dtls_->open(std::move(how),
                [this, alive = std::weak_ptr<const bool>(alive_), done = std::move(done)](Result<SessionRef> session) {
                  if (alive.expired()) {
                    return;
                  }
                  if (session) {
                    coap::Parameters parameters = parameters_;
                    parameters.block_exponent = std::min(parameters.block_exponent,
                                                         coap::block_exponent_for(dtls_->max_message((*session)->id)));
                    peers_.emplace((*session)->id, Peer{coap::Endpoint(parameters), {}});
                  }
                  done(std::move(session));
                });
  }

  void request(std::uint64_t session, Request what, std::function<void(Result<Response>)> done) override {
    const auto it = peers_.find(session);
    if (it == peers_.end()) {
      tell(done, kOver);
      return;
    }
    coap::Endpoint::Out out;
    const std::uint64_t number = it->second.endpoint.request(what, steady_clock(), rng_, out);
    it->second.waiting.emplace(number, std::move(done));
    perform(session, out);
  }

  void close(std::uint64_t session) override {
    if (peers_.contains(session)) {
      dtls_->close(session);
      end(session, kClosed);
    }
  }

 private:
  struct Peer {
    coap::Endpoint endpoint;
    std::map<std::uint64_t, std::function<void(Result<Response>)>> waiting;
  };

  void receive(std::uint64_t id, BytesView message) {
    if (const auto it = peers_.find(id); it != peers_.end()) {
      coap::Endpoint::Out out;
      it->second.endpoint.receive(message, steady_clock(), rng_, out);
      perform(id, out);
    }
  }

  void expire(std::uint64_t id) {
    if (const auto it = peers_.find(id); it != peers_.end()) {
      coap::Endpoint::Out out;
      it->second.endpoint.expire(steady_clock(), rng_, out);
      perform(id, out);
    }
  }

  void closed(std::uint64_t id, const std::optional<Error>& why) {
    if (peers_.contains(id)) {
      end(id, why.value_or(kOver));
      loop_.post([this, alive = std::weak_ptr<const bool>(alive_), id] {
        if (!alive.expired()) {
          lost_(id);
        }
      });
    }
  }

  void end(std::uint64_t id, const Error& why) {
    const auto it = peers_.find(id);
    const Peer gone = std::move(it->second);
    peers_.erase(it);
    deadlines_.clear(id);
    for (const auto& [number, done] : gone.waiting) {
      tell(done, why);
    }
  }

  void perform(std::uint64_t id, const coap::Endpoint::Out& out) {
    for (const Bytes& datagram : out.datagrams) {
      // A datagram may always be lost: what cannot be sent is sent again, or given up.
      [[maybe_unused]] const Status sent = dtls_->send(id, datagram);
    }
    const auto it = peers_.find(id);
    if (it == peers_.end()) {
      return;
    }
    Peer& peer = it->second;
    if (const auto deadline = peer.endpoint.deadline()) {
      deadlines_.set(id, *deadline);
    } else {
      deadlines_.clear(id);
    }
    for (const coap::Endpoint::Event& event : out.events) {
      if (const auto* const answered = std::get_if<coap::Endpoint::Answered>(&event)) {
        const auto waits = peer.waiting.extract(answered->number);
        tell(waits.mapped(), answered->answer);
      } else {
        refuse(id, peer, std::get<coap::Endpoint::Asked>(event).number);
      }
    }
  }

  // A device serves nothing here.
  void refuse(std::uint64_t id, Peer& peer, std::uint64_t number) {
    coap::Endpoint::Out out;
    peer.endpoint.reply(number, Response{404}, steady_clock(), rng_, out);
    for (const Bytes& datagram : out.datagrams) {
      [[maybe_unused]] const Status sent = dtls_->send(id, datagram);
    }
  }

  void tell(const std::function<void(Result<Response>)>& done, Result<Response> answer) {
    loop_.post([alive = std::weak_ptr<const bool>(alive_), done, answer = std::move(answer)] {
      if (!alive.expired()) {
        done(answer);
      }
    });
  }

  Loop& loop_;
  Rng& rng_;
  coap::Parameters parameters_;
  std::function<void(std::uint64_t)> lost_;
  std::unordered_map<std::uint64_t, Peer> peers_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  Deadlines deadlines_;
  std::unique_ptr<DtlsClient> dtls_;  // let go first: its handlers use the rest
};

}  // namespace

std::unique_ptr<RequestClient> make_coaps_client(Loop& loop, const Guard& guard, Rng& rng, CoapsClientOptions options,
                                                 DtlsClient::Keys keys,
                                                 std::function<void(std::uint64_t session)> lost) {
  return std::make_unique<Client>(loop, guard, rng, options, std::move(keys), std::move(lost));
}

}  // namespace imprint::io
