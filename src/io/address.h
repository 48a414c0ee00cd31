// Where a datagram comes from or goes to.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

struct sockaddr;

namespace imprint::io {

// An IPv4 or IPv6 address with a port: a value that can be a key.
struct Address {
  bool v6 = false;
  std::array<std::uint8_t, 16> ip{};  // of IPv4 the first 4
  std::uint16_t port = 0;
  std::uint32_t scope = 0;  // the interface of a link-local IPv6 address; else 0

  // From a numeric literal, "127.0.0.1", "::1" or "fe80::1%eth0". Errors: malformed.
  static Result<Address> parse(const std::string& literal, std::uint16_t port);
  // Fault::unsupported for a family other than IP.
  static Result<Address> from(const sockaddr* address);
  // Writes the system's form into `out`, which has the size of a sockaddr_storage, and says how long it is.
  std::size_t fill(sockaddr* out) const;

  // Distinct bytes for distinct addresses: family, address, port, scope. 23 bytes.
  Bytes bytes() const;
  std::string literal() const;  // the address without its port
  std::string text() const;     // "127.0.0.1:5684", "[::1]:5684"
  auto operator<=>(const Address&) const = default;
};

}  // namespace imprint::io

template <>
struct std::hash<imprint::io::Address> {
  std::size_t operator()(const imprint::io::Address& a) const noexcept;
};
