// What a connector says of an address that came from outside and that it may not connect to. Roles tell it from what a
// peer's certificate was refused for.
#pragma once

#include "base/result.h"

namespace imprint {

inline constexpr std::string_view kGuardInside = "guard: an address inside, named from outside";
inline constexpr std::string_view kGuardMachine = "guard: an address of this machine";

// Whether nobody was asked: the address itself was refused.
inline bool is_guarded(const Error& why) {
  return why.fault == Fault::refused && (why.what == kGuardInside || why.what == kGuardMachine);
}

}  // namespace imprint
