// Devices that came for a voucher (BRSKI), for a person's eye: which wait, which are held, and what is to be done.
#pragma once

#include "app/cli.h"
#include "model/pledge.h"
#include "store/store.h"

namespace imprint::app {

// Those that came and wait for a person: their devices wait in the inventory. In order of issuer and serial number.
Result<std::vector<PledgeRow>> waiting_pledges(store::Reader& reader);
// Those that took their voucher and are not let on: of this device, or of all if it is empty.
Result<std::vector<PledgeRow>> held_pledges(store::Reader& reader, const std::string& device);

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
