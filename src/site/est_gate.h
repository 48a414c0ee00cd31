// Whether a device may enrol by EST already: RFC 8995 section 5.8.3 keeps those back whose past is not clear.
#pragma once

#include "site/applicant.h"

namespace imprint::site {

// Devices of makers that Policy::needs_voucher names, asking by their IDevID, may do so once their voucher is accepted
// and their past cleared, on record for that device and its key, and no hold on record of the device under another
// name. Devices of other makers may unless they are held, or were refused by their MASA or for what they sent, on
// record. Everybody else may: who asks by a certificate of ours, by a secret, or without anything. Fault::refused:
// BRSKI-EST-EARLY, BRSKI-EST-HELD (it took its voucher, and comes through as soon as a person clears it), or a rule of
// needs_voucher. Other errors are the store's.
Status may_enrol(const Policy& policy, store::Reader& store, const Session& session);

// The same within admit(): says in the decision what keeps it back. One that is held comes again (RFC 7030 section
// 4.2.3), so that it need not begin anew when a person clears it; unless the owner does not want it at all.
Result<bool> is_past_gate(const Policy& policy, store::Reader& store, const Session& session, const Applicant& who,
                          Decision& d);

}  // namespace imprint::site
