#include "io/https_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <unordered_map>
#include <utility>

#include "io/address.h"
#include "io/connection.h"
#include "io/http.h"
#include "io/listener.h"
#include "io/places.h"
#include "io/rules.h"

namespace imprint::io {
namespace {

constexpr int kAcceptsAtOnce = 64;
constexpr Duration kRoomPause{50};                   // when nobody can make room yet
constexpr Duration kAcceptPause{100};                // when the process has no descriptor left
constexpr std::size_t kMaxBacklogBytes = 16 * 1024;  // pipelined requests that wait for the answer before them
constexpr std::size_t kMaxUnreadBytes = 64 * 1024;   // of answers; beyond, no further request is served
constexpr std::size_t kMaxStreamBytes = 1024 * 1024;

// What was found, the rule, and what to do, in one line.
Response refusal_of(int status, std::string_view why) {
  const Rule& rule = status == 408 ? kHttpSlow : status == 413 || status == 431 ? kHttpTooLarge : kHttpRequest;
  Response out;
  out.status = status;
  out.content_type = "text/plain";
  std::string text(why);
  text.append(" (").append(rule.id).append(", ").append(rule.source).append("); ").append(rule.next).append("\n");
  out.body = to_bytes(text);
  return out;
}

// Who is at the other end of a socket that was just accepted; empty if it has left.
std::string peer_address(int fd) {
  sockaddr_storage there{};
  socklen_t size = sizeof there;
  auto* const raw = reinterpret_cast<sockaddr*>(&there);
  const auto address = getpeername(fd, raw, &size) == 0 ? Address::from(raw) : Error{Fault::unreachable, "left"};
  return address ? address->literal() : std::string();
}

class Server final : public HttpsServer, public ConnectionOwner {
 public:
  Server(Loop& loop, HttpsServerOptions options, Handlers handlers)
      : loop_(loop), options_(std::move(options)), handlers_(std::move(handlers)) {}
  ~Server() override { loop_.cancel(drain_timer_); }

  Status listen() {
    TRY(listener_,
        Listener::open(loop_, {options_.address, options_.port, options_.reuse_port}, [this] { accept_batch(); }));
    port_ = listener_->port();
    return Ok{};
  }

  std::uint16_t port() const override { return port_; }

  void reply(Exchange to, const Response& response) override {
    Peer* p = asker(to);
    if (p == nullptr) {
      return;
    }
    exchanges_.erase(to.id);
    p->exchange = 0;
    answer(*p, response, p->parser.keep_alive() && may_stay(*p));
    if (!p->serving) {
      go_on(*p);
    }
  }

  void known(Exchange from) override {
    if (Peer* p = asker(from)) {
      p->known = true;
    }
  }

  bool start_stream(Exchange to, const Response& head) override {
    Peer* p = asker(to);
    if (p == nullptr) {
      return false;
    }
    if (p->parser.head()) {
      send(*p, encode_stream_head(head, loop_.now()));
      end_stream(to);
      return false;
    }
    p->finished = true;  // the end of the connection ends the body
    send(*p, encode_stream_head(head, loop_.now()));
    return true;
  }

  bool stream(Exchange to, std::string_view chunk) override {
    Peer* p = asker(to);
    if (p == nullptr) {
      return false;
    }
    if (p->connection->waiting() + chunk.size() > kMaxStreamBytes) {
      p->connection->abort();
      return false;
    }
    send(*p, view(chunk));
    return true;
  }

  void end_stream(Exchange to) override {
    if (Peer* p = asker(to)) {
      exchanges_.erase(to.id);
      p->exchange = 0;
      finish(*p);
    }
  }

  std::size_t waiting(Exchange to) const override {
    const auto it = exchanges_.find(to.id);
    return it == exchanges_.end() ? 0 : it->second->connection->waiting();
  }

  void set_tls(std::shared_ptr<TlsContext> tls) override {
    options_.tls = std::move(tls);
    for (auto& [id, p] : peers_) {
      p.outdated = true;
      if (p.idle()) {
        finish(p);
      }
    }
  }

