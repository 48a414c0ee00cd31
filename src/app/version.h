// Which Imprint this is.
#pragma once

#include <string_view>

namespace imprint::app {

// "0.1.0", from the top CMakeLists.txt.
inline constexpr std::string_view kVersion = IMPRINT_VERSION;

}  // namespace imprint::app
