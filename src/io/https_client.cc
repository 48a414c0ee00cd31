#include "io/https_client.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <unordered_map>
#include <utility>

#include "io/connection.h"
#include "io/http.h"
#include "io/log.h"
#include "io/resolver.h"

namespace imprint::io {
namespace {

constexpr std::size_t kMaxHeadBytes = 16 * 1024;
constexpr std::size_t kRemembered = 32;  // sessions whose end is still known
constexpr std::size_t kMaxQueued = 64;   // requests that wait on one session

struct AddressFree {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};

// A non-blocking socket on its way to this numeric address.
Result<int> connecting_socket(const std::string& address, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  CHECK_OR(getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) == 0,
           Error{Fault::malformed, "connect: not a numeric address"});
  const std::unique_ptr<addrinfo, AddressFree> to(found);
  const int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK_OR(fd >= 0, Error{Fault::limit, "connect: no socket"});
  if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS) {
    close(fd);
    return Error{Fault::unreachable, "connect: no way there"};
  }
  return fd;
}

// What goes into the first line must not be able to end it.
bool plain_target(const Request& r) {
  const auto plain = [](char c) { return c > 0x20 && c < 0x7f; };
  return r.path.starts_with('/') && std::ranges::all_of(r.path, plain) && std::ranges::all_of(r.query, plain);
}

// The contexts of the latest connections: one takes OpenSSL as long as three signatures, and a registrar meets the same
// few MASAs all day with the same key. Nothing of a connection stays in them: no session is resumed.
class KeptContexts {
 public:
  std::shared_ptr<TlsContext> find(const Open& what, const PrivateKey& key) const {
    const auto found = std::ranges::find_if(kept_, [&](const Kept& one) {
      return one.trust == what.trust && one.names_anchors == what.names_anchors &&
             one.judges_time == what.judges_time && one.as == what.as && one.key.handle() == key.handle() &&
             one.anchors == what.anchors;
    });
    return found != kept_.end() ? found->tls : nullptr;
  }
  void keep(const Open& what, const PrivateKey& key, std::shared_ptr<TlsContext> tls) {
    kept_.push_back({what.trust, what.names_anchors, what.judges_time, what.as, key, what.anchors, std::move(tls)});
    if (kept_.size() > kMost) {
      kept_.pop_front();
    }
  }

 private:
  static constexpr std::size_t kMost = 4;
  struct Kept {
    Trust trust = Trust::anchors;
    bool names_anchors = false, judges_time = true;
    std::optional<Credential> as;
    PrivateKey key;
    std::vector<Certificate> anchors;
    std::shared_ptr<TlsContext> tls;
  };
  std::deque<Kept> kept_;
};

class Client final : public HttpsClient, public ConnectionOwner {
 public:
  Client(Loop& loop, const Guard& guard, HttpsClientOptions options, Keys keys, std::function<void(std::uint64_t)> lost)
      : loop_(loop),
        guard_(guard),
        options_(options),
        keys_(std::move(keys)),
        lost_(std::move(lost)),
        resolver_(loop) {}

  ~Client() override {
    for (const auto& [id, attempt] : attempts_) {
      loop_.cancel(attempt.timer);
    }
  }

  void open(Open what, std::function<void(Result<SessionRef>)> done) override {
    auto tls = context(what);
    if (!tls) {
      loop_.post([done = std::move(done), why = tls.error()] { done(why); });
      return;
    }
    const std::uint64_t id = fresh_id();
    Attempt& a = attempts_[id];
    a.to = std::move(what.to);
    a.trust = what.trust;
    a.tls = *std::move(tls);
    a.done = std::move(done);
    a.timer = loop_.after(options_.connect_timeout, [this, id] { give_up(id); });
    resolver_.resolve(a.to.host, [this, id](auto found) { resolved(id, std::move(found)); });
  }

  void request(std::uint64_t session, Request what, std::function<void(Result<Response>)> done) override {
    const auto refuse = [&](Error why) { loop_.post([done = std::move(done), why] { done(why); }); };
    const auto it = peers_.find(session);
    if (it == peers_.end() || it->second.ended) {
      return refuse(why_over(session));
    }
    if (what.method == Method::other || !plain_target(what)) {
      return refuse({Fault::malformed, "a request that cannot be written down"});
    }
    if (it->second.queue.size() >= kMaxQueued) {
      return refuse({Fault::limit, "too many requests wait on this session"});
    }
    it->second.queue.push_back({std::move(what), std::move(done)});
    send_next(it->second);
  }

