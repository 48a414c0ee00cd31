#include "io/dtls_client.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "io/deadlines.h"
#include "io/dtls_openssl.h"
#include "io/log.h"
#include "io/resolver.h"
#include "io/udp.h"

namespace imprint::io {
namespace {

using State = DtlsConnection::State;

constexpr std::uint16_t kCoapsPort = 5684;

class Client final : public DtlsClient {
 public:
  Client(Loop& loop, const Guard& guard, DtlsClientSettings settings, Keys keys, Handlers handlers)
      : loop_(loop),
        guard_(guard),
        settings_(settings),
        keys_(std::move(keys)),
        handlers_(std::move(handlers)),
        deadlines_(loop, [this](std::uint64_t id) { on_time(id); }),
        resolver_(loop) {}

  void open(DtlsOpen what, std::function<void(Result<SessionRef>)> done) override {
    auto dtls = context(what);
    if (!dtls) {
      loop_.post([done = std::move(done), why = dtls.error()] { done(why); });
      return;
    }
    const std::uint64_t number = ++last_attempt_;
    Attempt& a = attempts_[number];
    a.to = std::move(what.to);
    a.to.port = a.to.port == 0 ? kCoapsPort : a.to.port;
    a.dtls = *std::move(dtls);
    a.done = std::move(done);
    a.timer = loop_.after(settings_.connect_timeout, [this, number] { give_up(number); });
    resolver_.resolve(a.to.host, [this, number](auto found) { resolved(number, std::move(found)); });
  }

  ~Client() override {
    for (const auto& [number, attempt] : attempts_) {
      loop_.cancel(attempt.timer);
    }
  }

  Status send(std::uint64_t id, BytesView message) override {
    Peer* p = find(id);
    CHECK_OR(p != nullptr, Error{Fault::stale, "dtls: the association is over"});
    const Status done = p->dtls->send(message);
    flush(*p);
    return done;
  }

  std::size_t max_message(std::uint64_t id) const override {
    const auto it = peers_.find(id);
    return it == peers_.end() ? 0 : it->second.dtls->max_message();
  }

  void close(std::uint64_t id) override {
    if (Peer* p = find(id)) {
      p->dtls->close();
      flush(*p);
      remove(id);
    }
  }

 private:
  struct Attempt {
    Uri to;
    std::shared_ptr<DtlsContext> dtls;
    std::function<void(Result<SessionRef>)> done;
    std::uint64_t timer = 0;
    std::vector<std::string> addresses;  // still to be tried, in order
    Error last{Fault::unreachable, "connect: no address"};
    std::uint64_t peer = 0;  // the handshake under way
  };
  struct Peer {
    std::unique_ptr<UdpSocket> socket;
    std::unique_ptr<DtlsConnection> dtls;
    std::uint64_t attempt = 0;  // not 0: the handshake is not over
  };

  Peer* find(std::uint64_t id) {
    const auto it = peers_.find(id);
    return it == peers_.end() ? nullptr : &it->second;
  }

  // ---- opening ----

  Result<std::shared_ptr<DtlsContext>> context(DtlsOpen& what) {
    CHECK_OR(what.to.scheme == "coaps", Error{Fault::unsupported, "connect: coaps only"});
    DtlsClientOptions options;
    options.trust = what.trust;
    options.anchors = std::move(what.anchors);
    options.names_anchors = what.names_anchors;
    options.judges_time = what.judges_time;
    options.mtu = settings_.mtu;
    options.max_record = settings_.max_record;
    options.retransmit_first = settings_.retransmit_first;
    if (what.as) {
      TRY(options.key, keys_(what.as->key_id));
      options.chain = what.as->chain;
    }
    if (what.psk) {
      CHECK_OR(!what.psk->identity.empty(), Error{Fault::limit, "dtls: a pre-shared key without an identity"});
      options.psk_identity = what.psk->identity;
      options.psk = what.psk->key;
    }
    return openssl_dtls_client(options);
  }

  void resolved(std::uint64_t number, Result<std::vector<std::string>> found) {
    const auto it = attempts_.find(number);
    if (it == attempts_.end()) {
      return;  // it took too long
    }
    if (!found) {
      finish(number, found.error());
      return;
    }
    it->second.addresses = *std::move(found);
    try_next(number);
  }

  void try_next(std::uint64_t number) {
    Attempt& a = attempts_.at(number);
    while (!a.addresses.empty()) {
      const std::string address = a.addresses.front();
      a.addresses.erase(a.addresses.begin());
      const Status begun = begin(number, a, address);
      if (begun) {
        return;
      }
      a.last = begun.error();
    }
    finish(number, a.last);
  }

