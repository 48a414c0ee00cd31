#include "codec/json.h"

#include <nlohmann/json.hpp>
#include <set>

namespace imprint {
namespace {

constexpr std::size_t kMaxText = std::size_t{16} << 20U;
constexpr int kMaxDepth = 64;

// Whether brackets outside strings nest within the limit: looked at before anything is allocated for them.
bool shallow(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      i += c == '\\' ? 1U : 0U;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) {
        return false;
      }
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return true;
}

// Follows the parser's events to find repeated member names, which the library lets pass.
class Names {
 public:
  void see(Json::parse_event_t event, const Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
        open_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
        open_.pop_back();
        break;
      case Json::parse_event_t::key:
        repeated_ = !open_.back().insert(parsed.get<std::string>()).second || repeated_;
        break;
      case Json::parse_event_t::array_start:
      case Json::parse_event_t::array_end:
      case Json::parse_event_t::value:
        break;
    }
  }
  bool repeated() const { return repeated_; }

 private:
  std::vector<std::set<std::string>> open_;  // of the objects that are open, outermost first
  bool repeated_ = false;
};

}  // namespace

Result<Json> parse_json(std::string_view text) {
  CHECK_OR(text.size() <= kMaxText, Error{Fault::limit, "json: size"});
  CHECK_OR(shallow(text), Error{Fault::limit, "json: depth"});
  // The library takes NUL for the end, whatever follows.
  CHECK_OR(text.find('\0') == std::string_view::npos, Error{Fault::malformed, "json: syntax"});
  Names names;
  const auto watch = [&names](int, Json::parse_event_t event, const Json& parsed) {
    names.see(event, parsed);
    return true;
  };
  Json out = Json::parse(text, watch, /*allow_exceptions=*/false);
  CHECK_OR(!out.is_discarded(), Error{Fault::malformed, "json: syntax"});
  CHECK_OR(!names.repeated(), Error{Fault::malformed, "json: member name twice"});
  return out;
}

}  // namespace imprint