  void drain(Duration grace, std::function<void()> done) override {
    draining_ = true;
    drained_ = std::move(done);
    listener_.reset();
    for (auto& [id, p] : peers_) {
      if (p.exchange == 0) {
        p.connection->close();
      }
    }
    drain_timer_ = loop_.after(grace, [this] {
      for (auto& [id, p] : peers_) {
        p.connection->abort();
      }
    });
    finish_drain();
  }

  HttpsServerStats stats() const override {
    HttpsServerStats out = stats_;
    out.open = peers_.size();
    return out;
  }

  std::string address_of(std::uint64_t session) const override {
    const auto it = peers_.find(session);
    return it == peers_.end() ? std::string() : it->second.address;
  }

 private:
  struct Peer {
    explicit Peer(HttpLimits limits) : parser(limits) {}
    // Nothing of a request has come, and nothing of an answer is left.
    bool idle() const { return !handshaking && exchange == 0 && !in_request && connection->waiting() == 0; }

    std::unique_ptr<Connection> connection;
    std::string address;  // of the peer
    HttpRequestParser parser;
    Bytes backlog;               // read, but not looked at: an answer is due first, or has to be read first
    std::uint64_t exchange = 0;  // the request that waits for its answer
    Instant since;               // accepted
    std::size_t posts = 0;       // while not known
    bool handshaking = true;
    bool known = false;       // has proven who it is
    bool outdated = false;    // its handshake was under a context that is replaced
    bool in_request = false;  // some of it has come
    bool continued = false;   // 100 Continue is sent
    bool screened = false;    // the handler has seen the head and lets the body come
    bool unread = false;      // answers wait in our buffer: the deadline runs since they do
    bool serving = false;     // serve() is on the stack
    bool finished = false;    // nothing more is read
  };

  Peer& peer(const Connection& c) { return peers_.at(c.id()); }
  Peer* asker(Exchange e) {
    const auto it = exchanges_.find(e.id);
    return it == exchanges_.end() ? nullptr : it->second;
  }

  // ---- accepting ----

  void accept_batch() {
    for (int i = 0; i < kAcceptsAtOnce && has_place(); ++i) {
      const Result<int> fd = listener_->accept();
      if (fd) {
        take_in(*fd);
      } else if (fd.error().fault == Fault::stale) {
        return;
      } else if (fd.error().fault == Fault::limit && listener_->somebody_waits() && !end(places_.to_end(loop_.now()))) {
        listener_->pause(kAcceptPause);
        return;
      }
    }
  }

  // Whether the next one may be taken from the queue: if need be, another one goes for it. Else connections that do
  // nothing would keep everybody out.
  bool has_place() {
    const bool shaking = places_.shaking() >= options_.max_handshakes;
    if (!shaking && peers_.size() < options_.max_connections) {
      return true;
    }
    if (!listener_->somebody_waits()) {
      return false;
    }
    const Instant now = loop_.now();
    if (places_.empty() || end(shaking ? places_.handshake_to_end(now) : places_.to_end(now))) {
      return true;  // if all that are there are kept, the new one is shed
    }
    listener_->pause(kRoomPause);
    return false;
  }

  void take_in(int fd) {
    if (peers_.size() >= options_.max_connections) {
      ::close(fd);
      ++stats_.shed;
      return;
    }
    ++stats_.accepted;
    std::string address = peer_address(fd);
    auto connection =
        std::make_unique<Connection>(loop_, *this, Connection::Start{.fd = fd, .tls = options_.tls, .host = {}});
    connection->set_deadline(options_.handshake_timeout);
    Peer& p = peers_.try_emplace(connection->id(), HttpLimits{options_.max_header_bytes, options_.max_body_bytes})
                  .first->second;
    p.connection = std::move(connection);
    p.address = std::move(address);
    p.since = loop_.now();
    places_.shake(*p.connection, p.since);
  }

  // It makes room for others, at once. Says whether there was one.
  bool end(Connection* c) {
    if (c == nullptr) {
      return false;
    }
    Peer& p = peer(*c);
    if (p.handshaking) {
      failed_handshake(p, {Fault::unreachable, "tls: it made room for others"});
    } else {
      ++stats_.shed;
    }
    on_gone(*c);
    return true;
  }

