#include "codec/cbor.h"

#include <cbor.h>

#include <algorithm>
#include <array>

namespace imprint::cbor {
namespace {

constexpr std::size_t kMaxHead = 9;

Item& item(void* context) { return *static_cast<Item*>(context); }

template <class T>
void take_number(void* context, T value) {
  item(context) = {Kind::number, value, {}};
}
template <class T>
void take_negative(void* context, T value) {
  item(context) = {Kind::negative, value, {}};
}

cbor_callbacks make_callbacks() {
  cbor_callbacks out = cbor_empty_callbacks;
  out.uint8 = take_number<std::uint8_t>;
  out.uint16 = take_number<std::uint16_t>;
  out.uint32 = take_number<std::uint32_t>;
  out.uint64 = take_number<std::uint64_t>;
  out.negint8 = take_negative<std::uint8_t>;
  out.negint16 = take_negative<std::uint16_t>;
  out.negint32 = take_negative<std::uint32_t>;
  out.negint64 = take_negative<std::uint64_t>;
  out.byte_string = [](void* context, cbor_data data, std::size_t size) {
    item(context) = {Kind::bytes, size, {data, size}};
  };
  out.string = [](void* context, cbor_data data, std::size_t size) {
    item(context) = {Kind::text, size, {data, size}};
  };
  out.array_start = [](void* context, std::size_t size) { item(context) = {Kind::array, size, {}}; };
  out.map_start = [](void* context, std::size_t size) { item(context) = {Kind::map, size, {}}; };
  out.boolean = [](void* context, bool value) { item(context) = {Kind::boolean, value ? 1U : 0U, {}}; };
  out.null = [](void* context) { item(context) = {Kind::null, 0, {}}; };
  return out;
}

// Bytes of the shortest head that says this number (RFC 8949 section 4.1).
std::size_t shortest_head(std::uint64_t value) {
  return value < 24 ? 1 : value <= 0xff ? 2 : value <= 0xffff ? 3 : value <= 0xffffffff ? 5 : kMaxHead;
}

struct Decoded {
  Item item;
  std::size_t size = 0;
};

constexpr std::uint8_t kTagMajor = 6;

// libcbor 0.8 takes the tags 6 to 20 for errors, COSE's 16 to 18 among them: a tag's head is read as a number's.
Decoded decode_tag(BytesView in);

// What is of no kind that we read leaves the item as it was: none.
Decoded decode(BytesView in) {
  if (!in.empty() && in.front() >> 5U == kTagMajor) {
    return decode_tag(in);
  }
  static const cbor_callbacks kCallbacks = make_callbacks();
  Decoded out;
  const cbor_decoder_result result = cbor_stream_decode(in.data(), in.size(), &kCallbacks, &out.item);
  const bool simple = out.item.kind == Kind::boolean || out.item.kind == Kind::null;
  const std::size_t shortest = simple ? 1 : shortest_head(out.item.value) + out.item.content.size();
  if (result.status != CBOR_DECODER_FINISHED || result.read != shortest) {
    return {};
  }
  out.size = result.read;
  return out;
}

Decoded decode_tag(BytesView in) {
  Bytes head = to_bytes(in.first(std::min(in.size(), kMaxHead)));
  head.front() &= 0x1fU;
  Decoded out = decode(head);
  out.item.kind = out.item.kind == Kind::number ? Kind::tag : Kind::none;
  return out;
}

template <class Encode, class... Value>
void put(Bytes& out, Encode encode, Value... value) {
  std::array<std::uint8_t, kMaxHead> head{};
  const std::size_t size = encode(value..., head.data(), head.size());
  out.insert(out.end(), head.begin(), head.begin() + static_cast<std::ptrdiff_t>(size));
}

}  // namespace

Item Reader::next() {
  if (!good_ || rest_.empty()) {
    fail();
    return {};
  }
  const Decoded decoded = decode(rest_);
  if (decoded.item.kind == Kind::none) {
    fail();
    return {};
  }
  rest_ = rest_.subspan(decoded.size);
  return decoded.item;
}

Item Reader::next(Kind kind) {
  const Item out = next();
  if (out.kind != kind) {
    fail();
    return {};
  }
  return out;
}

BytesView Reader::whole() {
  const BytesView from = rest_;
  for (std::uint64_t wanted = 1; wanted > 0 && good_; --wanted) {
    const Item item = next();
    const bool pairs = item.kind == Kind::map;
    const std::uint64_t inside =
        pairs || item.kind == Kind::array ? item.value : (item.kind == Kind::tag ? std::uint64_t{1} : 0);
    if (inside > rest_.size()) {  // each takes an octet at least
      fail();
      break;
    }
    wanted += pairs ? 2 * inside : inside;
  }
  return good_ ? from.first(from.size() - rest_.size()) : BytesView();
}

Kind Reader::peek() const { return rest_.empty() ? Kind::none : decode(rest_).item.kind; }

void Writer::number(std::uint64_t value) { put(out_, cbor_encode_uint, value); }

void Writer::negative(std::uint64_t value) { put(out_, cbor_encode_negint, value); }

void Writer::bytes(BytesView value) {
  put(out_, cbor_encode_bytestring_start, value.size());
  out_.insert(out_.end(), value.begin(), value.end());
}

void Writer::text(std::string_view value) {
  put(out_, cbor_encode_string_start, value.size());
  out_.insert(out_.end(), value.begin(), value.end());
}

void Writer::array(std::size_t items) { put(out_, cbor_encode_array_start, items); }

void Writer::map(std::size_t pairs) { put(out_, cbor_encode_map_start, pairs); }

void Writer::tag(std::uint64_t value) { put(out_, cbor_encode_tag, value); }

void Writer::boolean(bool value) { put(out_, cbor_encode_bool, value); }

void Writer::null() { put(out_, cbor_encode_null); }

}  // namespace imprint::cbor
