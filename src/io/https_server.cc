#include "io/https_server.h"

#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <unordered_map>
#include <utility>

#include "io/connection.h"
#include "io/http.h"
#include "io/rules.h"

namespace imprint::io {
namespace {

constexpr int kAcceptsAtOnce = 64;
// When all places for handshakes are taken: how long one may say nothing, and how long it may take at all.
constexpr Duration kTimeForFirstWord{200};
constexpr Duration kTimeForHandshake{2000};
constexpr Duration kRoomPause{50};
constexpr Duration kAcceptPause{100};                // when the process has no descriptor left
constexpr std::size_t kMaxBacklogBytes = 16 * 1024;  // pipelined requests that wait for the answer before them
constexpr std::size_t kMaxStreamBytes = 1024 * 1024;

struct AddressFree {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};

Result<int> bound_socket(const HttpsServerOptions& options) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(options.port);
  CHECK_OR(getaddrinfo(options.address.c_str(), port.c_str(), &hints, &found) == 0,
           Error{Fault::malformed, "listen: not a numeric address"});
  const std::unique_ptr<addrinfo, AddressFree> address(found);
  const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK_OR(fd >= 0, Error{Fault::internal, "listen: no socket"});
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (options.reuse_port) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    const int why = errno;
    close(fd);
    CHECK_OR(why != EADDRINUSE, Error{Fault::conflict, "listen: the address is in use"});
    CHECK_OR(why != EACCES, Error{Fault::refused, "listen: the system does not let us have this port"});
    return Error{Fault::unreachable, "listen: the address is not one of this machine"};
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

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

class Server final : public HttpsServer, public ConnectionOwner {
 public:
  Server(Loop& loop, HttpsServerOptions options, Handlers handlers, int fd)
      : loop_(loop), options_(std::move(options)), handlers_(std::move(handlers)), fd_(fd), port_(port_of(fd)) {
    const auto ready = [](evutil_socket_t, short, void* arg) { static_cast<Server*>(arg)->accept_batch(); };
    acceptable_ = event_new(loop_.base(), fd_, EV_READ | EV_PERSIST, ready, this);
    event_add(acceptable_, nullptr);
  }
  ~Server() override {
    loop_.cancel(pause_timer_);
    loop_.cancel(drain_timer_);
    stop_listening();
  }

  std::uint16_t port() const override { return port_; }

  void reply(Exchange to, const Response& response) override {
    Peer* p = asker(to);
    if (p == nullptr) {
      return;
    }
    exchanges_.erase(to.id);
    p->exchange = 0;
    answer(*p, response, p->parser.keep_alive() && !draining_);
    if (!p->serving && !p->backlog.empty() && !p->finished) {
      const Bytes held = std::exchange(p->backlog, {});
      serve(*p, held);
    }
  }

  bool start_stream(Exchange to, const Response& head) override {
    Peer* p = asker(to);
    if (p == nullptr) {
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
      p->connection->close();
    }
  }

  void set_tls(std::shared_ptr<TlsContext> tls) override { options_.tls = std::move(tls); }

  void drain(Duration grace, std::function<void()> done) override {
    draining_ = true;
    drained_ = std::move(done);
    stop_listening();
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

 private:
  struct Peer {
    explicit Peer(HttpLimits limits) : parser(limits) {}
    std::unique_ptr<Connection> connection;
    HttpRequestParser parser;
    Bytes backlog;               // read, but not looked at: an answer is due first
    std::uint64_t exchange = 0;  // the request that waits for its answer
    bool handshaking = true;
    bool in_request = false;  // some of it has come
    bool continued = false;   // 100 Continue is sent
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
    for (int i = 0; i < kAcceptsAtOnce && acceptable_ != nullptr; ++i) {
      if (shaking_.size() >= options_.max_handshakes && !make_room()) {
        pause_accepting(kRoomPause);  // release_handshake() goes on earlier
        return;
      }
      const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        take_in(fd);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        pause_accepting(kAcceptPause);
        return;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        return;
      }
    }
  }

  void take_in(int fd) {
    if (peers_.size() >= options_.max_connections) {
      ::close(fd);
      ++stats_.shed;
      return;
    }
    ++stats_.accepted;
    auto connection =
        std::make_unique<Connection>(loop_, *this, Connection::Start{.fd = fd, .tls = options_.tls, .host = {}});
    connection->set_deadline(options_.handshake_timeout);
    Peer& p = peers_.try_emplace(connection->id(), HttpLimits{options_.max_header_bytes, options_.max_body_bytes})
                  .first->second;
    p.connection = std::move(connection);
    shaking_.emplace(p.connection->id(), loop_.now());
  }

