#include "io/udp.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace imprint::io {
namespace {

constexpr std::size_t kMaxDatagram = 16 * 1024;
constexpr std::size_t kAtOnce = 16;              // datagrams with one system call
constexpr int kBatches = 4;                      // then the others on the loop have their turn
constexpr int kReceiveBuffer = 4 * 1024 * 1024;  // the kernel cuts it down to what it allows

// Where a batch is read to. Of a loop's thread: the bytes are used before the next one is read.
struct Batch {
  Batch() {  // NOLINT(cppcoreguidelines-pro-type-member-init): the kernel fills the bytes
    for (std::size_t i = 0; i < kAtOnce; ++i) {
      pieces[i] = {.iov_base = bytes[i].data(), .iov_len = kMaxDatagram};
      heads[i].msg_hdr.msg_iov = &pieces[i];
      heads[i].msg_hdr.msg_iovlen = 1;
      heads[i].msg_hdr.msg_name = &from[i];
    }
  }
  // Says how many came, negative for an error in errno.
  int read(int fd) {
    for (mmsghdr& head : heads) {
      head.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
      head.msg_hdr.msg_flags = 0;
    }
    return recvmmsg(fd, heads.data(), kAtOnce, MSG_DONTWAIT, nullptr);
  }

  std::array<std::array<std::uint8_t, kMaxDatagram>, kAtOnce> bytes;
  std::array<sockaddr_storage, kAtOnce> from{};
  std::array<iovec, kAtOnce> pieces{};
  std::array<mmsghdr, kAtOnce> heads{};
};

Result<int> new_socket(const Address& address) {
  const int fd = socket(address.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK_OR(fd >= 0, Error{Fault::limit, "udp: no socket"});
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  return fd;
}

Error bind_error(int why) {
  if (why == EADDRINUSE) {
    return {Fault::conflict, "udp: the address is in use"};
  }
  if (why == EACCES) {
    return {Fault::refused, "udp: the system does not let us have this port"};
  }
  return {Fault::unreachable, "udp: the address is not one of this machine"};
}

Status sent(ssize_t result) {
  CHECK_OR(result >= 0 || errno != EMSGSIZE, Error{Fault::limit, "udp: larger than the path takes"});
  CHECK_OR(result >= 0, Error{Fault::unreachable, "udp: lost before it left"});
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<UdpSocket>> UdpSocket::bind(Loop& loop, const Where& where, Handlers handlers) {
  TRY(const Address address, Address::parse(where.address, where.port));
  TRY(const int fd, new_socket(address));
  const int on = 1;
  if (where.reuse_port) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  sockaddr_storage system{};
  const std::size_t size = address.fill(reinterpret_cast<sockaddr*>(&system));
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&system), static_cast<socklen_t>(size)) != 0) {
    const Error why = bind_error(errno);
    close(fd);
    return why;
  }
  return std::unique_ptr<UdpSocket>(new UdpSocket(loop, fd, std::move(handlers)));
}

Result<std::unique_ptr<UdpSocket>> UdpSocket::connect(Loop& loop, const Address& peer, Handlers handlers) {
  TRY(const int fd, new_socket(peer));
  sockaddr_storage system{};
  const std::size_t size = peer.fill(reinterpret_cast<sockaddr*>(&system));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&system), static_cast<socklen_t>(size)) != 0) {
    close(fd);
    return Error{Fault::unreachable, "udp: no way there"};
  }
  return std::unique_ptr<UdpSocket>(new UdpSocket(loop, fd, std::move(handlers)));
}

UdpSocket::UdpSocket(Loop& loop, int fd, Handlers handlers) : fd_(fd), handlers_(std::move(handlers)) {
  const auto ready = [](evutil_socket_t, short, void* arg) { static_cast<UdpSocket*>(arg)->receive(); };
  readable_ = event_new(loop.base(), fd_, EV_READ | EV_PERSIST, ready, this);
  event_add(readable_, nullptr);
}

UdpSocket::~UdpSocket() {
  if (gone_ != nullptr) {
    *gone_ = true;
  }
  event_free(readable_);
  close(fd_);
}

std::uint16_t UdpSocket::port() const {
  sockaddr_storage system{};
  socklen_t size = sizeof system;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&system), &size);
  const auto address = Address::from(reinterpret_cast<const sockaddr*>(&system));
  return address ? address->port : std::uint16_t{0};
}

Status UdpSocket::send_to(const Address& to, BytesView datagram) {
  sockaddr_storage system{};
  const std::size_t size = to.fill(reinterpret_cast<sockaddr*>(&system));
  return sent(sendto(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&system),
                     static_cast<socklen_t>(size)));
}

// An answer of ICMP to an earlier datagram shows as an error of this one, which has not left then: once more.
Status UdpSocket::send(BytesView datagram) {
  ssize_t result = ::send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL);
  if (result < 0 && errno == ECONNREFUSED) {
    result = ::send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL);
  }
  return sent(result);
}

void UdpSocket::receive() {
  static thread_local const auto batch = std::make_unique<Batch>();
  bool gone = false;
  gone_ = &gone;
  for (int i = 0; i < kBatches; ++i) {
    const int count = batch->read(fd_);
    if (count < 0 && errno == ECONNREFUSED && handlers_.refused) {
      const auto refused = handlers_.refused;  // it may destroy this socket, and with it the function
      refused();
    }
    for (std::size_t n = 0; !gone && n < static_cast<std::size_t>(std::max(count, 0)); ++n) {
      const auto from = Address::from(reinterpret_cast<const sockaddr*>(&batch->from[n]));
      if (from && (batch->heads[n].msg_hdr.msg_flags & MSG_TRUNC) == 0) {
        handlers_.datagram(*from, {batch->bytes[n].data(), batch->heads[n].msg_len});
      }
    }
    if (gone) {
      return;
    }
    if (count < static_cast<int>(kAtOnce)) {
      break;
    }
  }
  gone_ = nullptr;
}

}  // namespace imprint::io
