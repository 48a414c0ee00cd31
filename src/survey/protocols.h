// The protocols that this program speaks: what the rest of the house has to know of each. Another protocol is another
// row.
#pragma once

#include <span>
#include <string_view>

#include "model/run.h"
#include "model/survey.h"

namespace imprint::survey {

struct Protocol {
  std::string_view name;            // as Run::protocol has it
  std::string_view device_role;     // as Run::role has it when the device tells
  const ProtocolFacts& (*facts)();  // what it says of itself
};

// In the order in which they are shown.
std::span<const Protocol> protocols();

// Whether the run is the device's own story: what it believes, and what it spent. Others saw of it what they were
// asked. A run of a protocol that is not ours counts as the device's own.
bool told_by_device(const Run& run);

}  // namespace imprint::survey
