// Devices that ask for vouchers, as SQL.
#include "store/sqlite/run_json.h"
#include "store/sqlite/writer.h"

namespace imprint::store {
namespace {

#define IMPRINT_PLEDGE_COLUMNS                                                                                    \
  "issuer, serial, key, device, stage, form, nonce, request, voucher, domain_id, masa, run, first, last, asked, " \
  "vouchered, reported, enrolled, cleared, rule, reason, log, certificate, held"

std::optional<Instant> time_column(const Query& row, int column) {
  return row.is_null(column) ? std::nullopt : std::optional(Instant{row.number(column)});
}

Result<PledgeRow> pledge_row(const Query& row) {
  PledgeRow out;
  out.id = {row.text(1), row.bytes(0), row.bytes(2)};
  out.device = row.text(3);
  const std::optional<PledgeStage> stage = pledge_stage_named(row.text(4));
  CHECK_OR(stage.has_value(), Error{Fault::malformed, "store: pledge stage"});
  out.stage = *stage;
  out.form = row.text(5);
  out.nonce = row.text(6);
  out.request = row.bytes(7);
  out.voucher = row.bytes(8);
  out.domain_id = row.bytes(9);
  out.masa = row.text(10);
  out.run = row.text(11);
  out.first = Instant{row.number(12)};
  out.last = Instant{row.number(13)};
  out.asked = row.number(14);
  out.vouchered = time_column(row, 15);
  out.reported = time_column(row, 16);
  out.enrolled = time_column(row, 17);
  out.cleared = row.number(18) != 0;
  out.rule = row.text(19);
  out.reason = row.text(20);
  out.log = row.text(21);
  out.certificate = row.text(22);
  out.held = row.text(23);
  return out;
}

Result<std::optional<PledgeRow>> one(Query& query) {
  TRY(const bool row, query.step());
  if (!row) {
    return std::optional<PledgeRow>();
  }
  TRY(PledgeRow out, pledge_row(query));
  return std::optional(std::move(out));
}

// A time that may not have come yet is bound as text would be to no column: NULL by nullif().
constexpr std::int64_t kNever = INT64_MIN;
std::int64_t bound(const std::optional<Instant>& when) { return when ? when->ms : kNever; }

constexpr std::int64_t kMostPledges = 100'000;

}  // namespace

template <class I>
Result<std::optional<PledgeRow>> Reads<I>::pledge(BytesView issuer, std::string_view serial) {
  Query query =
      database_.query("SELECT " IMPRINT_PLEDGE_COLUMNS " FROM pledges WHERE issuer = ? AND serial = ?", issuer, serial);
  return one(query);
}

template <class I>
Result<std::vector<PledgeRow>> Reads<I>::pledges(const PledgeFilter& f) {
  const std::int64_t limit = std::min(std::max<std::int64_t>(f.limit, 1), kMostPledges);
  const std::string_view stage = f.stage ? name(*f.stage) : std::string_view();
  Query query = database_.query("SELECT " IMPRINT_PLEDGE_COLUMNS
                                " FROM pledges WHERE (issuer, serial) > (?1, ?2) AND (?3 = '' OR device = ?3)"
                                " AND (?4 = '' OR stage = ?4)"
                                " AND (?5 = 0 OR held <> '' OR (stage = 'imprinted' AND cleared = 0))"
                                " ORDER BY issuer, serial LIMIT ?6",
                                f.after_issuer, f.after_serial, f.device, stage, std::int64_t{f.held}, limit);
  std::vector<PledgeRow> out;
  while (true) {
    TRY(const bool row, query.step());
    if (!row) {
      return out;
    }
    TRY(PledgeRow next, pledge_row(query));
    out.push_back(std::move(next));
  }
}

template Result<std::optional<PledgeRow>> Reads<Reader>::pledge(BytesView, std::string_view);
template Result<std::optional<PledgeRow>> Reads<Writer>::pledge(BytesView, std::string_view);
template Result<std::vector<PledgeRow>> Reads<Reader>::pledges(const PledgeFilter&);
template Result<std::vector<PledgeRow>> Reads<Writer>::pledges(const PledgeFilter&);

// ---- writing ----

Status SqliteWriter::pledge_changed(const PledgeChange& change, const std::optional<Device>& newcomer, Instant at,
                                    std::string_view actor) {
  const PledgeRow& r = change.row;
  return whole([&]() -> Status {
    TRY([[maybe_unused]] const Ok joined, join(newcomer, r.device, at, actor));
    TRY([[maybe_unused]] const Ok written,
        database_
            .query("INSERT OR REPLACE INTO pledges (" IMPRINT_PLEDGE_COLUMNS
                   ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, -9223372036854775807 - 1),"
                   " nullif(?, -9223372036854775807 - 1), nullif(?, -9223372036854775807 - 1), ?, ?, ?, ?, ?, ?)",
                   r.id.issuer, r.id.serial, r.id.key, r.device, name(r.stage), r.form, r.nonce, r.request, r.voucher,
                   r.domain_id, r.masa, r.run, r.first.ms, r.last.ms, r.asked, bound(r.vouchered), bound(r.reported),
                   bound(r.enrolled), std::int64_t{r.cleared}, r.rule, r.reason, r.log, r.certificate, r.held)
            .run());
    if (!change.told) {
      return Ok{};
    }
    return audited(at, actor, change.action, r.device.empty() ? r.id.serial : r.device,
                   text_object({{"serial", r.id.serial},
                                {"issuer", hex(r.id.issuer)},
                                {"stage", name(r.stage)},
                                {"cleared", r.cleared ? "yes" : "no"},
                                {"held", r.held},
                                {"rule", r.rule},
                                {"reason", r.reason},
                                {"report", change.report},
                                {"masa", r.masa},
                                {"nonce", r.nonce},
                                {"domain_id", hex(r.domain_id)},
                                {"voucher", r.voucher.empty() ? std::string() : hex(sha256(r.voucher))},
                                {"certificate", r.certificate},
                                {"run", r.run}}));
  });
}

