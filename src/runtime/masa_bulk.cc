// What a bulk call asks for.
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "proto/brski/artifact.h"
#include "proto/brski/masa_rules.h"
#include "runtime/masa_server.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxText = 256;

BulkItem wrong(std::string id, std::string_view why) { return {std::move(id), {}, {}, why}; }

std::string short_text(const Json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_string() && at->get_ref<const std::string&>().size() <= kMaxText
             ? at->get<std::string>()
             : std::string();
}

BulkItem item_of(const Json& json) {
  const std::string id = json.is_object() ? short_text(json, "id") : std::string();
  const Json* text = &json;
  if (json.is_object()) {
    const auto at = json.find("request");
    if (at == json.end()) {
      return wrong(id, "no member \"request\"");
    }
    text = &*at;
  }
  if (!text->is_string()) {
    return wrong(id, "neither base64 nor an object");
  }
  auto request = parse_base64(text->get_ref<const std::string&>());
  if (!request || request->empty()) {
    return wrong(id, "no base64");
  }
  return {id, json.is_object() ? short_text(json, "accept") : std::string(), *std::move(request), {}};
}

// Values take far more memory than the text that they are written in: no more of them are read than such a call needs.
bool has_more_parts(std::string_view body, std::size_t most) {
  std::size_t parts = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < body.size() && parts <= most; ++i) {
    const char c = body[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == '\n') {
      quoted = false;  // a line that is broken is broken alone
    } else {
      parts += !quoted && (c == '[' || c == '{' || c == ',') ? 1U : 0U;
    }
  }
  return parts > most;
}

}  // namespace

Result<std::vector<BulkItem>> parse_bulk(std::string_view body, std::size_t most) {
  constexpr std::size_t kParts = 16;  // of one request: four members are known
  std::vector<BulkItem> out;
  CHECK_OR(!has_more_parts(body, most * kParts), Error{Fault::limit, brski::masa::kBulkMany});
  const auto first = body.find_first_not_of(" \t\r\n");
  CHECK_OR(first != std::string_view::npos, Error{Fault::malformed, brski::masa::kBulkBody});
  if (body[first] == '[') {
    const auto json = parse_json(body);
    CHECK_OR(json && json->is_array(), Error{Fault::malformed, brski::masa::kBulkBody});
    CHECK_OR(json->size() <= most, Error{Fault::limit, brski::masa::kBulkMany});
    for (const Json& one : *json) {
      out.push_back(item_of(one));
    }
    return out;
  }
  while (!body.empty()) {
    const std::string_view line = body.substr(0, body.find('\n'));
    body.remove_prefix(std::min(body.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    CHECK_OR(out.size() < most, Error{Fault::limit, brski::masa::kBulkMany});
    const auto json = parse_json(line);
    out.push_back(json ? item_of(*json) : wrong({}, "no JSON"));
  }
  return out;
}

}  // namespace imprint
