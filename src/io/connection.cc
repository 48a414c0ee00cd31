#include "io/connection.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "io/tls_srp.h"

namespace imprint::io {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;  // one TLS record
constexpr int kReadsAtOnce = 4;               // then the other connections have their turn
constexpr std::size_t kCompactAt = 64 * 1024;
constexpr Duration kFlushTime{5000};
constexpr Duration kLingerTime{1000};
constexpr std::size_t kLingerBytes = 1024 * 1024;

bool is_address(const std::string& host) {
  in6_addr any{};
  const std::string literal = host.substr(0, host.find('%'));  // a link-local one names its interface
  return inet_pton(AF_INET, literal.c_str(), &any) == 1 || inet_pton(AF_INET6, literal.c_str(), &any) == 1;
}

}  // namespace

std::uint64_t fresh_id() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

Connection::Connection(Loop& loop, ConnectionOwner& owner, Start start)
    : loop_(loop),
      owner_(owner),
      id_(fresh_id()),
      fd_(start.fd),
      state_(start.accepted ? State::handshaking : State::connecting),
      accepted_(start.accepted),
      trust_(start.trust),
      tls_(std::move(start.tls)),
      host_(std::move(start.host)) {
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto ready = [](evutil_socket_t, short, void* arg) { static_cast<Connection*>(arg)->pump(); };
  const auto late = [](evutil_socket_t, short, void* arg) { static_cast<Connection*>(arg)->expire(); };
  read_event_ = event_new(loop_.base(), fd_, EV_READ | EV_PERSIST, ready, this);
  write_event_ = event_new(loop_.base(), fd_, EV_WRITE | EV_PERSIST, ready, this);
  timer_ = evtimer_new(loop_.base(), late, this);
  if (tls_ != nullptr) {
    ssl_ = SSL_new(tls_->get());
    check_ = std::make_unique<PeerCheck>();
    watch_peer(ssl_, check_.get());
    SSL_set_fd(ssl_, fd_);
    accepted_ ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
    if (!accepted_ && !is_address(host_)) {  // RFC 6066 section 3: literals are not sent
      SSL_set_tlsext_host_name(ssl_, host_.c_str());
    }
  }
  rearm();
  if (state_ == State::handshaking && tls_ == nullptr) {
    wake();
  }
}

Connection::~Connection() {
  event_free(read_event_);
  event_free(write_event_);
  event_free(timer_);
  SSL_free(ssl_);
  ::close(fd_);
}

bool Connection::silent() const {
  int unread = 0;
  return ssl_ != nullptr && SSL_get_state(ssl_) == TLS_ST_BEFORE && ioctl(fd_, FIONREAD, &unread) == 0 && unread == 0;
}

void Connection::write(BytesView bytes) {
  if (state_ != State::open) {
    return;
  }
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  if (waiting() == bytes.size()) {
    flush();
  }
  stalled_ = waiting() > 0;
  rearm();
}

void Connection::pause(bool paused) {
  if (paused_ && !paused) {
    wake();  // OpenSSL may hold bytes that the socket will not announce again
  }
  paused_ = paused;
  rearm();
}

void Connection::set_deadline(Duration from_now) {
  if (state_ <= State::open) {
    arm(from_now);
  }
}

void Connection::clear_deadline() {
  if (state_ <= State::open) {
    evtimer_del(timer_);
  }
}

void Connection::close() {
  if (state_ < State::open) {
    abort();
    return;
  }
  if (state_ == State::open) {
    state_ = State::closing;
    arm(kFlushTime);
    wake();
  }
}

void Connection::abort() {
  state_ = State::gone;
  wake();
}

// Everything that happens, happens in here, and the owner's on_gone is the very last thing.
void Connection::pump() {
  pumping_ = true;
  if (state_ == State::connecting) {
    finish_connect();
  }
  if (state_ == State::handshaking) {
    shake();
  }
  if (state_ == State::open) {
    flush();
    tell_drained();
    receive();
  }
  if (state_ == State::closing) {
    flush();
    if (state_ == State::closing && waiting() == 0) {
      say_goodbye();
    }
  }
  if (state_ == State::lingering) {
    discard();
  }
  if (end_ && !told_) {
    told_ = true;
    owner_.on_ended(*this, *end_);
  }
  pumping_ = false;
  if (state_ == State::gone) {
    owner_.on_gone(*this);
    return;
  }
  rearm();
}

void Connection::expire() {
  if (state_ <= State::open) {
    owner_.on_timeout(*this);
  } else {
    state_ = State::gone;
  }
  pump();
}

void Connection::finish_connect() {
  int error = 0;
  socklen_t size = sizeof error;
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    end_ = Error{Fault::unreachable, "connect: refused or no way there"};
    state_ = State::gone;
  } else if (getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0) {
    state_ = State::handshaking;
  }
}

void Connection::shake() {
  if (ssl_ == nullptr) {
    become_open();
    return;
  }
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    become_open();
    return;
  }
  if (!again(result)) {
    fail(check_->refusal ? *check_->refusal : take_tls_error());
  }
}

void Connection::become_open() {
  Session s;
  s.id = id_;
  s.trust = trust_;
  s.host = host_;
  if (ssl_ != nullptr) {
    s.presented = std::move(check_->presented);
    s.proven = std::move(check_->proven);
    s.channel_binding = channel_binding(ssl_);
    s.srp_user = srp_user(ssl_);
    if (!s.srp_user.empty()) {
      s.srp_record = std::move(check_->srp_record);
    }
    s.protocol = SSL_get_version(ssl_);
    check_.reset();
    watch_peer(ssl_, nullptr);
  }
  session_ = std::make_shared<const Session>(std::move(s));
  wants_write_ = false;
  state_ = State::open;
  owner_.on_ready(*this);
}

