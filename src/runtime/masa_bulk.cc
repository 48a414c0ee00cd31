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

constexpr std::string_view kPlace = "#", kQuotedPlace = "\"#\"";

// The longest text of base64 in a line, without its quotes: the JSON library looks at each octet several times.
std::string_view long_text(std::string_view line) {
  constexpr std::size_t kLong = 64;
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  std::string_view out;
  for (std::size_t open = line.find('"'); open != std::string_view::npos;) {
    const std::size_t close = line.find('"', open + 1);
    if (close == std::string_view::npos || line.substr(open, close - open).find('\\') != std::string_view::npos) {
      return {};  // what is quoted otherwise is read as a whole
    }
    const std::string_view text = line.substr(open + 1, close - open - 1);
    out = text.size() > out.size() ? text : out;
    open = line.find('"', close + 1);
  }
  return out.size() >= kLong && out.find_first_not_of(kDigits) == std::string_view::npos ? out : std::string_view();
}

bool is_place(const Json& json) { return json.is_string() && json.get_ref<const std::string&>() == kPlace; }

// `instead`: what the word in the request's place stands for.
BulkItem item_of(const Json& json, std::string_view instead) {
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
  auto request = parse_base64(instead.empty() ? std::string_view(text->get_ref<const std::string&>()) : instead);
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
      out.push_back(item_of(one, {}));
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
    out.push_back({{}, {}, {}, {}, line});
  }
  return out;
}

void read_bulk_item(BulkItem& item) {
  const std::string_view line = item.text;
  if (line.empty()) {
    return;
  }
  // A request is most of its line: the rest is JSON with a word in its place, which nothing else in it may be.
  const std::string_view cut = line.find(kQuotedPlace) == std::string_view::npos ? long_text(line) : std::string_view();
  if (!cut.empty()) {
    const std::size_t at = static_cast<std::size_t>(cut.data() - line.data());
    std::string rest(line.substr(0, at));
    rest.append(kPlace).append(line.substr(at + cut.size()));
    const auto json = parse_json(rest);
    if (json && is_place(json->is_object() ? json->value("request", Json()) : *json)) {
      item = item_of(*json, cut);
      return;
    }
  }
  const auto json = parse_json(line);
  item = json ? item_of(*json, {}) : wrong({}, "no JSON");
}

}  // namespace imprint
