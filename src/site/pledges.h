// The owner's answers to what the registrar asks: who is this device, do I want it, and who speaks for its maker?
#pragma once

#include <functional>

#include "proto/brski/questions.h"
#include "site/masa_book.h"
#include "site/policy.h"

namespace imprint::site {

// Who speaks for the maker of a device: its MASA, by rules over issuer and serial number. `chain`: what stands above
// the IDevID, its anchor last. An error's rule is told to the operator.
using FindMasa =
    std::function<Result<brski::MasaContact>(const Certificate& idevid, const std::vector<Certificate>& chain)>;

// The maker's name for a device.
PledgeId pledge_id(const Certificate& idevid, const brski::Quirks& quirks);

// The same of a device whose IDevID is proven below `chain`: what stands above it, its issuer first and its anchor
// last. A CA goes by what it is and not by what its certificates say of it: who writes the key identifier of another
// maker's CA into IDevIDs does not get that maker's devices' place. Where the two are one, this is what the IDevID
// says.
PledgeId pledge_id(const Certificate& idevid, const std::vector<Certificate>& chain, const brski::Quirks& quirks);

// What is on record of the device of this pledge_id(): also what earlier versions wrote under its IDevID's own words,
// or `voucher import` for `device` of the inventory before it came; empty: not that.
Result<std::optional<PledgeRow>> pledge_on_record(store::Reader& store, const PledgeId& id, const Certificate& idevid,
                                                  std::string_view device);

// For Policy::pledge_names: one for each place where a maker may have written the serial number.
std::vector<PledgeId> pledge_names(const Certificate& idevid);

// For Policy::needs_voucher: the name under which its voucher is on record, if it has to have one before EST. None: no
// rule was ever for it and its IDevID names no MASA, or the maker's quirks let it. An error's rule says what is wrong
// with the maker's rules: they open nothing.
Result<std::optional<PledgeId>> voucher_needed(const MasaBook& book, const Certificate& idevid,
                                               const std::vector<Certificate>& chain, Instant now);

// Decides, in the order of admit(): who is it, do I want it. Reads the store and writes nothing.
Result<brski::AdmitPledge::Decision> admit_pledge(const Policy& policy, store::Reader& store,
                                                  const brski::AdmitPledge& question, const FindMasa& find_masa);

// What is on record of a device that reports. Fault::refused: BRSKI-STATUS-UNASKED.
Result<brski::RecallPledge::Recalled> recall_pledge(const Policy& policy, store::Reader& store,
                                                    const brski::RecallPledge& question, const FindMasa& find_masa);

}  // namespace imprint::site
