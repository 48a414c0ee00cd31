// Our own words: one vocabulary in code, command line, API and docs.
#pragma once

#include <string_view>
#include <vector>

namespace imprint::survey {

struct OwnWord {
  std::string_view word, meaning;
};

const std::vector<OwnWord>& own_words();

// Where they are defined.
inline constexpr std::string_view kOwnWordsSource = "ours: docs/glossary.md";

}  // namespace imprint::survey
