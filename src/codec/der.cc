#include "codec/der.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace imprint::der {
namespace {

constexpr std::size_t kMaxLengthOctets = 3;
constexpr std::size_t kMaxArcs = 64;

// Content octets of a dotted OID; nothing if the text is not one.
std::optional<Bytes> encode_oid(std::string_view dotted);

std::optional<std::uint64_t> parse_arc(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    const std::uint64_t digit = static_cast<std::uint64_t>(c - '0');
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
      return std::nullopt;
    }
    value = value * 10 + digit;
  }
  return value;
}

// Base 128, most significant group first, high bit set on all but the last (X.690 section 8.19.2).
void put_arc(Bytes& out, std::uint64_t value) {
  unsigned groups = 1;
  while (groups < 10 && (value >> (7U * groups)) != 0) {
    ++groups;
  }
  for (unsigned i = groups; i-- > 0;) {
    const auto low = static_cast<std::uint8_t>((value >> (7U * i)) & 0x7fU);
    out.push_back(i > 0 ? static_cast<std::uint8_t>(low | 0x80U) : low);
  }
}

std::optional<Bytes> encode_oid(std::string_view dotted) {
  std::vector<std::uint64_t> arcs;
  while (true) {
    const std::size_t dot = dotted.find('.');
    const std::optional<std::uint64_t> arc = parse_arc(dotted.substr(0, dot));
    if (!arc || arcs.size() == kMaxArcs) {
      return std::nullopt;
    }
    arcs.push_back(*arc);
    if (dot == std::string_view::npos) {
      break;
    }
    dotted.remove_prefix(dot + 1);
  }
  if (arcs.size() < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] > 39) ||
      arcs[1] > std::numeric_limits<std::uint64_t>::max() - 80) {
    return std::nullopt;
  }
  Bytes out;
  put_arc(out, arcs[0] * 40 + arcs[1]);
  for (std::size_t i = 2; i < arcs.size(); ++i) {
    put_arc(out, arcs[i]);
  }
  return out;
}

void put_header(Bytes& out, std::uint8_t tag, std::size_t length) {
  assert(length < (std::size_t{1} << (8 * kMaxLengthOctets)));
  out.push_back(tag);
  if (length < 0x80) {
    out.push_back(static_cast<std::uint8_t>(length));
    return;
  }
  const unsigned octets = length > 0xffff ? 3U : (length > 0xff ? 2U : 1U);
  out.push_back(static_cast<std::uint8_t>(0x80U | octets));
  for (unsigned i = octets; i-- > 0;) {
    out.push_back(static_cast<std::uint8_t>(length >> (8U * i)));
  }
}

Bytes constructed(std::uint8_t tag, std::span<const BytesView> parts) {
  std::size_t length = 0;
  for (const BytesView part : parts) {
    length += part.size();
  }
  Bytes out;
  out.reserve(length + 5);
  put_header(out, tag, length);
  for (const BytesView part : parts) {
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

}  // namespace

Item Reader::next() {
  const BytesView start = rest_;
  // Tags above 30 take more than one octet; nothing that we read uses them.
  if (rest_.size() < 2 || (rest_[0] & 0x1fU) == 0x1fU) {
    fail();
    return {};
  }
  std::size_t header = 2;
  std::size_t length = rest_[1];
  if (length >= 0x80) {
    const std::size_t octets = length & 0x7fU;
    if (octets == 0 || octets > kMaxLengthOctets || rest_.size() < 2 + octets) {
      fail();
      return {};
    }
    length = 0;
    for (std::size_t i = 0; i < octets; ++i) {
      length = (length << 8U) | rest_[2 + i];
    }
    header += octets;
    // Minimal: the short form where it fits, and no leading zero octet (X.690 section 10.1).
    if (length < 0x80 || (length >> (8 * (octets - 1))) == 0) {
      fail();
      return {};
    }
  }
  if (length > rest_.size() - header) {
    fail();
    return {};
  }
  rest_ = rest_.subspan(header + length);
  return {start[0], start.subspan(header, length), start.first(header + length)};
}

Item Reader::next(std::uint8_t tag) {
  if (!has(tag)) {
    fail();
    return {};
  }
  return next();
}

std::optional<Item> Reader::maybe(std::uint8_t tag) {
  if (!has(tag)) {
    return std::nullopt;
  }
  return next();
}

Bytes item(std::uint8_t tag, BytesView content) { return constructed(tag, {&content, 1}); }

Bytes sequence(std::initializer_list<BytesView> parts) { return constructed(kSequence, {parts.begin(), parts.size()}); }

Bytes set_of(std::initializer_list<BytesView> parts) {
  std::vector<BytesView> sorted(parts);
  std::sort(sorted.begin(), sorted.end(), [](BytesView a, BytesView b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  });
  return constructed(kSet, sorted);
}

Bytes concat(std::initializer_list<BytesView> parts) {
  Bytes out;
  for (const BytesView part : parts) {
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

Bytes integer(std::uint64_t value) {
  Bytes octets;
  for (unsigned i = 8; i-- > 0;) {
    octets.push_back(static_cast<std::uint8_t>(value >> (8U * i)));
  }
  return integer(BytesView(octets));
}

Bytes integer(BytesView big_endian) {
  while (!big_endian.empty() && big_endian.front() == 0) {
    big_endian = big_endian.subspan(1);
  }
  Bytes content;
  // A leading one bit would make it negative.
  if (big_endian.empty() || (big_endian.front() & 0x80U) != 0) {
    content.push_back(0);
  }
  content.insert(content.end(), big_endian.begin(), big_endian.end());
  return item(kInteger, content);
}

Bytes oid(std::string_view dotted) {
  const std::optional<Bytes> content = encode_oid(dotted);
  assert(content);
  return item(kOid, *content);
}

Bytes text(std::uint8_t tag, std::string_view value) { return item(tag, view(value)); }

Result<std::string> parse_oid(BytesView content) {
  const Error bad{Fault::malformed, "der: object identifier"};
  std::string out;
  std::uint64_t arc = 0;
  std::size_t arcs = 1;  // the first subidentifier holds two
  bool inside = false;
  for (const std::uint8_t b : content) {
    if ((!inside && b == 0x80) || (arc >> 57U) != 0) {
      return bad;
    }
    arc = (arc << 7U) | (b & 0x7fU);
    inside = (b & 0x80U) != 0;
    if (inside) {
      continue;
    }
    if (++arcs > kMaxArcs) {
      return bad;
    }
    if (out.empty()) {
      const std::uint64_t first = arc < 80 ? arc / 40 : 2;
      out = std::to_string(first) + "." + std::to_string(arc - first * 40);
    } else {
      out += "." + std::to_string(arc);
    }
    arc = 0;
  }
  if (out.empty() || inside) {
    return bad;
  }
  return out;
}

bool valid_oid(std::string_view dotted) { return encode_oid(dotted).has_value(); }

}  // namespace imprint::der