  void release_handshake(Peer& p) {
    if (p.handshaking) {
      p.handshaking = false;
      places_.release(*p.connection);
      listen_again();
    }
  }

  void listen_again() {
    if (listener_) {
      listener_->resume();
    }
  }

  // ---- what a connection tells ----

  void on_ready(Connection& c) override {
    Peer& p = peer(c);
    release_handshake(p);
    stats_.handshakes += options_.tls != nullptr ? 1 : 0;
    p.known = c.session()->proven.has_value();
    rest(p);
    watch(p);
    if (p.outdated) {
      finish(p);
    }
  }

  void on_bytes(Connection& c, BytesView bytes) override {
    Peer& p = peer(c);
    stats_.bytes_in += bytes.size();
    if (p.finished) {
      return;
    }
    if (p.backlog.empty() && !held_back(p)) {
      serve(p, bytes);
      return;
    }
    p.backlog.insert(p.backlog.end(), bytes.begin(), bytes.end());
    pause(p);
  }

  void on_drained(Connection& c) override {
    Peer& p = peer(c);
    p.unread = false;
    watch(p);
    go_on(p);
  }

  void on_timeout(Connection& c) override {
    Peer& p = peer(c);
    if (p.handshaking) {
      failed_handshake(p, {Fault::unreachable, "tls: the handshake took too long"});
      c.abort();
    } else if (c.waiting() > 0) {
      c.abort();  // the answer is not being read
    } else if (p.in_request) {
      ++stats_.bad_requests;
      answer(p, refusal_of(408, "the request took too long"), false);
    } else {
      c.close();
    }
  }

  void on_ended(Connection& c, const Error& why) override {
    Peer& p = peer(c);
    if (p.handshaking) {
      failed_handshake(p, why);
    }
    drop_exchange(p);
  }

  void on_gone(Connection& c) override {
    Peer& p = peer(c);
    release_handshake(p);
    drop_exchange(p);
    places_.release(c);
    peers_.erase(c.id());
    listen_again();
    finish_drain();
  }

  void failed_handshake(Peer& p, const Error& why) {
    release_handshake(p);
    rest(p);  // until it has gone
    ++stats_.handshake_failures;
    if (handlers_.handshake_failed) {
      handlers_.handshake_failed(p.connection->id(), why);
    }
  }

  void drop_exchange(Peer& p) {
    p.finished = true;
    rest(p);
    if (const std::uint64_t id = std::exchange(p.exchange, 0); id != 0) {
      exchanges_.erase(id);
      if (handlers_.gone) {
        handlers_.gone(Exchange{id});
      }
    }
  }

  void finish_drain() {
    if (draining_ && peers_.empty() && drained_) {
      loop_.cancel(drain_timer_);
      loop_.post(std::exchange(drained_, nullptr));  // it may destroy this server
    }
  }

  // ---- requests ----

  // Reads requests, one at a time, until an answer has to be waited for or read, or the bytes are used up.
  void serve(Peer& p, BytesView in) {
    p.serving = true;
    while (!in.empty() && !held_back(p) && !p.finished) {
      in = in.subspan(p.parser.feed(in));
      advance(p);
    }
    p.serving = false;
    if (!p.finished) {
      p.backlog.assign(in.begin(), in.end());
      pause(p);
    }
  }

  // Looks at what was read before.
  void go_on(Peer& p) {
    if (!p.finished) {
      const Bytes held = std::exchange(p.backlog, {});
      serve(p, held);
    }
  }

  // Whether the next request has to wait: for the answer before it, or until the asker has read what it got.
  static bool held_back(const Peer& p) { return p.exchange != 0 || p.connection->waiting() > kMaxUnreadBytes; }

  static void pause(Peer& p) {
    p.connection->pause(p.backlog.size() > kMaxBacklogBytes || p.connection->waiting() > kMaxUnreadBytes);
  }

