// Web links as constrained servers list them (RFC 6690): <target>;name="value";… , separated by commas.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace imprint {

struct Link {
  std::string target;                                             // a path or a URI, as written
  std::vector<std::pair<std::string, std::string>> attributes{};  // name and value; a name alone has an empty one
  bool operator==(const Link&) const = default;

  const std::string* find(std::string_view attribute) const;
  // Whether the link has this resource type among those of its rt (section 3.1: separated by spaces).
  bool has_type(std::string_view type) const;
};

// malformed: not of this form; limit: more than 256 links, or more than 16 attributes of one.
Result<std::vector<Link>> parse_links(std::string_view text);
std::string encode_links(const std::vector<Link>& links);

// The links that a query asks for (section 4.1): name=value or name=prefix*, on href, rt, if, rel or another attribute;
// several, separated by '&', must all hold. An empty query asks for all.
std::vector<Link> select_links(const std::vector<Link>& links, std::string_view query);

}  // namespace imprint
