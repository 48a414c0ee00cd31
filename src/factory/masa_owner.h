// What a maker's default registrar answers from: where devices find their owners (draft-ietf-anima-brski-cloud).
#pragma once

#include "proto/brski/cloud.h"
#include "store/maker/maker_store.h"

namespace imprint::factory {

// What answers the question of the cloud registrar. The error is the store's.
Result<brski::FindOwner::Found> find_owner(store::MakerReader& reader, const brski::FindOwner& question);

// The maker says where the device finds its owner from now on; release, transfer and retirement take it back. Faults:
// refused (MASA-RETIRED; MASA-OWNER-ADDRESS; MASA-OWNER-PIN: the device has a customer, and the pin is none of its
// certificates nor below one; MASA-CLAIMED: another domain has it), those of the store.
Status set_owner(store::MakerWriter& writer, MakerDevice device, OwnerAddress owner, Instant at,
                 std::string_view actor);

}  // namespace imprint::factory
