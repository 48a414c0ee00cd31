#include "proto/est/paths.h"

#include <algorithm>

#include "proto/est/rules.h"

namespace imprint::est {

Result<PathParts> split_path(std::string_view path, std::span<const std::string_view> roots,
                             const ServerConfig& config) {
  const auto root = std::ranges::find_if(roots, [path](std::string_view r) { return path.starts_with(r); });
  CHECK_OR(root != roots.end(), Error{Fault::unsupported, kNoSuchOperation});
  const std::string_view rest = path.substr(root->size());
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) {
    return PathParts{{}, rest};
  }
  PathParts out{std::string(rest.substr(0, slash)), rest.substr(slash + 1)};
  CHECK_OR(!out.label.empty() && config.labels.contains(out.label), Error{Fault::unsupported, kNoSuchLabel});
  return out;
}

}  // namespace imprint::est
