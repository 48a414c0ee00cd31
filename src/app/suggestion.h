// A word that was probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace imprint::app {

// "; did you mean X?", if one of the names differs from the unknown word by a slip or two (Levenshtein distance of at
// most 2, or a third of the word's length); else empty.
std::string suggestion(std::string_view unknown, const std::vector<std::string>& names);

}  // namespace imprint::app
