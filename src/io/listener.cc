#include "io/listener.h"

#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace imprint::io {
namespace {

struct AddressFree {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};

Result<int> bound_socket(const Listener::Where& where) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(where.port);
  CHECK_OR(getaddrinfo(where.address.c_str(), port.c_str(), &hints, &found) == 0,
           Error{Fault::malformed, "listen: not a numeric address"});
  const std::unique_ptr<addrinfo, AddressFree> address(found);
  const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK_OR(fd >= 0, Error{Fault::internal, "listen: no socket"});
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (where.reuse_port) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
    const int why = errno;
    close(fd);
    CHECK_OR(why != EADDRINUSE, Error{Fault::conflict, "listen: the address is in use"});
    CHECK_OR(why != EACCES, Error{Fault::refused, "listen: the system does not let us have this port"});
    return Error{Fault::unreachable, "listen: the address is not one of this machine"};
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, const Where& where, std::function<void()> waiting) {
  TRY(const int fd, bound_socket(where));
  return std::unique_ptr<Listener>(new Listener(loop, fd, std::move(waiting)));
}

Listener::Listener(Loop& loop, int fd, std::function<void()> waiting)
    : loop_(loop), fd_(fd), waiting_(std::move(waiting)) {
  const auto ready = [](evutil_socket_t, short, void* arg) { static_cast<Listener*>(arg)->waiting_(); };
  readable_ = event_new(loop_.base(), fd_, EV_READ | EV_PERSIST, ready, this);
  event_add(readable_, nullptr);
}

Listener::~Listener() {
  loop_.cancel(timer_);
  event_free(readable_);
  close(fd_);
}

std::uint16_t Listener::port() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

Result<int> Listener::accept() {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    return fd;
  }
  const bool full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
  CHECK_OR(!full, Error{Fault::limit, "accept: no descriptor is left"});
  CHECK_OR(errno == EINTR || errno == ECONNABORTED, Error{Fault::stale, "accept: nobody waits"});
  return Error{Fault::unreachable, "accept: it has left"};
}

bool Listener::somebody_waits() const {
  pollfd what{.fd = fd_, .events = POLLIN, .revents = 0};
  return poll(&what, 1, 0) == 1;
}

void Listener::pause(Duration pause) {
  event_del(readable_);
  loop_.cancel(timer_);
  timer_ = loop_.after(pause, [this] { resume(); });
}

void Listener::resume() { event_add(readable_, nullptr); }

}  // namespace imprint::io
