#include "io/tcp_pipe.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace imprint::io {
namespace {

constexpr std::size_t kAtOnce = 16 * 1024;  // read with one call
constexpr int kRounds = 4;                  // then the other pipes have their turn

timeval as_timeval(Duration delay) {
  return {.tv_sec = delay.count() / 1000, .tv_usec = (delay.count() % 1000) * 1000};
}

bool later(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EINTR); }

// Who is on the other side hears of a cut: a FIN would say that this was all.
void cut(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void prepare(int fd, Duration idle) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  // A peer that has vanished takes nothing more: known after this, and not after a quarter of an hour.
  const auto longest = static_cast<unsigned>(std::max<std::int64_t>(idle.count(), 1));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &longest, sizeof longest);
}

}  // namespace

std::string_view name(TcpPipe::End end) {
  switch (end) {
    case TcpPipe::End::done:
      return "done";
    case TcpPipe::End::unreachable:
      return "unreachable";
    case TcpPipe::End::broken:
      return "broken";
    case TcpPipe::End::idle:
      return "idle";
    case TcpPipe::End::stopped:
      break;
  }
  return "stopped";
}

TcpPipe::TcpPipe(Loop& loop, Sides sides, Limits limits, std::function<void(End)> ended)
    : loop_(loop), limits_(limits), ended_(std::move(ended)) {
  up_.from = down_.to = sides.near;
  up_.to = down_.from = sides.far;
  prepare(sides.near, limits_.idle);
  prepare(sides.far, limits_.idle);
  const auto ready = [](evutil_socket_t, short, void* arg) { static_cast<TcpPipe*>(arg)->turn(); };
  const auto late = [](evutil_socket_t, short, void* arg) {
    auto* const self = static_cast<TcpPipe*>(arg);
    self->end(self->connected_ ? End::idle : End::unreachable);
  };
  for (const auto& [side, fd] : {std::pair(&near_, sides.near), std::pair(&far_, sides.far)}) {
    side->readable = event_new(loop_.base(), fd, EV_READ, ready, this);
    side->writable = event_new(loop_.base(), fd, EV_WRITE, ready, this);
  }
  timer_ = evtimer_new(loop_.base(), late, this);
  set_timer(limits_.connect);
  event_add(far_.writable, nullptr);  // nothing is read of the near end before the far one is there
}

TcpPipe::~TcpPipe() {
  stop();
  for (event* const one : {near_.readable, near_.writable, far_.readable, far_.writable, timer_}) {
    event_free(one);
  }
  close(up_.from);
  close(up_.to);
}

void TcpPipe::stop() {
  if (!over_) {
    over_ = true;
    cut(up_.from);
    cut(up_.to);
  }
}

void TcpPipe::set_timer(Duration delay) {
  const timeval when = as_timeval(delay);
  evtimer_add(timer_, &when);
}

void TcpPipe::end(End why) {
  if (over_) {
    return;
  }
  over_ = true;
  for (event* const one : {near_.readable, near_.writable, far_.readable, far_.writable, timer_}) {
    event_del(one);
  }
  if (why != End::done) {
    cut(up_.from);
    cut(up_.to);
  }
  const auto ended = std::move(ended_);  // it may destroy this, and with it the function
  ended(why);
}

bool TcpPipe::finish_connect() {
  int why = 0;
  socklen_t size = sizeof why;
  getsockopt(up_.to, SOL_SOCKET, SO_ERROR, &why, &size);
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  connected_ = why == 0 && getpeername(up_.to, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
  return connected_;
}

void TcpPipe::turn() {
  if (!connected_ && !finish_connect()) {
    end(End::unreachable);
    return;
  }
  moved_ = false;
  if (!move(up_) || !move(down_)) {
    end(End::broken);
    return;
  }
  if (up_.told && down_.told) {
    end(End::done);
    return;
  }
  if (moved_) {
    set_timer(up_.ended || down_.ended ? limits_.half_open : limits_.idle);
  }
  rearm();
}

// False: an end was cut off.
bool TcpPipe::move(Way& way) {
  for (int i = 0; i < kRounds; ++i) {
    const std::uint64_t before = way.total;
    if (!read(way) || !write(way)) {
      return false;
    }
    if (way.total == before) {
      break;
    }
  }
  return true;
}

bool TcpPipe::read(Way& way) {
  if (way.ended || way.waiting() >= limits_.buffer_bytes) {
    return true;
  }
  std::array<std::uint8_t, kAtOnce> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv fills it
  const std::size_t room = std::min(bytes.size(), limits_.buffer_bytes - way.waiting());
  const ssize_t got = recv(way.from, bytes.data(), room, 0);
  if (got > 0) {
    const std::size_t size = static_cast<std::size_t>(got);
    way.held.insert(way.held.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    way.total += size;
    moved_ = true;
    return true;
  }
  way.ended = way.ended || got == 0;
  moved_ = moved_ || got == 0;
  return got == 0 || later(got);
}

bool TcpPipe::write(Way& way) {
  if (way.waiting() != 0) {
    const ssize_t sent = send(way.to, way.held.data() + way.at, way.waiting(), MSG_NOSIGNAL);
    if (sent < 0 && !later(sent)) {
      return false;
    }
    way.at += static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
    moved_ = moved_ || sent > 0;
    if (way.waiting() == 0 || way.at >= limits_.buffer_bytes) {
      way.held.erase(way.held.begin(), way.held.begin() + static_cast<std::ptrdiff_t>(way.at));
      way.at = 0;
    }
  }
  if (way.ended && way.waiting() == 0 && !way.told) {
    way.told = true;
    shutdown(way.to, SHUT_WR);  // the other way stays open
  }
  return true;
}

// Reads only what there is room for: who does not take it is not sent more.
void TcpPipe::wait(Side& side, const Way& from, const Way& to) {
  const bool room = !from.ended && from.waiting() < limits_.buffer_bytes;
  room ? event_add(side.readable, nullptr) : event_del(side.readable);
  to.waiting() != 0 ? event_add(side.writable, nullptr) : event_del(side.writable);
}

void TcpPipe::rearm() {
  wait(near_, up_, down_);
  wait(far_, down_, up_);
}

}  // namespace imprint::io
