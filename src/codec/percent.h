// Percent encoding in paths and queries (RFC 3986 section 2.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imprint {

// Nothing if a sequence is cut short or stands for a control character.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace imprint
