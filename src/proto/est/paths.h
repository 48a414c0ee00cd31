// What the paths of EST have in common in either binding: ROOT[LABEL/]OPERATION.
#pragma once

#include <span>

#include "proto/est/server.h"

namespace imprint::est {

inline constexpr std::string_view kHttpRoot = "/.well-known/est/";

struct PathParts {
  std::string label;           // empty: the default profile
  std::string_view operation;  // what comes last, a view into the path
};

// EST-OPERATION if the path is below none of `roots`, EST-LABEL if there is no such label. Roots end in '/'.
Result<PathParts> split_path(std::string_view path, std::span<const std::string_view> roots,
                             const ServerConfig& config);

}  // namespace imprint::est