  void close(std::uint64_t session) override {
    const auto it = peers_.find(session);
    if (it != peers_.end()) {
      it->second.closed_by_us = true;
      end(it->second, {Fault::unreachable, "the session was closed"});
    }
  }

 private:
  struct Attempt {
    Uri to;
    Trust trust = Trust::anchors;
    std::shared_ptr<TlsContext> tls;
    std::function<void(Result<SessionRef>)> done;
    std::uint64_t timer = 0;
    std::vector<std::string> addresses;  // still to be tried, in order
    Error last{Fault::unreachable, "connect: no address"};
    std::uint64_t peer = 0;  // the connection under way
  };
  struct Pending {
    Request what;
    std::function<void(Result<Response>)> done;
  };
  struct Peer {
    explicit Peer(HttpLimits limits) : parser(limits) {}
    std::unique_ptr<Connection> connection;
    HttpResponseParser parser;
    std::string authority;
    std::uint64_t attempt = 0;  // not 0: the handshake is not over
    std::deque<Pending> queue;  // the first is on its way if `busy`
    bool busy = false, ended = false, closed_by_us = false;
  };

  Peer& peer(const Connection& c) { return peers_.at(c.id()); }

  // ---- connecting ----

  Result<std::shared_ptr<TlsContext>> context(const Open& what) {
    CHECK_OR(what.to.scheme == "https", Error{Fault::unsupported, "connect: https only"});
    if (what.srp) {
      return TlsContext::srp_client(*what.srp);
    }
    PrivateKey key;
    std::vector<Certificate> chain;
    if (what.as) {
      TRY(key, keys_(what.as->key_id));
      chain = what.as->chain;
    }
    if (auto kept = contexts_.find(what, key)) {
      return kept;
    }
    TRY(auto made, TlsContext::client(what.trust, what.anchors, chain, key, what.names_anchors, what.judges_time));
    contexts_.keep(what, key, made);
    return made;
  }

  void resolved(std::uint64_t id, Result<std::vector<std::string>> found) {
    const auto it = attempts_.find(id);
    if (it == attempts_.end()) {
      return;  // it took too long
    }
    if (!found) {
      finish_attempt(id, found.error());
      return;
    }
    it->second.addresses = *std::move(found);
    try_next(id, it->second);
  }

  void try_next(std::uint64_t id, Attempt& a) {
    while (!a.addresses.empty()) {
      const std::string address = a.addresses.front();
      a.addresses.erase(a.addresses.begin());
      const Status allowed = guard_.check(a.to, address);
      if (!allowed) {
        a.last = allowed.error();
        continue;
      }
      const Result<int> fd = connecting_socket(address, a.to.port);
      if (fd) {
        connect(id, a, *fd);
        return;
      }
      a.last = fd.error();
    }
    finish_attempt(id, a.last);
  }

  void connect(std::uint64_t id, Attempt& a, int fd) {
    auto connection = std::make_unique<Connection>(
        loop_, *this,
        Connection::Start{.fd = fd, .accepted = false, .tls = a.tls, .trust = a.trust, .host = a.to.host});
    a.peer = connection->id();
    Peer& p = peers_.try_emplace(a.peer, HttpLimits{kMaxHeadBytes, options_.max_response_bytes}).first->second;
    p.authority = a.to.port == 443 ? without_port(a.to) : a.to.authority();
    p.attempt = id;
    p.connection = std::move(connection);
  }

  // On TLS 1.3 a peer's refusal may come before the first request is made: that request hears of it.
  Error why_over(std::uint64_t session) const {
    const auto found = std::ranges::find(over_, session, &std::pair<std::uint64_t, Error>::first);
    return found != over_.end() ? found->second : Error{Fault::unreachable, "the session is over"};
  }

  static std::string without_port(const Uri& uri) {
    const std::string full = uri.authority();
    return full.substr(0, full.rfind(':'));
  }

  void give_up(std::uint64_t id) {
    const std::uint64_t under_way = attempts_.at(id).peer;
    finish_attempt(id, Error{Fault::unreachable, "connect: no answer in time"});
    if (const auto it = peers_.find(under_way); it != peers_.end()) {
      it->second.connection->abort();
    }
  }

  void finish_attempt(std::uint64_t id, Result<SessionRef> answer) {
    const auto node = attempts_.extract(id);
    if (!node.empty()) {
      loop_.cancel(node.mapped().timer);
      node.mapped().done(std::move(answer));
    }
  }

  // ---- what a connection tells ----

  void on_ready(Connection& c) override { finish_attempt(std::exchange(peer(c).attempt, 0), c.session()); }

