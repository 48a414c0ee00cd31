#include "store/pledges.h"

#include <algorithm>

namespace imprint::store {
namespace {

constexpr std::string_view kNotThere = "pledge: not on record";

// What its vouchers have opened, and what came with them.
void empty_out(PledgeRow& row) {
  row.cleared = false;
  row.request.clear();
  row.voucher.clear();
  row.form.clear();
  row.nonce.clear();
  row.domain_id.clear();
  row.log.clear();
  row.certificate.clear();
  row.vouchered = row.reported = row.enrolled = std::nullopt;
}

// The row as it was, or a new one. A new IDevID of the same serial number takes the place of the one before: what was
// cleared was the other key. A hold stays: it is about the device.
PledgeRow row_of(const PledgeBefore& before, const PledgeId& id, const std::string& device, Instant at) {
  PledgeRow out = before.value_or(PledgeRow{});
  if (out.asked == 0 || !before) {
    out.first = at;
    out.asked = 0;
  }
  if (before && before->id.key != id.key) {
    empty_out(out);
  }
  out.id = id;
  out.device = device.empty() ? out.device : device;
  out.last = at;
  return out;
}

std::string words_of(const PledgeReport& told) {
  return told.reason + (told.context.empty() ? "" : " " + told.context);
}

bool is_about_it(const PledgeRow& row, const VoucherReported& fact) {
  return !fact.vouchered || (fact.vouchered == row.vouchered && fact.nonce == row.nonce);
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
  CHECK_OR(before && before->id.key == fact.id.key && !is_forgotten(*before), Error{Fault::refused, kNotThere});
  if (!holds(is_about_it(*before, fact))) {
    // It asked once more while its report was looked at: that one is about a voucher that is on record no more.
    return PledgeChange{*before, "voucher.report-late", words_of(fact.told)};
  }
  PledgeRow row = row_of(before, fact.id, fact.device, at);
  // The first report on this voucher counts: a later one undoes neither a person's word nor a refusal. What is held by
  // neither only lacked a log.
  const bool lacked_log = before->stage == PledgeStage::imprinted && !before->cleared && before->held.empty();
  const bool first = before->stage == PledgeStage::vouchered || lacked_log;
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
  return PledgeChange{row, fact.told.status ? "voucher.accepted" : "voucher.rejected", words_of(fact.told)};
}

Result<PledgeChange> after(const PledgeBefore& before, const EnrolmentReported& fact, Instant at) {
  CHECK_OR(before && !is_forgotten(*before), Error{Fault::refused, kNotThere});
  PledgeRow row = row_of(before, before->id, fact.device, at);
  row.certificate = fact.certificate.empty() ? row.certificate : fact.certificate;
  const bool enrolled = fact.told.status && (!fact.certificate.empty() || before->cleared);  // a held device may say so
  row.enrolled = enrolled ? std::optional(at) : row.enrolled;
  // While it is not cleared the stage stays: its voucher's report may yet come, and a held one is found by it.
  row.stage = enrolled && before->cleared ? PledgeStage::enrolled : row.stage;
  row.reason = row.rule.empty() ? fact.told.reason : row.reason;
  return PledgeChange{row, fact.told.status ? "pledge.enrolled" : "pledge.enrolment-failed", words_of(fact.told)};
}

PledgeChange after(const PledgeBefore& before, const PledgeRefused& fact, Instant at) {
  const bool other_key = before && !before->id.key.empty() && before->id.key != fact.id.key;
  if (other_key && !holds(!fact.device.empty())) {
    return {*before, "pledge.refused", {}, false};  // nobody we know takes nothing from who is on record
  }
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

PledgeChange released(const PledgeRow& before, std::string_view reason, Instant at) {
  PledgeRow row = before;
  row.last = at;
  row.rule = row.rule == row.held ? std::string() : row.rule;
  row.held.clear();
  row.reason = reason;
  return {row, "pledge.released"};
}

// Its next arrival is its first: `asked` says so.
PledgeChange forgotten(const PledgeRow& before, std::string_view reason, Instant at) {
  PledgeRow row = before;
  empty_out(row);
  row.stage = PledgeStage::asked;
  row.asked = 0;
  row.last = at;
  row.rule = row.held;
  row.reason = reason;
  return {row, "pledge.forgotten"};
}

bool took_voucher(const PledgeRow& row) {
  return row.stage == PledgeStage::imprinted || row.stage == PledgeStage::enrolled;
}

bool is_forgotten(const PledgeRow& row) { return row.asked == 0 && !row.cleared; }

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
