// What must hold when a fleet has come to rest.
#pragma once

#include "sim/thing.h"
#include "store/store.h"

namespace imprint::sim {

// A sentence for each thing that is wrong: a device that is not operational or holds what its owner has no record of,
// a certificate that no device holds, a belief that stands on nothing, a broken audit chain. At most 20.
Result<std::vector<std::string>> find_wrong(const std::vector<std::unique_ptr<Thing>>& things, store::Store& disk,
                                            const std::vector<Certificate>& anchors, Instant now);

}  // namespace imprint::sim
