#include "codec/base64.h"

#include <algorithm>
#include <array>

namespace imprint {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 255;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> out{};
  out.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    out[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return out;
}

constexpr std::array<std::uint8_t, 256> kValues = make_values();

}  // namespace

std::string base64(BytesView bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t word = static_cast<std::uint32_t>(bytes[i]) << 16U;
    word |= n > 1 ? static_cast<std::uint32_t>(bytes[i + 1]) << 8U : 0U;
    word |= n > 2 ? bytes[i + 2] : 0U;
    out += kAlphabet[word >> 18U];
    out += kAlphabet[(word >> 12U) & 63U];
    out += n > 1 ? kAlphabet[(word >> 6U) & 63U] : '=';
    out += n > 2 ? kAlphabet[word & 63U] : '=';
  }
  return out;
}

std::string base64_lines(BytesView bytes) {
  const std::string one = base64(bytes);
  std::string out;
  out.reserve(one.size() + one.size() / 64 + 1);
  for (std::size_t i = 0; i < one.size(); i += 64) {
    out.append(one, i, 64);
    out += '\n';
  }
  return out;
}

Result<Bytes> parse_base64(std::string_view text) {
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t word = 0;
  unsigned bits = 0;
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      continue;
    }
    if (c == '=') {
      ++padding;
      continue;
    }
    const std::uint8_t value = kValues[static_cast<std::uint8_t>(c)];
    if (value == kNone || padding != 0) {
      return Error{Fault::malformed, "base64: character"};
    }
    ++digits;
    word = (word << 6U) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>(word >> bits));
      word &= (1U << bits) - 1U;
    }
  }
  const bool whole = digits % 4 != 1 && (padding == 0 || (digits + padding) % 4 == 0) && padding <= 2;
  if (!whole || word != 0) {
    return Error{Fault::malformed, "base64: length"};
  }
  return out;
}

std::string base64url(BytesView bytes) {
  std::string out = base64(bytes);
  out.resize(std::min(out.find('='), out.size()));
  std::ranges::replace(out, '+', '-');
  std::ranges::replace(out, '/', '_');
  return out;
}

Result<Bytes> parse_base64url(std::string_view text) {
  CHECK_OR(text.find_first_of("+/= \t\r\n") == std::string_view::npos, Error{Fault::malformed, "base64: character"});
  std::string plain(text);
  std::ranges::replace(plain, '-', '+');
  std::ranges::replace(plain, '_', '/');
  return parse_base64(plain);
}

}  // namespace imprint
