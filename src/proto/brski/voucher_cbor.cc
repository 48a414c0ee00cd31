// The CBOR encoding: draft-ietf-anima-rfc8366bis section 9, keys of RFC 9254.
#include <algorithm>

#include "codec/cbor.h"
#include "proto/brski/leaves.h"

namespace imprint::brski {
namespace {

using cbor::Kind;

// Text that is UTF-8, as JSON and people want it. Overlong forms, surrogates and what is beyond Unicode are none.
bool is_utf8(BytesView in) {
  for (std::size_t i = 0; i < in.size();) {
    const std::uint8_t lead = in[i];
    const std::size_t more = lead < 0x80                   ? 0
                             : lead >= 0xc2 && lead < 0xe0 ? 1
                             : lead >= 0xe0 && lead < 0xf0 ? 2
                             : lead >= 0xf0 && lead < 0xf5 ? 3
                                                           : in.size();
    if (more >= in.size() - i) {
      return false;
    }
    const auto continues = [](std::uint8_t b) { return (b & 0xc0U) == 0x80; };
    const BytesView tail = in.subspan(i + 1, more);
    const bool second_fits = more == 0 || !((lead == 0xe0 && tail[0] < 0xa0) || (lead == 0xed && tail[0] >= 0xa0) ||
                                            (lead == 0xf0 && tail[0] < 0x90) || (lead == 0xf4 && tail[0] >= 0x90));
    if (!std::ranges::all_of(tail, continues) || !second_fits) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

// The next item, if it is text.
bool take_text(cbor::Reader& in, std::string& out) {
  const cbor::Item item = in.next(Kind::text);
  out = as_text(item.content);
  return in.good() && is_utf8(item.content);
}

bool fits(std::size_t size, const Leaf& leaf) { return size >= leaf.least && size <= leaf.most; }

bool take(cbor::Reader& in, const Leaf& /*leaf*/, Assertion& out) {
  if (in.peek() == Kind::text) {
    std::string text;
    const bool good = take_text(in, text);
    out = assertion_named(text);
    return good;
  }
  const std::uint64_t value = in.next(Kind::number).value;
  constexpr auto kOther = static_cast<std::uint64_t>(Assertion::other);
  out = static_cast<Assertion>(std::min(value, kOther));
  return in.good();
}

bool take(cbor::Reader& in, const Leaf& /*leaf*/, DateTime& out) {
  std::string text;
  if (!take_text(in, text)) {
    return false;
  }
  const auto read = DateTime::parse(text);
  if (read) {
    out = *read;
  }
  return static_cast<bool>(read);
}

bool take(cbor::Reader& in, const Leaf& /*leaf*/, bool& out) {
  if (in.peek() == Kind::text) {
    std::string text;
    const bool good = take_text(in, text);
    out = text == "true";
    return good && (out || text == "false");
  }
  out = in.next(Kind::boolean).value == 1;
  return in.good();
}

bool take(cbor::Reader& in, const Leaf& leaf, Bytes& out) {
  out = to_bytes(in.next(Kind::bytes).content);
  return in.good() && fits(out.size(), leaf);
}

bool take(cbor::Reader& in, const Leaf& leaf, std::string& out) { return take_text(in, out) && fits(out.size(), leaf); }

bool take(cbor::Reader& in, const Leaf& leaf, Nonce& out) { return take(in, leaf, out.emplace<Bytes>()); }

bool take(cbor::Reader& in, const Leaf& leaf, Extensions& out) {
  const std::uint64_t count = in.next(Kind::array).value;
  if (!in.good() || count > leaf.most) {
    return false;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    if (in.peek() == Kind::text) {
      std::string text;
      if (!take_text(in, text)) {
        return false;
      }
      out.emplace_back(std::move(text));
    } else {
      out.emplace_back(in.next(Kind::number).value);
    }
  }
  return in.good();
}

bool take(cbor::Reader& in, const Leaf& leaf, std::vector<Bytes>& out) {
  const std::uint64_t count = in.peek() == Kind::array ? in.next().value : 1;
  if (!in.good() || count < 1 || count > kMaxLeaves) {
    return false;
  }
  out.resize(static_cast<std::size_t>(count));
  return std::ranges::all_of(out, [&](Bytes& one) { return take(in, leaf, one); });
}

void put(cbor::Writer& to, const Leaf& /*leaf*/, Assertion value) { to.number(static_cast<std::uint64_t>(value)); }
void put(cbor::Writer& to, const Leaf& /*leaf*/, const DateTime& value) { to.text(value.text); }
void put(cbor::Writer& to, const Leaf& /*leaf*/, bool value) { to.boolean(value); }
void put(cbor::Writer& to, const Leaf& /*leaf*/, const Bytes& value) { to.bytes(value); }
void put(cbor::Writer& to, const Leaf& /*leaf*/, const std::string& value) { to.text(value); }
void put(cbor::Writer& to, const Leaf& /*leaf*/, const Nonce& value) { to.bytes(std::get<Bytes>(value)); }
void put(cbor::Writer& to, const Leaf& /*leaf*/, const Extensions& value) {
  to.array(value.size());
  for (const auto& one : value) {
    to.number(std::get<std::uint64_t>(one));
  }
}
void put(cbor::Writer& to, const Leaf& /*leaf*/, const std::vector<Bytes>& value) {
  if (value.size() != 1) {
    to.array(value.size());
  }
  for (const Bytes& one : value) {
    to.bytes(one);
  }
}

// A key of a map: a number, or text.
struct Key {
  std::uint64_t number = 0;
  std::string text;  // of a number its decimal digits
  bool is_number = false, absolute = false;
};

Result<Key> read_key(cbor::Reader& in) {
  Key out;
  if (in.peek() == Kind::text) {
    CHECK_OR(take_text(in, out.text), Error{Fault::malformed, "voucher: key"});
    return out;
  }
  if (in.peek() == Kind::tag) {
    out.absolute = true;
    CHECK_OR(in.next().value == kAbsoluteSidTag, Error{Fault::malformed, "voucher: key"});
  }
  const cbor::Item item = in.next();
  CHECK_OR(item.kind == Kind::number || (item.kind == Kind::negative && !out.absolute),
           Error{Fault::malformed, "voucher: key"});
  out.is_number = item.kind == Kind::number;
  out.number = item.value;
  out.text = (out.is_number ? "" : "-1-") + std::to_string(out.number);
  return out;
}

Result<Voucher::Kind> read_container(cbor::Reader& in) {
  CHECK_OR(in.next(Kind::map).value == 1, Error{Fault::malformed, "voucher: not one container"});
  TRY(const Key key, read_key(in));
  const bool voucher = key.is_number ? key.number == kVoucherSid : key.text == kVoucherName;
  const bool request =
      key.is_number ? key.number == kRequestSid : key.text == kRequestName || key.text == kPrmRequestName;
  CHECK_OR(voucher || request, Error{Fault::malformed, "voucher: unknown container"});
  return voucher ? Voucher::Kind::voucher : Voucher::Kind::request;
}

const Leaf* leaf_of(const Key& key, Voucher::Kind kind) {
  if (!key.is_number) {
    return leaf_named(kind, key.text);
  }
  const std::uint64_t container = kind == Voucher::Kind::voucher ? kVoucherSid : kRequestSid;
  if (!key.absolute) {
    return leaf_numbered(kind, key.number);
  }
  return key.number > container ? leaf_numbered(kind, key.number - container) : nullptr;
}

bool has_sids_only(const Extensions& extensions) {
  return std::ranges::all_of(extensions, [](const auto& one) { return std::holds_alternative<std::uint64_t>(one); });
}

}  // namespace

Result<Voucher> parse_cbor_voucher(BytesView bytes) {
  CHECK_OR(bytes.size() <= kMaxArtifact, Error{Fault::limit, "voucher: size"});
  cbor::Reader in(bytes);
  Voucher out;
  TRY(out.kind, read_container(in));
  const std::uint64_t count = in.next(Kind::map).value;
  CHECK_OR(count <= kMaxLeaves, Error{Fault::limit, "voucher: leaves"});
  for (std::uint64_t i = 0; i < count; ++i) {
    TRY(const Key key, read_key(in));
    const Leaf* const leaf = leaf_of(key, out.kind);
    if (leaf == nullptr) {
      const bool again = std::ranges::find(out.unknown, key.text) != out.unknown.end();
      in.anything();  // RFC 8995 section 5.6.1: ignored, in whatever form it is
      CHECK_OR(!again && in.good(), Error{Fault::malformed, "voucher: unknown leaf"});
      out.unknown.push_back(key.text);
      continue;
    }
    CHECK_OR(!has(out, *leaf), Error{Fault::malformed, "voucher: a leaf twice"});
    const bool taken = std::visit([&](auto place) { return take(in, *leaf, (out.*place).emplace()); }, leaf->place);
    CHECK_OR(taken, Error{Fault::malformed, leaf->wrong});
  }
  CHECK_OR(in.done(), Error{Fault::malformed, "voucher: octets left over"});
  return out;
}

Result<Bytes> encode_cbor_voucher(const Voucher& voucher) {
  CHECK_OR(voucher.assertion != Assertion::other, Error{Fault::unsupported, "voucher: assertion"});
  CHECK_OR(!voucher.nonce || std::holds_alternative<Bytes>(*voucher.nonce),
           Error{Fault::unsupported, "voucher: nonce"});
  CHECK_OR(!voucher.extensions || has_sids_only(*voucher.extensions), Error{Fault::unsupported, "voucher: extensions"});
  std::vector<const Leaf*> there;
  for (const Leaf& leaf : kLeaves) {
    if (leaf.number(voucher.kind) != 0 && has(voucher, leaf)) {
      there.push_back(&leaf);
    }
  }
  // RFC 8949 section 4.2.1: keys in the order of their encodings.
  std::ranges::sort(there, {}, [&](const Leaf* leaf) { return leaf->number(voucher.kind); });
  cbor::Writer out;
  out.map(1);
  out.number(voucher.kind == Voucher::Kind::voucher ? kVoucherSid : kRequestSid);
  out.map(there.size());
  for (const Leaf* const leaf : there) {
    out.number(leaf->number(voucher.kind));
    std::visit([&](auto place) { put(out, *leaf, *(voucher.*place)); }, leaf->place);
  }
  return std::move(out).out();
}

}  // namespace imprint::brski
