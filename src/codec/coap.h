// CoAP's message format (RFC 7252 section 3): four bytes of header, a token, options by number, a payload.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace imprint::coap {

enum class Type : std::uint8_t { confirmable = 0, non_confirmable = 1, acknowledgement = 2, reset = 3 };

// Class and detail in one byte, "c.dd" in the RFC's notation: 2.05 is code(2, 5).
using Code = std::uint8_t;
constexpr Code code(unsigned klass, unsigned detail) { return static_cast<Code>(klass << 5U | detail); }
constexpr unsigned class_of(Code c) { return c >> 5U; }
constexpr unsigned detail_of(Code c) { return c & 0x1fU; }

// RFC 7252 section 12.1; RFC 7959 section 2.9; RFC 8132 section 7.1; RFC 8516 section 3.
inline constexpr Code kEmpty = 0, kGet = code(0, 1), kPost = code(0, 2), kPut = code(0, 3), kDelete = code(0, 4),
                      kCreated = code(2, 1), kDeleted = code(2, 2), kValid = code(2, 3), kChanged = code(2, 4),
                      kContent = code(2, 5), kContinue = code(2, 31), kBadRequest = code(4, 0), kBadOption = code(4, 2),
                      kNotFound = code(4, 4), kIncomplete = code(4, 8), kTooLarge = code(4, 13),
                      kServerError = code(5, 0), kUnavailable = code(5, 3), kProxyingNotSupported = code(5, 5);

// Option numbers (RFC 7252 section 12.2; RFC 7641; RFC 7959). Odd ones are critical: who does not know them refuses.
inline constexpr std::uint16_t kIfMatch = 1, kUriHost = 3, kETag = 4, kIfNoneMatch = 5, kObserve = 6, kUriPort = 7,
                               kLocationPath = 8, kUriPath = 11, kContentFormat = 12, kMaxAge = 14, kUriQuery = 15,
                               kAccept = 17, kLocationQuery = 20, kBlock2 = 23, kBlock1 = 27, kSize2 = 28,
                               kProxyUri = 35, kProxyScheme = 39, kSize1 = 60;
constexpr bool critical(std::uint16_t option) { return (option & 1U) != 0; }

struct Option {
  std::uint16_t number = 0;
  Bytes value;
  bool operator==(const Option&) const = default;
};

struct Message {
  Type type = Type::confirmable;
  Code code = kEmpty;
  std::uint16_t id = 0;
  Bytes token;                  // 0 to 8 bytes
  std::vector<Option> options;  // encode() puts them in order of number; parse() gives them so
  Bytes payload;

  // malformed: too short, another version, a token length of 9 or more, a reserved option nibble, an option that ends
  // outside, a payload marker without payload, an empty message with more than its header; limit: more than 64 options.
  static Result<Message> parse(BytesView in);
  Bytes encode() const;

  const Option* find(std::uint16_t number) const;                   // the first; null if there is none
  std::optional<std::uint32_t> number(std::uint16_t option) const;  // of a uint option of up to 4 bytes, the first
  void add(std::uint16_t number, BytesView value) { options.push_back({number, Bytes(value.begin(), value.end())}); }
  void add(std::uint16_t number, std::string_view value) { add(number, view(value)); }
  void add_number(std::uint16_t number, std::uint32_t value);  // shortest form (RFC 7252 section 3.2)
  bool operator==(const Message&) const = default;
};

// "2.05", for people.
std::string text(Code c);

// Block1 and Block2 (RFC 7959 section 2.2): which part of a body this is, and how large parts are.
struct Block {
  std::uint32_t number = 0;  // 20 bits
  bool more = false;
  std::uint8_t exponent = 6;  // SZX: a block is 2^(SZX + 4) bytes, 16 to 1024

  std::size_t size() const { return std::size_t{16} << exponent; }
  std::size_t offset() const { return number * size(); }
  // Of an option's value; malformed: more than 3 bytes, SZX 7 (reserved over datagrams).
  static Result<Block> parse(BytesView value);
  std::uint32_t encode() const { return number << 4U | (more ? 8U : 0U) | exponent; }
  bool operator==(const Block&) const = default;
};

}  // namespace imprint::coap
