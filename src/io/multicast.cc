#include "io/multicast.h"

#include <event2/event.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29  // Linux 4.20; the C library's headers may be older
#endif

namespace imprint::io {
namespace {

constexpr std::size_t kMaxDatagram = 16 * 1024;
constexpr int kAtOnce = 32;  // then the others on the loop have their turn

bool is_multicast(const Address& a) { return a.v6 ? a.ip[0] == 0xff : (a.ip[0] & 0xf0U) == 0xe0U; }

template <class T>
bool set(int fd, int level, int option, const T& value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

Error bind_error(int why) {
  if (why == EADDRINUSE) {
    return {Fault::conflict, "multicast: another program has the port for itself"};
  }
  return {why == EACCES ? Fault::refused : Fault::unreachable, "multicast: the port cannot be had"};
}

// Of groups that other programs of this machine have joined nothing comes to us.
bool join_v6(int fd, const Address& group, std::uint32_t interface, int hops) {
  ipv6_mreq request{};
  std::memcpy(&request.ipv6mr_multiaddr, group.ip.data(), sizeof request.ipv6mr_multiaddr);
  request.ipv6mr_interface = interface;
  set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
  return set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, request) && set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, int(interface)) &&
         set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops) && set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops) &&
         set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1) && set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

// What we send has an address of the interface as its source, if there is one: the system might choose another's.
bool join_v4(int fd, const Address& group, const Interface& interface, int hops) {
  ip_mreqn request{};
  std::memcpy(&request.imr_multiaddr, group.ip.data(), sizeof request.imr_multiaddr);
  request.imr_ifindex = static_cast<int>(interface.index);
  const auto own = std::ranges::find(interface.addresses, false, &Address::v6);
  if (own != interface.addresses.end()) {
    std::memcpy(&request.imr_address, own->ip.data(), sizeof request.imr_address);
  }
  set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
  return set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, request) && set(fd, IPPROTO_IP, IP_MULTICAST_IF, request) &&
         set(fd, IPPROTO_IP, IP_MULTICAST_TTL, hops) && set(fd, IPPROTO_IP, IP_TTL, hops) &&
         set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1) && set(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

// Which interface a datagram came in by; 0 if the system does not say.
std::uint32_t interface_of(msghdr& head) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&head); one != nullptr; one = CMSG_NXTHDR(&head, one)) {
    if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof info);
      return static_cast<std::uint32_t>(info.ipi_ifindex);
    }
    if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof info);
      return info.ipi6_ifindex;
    }
  }
  return 0;
}

// RFC 3542 section 6.3. Linux keeps no such choice for a socket: it comes with each datagram.
void send_from(cmsghdr& control, const Address& source, std::uint32_t interface) {
  in6_pktinfo what{};
  std::memcpy(&what.ipi6_addr, source.ip.data(), sizeof what.ipi6_addr);
  what.ipi6_ifindex = interface;
  control.cmsg_level = IPPROTO_IPV6;
  control.cmsg_type = IPV6_PKTINFO;
  control.cmsg_len = CMSG_LEN(sizeof what);
  std::memcpy(CMSG_DATA(&control), &what, sizeof what);
}

Status bind_to(int fd, const Address& group) {
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (group.v6) {
    set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  Address any;
  any.v6 = group.v6;
  any.port = group.port;
  sockaddr_storage system{};
  const std::size_t size = any.fill(reinterpret_cast<sockaddr*>(&system));
  CHECK_OR(::bind(fd, reinterpret_cast<const sockaddr*>(&system), static_cast<socklen_t>(size)) == 0,
           bind_error(errno));
  return Ok{};
}

struct AddressesFree {
  void operator()(ifaddrs* a) const { freeifaddrs(a); }
};

unsigned bits_of(const sockaddr* mask) {
  const auto address = mask == nullptr ? Result<Address>(Error{Fault::malformed, ""}) : Address::from(mask);
  unsigned out = 0;
  for (std::size_t i = 0; address && i < address->ip.size(); ++i) {
    out += static_cast<unsigned>(std::popcount(address->ip[i]));
  }
  return out;
}

bool same_prefix(const Address& a, const Address& b, unsigned bits) {
  for (std::size_t i = 0; i < a.ip.size() && bits != 0; ++i) {
    const unsigned here = std::min(bits, 8U);
    if (((a.ip[i] ^ b.ip[i]) >> (8U - here)) != 0) {
      return false;
    }
    bits -= here;
  }
  return true;
}

bool is_link_local(const Address& a) {
  return a.v6 ? a.ip[0] == 0xfe && (a.ip[1] & 0xc0U) == 0x80 : a.ip[0] == 169 && a.ip[1] == 254;
}

}  // namespace

// ---- the interface ----