  void advance(Peer& p) {
    if (p.parser.refusal()) {
      ++stats_.bad_requests;
      answer(p, refusal_of(p.parser.refusal()->status, p.parser.refusal()->why), false);
      return;
    }
    if (std::optional<Request> request = p.parser.take()) {
      hand_over(p, *std::move(request));
      return;
    }
    if (!screen(p)) {
      return;
    }
    if (p.parser.wants_continue() && !p.continued) {
      p.continued = true;
      send(p, view("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (p.parser.in_message() && !p.in_request) {
      p.in_request = true;
      watch(p);  // for the whole request: later bytes do not prolong it
    }
  }

  // Whether the body of the request under way may come; else it is answered.
  bool screen(Peer& p) {
    const Request* const head = p.parser.without_body();
    if (head == nullptr || p.screened || (!handlers_.body_comes && !handlers_.body_limit)) {
      return true;
    }
    p.screened = true;
    if (handlers_.body_limit) {
      p.parser.limit_body(handlers_.body_limit(*head));
    }
    if (p.parser.refusal()) {
      advance(p);
      return false;
    }
    if (!handlers_.body_comes) {
      return true;
    }
    Request asked = *head;
    asked.session = p.connection->session();
    const std::optional<Response> refused = handlers_.body_comes(asked);
    if (refused) {
      ++stats_.requests;
      answer(p, *refused, false);
    }
    return !refused;
  }

  void hand_over(Peer& p, Request request) {
    ++stats_.requests;
    places_.release(*p.connection);
    p.in_request = p.continued = p.screened = false;
    p.posts += request.method == Method::post ? 1 : 0;
    p.exchange = fresh_id();
    watch(p);
    exchanges_.emplace(p.exchange, &p);
    request.session = p.connection->session();
    handlers_.request(Exchange{p.exchange}, std::move(request));
  }

  // Whether the connection may be asked again.
  bool may_stay(const Peer& p) const {
    const Duration age = loop_.now() - p.since;  // below zero: somebody has set the clock
    return !draining_ && !p.outdated && age >= Duration(0) && age < options_.max_age &&
           (p.known || p.posts < options_.max_posts_unknown);
  }

  void answer(Peer& p, const Response& response, bool keep_alive) {
    Bytes bytes = encode_response(response, loop_.now(), keep_alive);
    if (p.parser.head() || response.status == 204 || response.status == 304) {
      bytes.resize(bytes.size() - response.body.size());
    }
    send(p, bytes);
    wipe(bytes);  // it may be a key
    rest(p);
    keep_alive ? watch(p) : finish(p);
  }

  // The last word is said.
  void finish(Peer& p) {
    p.finished = true;
    rest(p);
    p.connection->close();
  }

  void rest(Peer& p) {
    if (!p.known) {
      places_.rest(*p.connection, loop_.now());
    }
  }

  // Everything that may take too long has the connection's one deadline. Answers that are not read go first: their time
  // runs from the first byte that waits, whatever is answered later.
  void watch(Peer& p) {
    if (p.unread) {
      return;
    }
    p.unread = p.connection->waiting() > 0;
    if (p.unread || p.exchange == 0) {
      p.connection->set_deadline(options_.idle_timeout);
    } else {
      p.connection->clear_deadline();
    }
  }

  void send(Peer& p, BytesView bytes) {
    stats_.bytes_out += bytes.size();
    p.connection->write(bytes);
  }

  Loop& loop_;
  HttpsServerOptions options_;
  Handlers handlers_;
  std::unique_ptr<Listener> listener_;
  std::uint16_t port_ = 0;
  std::unordered_map<std::uint64_t, Peer> peers_;  // by the connection's id; addresses stay
  std::unordered_map<std::uint64_t, Peer*> exchanges_;
  Places<Connection> places_;
  HttpsServerStats stats_;
  bool draining_ = false;
  std::function<void()> drained_;
  std::uint64_t drain_timer_ = 0;
};

}  // namespace

HttpsServer::~HttpsServer() = default;

Result<std::unique_ptr<HttpsServer>> HttpsServer::listen(Loop& loop, HttpsServerOptions options, Handlers handlers) {
  auto out = std::make_unique<Server>(loop, std::move(options), std::move(handlers));
  TRY(Ok{}, out->listen());
  return std::unique_ptr<HttpsServer>(std::move(out));
}

}  // namespace imprint::io
