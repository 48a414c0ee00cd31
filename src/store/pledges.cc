#include "store/pledges.h"

#include <algorithm>

namespace imprint::store {
namespace {

constexpr std::string_view kNotThere = "pledge: not on record";

// The row as it was, or a new one. A new IDevID of the same serial number takes the place of the one before: what was
// cleared was the other key. A hold stays: it is about the device.
PledgeRow row_of(const PledgeBefore& before, const PledgeId& id, const std::string& device, Instant at) {
  PledgeRow out = before.value_or(PledgeRow{});
  if (!before) {
    out.first = at;
    out.asked = 0;
  } else if (before->id.key != id.key) {
    out.cleared = false;
    out.request.clear();
    out.voucher.clear();
    out.nonce.clear();
    out.log.clear();
    out.certificate.clear();
    out.vouchered = out.reported = out.enrolled = std::nullopt;
  }
  out.id = id;
  out.device = device.empty() ? out.device : device;
  out.last = at;
  return out;
}

}  // namespace

PledgeChange after(const PledgeBefore& before, const PledgeWaits& fact, Instant at) {
  PledgeRow row = row_of(before, fact.id, fact.device, at);
  const bool again = before && before->stage == PledgeStage::asked && before->reason == fact.reason;
  ++row.asked;
  row.stage = PledgeStage::asked;
  row.cleared = false;
  row.rule.clear();
  row.reason = fact.reason;
  return {row, "pledge.waits", {}, !again};
}

PledgeChange after(const PledgeBefore& before, const VoucherObtained& fact, Instant at) {
  PledgeRow row = row_of(before, fact.id, fact.device, at);
  ++row.asked;
  row.stage = PledgeStage::vouchered;
  row.cleared = false;  // until it has said that it took this one
  row.form = fact.form;
  row.nonce = fact.nonce;
  row.request = fact.request.empty() ? row.request : fact.request;
  row.voucher = fact.voucher;
  row.domain_id = fact.domain_id;
  row.masa = fact.masa;
  row.run = fact.run;
  row.vouchered = at;
  row.rule.clear();
  row.reason.clear();
  return {row, "voucher.obtained"};
}

Result<PledgeChange> after(const PledgeBefore& before, const VoucherReported& fact, Instant at,
                           const std::string& held_elsewhere) {
  CHECK_OR(before && before->id.key == fact.id.key, Error{Fault::refused, kNotThere});
  PledgeRow row = row_of(before, fact.id, fact.device, at);
  // The first report on this voucher counts: a later one undoes neither a person's word nor a refusal.
  const bool first = before->stage == PledgeStage::vouchered;
  if (first && row.held.empty()) {
    row.held = held_elsewhere;
  }
  row.stage = !fact.told.status ? PledgeStage::refused : first ? PledgeStage::imprinted : before->stage;
  row.cleared = fact.told.status && (first ? fact.cleared && row.held.empty() : before->cleared);
  if (first && row.cleared && row.enrolled && row.enrolled >= row.vouchered) {
    row.stage = PledgeStage::enrolled;  // it told of that before
  }
  row.reported = at;
  if (first || !fact.told.status) {
    row.rule = fact.rule;
    row.reason = fact.reason;
  }
  if (first && fact.told.status && !fact.cleared && !fact.passing && row.held.empty()) {
    row.held = fact.rule;  // what was found in its past does not go away by asking again
  }
  if (first && fact.told.status && fact.cleared && !row.held.empty()) {
    row.rule = row.held;
    row.reason = "held before, and nobody has cleared it since; this time: " + fact.reason;
  }
  row.log = fact.log.empty() ? row.log : fact.log;
  std::string report = fact.told.reason + (fact.told.context.empty() ? "" : " " + fact.told.context);
  return PledgeChange{row, fact.told.status ? "voucher.accepted" : "voucher.rejected", std::move(report)};
}

Result<PledgeChange> after(const PledgeBefore& before, const EnrolmentReported& fact, Instant at) {
  CHECK_OR(before.has_value(), Error{Fault::refused, kNotThere});
  PledgeRow row = row_of(before, before->id, fact.device, at);
  row.certificate = fact.certificate.empty() ? row.certificate : fact.certificate;
  const bool enrolled = fact.told.status && (!fact.certificate.empty() || before->cleared);  // a held device may say so
  row.enrolled = enrolled ? std::optional(at) : row.enrolled;
  // While it is not cleared the stage stays: its voucher's report may yet come, and a held one is found by it.
  row.stage = enrolled && before->cleared ? PledgeStage::enrolled : row.stage;
  row.reason = row.rule.empty() ? fact.told.reason : row.reason;
  std::string report = fact.told.reason + (fact.told.context.empty() ? "" : " " + fact.told.context);
  return PledgeChange{row, fact.told.status ? "pledge.enrolled" : "pledge.enrolment-failed", std::move(report)};
}

PledgeChange after(const PledgeBefore& before, const PledgeRefused& fact, Instant at) {
  PledgeRow row = row_of(before, fact.id, fact.device, at);
  const bool again = before && before->stage == PledgeStage::refused && before->rule == fact.rule &&
                     before->reason == fact.reason && before->id.key == fact.id.key;
  ++row.asked;
  row.stage = PledgeStage::refused;
  row.cleared = false;
  row.rule = fact.rule;
  row.reason = fact.reason;
  return {row, "pledge.refused", {}, !again};
}

Result<PledgeChange> cleared(const PledgeBefore& before, bool cleared, std::string_view reason, Instant at) {
  CHECK_OR(before.has_value(), Error{Fault::refused, kNotThere});
  PledgeRow row = *before;
  row.last = at;
  row.cleared = cleared;
  if (!cleared && row.stage == PledgeStage::vouchered) {
    row.stage = PledgeStage::imprinted;  // held, whatever the device reports
  }
  row.held = cleared ? std::string_view() : kHeldByPerson;
  row.rule = row.held;
  row.reason = reason;
  return PledgeChange{row, cleared ? "pledge.cleared" : "pledge.held"};
}

bool is_held(const PledgeRow& row) {
  return !row.held.empty() || (row.stage == PledgeStage::imprinted && !row.cleared);
}

std::string hold_of(const std::vector<PledgeRow>& rows, const PledgeId& id) {
  const auto at = std::ranges::find_if(rows, [&](const PledgeRow& row) {
    return !row.held.empty() && (row.id.issuer != id.issuer || row.id.serial != id.serial);
  });
  return at == rows.end() ? std::string() : at->held;
}

}  // namespace imprint::store
