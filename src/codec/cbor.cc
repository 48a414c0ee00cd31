#include "codec/cbor.h"

#include <cbor.h>

#include <algorithm>
#include <array>
#include <vector>

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

// The head of an item in any form, strict or not.
struct Head {
  unsigned major = 0;
  std::uint64_t value = 0;
  bool indefinite = false;
  std::size_t size = 0;  // 0: none is there
};

constexpr unsigned kBytesMajor = 2, kTextMajor = 3, kMapMajor = 5, kOtherMajor = 7;
constexpr std::uint8_t kBreak = 0xff;

Head head_of(BytesView in) {
  constexpr unsigned kOneOctet = 24, kReserved = 28, kIndefinite = 31;
  if (in.empty()) {
    return {};
  }
  Head out{static_cast<unsigned>(in.front() >> 5U), in.front() & 0x1fU, false, 1};
  const auto info = static_cast<unsigned>(out.value);
  if (info == kIndefinite) {
    out.indefinite = true;
    out.value = 0;
    const bool may = out.major >= kBytesMajor && out.major <= kMapMajor;  // a break is no item
    return may ? out : Head{};
  }
  if (info >= kReserved) {
    return {};
  }
  if (info >= kOneOctet) {
    const std::size_t more = std::size_t{1} << (info - kOneOctet);
    if (in.size() < 1 + more) {
      return {};
    }
    out.value = 0;
    for (const std::uint8_t octet : in.subspan(1, more)) {
      out.value = out.value << 8U | octet;
    }
    out.size += more;
    if (out.major == kOtherMajor && info == kOneOctet && out.value < 32) {
      return {};  // section 3.3: a simple value that has a shorter form
    }
  }
  return out;
}

// An item that holds others, half read.
struct Opened {
  std::uint64_t left = 0;  // items that are to follow; if it is indefinite, those that have followed
  bool indefinite = false;
  unsigned major = 0;
};

// Steps over one well-formed item of any form.
class Skipper {
 public:
  explicit Skipper(BytesView in) : rest_(in) {}

  // Octets of the first item; 0 if it is none.
  std::size_t run() {
    const std::size_t all = rest_.size();
    do {
      if (!step()) {
        return 0;
      }
      close();
    } while (!open_.empty());
    return all - rest_.size();
  }

 private:
  static constexpr std::size_t kMaxDepth = 16;

  bool step() {
    Opened* const in = open_.empty() ? nullptr : &open_.back();
    if (in != nullptr && in->indefinite && !rest_.empty() && rest_.front() == kBreak) {
      const bool whole = in->major != kMapMajor || in->left % 2 == 0;
      rest_ = rest_.subspan(1);
      *in = {};
      return whole;
    }
    const Head head = head_of(rest_);
    const bool text = head.major == kBytesMajor || head.major == kTextMajor;
    if (head.size == 0) {
      return false;
    }
    if (in != nullptr && in->indefinite && in->major <= kTextMajor && (head.major != in->major || head.indefinite)) {
      return false;  // a chunk is of the same type, and whole
    }
    rest_ = rest_.subspan(head.size);
    if (in != nullptr) {
      in->left = in->indefinite ? in->left + 1 : in->left - 1;
    }
    if (text && !head.indefinite) {
      const bool there = head.value <= rest_.size();
      rest_ = there ? rest_.subspan(static_cast<std::size_t>(head.value)) : rest_;
      return there;
    }
    return head.major < kBytesMajor || head.major == kOtherMajor || open(head);
  }

  bool open(const Head& head) {
    const std::uint64_t inside = head.major == kTagMajor ? 1 : head.value;
    const bool fits = inside <= rest_.size() && open_.size() < kMaxDepth;  // each takes an octet at least
    open_.push_back({head.major == kMapMajor ? 2 * inside : inside, head.indefinite, head.major});
    return fits;
  }

  void close() {
    while (!open_.empty() && !open_.back().indefinite && open_.back().left == 0) {
      open_.pop_back();
    }
  }

  BytesView rest_;
  std::vector<Opened> open_;
};

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

BytesView Reader::anything() {
  const std::size_t size = Skipper(rest_).run();
  if (size == 0) {
    fail();
    return {};
  }
  const BytesView out = rest_.first(size);
  rest_ = rest_.subspan(size);
  return out;
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
