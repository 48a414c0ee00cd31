#include "codec/uri.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace imprint {
namespace {

constexpr std::size_t kMaxText = 2048;

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool hex_digit(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return out;
}

bool valid_scheme(std::string_view s) {
  return !s.empty() && letter(s.front()) &&
         std::all_of(s.begin(), s.end(), [](char c) { return letter(c) || digit(c) || one_of(c, "+-."); });
}

// Names and IPv4 literals. RFC 3986 allows percent encoding and more here; no name in the DNS needs it.
bool valid_host(std::string_view s) {
  return !s.empty() && s.size() <= 255 &&
         std::all_of(s.begin(), s.end(), [](char c) { return letter(c) || digit(c) || one_of(c, "-._"); });
}

bool valid_ipv6(std::string_view s) {
  std::array<std::uint8_t, 16> address{};
  return inet_pton(AF_INET6, std::string(s).c_str(), address.data()) == 1;
}

constexpr std::size_t kMaxZone = 15;  // of Linux's names of interfaces
constexpr std::string_view kZoneSign = "%25";

// RFC 6874 section 2: only link-local addresses have a zone.
bool valid_zone(std::string_view ipv6, std::string_view zone) {
  std::array<std::uint8_t, 16> address{};
  const bool of_link = inet_pton(AF_INET6, std::string(ipv6).c_str(), address.data()) == 1 && address[0] == 0xfe &&
                       (address[1] & 0xc0U) == 0x80;
  return of_link && !zone.empty() && zone.size() <= kMaxZone &&
         std::all_of(zone.begin(), zone.end(), [](char c) { return letter(c) || digit(c) || one_of(c, "-._"); });
}

// "fe80::1%25eth0" as the system writes it: "fe80::1%eth0". Malformed if it is no IPv6 address.
Result<std::string> ipv6_host(std::string_view written) {
  const std::size_t sign = written.find(kZoneSign);
  const std::string_view address = written.substr(0, sign);
  CHECK_OR(valid_ipv6(address), Error{Fault::malformed, "uri: host"});
  if (sign == std::string_view::npos) {
    return lower(address);
  }
  const std::string_view zone = written.substr(sign + kZoneSign.size());
  CHECK_OR(valid_zone(address, zone), Error{Fault::malformed, "uri: host"});
  return lower(address).append("%").append(zone);
}

// pchar, "/" and "?" of RFC 3986 section 3.3.
bool valid_path(std::string_view s) {
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '%') {
      if (s.size() - i < 3 || !hex_digit(s[i + 1]) || !hex_digit(s[i + 2])) {
        return false;
      }
    } else if (!letter(s[i]) && !digit(s[i]) && !one_of(s[i], "-._~!$&'()*+,;=:@/?")) {
      return false;
    }
  }
  return true;
}

std::optional<std::uint16_t> parse_port(std::string_view s) {
  if (s.empty() || s.size() > 5 || !std::all_of(s.begin(), s.end(), digit)) {
    return std::nullopt;
  }
  unsigned value = 0;
  for (const char c : s) {
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value == 0 || value > 65535) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(value);
}

std::uint16_t default_port(std::string_view scheme) {
  static constexpr std::array kPorts{std::pair{"https", std::uint16_t{443}}, std::pair{"http", std::uint16_t{80}},
                                     std::pair{"coaps", std::uint16_t{5684}}, std::pair{"coap", std::uint16_t{5683}}};
  const auto* const row = std::ranges::find_if(kPorts, [&](const auto& p) { return scheme == p.first; });
  return row == kPorts.end() ? std::uint16_t{0} : row->second;
}

// HOST[:PORT] or [IPV6][:PORT].
Status read_authority(std::string_view text, Uri& out) {
  std::string_view after;
  if (!text.empty() && text.front() == '[') {
    const std::size_t end = text.find(']');
    CHECK_OR(end != std::string_view::npos, Error{Fault::malformed, "uri: host"});
    TRY(out.host, ipv6_host(text.substr(1, end - 1)));
    after = text.substr(end + 1);
  } else {
    const std::size_t colon = text.find(':');
    const std::string_view host = text.substr(0, colon);
    after = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    CHECK_OR(valid_host(host), Error{Fault::malformed, "uri: host"});
    out.host = lower(host);
  }
  out.port = default_port(out.scheme);
  if (!after.empty()) {
    const std::optional<std::uint16_t> port = after.front() == ':' ? parse_port(after.substr(1)) : std::nullopt;
    CHECK_OR(port.has_value(), Error{Fault::malformed, "uri: port"});
    out.port = *port;
  }
  return Ok{};
}

}  // namespace

Result<Uri> Uri::parse(std::string_view text) {
  CHECK_OR(text.size() <= kMaxText, Error{Fault::limit, "uri: length"});
  const std::size_t colon = text.find("://");
  CHECK_OR(colon != std::string_view::npos && valid_scheme(text.substr(0, colon)),
           Error{Fault::malformed, "uri: scheme"});
  Uri out;
  out.scheme = lower(text.substr(0, colon));
  const std::string_view rest = text.substr(colon + 3);
  const std::size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  TRY([[maybe_unused]] const Ok read, read_authority(rest.substr(0, slash), out));
  const std::string_view tail = rest.substr(slash);
  const std::size_t question = std::min(tail.find('?'), tail.size());
  CHECK_OR(valid_path(tail), Error{Fault::malformed, "uri: path"});
  out.path = question == 0 ? "/" : std::string(tail.substr(0, question));
  out.query = question < tail.size() ? std::string(tail.substr(question + 1)) : std::string();
  return out;
}

// RFC 6874 section 3: a zone means nothing to others, and is not sent.
std::string Uri::authority() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host.substr(0, host.find('%')) + "]" : host) + ":" + std::to_string(port);
}

std::string Uri::text() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  std::string written = host;
  if (const std::size_t zone = written.find('%'); zone != std::string::npos) {
    written.replace(zone, 1, kZoneSign);
  }
  std::string out = scheme + "://" + (ipv6 ? "[" + written + "]" : written);
  if (port != default_port(scheme)) {
    out += ":" + std::to_string(port);
  }
  out += path;
  return query.empty() ? out : out + "?" + query;
}

}  // namespace imprint
