#include "io/tcp_probe.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace imprint::io {

TcpProbe::TcpProbe(Loop& loop, const Address& to, Duration longest, std::function<void(bool)> done)
    : fd_(socket(to.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), done_(std::move(done)) {
  sockaddr_storage system{};
  const std::size_t size = to.fill(reinterpret_cast<sockaddr*>(&system));
  const bool begun =
      fd_ >= 0 && (connect(fd_, reinterpret_cast<const sockaddr*>(&system), static_cast<socklen_t>(size)) == 0 ||
                   errno == EINPROGRESS);
  // A failure at once is told by the loop too, after no time.
  const auto ready = [](evutil_socket_t fd, short what, void* arg) {
    int why = 0;
    socklen_t length = sizeof why;
    const bool there = (what & EV_WRITE) != 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &length) == 0 && why == 0;
    static_cast<TcpProbe*>(arg)->end(there);
  };
  ready_ = event_new(loop.base(), begun ? fd_ : -1, begun ? EV_WRITE : EV_TIMEOUT, ready, this);
  const std::int64_t ms = begun ? longest.count() : 0;
  const timeval when{.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
  event_add(ready_, &when);
}

TcpProbe::~TcpProbe() {
  event_free(ready_);
  if (fd_ >= 0) {
    close(fd_);
  }
}

void TcpProbe::end(bool there) {
  const auto done = std::move(done_);
  done(there);
}

}  // namespace imprint::io
