#include "store/sqlite/writer.h"

#include <algorithm>

#include "store/certificates.h"
#include "store/issue_checks.h"
#include "store/rules.h"
#include "store/sqlite/run_json.h"

namespace imprint::store {
namespace {

constexpr std::string_view kNoDevice = "device: not in the inventory";

}  // namespace

// ---- the transaction ----

Status SqliteWriter::begin() {
  database_.forgive();
  TRY([[maybe_unused]] const Ok begun, database_.query("BEGIN IMMEDIATE").run());
  end_ = {};
  Query query = database_.query("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1");
  TRY(const bool row, query.step());
  if (row) {
    end_.sequence = query.number(0);
    const Bytes hash = query.bytes(1);
    CHECK_OR(hash.size() == end_.hash.size(), Error{Fault::malformed, "store: audit hash"});
    std::ranges::copy(hash, end_.hash.begin());
  }
  return Ok{};
}

Status SqliteWriter::change(const Store::Change& change) {
  return whole([&] { return change(*this); });
}

Status SqliteWriter::whole(const std::function<Status()>& part) {
  TRY([[maybe_unused]] const Ok marked, database_.query("SAVEPOINT part").run());
  const ChainEnd before = end_;
  Status done = part();
  if (database_.failed() || !database_.in_transaction()) {
    return Error{Fault::unreachable, "store: disk or memory failed"};  // whatever the part made of it
  }
  if (!done) {
    end_ = before;
    TRY([[maybe_unused]] const Ok undone, database_.query("ROLLBACK TO part").run());
  }
  TRY([[maybe_unused]] const Ok released, database_.query("RELEASE part").run());
  return done;
}

Status SqliteWriter::commit() { return database_.query("COMMIT").run(); }

void SqliteWriter::roll_back() {
  if (database_.in_transaction()) {  // SQLite may have rolled back by itself
    static_cast<void>(database_.query("ROLLBACK").run());
  }
}

// ---- devices and secrets ----

Status SqliteWriter::add_device(const Device& device, std::string_view actor) {
  return whole([&] { return add_device_part(device, actor); });
}

Status SqliteWriter::update_device(const Device& device, std::string_view actor, std::string_view action) {
  return whole([&] { return update_device_part(device, actor, action); });
}

Status SqliteWriter::add_device_part(const Device& device, std::string_view actor) {
  CHECK_OR(valid_device_id(device.id), Error{Fault::malformed, "device: id"});
  TRY([[maybe_unused]] const Ok added,
      database_
          .query("INSERT INTO devices (id, model, serial, label, lifecycle, admission, added, changed, version)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
                 device.id, device.model, device.serial, device.label, name(device.lifecycle), name(device.admission),
                 device.added.ms, device.added.ms)
          .run());
  TRY([[maybe_unused]] const Ok known, write_identities(device));
  return audited(device.added, actor, "device.added", device.id,
                 text_object({{"model", device.model},
                              {"serial", device.serial},
                              {"label", device.label},
                              {"lifecycle", name(device.lifecycle)},
                              {"admission", name(device.admission)}}));
}

Status SqliteWriter::update_device_part(const Device& device, std::string_view actor, std::string_view action) {
  TRY([[maybe_unused]] const Ok updated,
      database_
          .query("UPDATE devices SET model = ?, serial = ?, label = ?, lifecycle = ?, admission = ?, changed = ?,"
                 " version = version + 1 WHERE id = ? AND version = ?",
                 device.model, device.serial, device.label, name(device.lifecycle), name(device.admission),
                 device.changed.ms, device.id, device.version)
          .run());
  if (database_.changes() == 0) {
    TRY(const std::optional<Device> there, this->device(device.id));
    return there ? Error{Fault::conflict, "device: changed since it was read"} : Error{Fault::refused, kNoDevice};
  }
  TRY([[maybe_unused]] const Ok forgotten,
      database_.query("DELETE FROM device_identities WHERE device = ?", device.id).run());
  TRY([[maybe_unused]] const Ok known, write_identities(device));
  return audited(device.changed, actor, action, device.id,
                 text_object({{"model", device.model},
                              {"serial", device.serial},
                              {"label", device.label},
                              {"lifecycle", name(device.lifecycle)},
                              {"admission", name(device.admission)}}));
}

Status SqliteWriter::write_identities(const Device& device) {
  std::int64_t position = 0;
  for (const std::string& identity : device.identities) {
    TRY([[maybe_unused]] const Ok written,
        database_
            .query("INSERT INTO device_identities (identity, device, position) VALUES (?, ?, ?)", identity, device.id,
                   position++)
            .run());
  }
  return Ok{};
}

Status SqliteWriter::add_secret(const DeviceSecret& secret) {
  TRY(const std::optional<Device> device, this->device(secret.device));
  CHECK_OR(device.has_value(), Error{Fault::refused, kNoDevice});
  return database_
      .query("INSERT INTO secrets (mac, device, user, one_time, digest, srp) VALUES (?, ?, ?, ?, ?, ?)", secret.mac,
             secret.device, secret.user, std::int64_t{secret.one_time}, secret.digest, secret.srp)
      .run();
}

Status SqliteWriter::spend_one_time(std::string_view device, Instant at) {
  return database_
      .query("UPDATE secrets SET spent = ? WHERE device = ? AND one_time = 1 AND spent IS NULL", at.ms, device)
      .run();
}

// A device that the policy takes into the inventory together with a fact about it: conflict if it is there by now.
Status SqliteWriter::join(const std::optional<Device>& newcomer, std::string_view id, Instant at,
                          std::string_view actor) {
  if (!newcomer) {
    return Ok{};
  }
  CHECK_OR(newcomer->id == id, Error{Fault::malformed, "device: the newcomer is another one"});
  Device device = *newcomer;
  device.added = at;
  return add_device(device, actor);
}

// ---- certificates ----

Status SqliteWriter::issued(const Issued& fact, Instant at, std::string_view actor) {
  return whole([&] { return issued_part(fact, at, actor); });
}

Status SqliteWriter::issued_part(const Issued& fact, Instant at, std::string_view actor) {
  TRY(const Certificate certificate, Certificate::parse(fact.certificate));
  TRY([[maybe_unused]] const Ok good, check_issue(*this, fact, certificate, at));
  TRY([[maybe_unused]] const Ok joined, join(fact.newcomer, fact.grant.device, at, actor));
  TRY(const Lifecycle lifecycle, advance(fact, at));
  TRY([[maybe_unused]] const Ok spent, spend(fact, at));
  if (!fact.supersedes.empty()) {
    TRY([[maybe_unused]] const Ok revoked, revoke(fact.supersedes, RevocationReason::superseded, actor, at));
  }
  TRY([[maybe_unused]] const Ok written, put_certificate(certificate, fact, at));
  return audited(at, actor, "certificate.issued", fact.grant.device,
                 text_object({{"serial", hex(certificate.serial)},
                              {"profile", fact.grant.profile},
                              {"subject", certificate.subject.text},
                              {"not_after", utc_text(certificate.not_after)},
                              {"identity", fact.identity},
                              {"reason", fact.reason},
                              {"renews", hex(fact.renews)},
                              {"basis", name(fact.basis)},
                              {"evidence", fact.evidence},
                              {"run", fact.run},
                              {"lifecycle", name(lifecycle)}}));
}

Status SqliteWriter::issued_to_server(BytesView certificate, std::string_view reason, Instant at,
                                      std::string_view actor) {
  const Issued fact = fact_of_server(certificate, reason);
  return whole([&] { return issued_to_server_part(fact, at, actor); });
}

Status SqliteWriter::issued_to_server_part(const Issued& fact, Instant at, std::string_view actor) {
  TRY(const Certificate certificate, Certificate::parse(fact.certificate));
  TRY([[maybe_unused]] const Ok written, put_certificate(certificate, fact, at));
  return audited(at, actor, "certificate.issued", kServer,
                 text_object({{"serial", hex(certificate.serial)},
                              {"subject", certificate.subject.text},
                              {"not_after", utc_text(certificate.not_after)},
                              {"identity", fact.identity},
                              {"reason", fact.reason}}));
}

// The server has no entry in the inventory: its device is NULL. The audit entry is the next one.
Status SqliteWriter::put_certificate(const Certificate& certificate, const Issued& fact, Instant at) {
  const CertificateRow row = row_of(certificate, fact, at);
  return database_
      .query(
          "INSERT INTO certificates (serial, device, profile, subject, der, spki_sha256, request_key,"
          " not_before, not_after, issued, identity, reason, renews, sha256, names, basis, evidence, run, issued_entry)"
          " VALUES (?, nullif(?, '(server)'), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          row.serial, row.device, row.profile, row.subject, row.der, row.spki_sha256, row.request_key,
          row.not_before.ms, row.not_after.ms, row.issued.ms, row.identity, row.reason, row.renews, sha256(row.der),
          names_text(certificate), name(row.origin.basis), row.origin.evidence, row.origin.run, end_.sequence + 1)
      .run();
}

// Moves the device on in its life, if the certificate does.
Result<Lifecycle> SqliteWriter::advance(const Issued& fact, Instant at) {
  std::optional<Lifecycle> now;
  {
    Query query = database_.query("SELECT lifecycle FROM devices WHERE id = ?", fact.grant.device);
    TRY(const bool row, query.step());
    CHECK_OR(row, Error{Fault::refused, kNoDevice});
    now = lifecycle_named(query.text(0));
  }
  CHECK_OR(now.has_value(), Error{Fault::malformed, "store: lifecycle"});
  const Lifecycle next = after_certificate(*now, is_renewal(fact));
  if (next != *now) {
    TRY([[maybe_unused]] const Ok moved,
        database_
            .query("UPDATE devices SET lifecycle = ?, changed = ?, version = version + 1 WHERE id = ?", name(next),
                   at.ms, fact.grant.device)
            .run());
  }
  return next;
}

// Uses up the one-time secret that the fact names by its MAC in hexadecimal: a second certificate asked for at the same
// time finds it spent.
Status SqliteWriter::spend(const Issued& fact, Instant at) {
  if (fact.spent.empty()) {
    return Ok{};
  }
  const Bytes mac = from_hex(fact.spent).value_or(Bytes{});
  TRY([[maybe_unused]] const Ok spent,
      database_
          .query("UPDATE secrets SET spent = ? WHERE device = ? AND mac = ? AND one_time = 1 AND spent IS NULL", at.ms,
                 fact.grant.device, mac)
          .run());
  CHECK_OR(database_.changes() > 0, Error{Fault::conflict, "secret: spent already"});
  return Ok{};
}

Status SqliteWriter::revoke(BytesView serial, RevocationReason reason, std::string_view by, Instant at) {
  TRY(const std::optional<CertificateRow> row, certificate(serial));
  CHECK_OR(row.has_value(), Error{Fault::refused, "certificate: not on record"});
  CHECK_OR(!row->revoked, Error{Fault::conflict, "certificate: revoked already"});
  TRY([[maybe_unused]] const Ok revoked,
      database_
          .query("UPDATE certificates SET revoked = ?, revocation_reason = ?, revoked_entry = ? WHERE serial = ?",
                 at.ms, static_cast<std::int64_t>(reason), end_.sequence + 1, serial)
          .run());
  return audited(at, by, "certificate.revoked", row->device,
                 text_object({{"serial", hex(serial)}, {"reason_code", std::to_string(static_cast<int>(reason))}}));
}

// ---- requests ----

Status SqliteWriter::pended(const Pended& fact, Instant at, std::string_view actor) {
  return whole([&] { return pended_part(fact, at, actor); });
}

Status SqliteWriter::pended_part(const Pended& fact, Instant at, std::string_view actor) {
  TRY([[maybe_unused]] const Ok again,
      database_.query("UPDATE pending SET last = ?, asked = asked + 1 WHERE request_key = ?", at.ms, fact.request_key)
          .run());
  if (database_.changes() > 0) {
    return Ok{};
  }
  TRY([[maybe_unused]] const Ok few, check_waiting(fact.device));
  TRY([[maybe_unused]] const Ok joined, join(fact.newcomer, fact.device, at, actor));
  TRY([[maybe_unused]] const Ok written,
      database_
          .query("INSERT INTO pending (request_key, device, identity, device_identity, label, subject, csr, reason,"
                 " first, last, asked, state, decided_by, decided) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, '', 0)",
                 fact.request_key, fact.device, fact.identity, fact.device_identity, fact.label, fact.subject, fact.csr,
                 fact.reason, at.ms, at.ms, name(Admission::waiting))
          .run());
  return audited(at, actor, "request.pending", fact.device,
                 text_object({{"request", hex(fact.request_key)},
                              {"identity", fact.identity},
                              {"label", fact.label},
                              {"subject", fact.subject},
                              {"reason", fact.reason}}));
}

Status SqliteWriter::check_waiting(std::string_view device) {
  Query query =
      database_.query("SELECT count(*) FROM pending WHERE device = ? AND state = ?", device, name(Admission::waiting));
  TRY(const bool row, query.step());
  CHECK_OR(!row || query.number(0) < kMostWaiting, Error{Fault::refused, kWaitingMany});
  return Ok{};
}

Status SqliteWriter::denied(const Denied& fact, Instant at, std::string_view actor) {
  return whole([&] { return denied_part(fact, at, actor); });
}

// A device that is refused may ask on and on; what is said to it is told once.
Status SqliteWriter::denied_part(const Denied& fact, Instant at, std::string_view actor) {
  std::string detail = text_object({{"request", hex(fact.request_key)},
                                    {"identity", fact.identity},
                                    {"label", fact.label},
                                    {"rule", fact.rule},
                                    {"reason", fact.reason}});
  const Sha256 digest = sha256(view(fact.subject + '\n' + detail));
  TRY([[maybe_unused]] const Ok again,
      database_.query("UPDATE denials SET last = ?, asked = asked + 1 WHERE digest = ?", at.ms, digest).run());
  if (database_.changes() > 0) {
    return Ok{};
  }
  TRY([[maybe_unused]] const Ok written,
      database_
          .query("INSERT INTO denials (digest, request_key, first, last, asked) VALUES (?, ?, ?, ?, 1)", digest,
                 fact.request_key, at.ms, at.ms)
          .run());
  return audited(at, actor, "request.denied", fact.subject, std::move(detail));
}

Status SqliteWriter::decide(BytesView request_key, Admission verdict, std::string_view by, Instant at) {
  CHECK_OR(verdict == Admission::approved || verdict == Admission::refused,
           Error{Fault::malformed, "request: verdict"});
  TRY(const std::optional<PendingRow> row, pending(request_key));
  CHECK_OR(row.has_value(), Error{Fault::refused, "request: not on record"});
  CHECK_OR(row->state == Admission::waiting, Error{Fault::conflict, "request: decided already"});
  TRY([[maybe_unused]] const Ok decided,
      database_
          .query("UPDATE pending SET state = ?, decided_by = ?, decided = ? WHERE request_key = ?", name(verdict), by,
                 at.ms, request_key)
          .run());
  const std::string_view action = verdict == Admission::approved ? "request.approved" : "request.refused";
  return audited(
      at, by, action, row->what.device,
      text_object({{"request", hex(request_key)}, {"identity", row->what.identity}, {"subject", row->what.subject}}));
}

// ---- revocation lists, runs and audit ----

Result<std::int64_t> SqliteWriter::next_list_number(std::int64_t least) {
  Query query = database_.query(
      "INSERT INTO numbers (name, last) VALUES ('revocation list', ?)"
      " ON CONFLICT (name) DO UPDATE SET last = max(last + 1, excluded.last) RETURNING last",
      least);
  TRY(const bool row, query.step());
  CHECK_OR(row, Error{Fault::internal, "store: no number"});
  return query.number(0);
}

Status SqliteWriter::save_run(const Run& run) {
  return database_
      .query(
          "INSERT OR REPLACE INTO runs (id, protocol, mode, role, device, started, ended, result, rule, summary,"
          " steps, beliefs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          run.id, run.protocol, run.mode, run.role, run.device, run.started.ms, run.ended.ms, run.result, run.rule,
          summary_json(run), steps_json(run), beliefs_json(run))
      .run();
}

Status SqliteWriter::prune_runs(std::int64_t keep) {
  return database_
      .query("DELETE FROM runs WHERE id IN (SELECT id FROM runs ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?)",
             keep)
      .run();
}

Status SqliteWriter::append_audit(AuditEntry entry) {
  entry.sequence = end_.sequence + 1;
  entry.previous = end_.hash;
  entry.hash = audit_hash(entry);
  TRY([[maybe_unused]] const Ok written,
      database_
          .query("INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                 entry.sequence, entry.at.ms, entry.actor, entry.action, entry.subject, entry.detail, entry.previous,
                 entry.hash)
          .run());
  end_ = {entry.sequence, entry.hash};
  return Ok{};
}

Status SqliteWriter::audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject,
                             std::string detail) {
  AuditEntry entry;
  entry.at = at;
  entry.actor = actor;
  entry.action = action;
  entry.subject = subject;
  entry.detail = std::move(detail);
  return append_audit(std::move(entry));
}

}  // namespace imprint::store
