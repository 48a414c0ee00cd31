// All rules that a refusal may name, by chapter: docs/errors.md and `imprint explain ID`.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"

namespace imprint::app {

struct RuleChapter {
  std::string_view title;
  std::vector<const Rule*> rules;
};
std::vector<RuleChapter> rule_book();

}  // namespace imprint::app
