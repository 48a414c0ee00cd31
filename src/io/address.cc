#include "io/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <string_view>

#include "base/reader.h"

namespace imprint::io {
namespace {

struct AddressFree {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};

}  // namespace

Result<Address> Address::parse(const std::string& literal, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  CHECK_OR(!literal.empty() && getaddrinfo(literal.c_str(), std::to_string(port).c_str(), &hints, &found) == 0,
           Error{Fault::malformed, "address: not a numeric one"});
  const std::unique_ptr<addrinfo, AddressFree> address(found);
  return from(address->ai_addr);
}

Result<Address> Address::from(const sockaddr* address) {
  Address out;
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    std::memcpy(out.ip.data(), &in.sin_addr, sizeof in.sin_addr);
    out.port = ntohs(in.sin_port);
    return out;
  }
  CHECK_OR(address->sa_family == AF_INET6, Error{Fault::unsupported, "address: not of IP"});
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof in);
  out.v6 = true;
  std::memcpy(out.ip.data(), &in.sin6_addr, sizeof in.sin6_addr);
  out.port = ntohs(in.sin6_port);
  out.scope = in.sin6_scope_id;
  return out;
}

std::size_t Address::fill(sockaddr* out) const {
  if (!v6) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, ip.data(), sizeof in.sin_addr);
    std::memcpy(out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  in.sin6_scope_id = scope;
  std::memcpy(&in.sin6_addr, ip.data(), sizeof in.sin6_addr);
  std::memcpy(out, &in, sizeof in);
  return sizeof in;
}

Bytes Address::bytes() const {
  Writer w;
  w.u8(v6 ? 6 : 4);
  w.bytes(ip);
  w.u16(port);
  w.u32(scope);
  return std::move(w).out();
}

std::string Address::literal() const {
  sockaddr_storage system{};
  const std::size_t size = fill(reinterpret_cast<sockaddr*>(&system));
  std::array<char, NI_MAXHOST> out{};
  getnameinfo(reinterpret_cast<const sockaddr*>(&system), static_cast<socklen_t>(size), out.data(), out.size(), nullptr,
              0, NI_NUMERICHOST);
  return out.data();
}

std::string Address::text() const { return (v6 ? "[" + literal() + "]" : literal()) + ":" + std::to_string(port); }

}  // namespace imprint::io

std::size_t std::hash<imprint::io::Address>::operator()(const imprint::io::Address& a) const noexcept {
  const auto ip = std::string_view(reinterpret_cast<const char*>(a.ip.data()), a.ip.size());
  return std::hash<std::string_view>()(ip) ^ (std::size_t{a.port} * 0x9e3779b97f4a7c15U) ^ a.scope;
}
