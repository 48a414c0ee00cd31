// Whether a device may enrol by EST already: RFC 8995 section 5.8.3 keeps those back whose past is not clear.
#pragma once

#include "site/policy.h"

namespace imprint::site {

// Devices of makers that Policy::needs_voucher names, asking by their IDevID, may do so once their voucher is accepted
// and their past cleared on record for that very key (BRSKI-EST-EARLY). Everybody else may: who asks by a certificate
// of ours, by a secret, or without anything. Other errors are the store's.
Status may_enrol(const Policy& policy, store::Reader& store, const Session& session);

}  // namespace imprint::site
