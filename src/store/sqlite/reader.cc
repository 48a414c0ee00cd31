#include "store/sqlite/reader.h"

#include <algorithm>
#include <array>

#include "store/sqlite/rows.h"
#include "store/sqlite/run_json.h"

namespace imprint::store {
namespace {

constexpr std::int64_t kMostRows = 100'000;  // one call never builds more: callers page

std::int64_t bounded(std::int64_t limit) { return std::clamp<std::int64_t>(limit, 1, kMostRows); }

// The first row as a value, or nothing.
template <class T>
Result<std::optional<T>> one(Query& query, Result<T> (*read)(const Query&)) {
  TRY(const bool row, query.step());
  if (!row) {
    return std::optional<T>();
  }
  TRY(T value, read(query));
  return std::optional<T>(std::move(value));
}

// Every row as a value.
template <class T>
Result<std::vector<T>> all(Query& query, Result<T> (*read)(const Query&)) {
  std::vector<T> out;
  while (true) {
    TRY(const bool row, query.step());
    if (!row) {
      return out;
    }
    TRY(T value, read(query));
    out.push_back(std::move(value));
  }
}

Result<std::string> first_text(const Query& row) { return row.text(0); }

Status read_identities(Database& database, Device& device) {
  Query query = database.query("SELECT identity FROM device_identities WHERE device = ? ORDER BY position", device.id);
  TRY(device.identities, all(query, first_text));
  return Ok{};
}

Result<std::optional<Device>> one_device(Database& database, Query& query) {
  TRY(std::optional<Device> device, one(query, device_row));
  if (device) {
    TRY([[maybe_unused]] const Ok read, read_identities(database, *device));
  }
  return device;
}

Result<Revoked> revoked_row(const Query& row) {
  return Revoked{row.bytes(0), Instant{row.number(1)}, static_cast<RevocationReason>(row.number(2))};
}

// A filter's parts are ?1 to ?11; those that are not filled in fit every row.
#define IMPRINT_CERTIFICATES_WHERE "SELECT " IMPRINT_CERTIFICATE_COLUMNS " FROM certificates WHERE "
#define IMPRINT_CERTIFICATES_FIT                                                                                    \
  " AND serial > ?1 AND serial >= ?7 AND (?2 = '' OR coalesce(device, '(server)') = ?2)"                            \
  " AND (?3 < 0 OR ?3 = CASE WHEN revoked IS NOT NULL THEN 2 WHEN not_after <= ?4 THEN 1 ELSE 0 END)"               \
  " AND (?5 = '' OR instr(lower(subject || char(10) || names), lower(?5)) > 0) AND (?6 = '' OR profile = ?6)"       \
  " AND substr(serial, 1, length(?7)) = ?7 AND (length(?8) = 0 OR sha256 = ?8) AND not_after < ?9 AND not_after > " \
  "?10 ORDER BY serial LIMIT ?11"

// Several statements that differ in what comes first, so that each can use its index.
std::string_view statement_for(const CertificateFilter& filter) {
  if (!filter.sha256.empty()) {
    return IMPRINT_CERTIFICATES_WHERE "sha256 = ?8" IMPRINT_CERTIFICATES_FIT;
  }
  if (filter.device == kServer) {
    return IMPRINT_CERTIFICATES_WHERE "device IS NULL" IMPRINT_CERTIFICATES_FIT;
  }
  if (!filter.device.empty()) {
    return IMPRINT_CERTIFICATES_WHERE "device = ?2" IMPRINT_CERTIFICATES_FIT;
  }
  if (filter.state == CertificateState::revoked) {
    return IMPRINT_CERTIFICATES_WHERE "revoked IS NOT NULL" IMPRINT_CERTIFICATES_FIT;
  }
  return IMPRINT_CERTIFICATES_WHERE "TRUE" IMPRINT_CERTIFICATES_FIT;
}

}  // namespace

template <class I>
Result<std::optional<Device>> Reads<I>::device(std::string_view id) {
  Query query = database_.query("SELECT " IMPRINT_DEVICE_COLUMNS " FROM devices d WHERE d.id = ?", id);
  return one_device(database_, query);
}

template <class I>
Result<std::optional<Device>> Reads<I>::device_by_identity(std::string_view identity) {
  Query query = database_.query("SELECT " IMPRINT_DEVICE_COLUMNS
                                " FROM device_identities i JOIN devices d ON d.id = i.device WHERE i.identity = ?",
                                identity);
  return one_device(database_, query);
}

template <class I>
Result<std::vector<Device>> Reads<I>::devices(std::string_view after_id, std::int64_t limit) {
  Query query = database_.query("SELECT " IMPRINT_DEVICE_COLUMNS " FROM devices d WHERE d.id > ? ORDER BY d.id LIMIT ?",
                                after_id, bounded(limit));
  TRY(std::vector<Device> devices, all(query, device_row));
  for (Device& each : devices) {
    TRY([[maybe_unused]] const Ok read, read_identities(database_, each));
  }
  return devices;
}

template <class I>
Result<std::optional<DeviceSecret>> Reads<I>::secret(const Sha256& mac) {
  Query query = database_.query("SELECT " IMPRINT_SECRET_COLUMNS " FROM secrets WHERE mac = ?", mac);
  return one(query, secret_row);
}

template <class I>
Result<std::vector<DeviceSecret>> Reads<I>::secrets_of(std::string_view user) {
  Query query = database_.query("SELECT " IMPRINT_SECRET_COLUMNS
                                " FROM secrets WHERE user = ? AND digest <> x''"
                                " ORDER BY spent IS NOT NULL, spent DESC, mac LIMIT 8",
                                user);
  return all(query, secret_row);
}

template <class I>
Result<std::vector<WrapKeyRow>> Reads<I>::wrap_keys(std::string_view device) {
  Query query =
      database_.query("SELECT " IMPRINT_WRAP_KEY_COLUMNS " FROM wrap_keys WHERE device = ? ORDER BY id", device);
  return all(query, wrap_key_row);
}

template <class I>
Result<std::optional<WrapKeyRow>> Reads<I>::wrap_key(const Sha256& mac) {
  Query query = database_.query("SELECT " IMPRINT_WRAP_KEY_COLUMNS " FROM wrap_keys WHERE mac = ?", mac);
  return one(query, wrap_key_row);
}

template <class I>
Result<std::optional<CertificateRow>> Reads<I>::certificate(BytesView serial) {
  Query query = database_.query("SELECT " IMPRINT_CERTIFICATE_COLUMNS " FROM certificates WHERE serial = ?", serial);
  return one(query, certificate_row);
}

template <class I>
Result<std::optional<CertificateRow>> Reads<I>::certificate_for(BytesView request_key) {
  Query query = database_.query("SELECT " IMPRINT_CERTIFICATE_COLUMNS
                                " FROM certificates WHERE request_key = ? AND revoked IS NULL"
                                " ORDER BY sequence DESC LIMIT 1",
                                request_key);
  return one(query, certificate_row);
}

template <class I>
Result<std::optional<std::string>> Reads<I>::other_called(std::string_view id, std::string_view own) {
  Query query =
      database_.query("SELECT id FROM devices WHERE id = ? COLLATE NOCASE AND id <> ? ORDER BY id LIMIT 1", id, own);
  return one(query, first_text);
}

template <class I>
Result<std::optional<std::string>> Reads<I>::other_holder(BytesView spki_sha256, std::string_view device) {
  Query query = database_.query(
      "SELECT coalesce(device, '(server)') FROM certificates WHERE spki_sha256 = ? AND revoked IS NULL"
      " AND (device IS NULL OR device <> ?) LIMIT 1",
      spki_sha256, device);
  return one(query, first_text);
}

template <class I>
Result<bool> Reads<I>::is_compromised(BytesView spki_sha256) {
  Query query = database_.query(
      "SELECT 1 FROM certificates WHERE spki_sha256 = ? AND revoked IS NOT NULL AND revocation_reason = ? LIMIT 1",
      spki_sha256, static_cast<std::int64_t>(RevocationReason::key_compromise));
  return query.step();
}

template <class I>
Result<std::optional<CertificateRow>> Reads<I>::successor(BytesView serial) {
  Query query = database_.query("SELECT " IMPRINT_CERTIFICATE_COLUMNS
                                " FROM certificates WHERE renews = ? AND renews <> x'' ORDER BY sequence LIMIT 1",
                                serial);
  return one(query, certificate_row);
}

template <class I>
Result<std::int64_t> Reads<I>::live_certificates(std::string_view device, Instant now) {
  Query query = database_.query(
      "SELECT count(*) FROM certificates c WHERE device = ? AND revoked IS NULL AND not_after > ?"
      " AND NOT EXISTS (SELECT 1 FROM certificates s WHERE s.renews = c.serial AND s.renews <> x'')",
      device, now.ms);
  TRY([[maybe_unused]] const bool row, query.step());
  return query.number(0);
}

template <class I>
Result<std::vector<CertificateRow>> Reads<I>::certificates(const CertificateFilter& filter) {
  const CertificateFilter& f = filter;
  const std::int64_t state = f.state ? static_cast<std::int64_t>(*f.state) : -1;
  Query query = database_.query(statement_for(f), f.after_serial, f.device, state, f.now.ms, f.text, f.profile,
                                f.serial, f.sha256, f.ends_before.value_or(Instant{INT64_MAX}).ms,
                                f.ends_after.value_or(Instant{INT64_MIN}).ms, bounded(f.limit));
  return all(query, certificate_row);
}

template <class I>
Result<std::vector<Revoked>> Reads<I>::revoked(Instant ends_after) {
  Query query = database_.query(
      "SELECT serial, revoked, revocation_reason FROM certificates WHERE revoked IS NOT NULL AND not_after > ?"
      " ORDER BY serial",
      ends_after.ms);
  return all(query, revoked_row);
}

template <class I>
Result<std::optional<PendingRow>> Reads<I>::pending(BytesView request_key) {
  Query query = database_.query("SELECT " IMPRINT_PENDING_COLUMNS " FROM pending WHERE request_key = ?", request_key);
  return one(query, pending_row);
}

template <class I>
Result<std::vector<PendingRow>> Reads<I>::waiting(std::string_view device) {
  // The state is written out in `kAll`: only so is its index known to fit.
  static constexpr std::string_view kAll = "SELECT " IMPRINT_PENDING_COLUMNS
                                           " FROM pending WHERE ?1 = '' AND state = 'waiting'"
                                           " ORDER BY first, request_key LIMIT ?2";
  static constexpr std::string_view kOfDevice = "SELECT " IMPRINT_PENDING_COLUMNS
                                                " FROM pending WHERE device = ?1 AND state = 'waiting'"
                                                " ORDER BY first, request_key LIMIT ?2";
  Query query = database_.query(device.empty() ? kAll : kOfDevice, device, kMostRows);
  return all(query, pending_row);
}

template <class I>
Result<std::vector<PendingRow>> Reads<I>::all_pending() {
  Query query =
      database_.query("SELECT " IMPRINT_PENDING_COLUMNS " FROM pending ORDER BY first, request_key LIMIT ?", kMostRows);
  return all(query, pending_row);
}

template <class I>
Result<std::vector<PendingRow>> Reads<I>::pending_page(const PendingFilter& filter) {
  static constexpr std::string_view kWaiting = "SELECT " IMPRINT_PENDING_COLUMNS
                                               " FROM pending WHERE (first, request_key) > (?1, ?2)"
                                               " AND state = 'waiting' ORDER BY first, request_key LIMIT ?3";
  static constexpr std::string_view kAll = "SELECT " IMPRINT_PENDING_COLUMNS
                                           " FROM pending WHERE (first, request_key) > (?1, ?2)"
                                           " ORDER BY first, request_key LIMIT ?3";
  Query query =
      database_.query(filter.decided ? kAll : kWaiting, filter.after.ms, filter.after_key, bounded(filter.limit));
  return all(query, pending_row);
}

template <class I>
Result<std::vector<AuditEntry>> Reads<I>::audit(std::int64_t after_sequence, std::int64_t limit) {
  Query query =
      database_.query("SELECT " IMPRINT_AUDIT_COLUMNS " FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?",
                      after_sequence, bounded(limit));
  return all(query, audit_row);
}

template <class I>
Result<std::vector<AuditEntry>> Reads<I>::audit_about(std::string_view subject, std::string_view action) {
  Query query = database_.query("SELECT " IMPRINT_AUDIT_COLUMNS
                                " FROM audit WHERE subject = ? AND action = ? ORDER BY sequence DESC LIMIT 1000",
                                subject, action);
  return all(query, audit_row);
}

template <class I>
Result<std::optional<Run>> Reads<I>::run(std::string_view id) {
  Query query = database_.query("SELECT " IMPRINT_RUN_COLUMNS ", steps, beliefs FROM runs WHERE id = ?", id);
  TRY(std::optional<Run> run, one(query, run_row));
  if (run) {
    TRY([[maybe_unused]] const Ok steps, read_steps(query.text(10), *run));
    TRY([[maybe_unused]] const Ok beliefs, read_beliefs(query.text(11), *run));
  }
  return run;
}

template <class I>
Result<std::vector<Run>> Reads<I>::runs(const RunFilter& filter) {
  static constexpr std::string_view kAll = "SELECT " IMPRINT_RUN_COLUMNS
                                           " FROM runs WHERE ?1 = '' AND (started, id) < (?2, ?3)"
                                           " ORDER BY started DESC, id DESC LIMIT ?4";
  static constexpr std::string_view kOfDevice = "SELECT " IMPRINT_RUN_COLUMNS
                                                " FROM runs WHERE device = ?1 AND (started, id) < (?2, ?3)"
                                                " ORDER BY started DESC, id DESC LIMIT ?4";
  Query query = database_.query(filter.device.empty() ? kAll : kOfDevice, filter.device, filter.before.ms,
                                filter.before_id, bounded(filter.limit));
  return all(query, run_row);
}

template <class I>
Result<std::int64_t> Reads<I>::count(std::string_view table) {
  // Names of tables cannot be bound, so each has its statement.
  struct Counted {
    std::string_view table, sql;
  };
  static constexpr std::array<Counted, 6> kTables{{{"devices", "SELECT count(*) FROM devices"},
                                                   {"certificates", "SELECT count(*) FROM certificates"},
                                                   {"audit", "SELECT count(*) FROM audit"},
                                                   {"runs", "SELECT count(*) FROM runs"},
                                                   {"pending", "SELECT count(*) FROM pending"},
                                                   {"pledges", "SELECT count(*) FROM pledges"}}};
  const auto* known = std::ranges::find(kTables, table, &Counted::table);
  CHECK_OR(known != kTables.end(), Error{Fault::unsupported, "store: no such table"});
  Query query = database_.query(known->sql);
  TRY([[maybe_unused]] const bool row, query.step());
  return query.number(0);
}

template class Reads<Reader>;
template class Reads<Writer>;

}  // namespace imprint::store
