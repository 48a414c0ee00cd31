// DER (X.690): a cursor for reading and a builder for writing tag-length-value.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace imprint::der {

// Tags of one octet; enough for X.509, PKCS#10 and CMS. Class and constructed bits included.
inline constexpr std::uint8_t kBoolean = 0x01, kInteger = 0x02, kBitString = 0x03, kOctetString = 0x04, kNull = 0x05,
                              kOid = 0x06, kUtf8 = 0x0c, kPrintable = 0x13, kTeletex = 0x14, kIa5 = 0x16,
                              kUtcTime = 0x17, kGeneralizedTime = 0x18, kSequence = 0x30, kSet = 0x31;
constexpr std::uint8_t context(unsigned n) { return static_cast<std::uint8_t>(0xa0U | n); }  // [n] constructed
constexpr std::uint8_t context_primitive(unsigned n) { return static_cast<std::uint8_t>(0x80U | n); }  // [n] primitive

struct Item {
  std::uint8_t tag = 0;
  BytesView content;
  BytesView whole;  // tag and length included
};

// Reads items one after another. Total: lengths are checked, must be minimal and definite, at most 2^24 - 1; after the
// first failure nothing more is read and good() is false.
class Reader {
 public:
  explicit Reader(BytesView in) : rest_(in) {}

  Item next();                                  // any item; an empty one on failure
  Item next(std::uint8_t tag);                  // an item of this tag, or failure
  std::optional<Item> maybe(std::uint8_t tag);  // the item if the next has this tag
  bool has(std::uint8_t tag) const { return good_ && !rest_.empty() && rest_.front() == tag; }
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

// An item of this tag around the content.
Bytes item(std::uint8_t tag, BytesView content);
Bytes sequence(std::initializer_list<BytesView> parts);
Bytes set_of(std::initializer_list<BytesView> parts);  // sorted as DER demands
Bytes concat(std::initializer_list<BytesView> parts);
Bytes integer(std::uint64_t value);
Bytes integer(BytesView big_endian);  // non-negative; leading zeros are dropped
Bytes oid(std::string_view dotted);   // asserts a valid dotted OID: for constants and checked values only
Bytes text(std::uint8_t tag, std::string_view value);

// Dotted text of an OID's content octets ("1.2.840.113549.1.9.7"); malformed if not minimal or larger than 64-bit arcs.
Result<std::string> parse_oid(BytesView content);
bool valid_oid(std::string_view dotted);

}  // namespace imprint::der
