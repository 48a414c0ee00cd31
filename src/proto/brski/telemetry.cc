#include "proto/brski/telemetry.h"

#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/cbor.h"
#include "codec/json.h"
#include "proto/brski/json_number.h"

namespace imprint::brski {
namespace {

using cbor::Kind;

constexpr std::size_t kMaxMembers = 32;
constexpr int kMaxDepth = 8;

// The library gives names in order; IANA's registry has two of them in capitals, the text of the RFC none.
bool is_called(std::string_view name, std::string_view wanted) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return name.size() == wanted.size() &&
         (name == wanted || (lower(name.front()) == wanted.front() && name.substr(1) == wanted.substr(1)));
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// At most so many levels, and in each at most so many members. parse_json() has bounded the recursion.
bool fits(const Json& json, int levels) {
  if (!json.is_structured()) {
    return true;
  }
  if (levels == 0 || json.size() > kMaxMembers) {
    return false;
  }
  for (const Json& one : json) {
    if (!fits(one, levels - 1)) {
      return false;
    }
  }
  return true;
}

// What has been read of it.
struct Seen {
  bool version = false, status = false, reason = false, context = false;
};

// A member whose value is there as JSON, whichever form it came in.
Status take(std::string_view name, const Json& value, Telemetry& out, Seen& seen) {
  const auto once = [](bool& flag) { return !std::exchange(flag, true); };
  if (is_called(name, "version")) {
    const std::optional<std::uint64_t> number = number_in(value);
    CHECK_OR(once(seen.version) && number, Error{Fault::malformed, "telemetry: version"});
    out.version = *number;
  } else if (is_called(name, "status")) {
    CHECK_OR(once(seen.status) && value.is_boolean(), Error{Fault::malformed, "telemetry: status"});
    out.status = value.get<bool>();
  } else if (is_called(name, "reason")) {
    CHECK_OR(once(seen.reason) && value.is_string(), Error{Fault::malformed, "telemetry: reason"});
    out.reason = value.get<std::string>();
  } else if (is_called(name, "reason-context")) {
    CHECK_OR(once(seen.context) && value.is_object(), Error{Fault::malformed, "telemetry: reason-context"});
    for (const auto& [key, what] : value.items()) {
      out.context[key] = text_of(what);
    }
  } else {
    out.unknown.emplace_back(name);
  }
  return Ok{};
}

Status take_all(const Json& json, Telemetry& out) {
  Seen seen;
  for (const auto& [name, value] : json.items()) {
    TRY([[maybe_unused]] const Ok taken, take(name, value, out, seen));
  }
  CHECK_OR(seen.version, Error{Fault::malformed, "telemetry: no version"});
  CHECK_OR(seen.status, Error{Fault::malformed, "telemetry: no status"});
  return Ok{};
}

// ---- CBOR ----

Result<Json> read_item(cbor::Reader& in, int levels);

// Names are text or integers (draft-ietf-anima-constrained-voucher, the sample of a voucher status).
Result<std::string> read_name(cbor::Reader& in) {
  const cbor::Item item = in.next();
  switch (item.kind) {
    case Kind::text:
      return std::string(as_text(item.content));
    case Kind::number:
      return std::to_string(item.value);
    case Kind::negative:
      CHECK_OR(item.value < INT64_MAX, Error{Fault::malformed, "telemetry: name of a member"});
      return "-" + std::to_string(item.value + 1);
    default:
      return Error{Fault::malformed, "telemetry: name of a member"};
  }
}

Result<Json> read_map(cbor::Reader& in, std::uint64_t pairs, int levels) {
  CHECK_OR(levels > 0 && pairs <= kMaxMembers, Error{Fault::limit, "telemetry: members"});
  Json out = Json::object();
  for (std::uint64_t i = 0; i < pairs; ++i) {
    TRY(const std::string name, read_name(in));
    TRY(Json value, read_item(in, levels - 1));
    CHECK_OR(!out.contains(name), Error{Fault::malformed, "telemetry: a member twice"});
    out[name] = std::move(value);
  }
  return out;
}

Result<Json> read_array(cbor::Reader& in, std::uint64_t items, int levels) {
  CHECK_OR(levels > 0 && items <= kMaxMembers, Error{Fault::limit, "telemetry: members"});
  Json out = Json::array();
  for (std::uint64_t i = 0; i < items; ++i) {
    TRY(Json value, read_item(in, levels - 1));
    out.push_back(std::move(value));
  }
  return out;
}

Result<Json> read_item(cbor::Reader& in, int levels) {
  const cbor::Item item = in.next();
  switch (item.kind) {
    case Kind::number:
      return Json(item.value);
    case Kind::negative:
      CHECK_OR(item.value <= INT64_MAX, Error{Fault::malformed, "telemetry: number"});
      return Json(-1 - static_cast<std::int64_t>(item.value));
    case Kind::bytes:
      return Json(base64(item.content));
    case Kind::text:
      return Json(std::string(as_text(item.content)));
    case Kind::boolean:
      return Json(item.value != 0);
    case Kind::null:
      return Json(nullptr);
    case Kind::map:
      return read_map(in, item.value, levels);
    case Kind::array:
      return read_array(in, item.value, levels);
    case Kind::tag:
    case Kind::none:
      break;
  }
  return Error{Fault::malformed, "telemetry: cbor"};
}

void write_item(cbor::Writer& out, const Json& json) {
  if (json.is_object()) {
    out.map(json.size());
    for (const auto& [name, value] : json.items()) {
      out.text(name);
      write_item(out, value);
    }
  } else if (json.is_array()) {
    out.array(json.size());
    for (const Json& one : json) {
      write_item(out, one);
    }
  } else if (json.is_string()) {
    out.text(json.get_ref<const std::string&>());
  } else if (json.is_boolean()) {
    out.boolean(json.get<bool>());
  } else if (json.is_number_unsigned()) {
    out.number(json.get<std::uint64_t>());
  } else if (json.is_number_integer()) {
    out.negative(static_cast<std::uint64_t>(-1 - json.get<std::int64_t>()));
  } else if (json.is_null()) {
    out.null();
  } else {
    out.text(text_of(json));  // a fraction
  }
}

Json as_json(const Telemetry& telemetry) {
  Json out{{"version", telemetry.version}, {"status", telemetry.status}};
  if (!telemetry.reason.empty()) {
    out["reason"] = telemetry.reason;
  }
  if (!telemetry.context.empty()) {
    Json context = Json::object();
    for (const auto& [name, text] : telemetry.context) {
      auto value = parse_json(text);
      context[name] = value ? *std::move(value) : Json(text);
    }
    out["reason-context"] = std::move(context);
  }
  return out;
}

}  // namespace

Result<Telemetry> parse_json_telemetry(std::string_view text) {
  CHECK_OR(text.size() <= kMaxTelemetry, Error{Fault::limit, "telemetry: size"});
  TRY(const Json json, parse_json(text));
  CHECK_OR(json.is_object(), Error{Fault::malformed, "telemetry: no object"});
  CHECK_OR(fits(json, kMaxDepth), Error{Fault::limit, "telemetry: members"});
  Telemetry out;
  TRY([[maybe_unused]] const Ok taken, take_all(json, out));
  return out;
}

Result<Telemetry> parse_cbor_telemetry(BytesView in) {
  CHECK_OR(in.size() <= kMaxTelemetry, Error{Fault::limit, "telemetry: size"});
  cbor::Reader reader(in);
  CHECK_OR(reader.peek() == Kind::map, Error{Fault::malformed, "telemetry: no map"});
  TRY(const Json json, read_item(reader, kMaxDepth));
  CHECK_OR(reader.done(), Error{Fault::malformed, "telemetry: more behind it"});
  Telemetry out;
  TRY([[maybe_unused]] const Ok taken, take_all(json, out));
  return out;
}

std::string encode_json_telemetry(const Telemetry& telemetry, bool version_as_text) {
  Json out = as_json(telemetry);
  if (version_as_text) {
    out["version"] = std::to_string(telemetry.version);
  }
  return text_of(out);
}

Bytes encode_cbor_telemetry(const Telemetry& telemetry) {
  cbor::Writer out;
  write_item(out, as_json(telemetry));
  return std::move(out).out();
}

}  // namespace imprint::brski
