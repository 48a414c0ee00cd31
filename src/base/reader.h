// One cursor that does all bounds checks, so that parsers hold none. And its opposite.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace imprint {

// Reads big-endian fields from front to back. Never throws and never reads past the end: the first failure is
// remembered, later reads give zeros and empty views, and finish() reports it.
class Reader {
 public:
  explicit Reader(BytesView in) : rest_(in) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u24() { return static_cast<std::uint32_t>(number(3)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }

  // The next n bytes, as a view into the input; empty if there are fewer.
  BytesView take(std::size_t n) {
    if (n > rest_.size()) {
      fail();
      return {};
    }
    const BytesView out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  BytesView take_rest() { return take(rest_.size()); }

  // The next byte without moving on; 0 at the end.
  std::uint8_t peek() const { return rest_.empty() ? std::uint8_t{0} : rest_.front(); }
  bool empty() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }
  bool good() const { return good_; }
  void fail() {
    good_ = false;
    rest_ = {};
  }

  // The value, if every byte was wanted and present.
  template <class T>
  Result<T> finish(T&& value, std::string_view what) const {
    if (!good_ || !rest_.empty()) {
      return Error{Fault::malformed, what};
    }
    return std::forward<T>(value);
  }

 private:
  std::uint64_t number(std::size_t n) {
    std::uint64_t out = 0;
    for (const std::uint8_t b : take(n)) {
      out = (out << 8U) | b;
    }
    return out;
  }

  BytesView rest_;
  bool good_ = true;
};

// Appends big-endian fields.
class Writer {
 public:
  void u8(std::uint8_t v) { out_.push_back(v); }
  void u16(std::uint16_t v) { number(v, 2); }
  void u32(std::uint32_t v) { number(v, 4); }
  void u64(std::uint64_t v) { number(v, 8); }
  void bytes(BytesView v) { out_.insert(out_.end(), v.begin(), v.end()); }
  void text(std::string_view v) { bytes(view(v)); }
  const Bytes& out() const& { return out_; }
  Bytes out() && { return std::move(out_); }

 private:
  void number(std::uint64_t v, unsigned n) {
    for (unsigned i = n; i-- > 0;) {
      out_.push_back(static_cast<std::uint8_t>(v >> (8U * i)));
    }
  }
  Bytes out_;
};

}  // namespace imprint
