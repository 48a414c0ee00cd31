// JSON behind Result: no exception leaves, depth is bounded.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/bytes.h"
#include "base/result.h"

namespace imprint {

using Json = nlohmann::ordered_json;

// Strict JSON, nested at most 64 deep, at most 16 MiB, no duplicate member names.
Result<Json> parse_json(std::string_view text);

}  // namespace imprint
