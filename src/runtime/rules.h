// The rules of a device's own folder. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint {

inline constexpr Rule kForeignFile{
    "DEVICE-FOLDER-FILE", "a file that Imprint did not make is where the device's key or certificate would go",
    "ours: docs/guide.md, a device by hand", "move what is named away, or name another folder with --out"};

inline constexpr std::array kDeviceRules{&kForeignFile};

}  // namespace imprint
