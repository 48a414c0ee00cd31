#include "io/tcp_proxy.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace imprint::io {
namespace {

constexpr int kAtOnce = 32;             // taken with one turn of the loop
constexpr Duration kNoDescriptor{200};  // until one may be free again

// Who is counted as one: an address, or of global IPv6 the /64, which any one machine may fill by itself.
Bytes group_of(const Address& source) {
  Bytes out(source.ip.begin(), source.ip.end());
  const bool link_local = source.ip[0] == 0xfe && (source.ip[1] & 0xc0U) == 0x80;
  if (source.v6 && !link_local) {
    out.resize(8);
  }
  return out;
}

// A listener of both families sees IPv4 as ::ffff:192.0.2.1.
Address plain(const Address& peer) {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!peer.v6 || !std::equal(kMapped.begin(), kMapped.end(), peer.ip.begin())) {
    return peer;
  }
  Address out;
  std::copy(peer.ip.begin() + kMapped.size(), peer.ip.end(), out.ip.begin());
  out.port = peer.port;
  return out;
}

Result<Address> peer_of(int fd) {
  sockaddr_storage system{};
  socklen_t size = sizeof system;
  CHECK_OR(getpeername(fd, reinterpret_cast<sockaddr*>(&system), &size) == 0,
           Error{Fault::unreachable, "proxy: it has left"});
  TRY(const Address peer, Address::from(reinterpret_cast<const sockaddr*>(&system)));
  return plain(peer);
}

// A cut instead of a good-bye: the other side shall try somebody else.
void turn_away(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

Result<int> start_connect(const Address& to) {
  const int fd = socket(to.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK_OR(fd >= 0, Error{Fault::limit, "proxy: no descriptor is left"});
  sockaddr_storage system{};
  const std::size_t size = to.fill(reinterpret_cast<sockaddr*>(&system));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&system), static_cast<socklen_t>(size)) != 0 &&
      errno != EINPROGRESS) {
    close(fd);
    return Error{Fault::unreachable, "proxy: no way there"};
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<TcpProxy>> TcpProxy::listen(Loop& loop, TcpProxyOptions options, Handlers handlers) {
  std::unique_ptr<TcpProxy> out(new TcpProxy(loop, std::move(options), std::move(handlers)));
  TRY(out->listener_, Listener::open(loop, out->options_.listen, [proxy = out.get()] { proxy->take(); }));
  out->port_ = out->listener_->port();
  return out;
}

TcpProxy::TcpProxy(Loop& loop, TcpProxyOptions options, Handlers handlers)
    : loop_(loop), options_(std::move(options)), handlers_(std::move(handlers)) {}

TcpProxy::~TcpProxy() { loop_.cancel(grace_timer_); }

void TcpProxy::take() {
  for (int i = 0; i < kAtOnce; ++i) {
    const auto fd = listener_->accept();
    if (fd) {
      begin(*fd);
    } else if (fd.error().fault == Fault::limit) {
      listener_->pause(kNoDescriptor);
      return;
    } else if (fd.error().fault == Fault::stale) {
      return;
    }
  }
}

// Empty: nothing speaks against one more.
std::string_view TcpProxy::reason_against(const Bytes& group) {
  if (!target_) {
    ++stats_.refused_no_target;
    return "no registrar is there";
  }
  if (pipes_.size() >= options_.most) {
    ++stats_.refused_full;
    return "too many connections in all";
  }
  const auto of_it = of_source_.find(group);
  if (of_it != of_source_.end() && of_it->second >= options_.most_of_a_source) {
    ++stats_.refused_source;
    return "too many connections of this source";
  }
  return {};
}

void TcpProxy::begin(int fd) {
  const auto source = peer_of(fd);
  if (!source) {
    close(fd);
    return;
  }
  const Bytes group = group_of(*source);
  std::string_view against = reason_against(group);
  Result<int> far = Error{Fault::refused, against};
  if (against.empty()) {
    far = start_connect(*target_);
  }
  if (!far) {
    if (against.empty()) {
      ++stats_.unreachable;
    }
    turn_away(fd);
    if (handlers_.turned_away) {
      handlers_.turned_away(*source, far.error().what);
    }
    return;
  }
  const std::uint64_t id = ++last_id_;
  ++stats_.taken;
  ++of_source_[group];
  auto pipe = std::make_unique<TcpPipe>(loop_, TcpPipe::Sides{fd, *far}, options_.limits,
                                        [this, id](TcpPipe::End why) { end(id, why); });
  pipes_.emplace(id, One{*source, group, std::move(pipe)});
  if (handlers_.began) {
    handlers_.began(id, *source);
  }
}

void TcpProxy::end(std::uint64_t id, TcpPipe::End why) {
  const auto node = pipes_.extract(id);
  const One& one = node.mapped();
  const auto count = of_source_.find(one.group);
  if (--count->second == 0) {
    of_source_.erase(count);
  }
  const Ended ended{id, one.source, why, one.pipe->bytes_up(), one.pipe->bytes_down()};
  stats_.bytes_up += ended.bytes_up;
  stats_.bytes_down += ended.bytes_down;
  switch (why) {
    case TcpPipe::End::done:
      ++stats_.done;
      break;
    case TcpPipe::End::unreachable:
      ++stats_.unreachable;
      break;
    case TcpPipe::End::broken:
      ++stats_.broken;
      break;
    case TcpPipe::End::idle:
      ++stats_.idle;
      break;
    case TcpPipe::End::stopped:
      ++stats_.stopped;
      break;
  }
  if (handlers_.ended) {
    handlers_.ended(ended);
  }
  if (pipes_.empty() && drained_) {
    drained();
  }
}

void TcpProxy::drain(Duration grace, std::function<void()> drained_call) {
  listener_.reset();
  drained_ = std::move(drained_call);
  // Even with nothing left it is said later, not inside of this call.
  grace_timer_ = loop_.after(pipes_.empty() ? Duration(0) : grace, [this] {
    while (!pipes_.empty()) {
      pipes_.begin()->second.pipe->stop();
      end(pipes_.begin()->first, TcpPipe::End::stopped);
    }
    if (drained_) {
      drained();
    }
  });
}

void TcpProxy::drained() {
  loop_.cancel(grace_timer_);
  const auto call = std::exchange(drained_, nullptr);
  call();
}

}  // namespace imprint::io
