// Devices that came for a voucher (BRSKI), for a person's eye: which wait, which are held, and what is to be done.
#pragma once

#include "app/cli.h"
#include "model/pledge.h"
#include "site/operations.h"
#include "store/store.h"

namespace imprint::app {

// Those that came and wait for a person: their devices wait in the inventory. In order of issuer and serial number.
Result<std::vector<PledgeRow>> waiting_pledges(store::Reader& reader);
// Those that took their voucher and are not let on: of this device, or of all if it is empty.
Result<std::vector<PledgeRow>> held_pledges(store::Reader& reader, const std::string& device);

// How far a person's word goes.
struct ClearScope {
  bool without_voucher = false;  // EST is open to it all the same, though it took none: nobody has looked at its past
  std::string rule = {};         // only if this holds it: what the person has seen; empty: whatever does
};

// A person's word on a device: `cleared`, it may enrol with the voucher that it took, and every hold on it is over;
// else it may not go on. With an audit entry for each row that changes; these are given back as they were. Faults:
// VOUCHER-NO-PLEDGE, it has not asked for a voucher; VOUCHER-NOT-HELD; VOUCHER-HELD-OTHERWISE.
Result<std::vector<PledgeRow>> clear_pledges(store::Writer& writer, const std::string& device, bool cleared,
                                             std::string_view reason, const site::Act& act,
                                             const ClearScope& scope = {});

// {"device", "serial", "since", "last", "asked", "why", "next"}; of held ones "rule" as well.
Json waiting_json(const std::vector<PledgeRow>& rows);
Json held_json(const std::vector<PledgeRow>& rows);
std::string waiting_text(const std::vector<PledgeRow>& rows);  // with its heading; empty if there are none
std::string held_text(const std::vector<PledgeRow>& rows);

// Ids of the devices with this serial number, by the inventory or by their IDevIDs; retired ones only if there is no
// other. In order, each once.
Result<std::vector<std::string>> ids_with_serial(store::Reader& reader, const std::string& serial);
// What a person may name a device by: its id, or a serial number that only one has. DEVICE-UNKNOWN, DEVICE-SERIAL-MANY.
OrProblem<std::string> device_id_of(store::Reader& reader, const std::string& word);
// DEVICE-SERIAL-MANY, with all that the word may mean.
Problem more_than_one(const std::string& word, const std::vector<std::string>& meant);

}  // namespace imprint::app
