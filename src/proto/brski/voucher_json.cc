// The JSON encoding: RFC 8366 section 5, names of RFC 7951.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "proto/brski/leaves.h"

namespace imprint::brski {
namespace {

// manufacturer-proprietary is base64url in JSON (draft-ietf-anima-rfc8366bis section 6.1), all other octets base64.
bool is_base64url(const Leaf& leaf) { return leaf.name() == "manufacturer-proprietary"; }

bool fits(std::size_t size, const Leaf& leaf) { return size >= leaf.least && size <= leaf.most; }

bool take(const Json& in, const Leaf& /*leaf*/, Assertion& out) {
  out = in.is_string() ? assertion_named(in.get_ref<const std::string&>()) : Assertion::other;
  return in.is_string();
}

bool take(const Json& in, const Leaf& /*leaf*/, DateTime& out) {
  const auto read = in.is_string() ? DateTime::parse(in.get_ref<const std::string&>())
                                   : Result<DateTime>(Error{Fault::malformed, "voucher: date-and-time"});
  if (read) {
    out = *read;
  }
  return static_cast<bool>(read);
}

bool take(const Json& in, const Leaf& /*leaf*/, bool& out) {
  if (in.is_string()) {  // as in the example of RFC 8366 section 5.2
    out = in == "true";
    return out || in == "false";
  }
  out = in.is_boolean() && in.get<bool>();
  return in.is_boolean();
}

bool take(const Json& in, const Leaf& leaf, Bytes& out) {
  if (!in.is_string()) {
    return false;
  }
  const auto& text = in.get_ref<const std::string&>();
  auto read = is_base64url(leaf) ? parse_base64url(text) : parse_base64(text);
  if (!read || !fits(read->size(), leaf)) {
    return false;
  }
  out = *std::move(read);
  return true;
}

bool take(const Json& in, const Leaf& leaf, std::string& out) {
  if (!in.is_string()) {
    return false;
  }
  out = in.get<std::string>();
  return fits(out.size(), leaf);
}

bool take(const Json& in, const Leaf& leaf, Nonce& out) {
  if (!in.is_string()) {
    return false;
  }
  // Text of any kind: 8 octets are 11 characters of base64, 32 octets 64 hexadecimal digits.
  std::string text = in.get<std::string>();
  const bool good = text.size() >= leaf.least && text.size() <= 2 * leaf.most;
  out = std::move(text);
  return good;
}

bool take(const Json& in, const Leaf& leaf, Extensions& out) {
  if (!in.is_array() || in.size() > leaf.most) {
    return false;
  }
  for (const Json& one : in) {
    if (!one.is_string()) {
      return false;
    }
    out.emplace_back(one.get<std::string>());
  }
  return true;
}

// BRSKI-PRM has an array where the module has one.
bool take(const Json& in, const Leaf& leaf, std::vector<Bytes>& out) {
  const std::size_t count = in.is_array() ? in.size() : 1;
  if (count < 1 || count > kMaxLeaves) {
    return false;
  }
  out.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!take(in.is_array() ? in[i] : in, leaf, out[i])) {
      return false;
    }
  }
  return true;
}

Json put(const Leaf& /*leaf*/, Assertion value) { return name(value); }
Json put(const Leaf& /*leaf*/, const DateTime& value) { return value.text; }
Json put(const Leaf& /*leaf*/, bool value) { return value; }
Json put(const Leaf& leaf, const Bytes& value) { return is_base64url(leaf) ? base64url(value) : base64(value); }
Json put(const Leaf& /*leaf*/, const std::string& value) { return value; }
Json put(const Leaf& /*leaf*/, const Nonce& value) {
  const auto* const text = std::get_if<std::string>(&value);
  return text != nullptr ? *text : base64(std::get<Bytes>(value));
}
Json put(const Leaf& /*leaf*/, const Extensions& value) {
  Json out = Json::array();
  for (const auto& one : value) {
    out.push_back(std::get<std::string>(one));
  }
  return out;
}
Json put(const Leaf& leaf, const std::vector<Bytes>& value) {
  Json out = Json::array();
  for (const Bytes& one : value) {
    out.push_back(put(leaf, one));
  }
  return out;
}

}  // namespace

Result<Voucher> parse_json_voucher(std::string_view text) {
  CHECK_OR(text.size() <= kMaxArtifact, Error{Fault::limit, "voucher: size"});
  TRY(const Json json, parse_json(text));
  CHECK_OR(json.is_object() && json.size() == 1, Error{Fault::malformed, "voucher: not one container"});
  const std::string container = json.begin().key();
  const bool request = container == kRequestName || container == kPrmRequestName;
  const Json& leaves = json.begin().value();
  CHECK_OR(request || container == kVoucherName, Error{Fault::malformed, "voucher: unknown container"});
  CHECK_OR(leaves.is_object(), Error{Fault::malformed, "voucher: container"});
  CHECK_OR(leaves.size() <= kMaxLeaves, Error{Fault::limit, "voucher: leaves"});
  Voucher out;
  out.kind = request ? Voucher::Kind::request : Voucher::Kind::voucher;
  for (const auto& [key, value] : leaves.items()) {
    const Leaf* const leaf = leaf_named(out.kind, key);
    if (leaf == nullptr) {
      out.unknown.push_back(key);
      continue;
    }
    CHECK_OR(!has(out, *leaf), Error{Fault::malformed, "voucher: a leaf twice"});
    const auto& said = value;  // a lambda takes no structured binding
    const bool taken = std::visit([&](auto place) { return take(said, *leaf, (out.*place).emplace()); }, leaf->place);
    CHECK_OR(taken, Error{Fault::malformed, leaf->wrong});
  }
  return out;
}

Result<std::string> encode_json_voucher(const Voucher& voucher) {
  CHECK_OR(voucher.assertion != Assertion::other, Error{Fault::unsupported, "voucher: assertion"});
  const bool names = !voucher.extensions || std::ranges::all_of(*voucher.extensions, [](const auto& one) {
    return std::holds_alternative<std::string>(one);
  });
  CHECK_OR(names, Error{Fault::unsupported, "voucher: extensions"});
  Json leaves = Json::object();
  for (const Leaf& leaf : kLeaves) {
    if (leaf.number(voucher.kind) != 0 && has(voucher, leaf)) {
      leaves[std::string(leaf.name())] =
          std::visit([&](auto place) { return put(leaf, *(voucher.*place)); }, leaf.place);
    }
  }
  const bool request = voucher.kind == Voucher::Kind::request;
  const Json out{{std::string(request ? kRequestName : kVoucherName), std::move(leaves)}};
  return out.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace imprint::brski
