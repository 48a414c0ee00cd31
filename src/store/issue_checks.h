// What must hold in the very transaction that puts a certificate on record: the policy looked before it was signed, and
// another request or a person may have been faster. Every store asks these.
#pragma once

#include "store/store.h"

namespace imprint::store {

// Requests of one device that may wait at once: its certificate alone must not fill the disk.
inline constexpr std::int64_t kMostWaiting = 8;

// Conflict if the request was answered meanwhile, if another device holds the key, or if the owner has decided
// otherwise: the device is not wanted any more, or what it renews is revoked.
Status check_issue(Reader& store, const Issued& fact, const Certificate& certificate, Instant at);

// Whether the device came back with the certificate that this one renews. One that takes the place of a lost answer is
// no renewal: nobody has shown that the answer before it arrived.
bool is_renewal(const Issued& fact);

// Where a certificate moves a device in its life. The first one commissions it; a renewal shows that it came back with
// what it was given, so it works. One that is being repaired or was taken out stays what its owner made it.
Lifecycle after_certificate(Lifecycle now, bool renewal);

}  // namespace imprint::store
