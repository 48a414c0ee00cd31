#include "app/host_port.h"

#include <charconv>

namespace imprint::app {

std::optional<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  // An IPv6 address without brackets might be meant with its last group as the port.
  if (host.empty() || (host.find(':') != std::string_view::npos) != bracketed ||
      host.find_first_of("[]/ ") != std::string_view::npos) {
    return std::nullopt;
  }
  HostPort out{std::string(host), 0};
  const auto [end, why] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (why != std::errc() || end != port.data() + port.size() || port.empty()) {
    return std::nullopt;
  }
  return out;
}

}  // namespace imprint::app
