#include "codec/printable.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace imprint {
namespace {

struct Range {
  std::uint32_t first, last;
};

// Cc beyond ASCII, Zl, Zp and Cf of Unicode 15, and the tags as one block.
constexpr std::array<Range, 21> kUnseen{{{0x80, 0x9f},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
                                         {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},
                                         {0x180e, 0x180e},   {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},
                                         {0xfeff, 0xfeff},   {0xfff9, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
                                         {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe007f},
                                         {0xd800, 0xdfff}}};

// The character that the text begins with and its length; length 0 if it is no UTF-8 (RFC 3629 section 4).
struct Character {
  std::uint32_t code = 0;
  std::size_t length = 0;
};

Character first_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t head = byte(0);
  const std::size_t length = head < 0x80   ? 1
                             : head < 0xc2 ? 0
                             : head < 0xe0 ? 2
                             : head < 0xf0 ? 3
                             : head < 0xf5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) {
    return {};
  }
  std::uint32_t code = length == 1 ? head : head & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) {
      return {};
    }
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool too_long = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  return too_long || code > 0x10ffff ? Character{} : Character{code, length};
}

bool is_unseen(std::uint32_t code) {
  return std::ranges::any_of(kUnseen, [code](const Range& r) { return r.first <= code && code <= r.last; });
}

}  // namespace

std::string printable(std::string_view text, bool lines) {
  std::string out;
  while (!text.empty()) {
    const Character one = first_of(text);
    const std::size_t length = std::max<std::size_t>(one.length, 1);
    const bool stays = lines && (one.code == '\n' || one.code == '\t');
    if (one.length == 0 || one.code == 0x7f || (one.code < 0x20 && !stays)) {
      out += '?';
    } else if (is_unseen(one.code)) {
      std::array<char, 16> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u{%x}", static_cast<unsigned>(one.code));
      out += escape.data();
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace imprint
