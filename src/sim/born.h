// A device fresh from the factory, switched on: where its keys are, and what it is told to do.
#pragma once

#include "factory/line.h"
#include "runtime/device_storage.h"

namespace imprint::sim {

// So many devices of two kinds: every third with a one-time token, the others with an IDevID; or all with an IDevID. Of
// the order count and birth are set here, and the model is put in front of "idevid" and "token".
enum class Kinds : std::uint8_t { both, idevid };
Result<std::vector<factory::Born>> make_mixed(factory::Order order, std::uint32_t count, const site::Ca& maker,
                                              Instant now, Rng& rng, Kinds kinds = Kinds::both);

// Puts the IDevID's key into the device.
void fill(MemoryStorage& storage, const factory::Born& born);

// Enrols at the owner's server by IDevID if it has one, by its one-time token if not, as CN=ID.
est::PlanRef plan_of(const factory::Born& born, const Uri& server, const std::vector<Certificate>& anchors);

}  // namespace imprint::sim
