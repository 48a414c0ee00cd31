#include "codec/coap.h"

#include <algorithm>

#include "base/reader.h"

namespace imprint::coap {
namespace {

constexpr std::size_t kMaxOptions = 64;
constexpr std::uint8_t kPayloadMarker = 0xff;
constexpr std::size_t kMaxToken = 8;

// The nibble of a delta or a length: 13 and 14 say that one or two bytes follow, 15 is reserved.
std::uint32_t extended(std::uint8_t nibble, Reader& r) {
  switch (nibble) {
    case 13:
      return 13U + r.u8();
    case 14:
      return 269U + r.u16();
    case 15:
      r.fail();
      return 0;
    default:
      return nibble;
  }
}

std::uint8_t nibble_of(std::size_t value) {
  return value < 13 ? static_cast<std::uint8_t>(value) : value < 269 ? std::uint8_t{13} : std::uint8_t{14};
}

void write_extended(std::size_t value, Writer& w) {
  if (value >= 269) {
    w.u16(static_cast<std::uint16_t>(value - 269));
  } else if (value >= 13) {
    w.u8(static_cast<std::uint8_t>(value - 13));
  }
}

// False: more options than anybody needs.
bool read_options(Reader& r, Message& m) {
  std::uint32_t number = 0;
  while (!r.empty() && r.peek() != kPayloadMarker) {
    const std::uint8_t nibbles = r.u8();
    number += extended(nibbles >> 4U, r);
    const std::uint32_t size = extended(nibbles & 0x0fU, r);
    const BytesView value = r.take(size);
    if (number > 0xffff) {
      r.fail();
    }
    if (!r.good()) {
      return true;
    }
    if (m.options.size() == kMaxOptions) {
      return false;
    }
    m.add(static_cast<std::uint16_t>(number), value);
  }
  return true;
}

}  // namespace

Result<Message> Message::parse(BytesView in) {
  Reader r(in);
  Message m;
  const std::uint8_t first = r.u8();
  m.type = static_cast<Type>(first >> 4U & 3U);
  const std::size_t token_size = first & 0x0fU;
  m.code = r.u8();
  m.id = r.u16();
  if (first >> 6U != 1 || token_size > kMaxToken || (m.code == kEmpty && !r.empty())) {
    r.fail();
  }
  const BytesView token = r.take(token_size);
  m.token.assign(token.begin(), token.end());
  CHECK_OR(read_options(r, m), Error{Fault::limit, "coap: more than 64 options"});
  if (!r.empty()) {
    r.u8();
    if (r.empty()) {
      r.fail();  // a marker promises a payload
    }
    const BytesView payload = r.take_rest();
    m.payload.assign(payload.begin(), payload.end());
  }
  return r.finish(std::move(m), "coap: not a message");
}

Bytes Message::encode() const {
  assert(token.size() <= kMaxToken);
  Writer w;
  w.u8(static_cast<std::uint8_t>(0x40U | static_cast<unsigned>(type) << 4U | token.size()));
  w.u8(code);
  w.u16(id);
  w.bytes(token);
  std::vector<const Option*> sorted;
  for (const Option& option : options) {
    sorted.push_back(&option);
  }
  std::ranges::stable_sort(sorted, {}, [](const Option* o) { return o->number; });
  std::size_t before = 0;
  for (const Option* option : sorted) {
    const std::size_t delta = option->number - before;
    const std::size_t size = option->value.size();
    before = option->number;
    w.u8(static_cast<std::uint8_t>(nibble_of(delta) << 4U | nibble_of(size)));
    write_extended(delta, w);
    write_extended(size, w);
    w.bytes(option->value);
  }
  if (!payload.empty()) {
    w.u8(kPayloadMarker);
    w.bytes(payload);
  }
  return std::move(w).out();
}

const Option* Message::find(std::uint16_t number) const {
  const auto it = std::ranges::find(options, number, &Option::number);
  return it == options.end() ? nullptr : &*it;
}

std::optional<std::uint32_t> Message::number(std::uint16_t option) const {
  const Option* const found = find(option);
  if (found == nullptr || found->value.size() > 4) {
    return std::nullopt;
  }
  std::uint32_t out = 0;
  for (const std::uint8_t b : found->value) {
    out = out << 8U | b;
  }
  return out;
}

void Message::add_number(std::uint16_t number, std::uint32_t value) {
  Bytes out;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const auto byte = static_cast<std::uint8_t>(value >> static_cast<unsigned>(shift));
    if (!out.empty() || byte != 0) {
      out.push_back(byte);
    }
  }
  options.push_back({number, std::move(out)});
}

std::string text(Code c) {
  const unsigned detail = detail_of(c);
  return std::to_string(class_of(c)) + (detail < 10 ? ".0" : ".") + std::to_string(detail);
}

Result<Block> Block::parse(BytesView value) {
  CHECK_OR(value.size() <= 3, Error{Fault::unsupported, "coap: a block option of more than 3 bytes"});
  std::uint32_t all = 0;
  for (const std::uint8_t b : value) {
    all = all << 8U | b;
  }
  const Block out{all >> 4U, (all & 8U) != 0, static_cast<std::uint8_t>(all & 7U)};
  CHECK_OR(out.exponent != 7, Error{Fault::malformed, "coap: the reserved block size"});
  return out;
}

}  // namespace imprint::coap
