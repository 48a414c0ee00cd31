// CBOR (RFC 8949), one item at a time: a strict reader that gives views into its input, and a writer.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace imprint::cbor {

enum class Kind : std::uint8_t { none, number, negative, bytes, text, array, map, tag, boolean, null };

struct Item {
  Kind kind = Kind::none;   // none: a failure, or the end
  std::uint64_t value = 0;  // number; -1 - value if negative; items of an array; pairs of a map; tag; 0 or 1
  BytesView content;        // of bytes and text
};

// Reads items one after another; arrays, maps and tags are their heads alone, what is in them follows. Strict: shortest
// lengths, definite lengths, no floats, no undefined or other simple values. After the first failure nothing more is
// read and good() is false. Counts and lengths are as written: check them before they decide about loops or memory.
class Reader {
 public:
  explicit Reader(BytesView in) : rest_(in) {}

  Item next();
  Item next(Kind kind);  // an item of this kind, or failure
  // The next item with everything in it, as its bytes; empty on failure. It may nest to any depth: nothing here
  // recurses.
  BytesView whole();
  // The next item with everything in it, as its bytes, if it is well-formed (RFC 8949 appendix C) and nests no deeper
  // than 16: also what the strict reader does not take. For what nobody looks into; empty on failure.
  BytesView anything();
  Kind peek() const;  // of the next item; none at the end or if it cannot be read
  bool empty() const { return rest_.empty(); }
  bool good() const { return good_; }
  bool done() const { return good_ && rest_.empty(); }
  void fail() {
    good_ = false;
    rest_ = {};
  }

 private:
  BytesView rest_;
  bool good_ = true;
};

// Appends items, in their shortest form.
class Writer {
 public:
  void number(std::uint64_t value);
  void negative(std::uint64_t value);  // -1 - value
  void bytes(BytesView value);
  void text(std::string_view value);
  void array(std::size_t items);  // so many items follow
  void map(std::size_t pairs);    // so many pairs follow
  void tag(std::uint64_t value);  // of the item that follows
  void boolean(bool value);
  void null();
  Bytes out() && { return std::move(out_); }

 private:
  Bytes out_;
};

}  // namespace imprint::cbor
