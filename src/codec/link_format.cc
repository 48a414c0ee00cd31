#include "codec/link_format.h"

#include <algorithm>

namespace imprint {
namespace {

constexpr std::size_t kMaxLinks = 256, kMaxAttributes = 16;

// A cursor over the text; nothing is read after a failure.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  // White space before it is skipped.
  std::string_view until(std::string_view stops) {
    skip_space();
    const auto end = std::min(rest_.find_first_of(stops), rest_.size());
    const std::string_view out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return out;
  }
  // After the opening quote: the text up to the closing one, which is taken too.
  Result<std::string> quoted() {
    std::string out;
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') {
        rest_.remove_prefix(1);
      }
      CHECK_OR(!rest_.empty(), Error{Fault::malformed, "links: a backslash at the end"});
      out.push_back(rest_.front());
      rest_.remove_prefix(1);
    }
    CHECK_OR(take('"'), Error{Fault::malformed, "links: a quote without end"});
    return out;
  }
  bool empty() {
    skip_space();
    return rest_.empty();
  }

 private:
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  std::string_view rest_;
};

Result<Link> parse_link(Cursor& in) {
  CHECK_OR(in.take('<'), Error{Fault::malformed, "links: a link begins with <"});
  Link out{std::string(in.until(">"))};
  CHECK_OR(in.take('>'), Error{Fault::malformed, "links: a target without end"});
  while (in.take(';')) {
    CHECK_OR(out.attributes.size() < kMaxAttributes, Error{Fault::limit, "links: too many attributes"});
    std::string attribute(in.until("=;, "));
    CHECK_OR(!attribute.empty(), Error{Fault::malformed, "links: an attribute without name"});
    std::string value;
    if (in.take('=')) {
      if (in.take('"')) {
        TRY(value, in.quoted());
      } else {
        value = in.until(";,");
      }
    }
    out.attributes.emplace_back(std::move(attribute), std::move(value));
  }
  return out;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool matches(std::string_view value, std::string_view wanted) {
  if (wanted.ends_with('*')) {
    return value.starts_with(wanted.substr(0, wanted.size() - 1));
  }
  return value == wanted;
}

bool any_word_matches(std::string_view words, std::string_view wanted) {
  while (true) {
    const auto end = words.find(' ');
    if (matches(words.substr(0, end), wanted)) {
      return true;
    }
    if (end == std::string_view::npos) {
      return false;
    }
    words.remove_prefix(end + 1);
  }
}

bool asked_for(const Link& link, std::string_view condition) {
  const auto equals = condition.find('=');
  const std::string_view attribute = condition.substr(0, equals);
  const std::string_view wanted =
      equals == std::string_view::npos ? std::string_view("*") : condition.substr(equals + 1);
  if (attribute == "href") {
    return matches(link.target, wanted);
  }
  const std::string* const value = link.find(attribute);
  return value != nullptr && any_word_matches(*value, wanted);
}

}  // namespace

const std::string* Link::find(std::string_view attribute) const {
  const auto it = std::ranges::find_if(attributes, [&](const auto& a) { return a.first == attribute; });
  return it == attributes.end() ? nullptr : &it->second;
}

bool Link::has_type(std::string_view type) const {
  const std::string* const types = find("rt");
  return types != nullptr && any_word_matches(*types, type);
}

Result<std::vector<Link>> parse_links(std::string_view text) {
  std::vector<Link> out;
  Cursor in(text);
  while (!in.empty()) {
    CHECK_OR(out.size() < kMaxLinks, Error{Fault::limit, "links: more than 256"});
    CHECK_OR(out.empty() || in.take(','), Error{Fault::malformed, "links: a comma between two"});
    TRY(Link one, parse_link(in));
    out.push_back(std::move(one));
  }
  return out;
}

std::string encode_links(const std::vector<Link>& links) {
  std::string out;
  for (const Link& link : links) {
    out.append(out.empty() ? "<" : ",<").append(link.target).append(">");
    for (const auto& [attribute, value] : link.attributes) {
      out.append(";").append(attribute);
      if (is_number(value)) {
        out.append("=").append(value);
      } else if (!value.empty()) {
        out.append("=\"").append(value).append("\"");
      }
    }
  }
  return out;
}

std::vector<Link> select_links(const std::vector<Link>& links, std::string_view query) {
  std::vector<Link> out = links;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view condition = query.substr(0, end);
    std::erase_if(out, [&](const Link& link) { return !asked_for(link, condition); });
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return out;
}

}  // namespace imprint