  Status begin(std::uint64_t number, Attempt& a, const std::string& literal) {
    TRY([[maybe_unused]] const Ok allowed, guard_.check(a.to, literal));
    TRY(const Address address, Address::parse(literal, a.to.port));
    auto dtls = a.dtls->connect(a.to.host);
    const std::uint64_t id = dtls->id();
    UdpSocket::Handlers handlers{[this, id](const Address&, BytesView datagram) { on_datagram(id, datagram); },
                                 [this, id] { on_refused(id); }};
    TRY(auto socket, UdpSocket::connect(loop_, address, std::move(handlers)));
    peers_.emplace(id, Peer{std::move(socket), std::move(dtls), number});
    a.peer = id;
    peers_.at(id).dtls->start();
    settle(id);
    return Ok{};
  }

  void give_up(std::uint64_t number) {
    const std::uint64_t under_way = attempts_.at(number).peer;
    if (find(under_way) != nullptr) {
      remove(under_way);
    }
    finish(number, Error{Fault::unreachable, "connect: no answer in time"});
  }

  void finish(std::uint64_t number, Result<SessionRef> answer) {
    const auto node = attempts_.extract(number);
    loop_.cancel(node.mapped().timer);
    node.mapped().done(std::move(answer));
  }

  // ---- an association ----

  void on_datagram(std::uint64_t id, BytesView datagram) {
    find(id)->dtls->receive(datagram);
    settle(id);
  }

  // ICMP says that nobody has this port. Anybody on the way could say so, but a handshake has its next address.
  void on_refused(std::uint64_t id) { ended(id, Error{Fault::unreachable, "connect: nobody has this port"}); }

  void on_time(std::uint64_t id) {
    if (Peer* p = find(id)) {
      p->dtls->expire();
      settle(id);
    }
  }

  // Handlers may close any association: it is looked up again after each call.
  void settle(std::uint64_t id) {
    Peer* p = find(id);
    flush(*p);
    if (p->attempt != 0 && p->dtls->session() != nullptr) {
      deadlines_.clear(id);
      finish(std::exchange(p->attempt, 0), p->dtls->session());
    }
    while ((p = find(id)) != nullptr) {
      std::optional<Bytes> message = p->dtls->take_message();
      if (!message) {
        break;
      }
      handlers_.message(id, *message);
      wipe(*message);
    }
    if (p != nullptr && p->dtls->state() == State::closed) {
      ended(id, p->dtls->error());
    } else if (p != nullptr) {
      set_deadline(id, *p);
    }
  }

  void set_deadline(std::uint64_t id, const Peer& p) {
    if (const std::optional<Duration> timeout = p.dtls->timeout()) {
      deadlines_.set(id, steady_clock() + *timeout);
    } else {
      deadlines_.clear(id);
    }
  }

  // An address that does not answer has its successors; a handshake that failed has not.
  void ended(std::uint64_t id, std::optional<Error> why) {
    const std::uint64_t number = find(id)->attempt;
    remove(id);
    if (number == 0) {
      handlers_.closed(id, why);
      return;
    }
    Attempt& a = attempts_.at(number);
    const Error reason = why.value_or(Error{Fault::unreachable, "dtls: the peer left"});
    log(LogLevel::info, "dtls.open_failed", {{"host", a.to.host}, {"why", reason.what}});
    if (reason.fault == Fault::unreachable) {
      a.last = reason;
      try_next(number);
    } else {
      finish(number, reason);
    }
  }

  void remove(std::uint64_t id) {
    deadlines_.clear(id);
    peers_.erase(id);
  }

  // What the kernel does not take is lost, as it may be on the way.
  static void flush(Peer& p) {
    while (const auto datagram = p.dtls->take_datagram()) {
      [[maybe_unused]] const Status sent = p.socket->send(*datagram);
    }
  }

  Loop& loop_;
  const Guard& guard_;
  DtlsClientSettings settings_;
  Keys keys_;
  Handlers handlers_;
  std::unordered_map<std::uint64_t, Attempt> attempts_;
  std::uint64_t last_attempt_ = 0;
  std::unordered_map<std::uint64_t, Peer> peers_;  // by session; addresses stay
  Deadlines deadlines_;
  Resolver resolver_;
};

}  // namespace

DtlsClient::~DtlsClient() = default;

std::unique_ptr<DtlsClient> DtlsClient::make(Loop& loop, const Guard& guard, DtlsClientSettings settings, Keys keys,
                                             Handlers handlers) {
  return std::make_unique<Client>(loop, guard, settings, std::move(keys), std::move(handlers));
}

}  // namespace imprint::io