Result<Interface> Interface::find(const std::string& name) {
  Interface out;
  out.name = name;
  out.index = if_nametoindex(name.c_str());
  CHECK_OR(out.index != 0, Error{Fault::malformed, "no interface of this machine has this name"});
  ifaddrs* list = nullptr;
  CHECK_OR(getifaddrs(&list) == 0, Error{Fault::unreachable, "the system does not tell its interfaces"});
  const std::unique_ptr<ifaddrs, AddressesFree> all(list);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_name != name) {
      continue;
    }
    out.loopback = out.loopback || (one->ifa_flags & IFF_LOOPBACK) != 0;
    if (one->ifa_addr == nullptr) {
      continue;
    }
    if (const auto address = Address::from(one->ifa_addr)) {
      out.addresses.push_back(*address);
      out.prefixes.push_back(bits_of(one->ifa_netmask));
    }
  }
  return out;
}

bool Interface::is_near(const Address& address) const {
  if (is_link_local(address)) {
    return true;
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (addresses[i].v6 == address.v6 && prefixes[i] != 0 && same_prefix(addresses[i], address, prefixes[i])) {
      return true;
    }
  }
  return false;
}

// ---- the socket ----

Result<std::unique_ptr<MulticastSocket>> MulticastSocket::join(Loop& loop, const Interface& interface,
                                                               const Where& where, Handler handler) {
  TRY(Address group, Address::parse(where.group, where.port));
  CHECK_OR(is_multicast(group), Error{Fault::malformed, "multicast: this is no group's address"});
  group.scope = group.v6 ? interface.index : 0;
  const int fd = socket(group.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK_OR(fd >= 0, Error{Fault::limit, "multicast: no socket"});
  std::unique_ptr<MulticastSocket> out(new MulticastSocket(loop, fd, group, interface.index, std::move(handler)));
  TRY(const Ok bound, bind_to(fd, group));
  static_cast<void>(bound);
  const bool joined =
      group.v6 ? join_v6(fd, group, interface.index, where.hop_limit) : join_v4(fd, group, interface, where.hop_limit);
  CHECK_OR(joined, Error{Fault::unreachable, "multicast: the interface does not take part"});
  out->source_ = group.v6 ? where.source : std::nullopt;
  return out;
}

MulticastSocket::MulticastSocket(Loop& loop, int fd, const Address& group, std::uint32_t interface, Handler handler)
    : fd_(fd), group_(group), interface_(interface), handler_(std::move(handler)) {
  const auto ready = [](evutil_socket_t, short, void* arg) { static_cast<MulticastSocket*>(arg)->receive(); };
  readable_ = event_new(loop.base(), fd_, EV_READ | EV_PERSIST, ready, this);
  event_add(readable_, nullptr);
}

MulticastSocket::~MulticastSocket() {
  event_free(readable_);
  close(fd_);
}

Status MulticastSocket::send(BytesView datagram) { return send_to(group_, datagram); }

Status MulticastSocket::send_to(const Address& to, BytesView datagram) {
  sockaddr_storage system{};
  iovec piece{.iov_base = const_cast<std::uint8_t*>(datagram.data()), .iov_len = datagram.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  msghdr head{};
  head.msg_name = &system;
  head.msg_namelen = static_cast<socklen_t>(to.fill(reinterpret_cast<sockaddr*>(&system)));
  head.msg_iov = &piece;
  head.msg_iovlen = 1;
  if (source_) {
    head.msg_control = control.data();
    head.msg_controllen = control.size();
    send_from(*CMSG_FIRSTHDR(&head), *source_, interface_);
  }
  const ssize_t sent = sendmsg(fd_, &head, MSG_NOSIGNAL);
  CHECK_OR(sent >= 0 || errno != EMSGSIZE, Error{Fault::limit, "multicast: larger than the path takes"});
  CHECK_OR(sent >= 0, Error{Fault::unreachable, "multicast: lost before it left"});
  return Ok{};
}

void MulticastSocket::receive() {
  static thread_local std::array<std::uint8_t, kMaxDatagram> bytes;
  for (int i = 0; i < kAtOnce; ++i) {
    sockaddr_storage from{};
    alignas(cmsghdr) std::array<char, 256> control{};
    iovec piece{.iov_base = bytes.data(), .iov_len = bytes.size()};
    msghdr head{};
    head.msg_name = &from;
    head.msg_namelen = sizeof from;
    head.msg_iov = &piece;
    head.msg_iovlen = 1;
    head.msg_control = control.data();
    head.msg_controllen = control.size();
    const ssize_t size = recvmsg(fd_, &head, MSG_DONTWAIT);
    if (size < 0) {
      return;
    }
    const auto sender = Address::from(reinterpret_cast<const sockaddr*>(&from));
    if (sender && (head.msg_flags & MSG_TRUNC) == 0 && interface_of(head) == interface_) {
      handler_(*sender, {bytes.data(), static_cast<std::size_t>(size)});
    }
  }
}

}  // namespace imprint::io