  void on_bytes(Connection& c, BytesView bytes) override {
    Peer& p = peer(c);
    while (!bytes.empty() && p.busy) {
      bytes = bytes.subspan(p.parser.feed(bytes));
      take_response(p);
    }
    if (!bytes.empty() && !p.ended) {
      end(p, {Fault::malformed, "an answer that nobody asked for"});
    }
  }

  void on_timeout(Connection& c) override { end(peer(c), {Fault::unreachable, "no answer in time"}); }

  void on_ended(Connection& c, const Error& why) override {
    Peer& p = peer(c);
    if (const std::uint64_t id = std::exchange(p.attempt, 0); id != 0) {
      failed_attempt(id, why);
      return;
    }
    if (p.busy && c.ended_cleanly()) {
      p.parser.end();
      take_response(p);
    }
    end(p, why);
  }

  void on_gone(Connection& c) override {
    Peer& p = peer(c);
    if (p.attempt == 0) {
      end(p, {Fault::unreachable, "the session is over"});
    }
    peers_.erase(c.id());
  }

  // An address that does not answer has its successors; a handshake that failed has not.
  void failed_attempt(std::uint64_t id, const Error& why) {
    const auto it = attempts_.find(id);
    if (it == attempts_.end()) {
      return;
    }
    log(LogLevel::info, "tls.open_failed", {{"host", it->second.to.host}, {"why", why.what}});
    if (why.fault == Fault::unreachable) {
      it->second.last = why;
      try_next(id, it->second);
    } else {
      finish_attempt(id, why);
    }
  }

  // ---- requests ----

  void send_next(Peer& p) {
    if (p.busy || p.ended || p.queue.empty()) {
      return;
    }
    p.busy = true;
    Bytes bytes = encode_request(p.queue.front().what, p.authority);
    p.connection->set_deadline(options_.request_timeout);
    p.connection->write(bytes);
    wipe(bytes);
  }

  void take_response(Peer& p) {
    if (p.parser.failed()) {
      const bool large = p.parser.too_large();
      finish_request(p, Error{large ? Fault::limit : Fault::malformed,
                              large ? "the answer is larger than we take" : "an answer that is not HTTP"});
      end(p, {Fault::unreachable, "the session broke"});
      return;
    }
    std::optional<Response> response = p.parser.take(loop_.now());
    if (!response) {
      return;
    }
    // An answer that came before the request was out leaves the rest of it in the way of the next.
    const bool reusable = p.parser.keep_alive() && p.connection->waiting() == 0;
    p.connection->clear_deadline();
    finish_request(p, *std::move(response));
    if (reusable) {
      send_next(p);
    } else {
      end(p, {Fault::unreachable, "the peer ended the session"});
    }
  }

  void finish_request(Peer& p, Result<Response> answer) {
    const Pending first = std::move(p.queue.front());
    p.queue.pop_front();
    p.busy = false;
    first.done(std::move(answer));
  }

  // The session is over: all who wait hear of it, and the owner if it was not the owner's wish.
  void end(Peer& p, const Error& why) {
    if (std::exchange(p.ended, true)) {
      return;
    }
    p.busy = false;
    p.connection->close();
    if (!p.closed_by_us) {
      over_.emplace_back(p.connection->id(), why);
      if (over_.size() > kRemembered) {
        over_.pop_front();
      }
    }
    for (Pending& one : std::exchange(p.queue, {})) {
      loop_.post([done = std::move(one.done), why] { done(why); });
    }
    if (!p.closed_by_us && lost_) {
      loop_.post([lost = lost_, id = p.connection->id()] { lost(id); });
    }
  }

  Loop& loop_;
  const Guard& guard_;
  HttpsClientOptions options_;
  Keys keys_;
  std::function<void(std::uint64_t)> lost_;
  std::unordered_map<std::uint64_t, Attempt> attempts_;
  std::unordered_map<std::uint64_t, Peer> peers_;     // by session; addresses stay
  std::deque<std::pair<std::uint64_t, Error>> over_;  // why the latest sessions ended
  KeptContexts contexts_;
  Resolver resolver_;
};

}  // namespace

HttpsClient::~HttpsClient() = default;

std::unique_ptr<HttpsClient> HttpsClient::make(Loop& loop, const Guard& guard, HttpsClientOptions options, Keys keys,
                                               std::function<void(std::uint64_t session)> lost) {
  return std::make_unique<Client>(loop, guard, options, std::move(keys), std::move(lost));
}

}  // namespace imprint::io
