// Devices that ask for vouchers.
#include <algorithm>
#include <tuple>

#include "store/memory/memory.h"

namespace imprint::store {
namespace {

std::optional<PledgeRow> find(const std::vector<PledgeRow>& rows, BytesView issuer, std::string_view serial) {
  const auto at = std::ranges::find_if(
      rows, [&](const PledgeRow& r) { return equal(r.id.issuer, issuer) && r.id.serial == serial; });
  return at == rows.end() ? std::nullopt : std::optional(*at);
}

}  // namespace

template <class I>
Result<std::optional<PledgeRow>> MemoryReads<I>::pledge(BytesView issuer, std::string_view serial) {
  return find(tables_.pledges, issuer, serial);
}

template <class I>
Result<std::vector<PledgeRow>> MemoryReads<I>::pledges(const PledgeFilter& f) {
  const auto order = [](const PledgeRow& r) { return std::tie(r.id.issuer, r.id.serial); };
  std::vector<PledgeRow> out;
  std::ranges::copy_if(tables_.pledges, std::back_inserter(out), [&](const PledgeRow& r) {
    return std::tie(f.after_issuer, f.after_serial) < order(r) && (f.device.empty() || r.device == f.device) &&
           (!f.stage || r.stage == *f.stage) && (!f.held || is_held(r));
  });
  std::ranges::sort(out, [&](const PledgeRow& a, const PledgeRow& b) { return order(a) < order(b); });
  out.resize(std::min(out.size(), static_cast<std::size_t>(std::max<std::int64_t>(f.limit, 1))));
  return out;
}

template Result<std::optional<PledgeRow>> MemoryReads<Reader>::pledge(BytesView, std::string_view);
template Result<std::optional<PledgeRow>> MemoryReads<Writer>::pledge(BytesView, std::string_view);
template Result<std::vector<PledgeRow>> MemoryReads<Reader>::pledges(const PledgeFilter&);
template Result<std::vector<PledgeRow>> MemoryReads<Writer>::pledges(const PledgeFilter&);

// ---- writing ----

Status MemoryWriter::pledge_changed(const PledgeChange& change, const std::optional<Device>& newcomer, Instant at,
                                    std::string_view actor) {
  return whole([&]() -> Status {
    TRY([[maybe_unused]] const Ok joined, join(newcomer, at, actor));
    const auto there = std::ranges::find_if(t_.pledges, [&](const PledgeRow& r) {
      return r.id.issuer == change.row.id.issuer && r.id.serial == change.row.id.serial;
    });
    if (there == t_.pledges.end()) {
      t_.pledges.push_back(change.row);
    } else {
      *there = change.row;
    }
    const PledgeRow& r = change.row;
    return change.told ? audited(at, actor, change.action, r.device.empty() ? r.id.serial : r.device) : Status(Ok{});
  });
}

Status MemoryWriter::pledge_waits(const PledgeWaits& fact, Instant at, std::string_view actor) {
  return pledge_changed(after(find(t_.pledges, fact.id.issuer, fact.id.serial), fact, at), fact.newcomer, at, actor);
}

Status MemoryWriter::voucher_obtained(const VoucherObtained& fact, Instant at, std::string_view actor) {
  return pledge_changed(after(find(t_.pledges, fact.id.issuer, fact.id.serial), fact, at), fact.newcomer, at, actor);
}

Status MemoryWriter::voucher_reported(const VoucherReported& fact, Instant at, std::string_view actor) {
  std::vector<PledgeRow> held;
  PledgeFilter of_device;
  of_device.device = fact.device;
  of_device.held = true;
  if (!fact.device.empty()) {
    TRY(held, pledges(of_device));
  }
  TRY(const PledgeChange change,
      after(find(t_.pledges, fact.id.issuer, fact.id.serial), fact, at, hold_of(held, fact.id)));
  return pledge_changed(change, std::nullopt, at, actor);
}

Status MemoryWriter::enrolment_reported(const EnrolmentReported& fact, Instant at, std::string_view actor) {
  TRY(const PledgeChange change, after(find(t_.pledges, fact.id.issuer, fact.id.serial), fact, at));
  return pledge_changed(change, std::nullopt, at, actor);
}

Status MemoryWriter::pledge_refused(const PledgeRefused& fact, Instant at, std::string_view actor) {
  return pledge_changed(after(find(t_.pledges, fact.id.issuer, fact.id.serial), fact, at), std::nullopt, at, actor);
}

Status MemoryWriter::clear_pledge(const PledgeId& id, bool cleared, std::string_view reason, Instant at,
                                  std::string_view by) {
  TRY(const PledgeChange change, store::cleared(find(t_.pledges, id.issuer, id.serial), cleared, reason, at));
  return pledge_changed(change, std::nullopt, at, by);
}

Status MemoryWriter::release_pledge(const PledgeId& id, std::string_view reason, Instant at, std::string_view by) {
  const PledgeBefore before = find(t_.pledges, id.issuer, id.serial);
  CHECK_OR(before.has_value(), Error{Fault::refused, "pledge: not on record"});
  return pledge_changed(released(*before, reason, at), std::nullopt, at, by);
}

Status MemoryWriter::forget_pledges(std::string_view device, std::string_view reason, Instant at, std::string_view by) {
  const std::vector<PledgeRow> rows = t_.pledges;
  for (const PledgeRow& row : rows) {
    if (!device.empty() && row.device == device && !is_forgotten(row)) {
      TRY([[maybe_unused]] const Ok one, pledge_changed(forgotten(row, reason, at), std::nullopt, at, by));
    }
  }
  return Ok{};
}

}  // namespace imprint::store
