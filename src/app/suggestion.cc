#include "app/suggestion.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace imprint::app {
namespace {

// How many characters have to be put in, left out or changed (Levenshtein).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row.back();
}

}  // namespace

std::string suggestion(std::string_view unknown, const std::vector<std::string>& names) {
  const auto far = [&](const std::string& n) { return edit_distance(unknown, n); };
  const auto best = std::ranges::min_element(names, {}, far);
  const bool near = best != names.end() && far(*best) <= std::max<std::size_t>(2, unknown.size() / 3);
  return near ? "; did you mean " + *best + "?" : "";
}

}  // namespace imprint::app