void Connection::tell_drained() {
  if (state_ == State::open && stalled_ && waiting() == 0) {
    stalled_ = false;
    owner_.on_drained(*this);
  }
}

void Connection::receive() {
  std::array<std::uint8_t, kReadSize> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): written, then read
  for (int i = 0; i < kReadsAtOnce; ++i) {
    if (state_ != State::open || paused_) {
      return;
    }
    const std::size_t n = read_some(buffer);
    if (n == 0) {
      return;
    }
    owner_.on_bytes(*this, {buffer.data(), n});
    wipe(std::span(buffer).first(n));
  }
  if (ssl_ != nullptr && SSL_has_pending(ssl_) == 1) {
    event_active(read_event_, EV_READ, 0);
  }
}

// 0: nothing now, or the end (then the state says so).
std::size_t Connection::read_some(std::span<std::uint8_t> into) {
  if (ssl_ == nullptr) {
    const ssize_t n = recv(fd_, into.data(), into.size(), 0);
    if (n > 0) {
      return static_cast<std::size_t>(n);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      clean_end_ = n == 0;
      end_ = Error{Fault::unreachable, "the peer closed the connection"};
      state_ = State::gone;
    }
    return 0;
  }
  ERR_clear_error();
  std::size_t n = 0;
  const int result = SSL_read_ex(ssl_, into.data(), into.size(), &n);
  if (result == 1) {
    wants_write_ = false;
    return n;
  }
  if (SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) {
    clean_end_ = true;
    end_ = Error{Fault::unreachable, "the peer closed the connection"};
    say_goodbye();
    state_ = State::gone;
  } else if (!again(result)) {
    fail(take_tls_error());
  }
  return 0;
}

std::size_t Connection::write_some(BytesView from) {
  if (ssl_ == nullptr) {
    const ssize_t n = send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      end_ = Error{Fault::unreachable, "the peer closed the connection"};
      state_ = State::gone;
    }
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  ERR_clear_error();
  std::size_t n = 0;
  const int result = SSL_write_ex(ssl_, from.data(), from.size(), &n);
  if (result != 1 && !again(result)) {
    fail(take_tls_error());
  }
  return result == 1 ? n : 0;
}

// Whether OpenSSL only waits for the socket, and for which side of it.
bool Connection::again(int result) {
  const int why = SSL_get_error(ssl_, result);
  wants_write_ = why == SSL_ERROR_WANT_WRITE;
  return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

void Connection::flush() {
  while (waiting() > 0 && (state_ == State::open || state_ == State::closing)) {
    const std::size_t n = write_some(BytesView(out_).subspan(out_at_));
    if (n == 0) {
      break;
    }
    out_at_ += n;
  }
  if (waiting() == 0) {
    wipe(out_);  // it may have been a key
    out_ = {};   // an idle connection holds no buffer
    out_at_ = 0;
  } else if (out_at_ >= kCompactAt) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(out_at_));
    out_at_ = 0;
  }
  if (state_ > State::closing && !pumping_) {
    wake();
  }
}

void Connection::say_goodbye() {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(ssl_);  // close_notify; if the socket is full, the peer has stopped reading anyway
    ERR_clear_error();
  }
  linger();
}

// A connection that broke by the protocol: the alert is on its way, the peer shall get it.
void Connection::fail(const Error& why) {
  end_ = why;
  if (why.fault == Fault::unreachable) {
    state_ = State::gone;
  } else {
    linger();
  }
}

// Closing a socket with unread bytes makes the kernel send a reset, which can overtake our last words. So the peer's
// bytes are read and thrown away until it has closed too, or for a second.
void Connection::linger() {
  state_ = State::lingering;
  arm(kLingerTime);
  shutdown(fd_, SHUT_WR);
}

void Connection::discard() {
  std::array<std::uint8_t, kReadSize> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): written, then read
  for (int i = 0; i < kReadsAtOnce; ++i) {
    const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    discarded_ += n > 0 ? static_cast<std::size_t>(n) : 0;
    if (n <= 0 || discarded_ > kLingerBytes) {
      state_ = State::gone;
      return;
    }
  }
}

// Tells the loop which readiness matters now.
void Connection::rearm() {
  if (pumping_) {
    return;  // it is done once at the end
  }
  const bool read = state_ == State::lingering || state_ == State::handshaking || (state_ == State::open && !paused_);
  const bool busy = state_ == State::open || state_ == State::closing;
  const bool write = state_ == State::connecting || (state_ == State::handshaking && wants_write_) ||
                     (busy && (waiting() > 0 || wants_write_));
  if (read != read_armed_) {
    read ? event_add(read_event_, nullptr) : event_del(read_event_);
    read_armed_ = read;
  }
  if (write != write_armed_) {
    write ? event_add(write_event_, nullptr) : event_del(write_event_);
    write_armed_ = write;
  }
}

void Connection::arm(Duration from_now) {
  const timeval when{.tv_sec = from_now.count() / 1000, .tv_usec = (from_now.count() % 1000) * 1000};
  evtimer_add(timer_, &when);
}

// Has the loop call pump() soon, whatever the socket says.
void Connection::wake() { event_active(write_event_, EV_WRITE, 0); }

}  // namespace imprint::io
