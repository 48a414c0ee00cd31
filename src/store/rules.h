// The rules that the store alone can judge, in the transaction. Ids are stable; docs/errors.md is printed from this
// list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::store {

inline constexpr Rule kWaitingMany{"SITE-WAITING-MANY", "eight other requests of this device wait already",
                                   "ours: docs/threats.md",
                                   "ask again for what was asked before, or let the owner decide those first"};

inline constexpr std::array kRules{&kWaitingMany};

}  // namespace imprint::store
