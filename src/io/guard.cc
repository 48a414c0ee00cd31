#include "io/guard.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include "role/guarded.h"

namespace imprint::io {
namespace {

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

template <std::size_t N>
struct Prefix {
  std::array<std::uint8_t, N> bytes;
  unsigned bits;
};

template <std::size_t N>
bool within(const std::array<std::uint8_t, N>& address, const Prefix<N>& range) {
  for (unsigned i = 0; i < range.bits; ++i) {
    const unsigned mask = 0x80U >> (i % 8);
    if (((address.at(i / 8) ^ range.bytes.at(i / 8)) & mask) != 0) {
      return false;
    }
  }
  return true;
}

template <std::size_t N, std::size_t M>
bool within_any(const std::array<std::uint8_t, N>& address, const std::array<Prefix<N>, M>& ranges) {
  return std::ranges::any_of(ranges, [&](const Prefix<N>& r) { return within(address, r); });
}

// IANA's special-purpose registries (RFC 6890 and updates): what is not somewhere on the public network.
constexpr std::array kInner4{
    Prefix<4>{{0, 0, 0, 0}, 8},    Prefix<4>{{10, 0, 0, 0}, 8},     Prefix<4>{{100, 64, 0, 0}, 10},
    Prefix<4>{{127, 0, 0, 0}, 8},  Prefix<4>{{169, 254, 0, 0}, 16}, Prefix<4>{{172, 16, 0, 0}, 12},
    Prefix<4>{{192, 0, 0, 0}, 24}, Prefix<4>{{192, 168, 0, 0}, 16}, Prefix<4>{{198, 18, 0, 0}, 15},
    Prefix<4>{{224, 0, 0, 0}, 4},  Prefix<4>{{240, 0, 0, 0}, 4},
};
constexpr std::array kInner6{
    Prefix<16>{{0}, 96},                                   // unspecified, loopback, IPv4-compatible
    Prefix<16>{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48},  // NAT64 of the local network (RFC 8215)
    Prefix<16>{{0x20, 0x01, 0x00, 0x00}, 32},              // Teredo: an IPv4 address in disguise
    Prefix<16>{{0xfc}, 7},                                 // unique local
    Prefix<16>{{0xfe, 0x80}, 10},                          // link-local
    Prefix<16>{{0xfe, 0xc0}, 10},                          // site-local, deprecated
    Prefix<16>{{0xff}, 8},                                 // multicast
};
constexpr Prefix<16> kMapped{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
constexpr Prefix<16> kNat64{{0x00, 0x64, 0xff, 0x9b}, 96};
constexpr Prefix<16> k6to4{{0x20, 0x02}, 16};

// The IPv4 address that packets to this IPv6 address end at, for the forms that carry one.
std::optional<V4> carried(const V6& a) {
  if (within(a, kMapped) || within(a, kNat64)) {
    return V4{a[12], a[13], a[14], a[15]};
  }
  if (within(a, k6to4)) {
    return V4{a[2], a[3], a[4], a[5]};
  }
  return std::nullopt;
}

// The same link-local address is somebody else on another link: the zone counts, which Uri::authority() leaves out.
std::string key_of(const Uri& uri) { return uri.host + " " + std::to_string(uri.port); }

enum class Place : std::uint8_t { outside, inner, loopback };

Place place(const V4& a) {
  if (a[0] == 127) {
    return Place::loopback;
  }
  return within_any(a, kInner4) ? Place::inner : Place::outside;
}

Place place(const V6& a) {
  V6 one{};
  one[15] = 1;
  if (a == one) {
    return Place::loopback;
  }
  if (const std::optional<V4> v4 = carried(a)) {
    return place(*v4);
  }
  return within_any(a, kInner6) ? Place::inner : Place::outside;
}

std::optional<Place> place(const std::string& address) {
  V4 v4{};
  if (inet_pton(AF_INET, address.c_str(), v4.data()) == 1) {
    return place(v4);
  }
  V6 v6{};
  if (inet_pton(AF_INET6, address.c_str(), v6.data()) == 1) {
    return place(v6);
  }
  return std::nullopt;
}

}  // namespace

void Guard::allow(const Uri& configured) {
  if (std::ranges::find(allowed_, key_of(configured)) == allowed_.end()) {
    allowed_.push_back(key_of(configured));
  }
}

Status Guard::check(const Uri& uri, std::string_view address) const {
  if (std::ranges::find(allowed_, key_of(uri)) != allowed_.end()) {
    return Ok{};
  }
  // A link-local literal with a zone ("fe80::1%eth0") does not parse and is refused like the address without one.
  const std::optional<Place> found = place(std::string(address));
  CHECK_OR(found, Error{Fault::malformed, "guard: not a numeric address"});
  CHECK_OR(*found != Place::inner || inside_, Error{Fault::refused, kGuardInside});
  CHECK_OR(*found != Place::loopback || loopback_, Error{Fault::refused, kGuardMachine});
  return Ok{};
}

}  // namespace imprint::io