  // All places for handshakes are taken: the longest there that has said nothing goes, or the longest there if it has
  // had its time. Else connections that say nothing would keep everybody out.
  bool make_room() {
    const Instant now = loop_.now();
    for (const auto& [id, since] : shaking_) {
      Peer& p = peers_.at(id);
      if (now - since >= kTimeForHandshake || (now - since >= kTimeForFirstWord && p.connection->silent())) {
        failed_handshake(p, {Fault::unreachable, "tls: it made room for others"});
        p.connection->abort();
        return true;
      }
    }
    return false;
  }

  void pause_accepting(Duration pause) {
    event_del(acceptable_);
    loop_.cancel(pause_timer_);
    pause_timer_ = loop_.after(pause, [this] { listen_again(); });
  }

  void listen_again() {
    if (acceptable_ != nullptr) {
      event_add(acceptable_, nullptr);
    }
  }

  void release_handshake(Peer& p) {
    if (p.handshaking) {
      p.handshaking = false;
      shaking_.erase(p.connection->id());
      listen_again();
    }
  }

  void stop_listening() {
    if (acceptable_ != nullptr) {
      event_free(acceptable_);
      acceptable_ = nullptr;
      ::close(fd_);
    }
  }

  // ---- what a connection tells ----

  void on_ready(Connection& c) override {
    release_handshake(peer(c));
    stats_.handshakes += options_.tls != nullptr ? 1 : 0;
    c.set_deadline(options_.idle_timeout);
  }

  void on_bytes(Connection& c, BytesView bytes) override {
    Peer& p = peer(c);
    stats_.bytes_in += bytes.size();
    if (p.finished) {
      return;
    }
    if (p.exchange == 0) {
      serve(p, bytes);
    } else {
      p.backlog.insert(p.backlog.end(), bytes.begin(), bytes.end());
    }
    c.pause(p.backlog.size() > kMaxBacklogBytes);
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
    peers_.erase(c.id());
    finish_drain();
  }

  void failed_handshake(Peer& p, const Error& why) {
    release_handshake(p);
    ++stats_.handshake_failures;
    if (handlers_.handshake_failed) {
      handlers_.handshake_failed(p.connection->id(), why);
    }
  }

  void drop_exchange(Peer& p) {
    p.finished = true;
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

  // Reads requests, one at a time, until an answer has to be waited for or the bytes are used up.
  void serve(Peer& p, BytesView in) {
    p.serving = true;
    while (!in.empty() && p.exchange == 0 && !p.finished) {
      in = in.subspan(p.parser.feed(in));
      advance(p);
    }
    p.serving = false;
    if (!p.finished) {
      p.backlog.assign(in.begin(), in.end());
      p.connection->pause(p.backlog.size() > kMaxBacklogBytes);
    }
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
    if (p.parser.wants_continue() && !p.continued) {
      p.continued = true;
      send(p, view("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (p.parser.in_message() && !p.in_request) {
      p.in_request = true;
      p.connection->set_deadline(options_.idle_timeout);  // for the whole request: later bytes do not prolong it
    }
  }

  void hand_over(Peer& p, Request request) {
    ++stats_.requests;
    p.connection->clear_deadline();
    p.in_request = p.continued = false;
    p.exchange = fresh_id();
    exchanges_.emplace(p.exchange, &p);
    request.session = p.connection->session();
    handlers_.request(Exchange{p.exchange}, std::move(request));
  }

  void answer(Peer& p, const Response& response, bool keep_alive) {
    Bytes bytes = encode_response(response, loop_.now(), keep_alive);
    if (p.parser.head() || response.status == 204 || response.status == 304) {
      bytes.resize(bytes.size() - response.body.size());
    }
    send(p, bytes);
    if (keep_alive) {
      p.connection->set_deadline(options_.idle_timeout);
    } else {
      p.finished = true;
      p.connection->close();
    }
  }

  void send(Peer& p, BytesView bytes) {
    stats_.bytes_out += bytes.size();
    p.connection->write(bytes);
  }

  Loop& loop_;
  HttpsServerOptions options_;
  Handlers handlers_;
  int fd_;
  std::uint16_t port_;
  event* acceptable_ = nullptr;
  std::unordered_map<std::uint64_t, Peer> peers_;  // by the connection's id; addresses stay
  std::unordered_map<std::uint64_t, Peer*> exchanges_;
  std::map<std::uint64_t, Instant> shaking_;  // handshakes under way, the longest there first: ids only grow
  HttpsServerStats stats_;
  bool draining_ = false;
  std::function<void()> drained_;
  std::uint64_t pause_timer_ = 0, drain_timer_ = 0;
};

}  // namespace

HttpsServer::~HttpsServer() = default;

Result<std::unique_ptr<HttpsServer>> HttpsServer::listen(Loop& loop, HttpsServerOptions options, Handlers handlers) {
  TRY(const int fd, bound_socket(options));
  return std::unique_ptr<HttpsServer>(std::make_unique<Server>(loop, std::move(options), std::move(handlers), fd));
}

}  // namespace imprint::io
