// Text of others, made safe to show on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace imprint {

// Control characters become '?', characters that are not seen but change what is (bidirectional and other format
// controls, C1) become "\u{202e}", and bytes that are no UTF-8 become '?'. Unicode: general categories Cc and Cf, and
// the line and paragraph separators. With `lines`, new lines and tabs stay.
std::string printable(std::string_view text, bool lines = false);

}  // namespace imprint
