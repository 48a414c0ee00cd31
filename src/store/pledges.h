// What a fact of the registrar makes of a device's row: the same for every store.
#pragma once

#include <vector>

#include "base/result.h"
#include "model/pledge.h"

namespace imprint::store {

// A row as it is to be kept, and its audit entry.
struct PledgeChange {
  PledgeRow row;
  std::string_view action;  // "pledge.waits"
  std::string report = {};  // what the device told, in its words
  bool told = true;         // whether it gets an audit entry: the same waiting or refusal again gets none
};

// `before`: the row on record, if there is one. Reports of a device that is not on record are refused.
using PledgeBefore = std::optional<PledgeRow>;
PledgeChange after(const PledgeBefore& before, const PledgeWaits& fact, Instant at);
PledgeChange after(const PledgeBefore& before, const VoucherObtained& fact, Instant at);
// `held_elsewhere`: see hold_of().
Result<PledgeChange> after(const PledgeBefore& before, const VoucherReported& fact, Instant at,
                           const std::string& held_elsewhere = {});
Result<PledgeChange> after(const PledgeBefore& before, const EnrolmentReported& fact, Instant at);
PledgeChange after(const PledgeBefore& before, const PledgeRefused& fact, Instant at);
Result<PledgeChange> cleared(const PledgeBefore& before, bool cleared, std::string_view reason, Instant at);
PledgeChange released(const PledgeRow& before, std::string_view reason, Instant at);
PledgeChange forgotten(const PledgeRow& before, std::string_view reason, Instant at);

// Whether it has told that it took its voucher, and no voucher was asked for since.
bool took_voucher(const PledgeRow& row);

// Whether it has begun anew, and has not come since.
bool is_forgotten(const PledgeRow& row);

// Whether a person has to let it on: it took its voucher and was not cleared, or there is a hold that lasts.
bool is_held(const PledgeRow& row);

// The hold that lasts, of another row than that of `id`; empty: there is none. `rows`: those of one device. It has more
// than one when its maker's quirks say anew where its serial number stands, or another CA of the maker issued its
// IDevID: a hold is about the device.
std::string hold_of(const std::vector<PledgeRow>& rows, const PledgeId& id);

}  // namespace imprint::store
