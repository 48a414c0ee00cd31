// HOST:PORT on the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace imprint::app {

struct HostPort {
  std::string host;  // a name or an address, without brackets; an IPv6 one may name its interface: fe80::1%eth0
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// "registrar.example:8443", "[fe80::1%eth0]:8443". None: it is not of this form.
std::optional<HostPort> parse_host_port(std::string_view text);

}  // namespace imprint::app
