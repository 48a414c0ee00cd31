// Text for people on lines of at most 120 columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace imprint::survey {

inline constexpr std::size_t kColumns = 120;

// Characters, as far as a terminal's columns go: bytes that continue a UTF-8 character do not count.
std::size_t columns_of(std::string_view text);

// The words of `text` on lines of at most `width` columns; a longer word has a line of its own, cut if need be.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

// `lead`, then `text` from column `indent` on, wrapped, each line ended. A lead too long for the indent has its own
// line.
std::string hanging(std::string_view lead, std::string_view text, std::size_t indent);

// A heading with a rule under it, after an empty line.
std::string heading(std::string_view text);

// A table with a header, its cells wrapped so that the whole fits; the first column is as wide as it needs.
std::string grid(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

}  // namespace imprint::survey