Status SqliteWriter::pledge_waits(const PledgeWaits& fact, Instant at, std::string_view actor) {
  TRY(const PledgeBefore before, pledge(fact.id.issuer, fact.id.serial));
  return pledge_changed(after(before, fact, at), fact.newcomer, at, actor);
}

Status SqliteWriter::voucher_obtained(const VoucherObtained& fact, Instant at, std::string_view actor) {
  TRY(const PledgeBefore before, pledge(fact.id.issuer, fact.id.serial));
  return pledge_changed(after(before, fact, at), fact.newcomer, at, actor);
}

Status SqliteWriter::voucher_reported(const VoucherReported& fact, Instant at, std::string_view actor) {
  TRY(const PledgeBefore before, pledge(fact.id.issuer, fact.id.serial));
  std::vector<PledgeRow> held;
  PledgeFilter of_device;
  of_device.device = fact.device;
  of_device.held = true;
  if (!fact.device.empty()) {
    TRY(held, pledges(of_device));
  }
  TRY(const PledgeChange change, after(before, fact, at, hold_of(held, fact.id)));
  return pledge_changed(change, std::nullopt, at, actor);
}

Status SqliteWriter::enrolment_reported(const EnrolmentReported& fact, Instant at, std::string_view actor) {
  TRY(const PledgeBefore before, pledge(fact.id.issuer, fact.id.serial));
  TRY(const PledgeChange change, after(before, fact, at));
  return pledge_changed(change, std::nullopt, at, actor);
}

Status SqliteWriter::pledge_refused(const PledgeRefused& fact, Instant at, std::string_view actor) {
  TRY(const PledgeBefore before, pledge(fact.id.issuer, fact.id.serial));
  return pledge_changed(after(before, fact, at), std::nullopt, at, actor);
}

Status SqliteWriter::clear_pledge(const PledgeId& id, bool cleared, std::string_view reason, Instant at,
                                  std::string_view by) {
  TRY(const PledgeBefore before, pledge(id.issuer, id.serial));
  TRY(const PledgeChange change, store::cleared(before, cleared, reason, at));
  return pledge_changed(change, std::nullopt, at, by);
}

Status SqliteWriter::release_pledge(const PledgeId& id, std::string_view reason, Instant at, std::string_view by) {
  TRY(const PledgeBefore before, pledge(id.issuer, id.serial));
  CHECK_OR(before.has_value(), Error{Fault::refused, "pledge: not on record"});
  return pledge_changed(released(*before, reason, at), std::nullopt, at, by);
}

Status SqliteWriter::forget_pledges(std::string_view device, std::string_view reason, Instant at, std::string_view by) {
  PledgeFilter of_device;
  of_device.device = device;
  of_device.limit = kMostPledges;
  TRY(const std::vector<PledgeRow> rows, device.empty() ? std::vector<PledgeRow>() : pledges(of_device));
  for (const PledgeRow& row : rows) {
    if (!is_forgotten(row)) {
      TRY([[maybe_unused]] const Ok one, pledge_changed(forgotten(row, reason, at), std::nullopt, at, by));
    }
  }
  return Ok{};
}

}  // namespace imprint::store
