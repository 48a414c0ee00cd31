#include <algorithm>

#include "model/device.h"
#include "store/maker/maker_sql.h"
#include "store/sqlite/run_json.h"

namespace imprint::store {
namespace {

constexpr std::size_t kMaxAnchors = 32;

// How a device is called in the audit log: serial number and CA.
std::string subject_of(std::string_view serial, BytesView issuer) {
  return std::string(serial) + " of " + hex(issuer).substr(0, 16);
}

}  // namespace

Status MakerSqlWriter::begin() {
  database_.forgive();
  TRY([[maybe_unused]] const Ok begun, database_.query("BEGIN IMMEDIATE").run());
  last_sequence_ = 0;
  last_hash_ = {};
  Query query = database_.query("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1");
  TRY(const bool row, query.step());
  if (row) {
    last_sequence_ = query.number(0);
    const Bytes hash = query.bytes(1);
    CHECK_OR(hash.size() == last_hash_.size(), Error{Fault::malformed, "maker store: audit hash"});
    std::ranges::copy(hash, last_hash_.begin());
  }
  return Ok{};
}

Status MakerSqlWriter::change(const MakerStore::Change& change) {
  TRY([[maybe_unused]] const Ok marked, database_.query("SAVEPOINT part").run());
  const std::int64_t sequence = last_sequence_;
  const Sha256 hash = last_hash_;
  Status done = change(*this);
  if (database_.failed() || !database_.in_transaction()) {
    return Error{Fault::unreachable, "maker store: disk or memory failed"};
  }
  if (!done) {
    last_sequence_ = sequence;
    last_hash_ = hash;
    TRY([[maybe_unused]] const Ok undone, database_.query("ROLLBACK TO part").run());
  }
  TRY([[maybe_unused]] const Ok released, database_.query("RELEASE part").run());
  return done;
}

Status MakerSqlWriter::commit() { return database_.query("COMMIT").run(); }

void MakerSqlWriter::roll_back() {
  if (database_.in_transaction()) {  // SQLite may have rolled back by itself
    static_cast<void>(database_.query("ROLLBACK").run());
  }
}

Status MakerSqlWriter::audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject,
                               std::string detail) {
  AuditEntry entry;
  entry.sequence = last_sequence_ + 1;
  entry.at = at;
  entry.actor = actor;
  entry.action = action;
  entry.subject = subject;
  entry.detail = std::move(detail);
  entry.previous = last_hash_;
  entry.hash = audit_hash(entry);
  TRY([[maybe_unused]] const Ok written,
      database_
          .query("INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                 entry.sequence, entry.at.ms, entry.actor, entry.action, entry.subject, entry.detail, entry.previous,
                 entry.hash)
          .run());
  last_sequence_ = entry.sequence;
  last_hash_ = entry.hash;
  return Ok{};
}

Status MakerSqlWriter::add_device(const MakerDevice& device, std::string_view actor) {
  CHECK_OR(valid_maker_serial(device.serial) && !device.issuer.empty() && device.issuer.size() <= 64,
           Error{Fault::malformed, "maker device: serial number or issuer"});
  TRY(const auto there, this->device(device.issuer, device.serial));
  CHECK_OR(!there, Error{Fault::conflict, "maker device: it is on record"});
  const std::string state(name(device.state));
  Query query =
      device.idevid
          ? database_.query(
                "INSERT INTO maker_devices (issuer, serial, model, customer, state, added, changed, idevid)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                device.issuer, device.serial, device.model, device.customer, state, device.added.ms, device.added.ms,
                device.idevid->der)
          : database_.query(
                "INSERT INTO maker_devices (issuer, serial, model, customer, state, added, changed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                device.issuer, device.serial, device.model, device.customer, state, device.added.ms, device.added.ms);
  TRY([[maybe_unused]] const Ok added, query.run());
  return audited(device.added, actor, "device.added", subject_of(device.serial, device.issuer),
                 text_object({{"model", device.model}, {"customer", device.customer}}));
}

Status MakerSqlWriter::update_device(const MakerDevice& device) {
  TRY([[maybe_unused]] const Ok updated,
      database_
          .query("UPDATE maker_devices SET model = ?, customer = ?, state = ?, claimant = ?, claimed_key = ?,"
                 " changed = ?, owner = ?, owner_url = ?, owner_pin = NULL, owner_configuration = ?,"
                 " version = version + 1 WHERE serial = ? AND issuer = ? AND version = ?",
                 device.model, device.customer, name(device.state), device.claimant, device.claimed_key,
                 device.changed.ms, name(device.owner.kind), device.owner.url, device.owner.configuration,
                 device.serial, device.issuer, device.version)
          .run());
  CHECK_OR(database_.changes() == 1, Error{Fault::conflict, "maker device: changed since it was read"});
  if (device.owner.pinned) {
    TRY([[maybe_unused]] const Ok pinned,
        database_
            .query("UPDATE maker_devices SET owner_pin = ? WHERE serial = ? AND issuer = ?", device.owner.pinned->der,
                   device.serial, device.issuer)
            .run());
  }
  return Ok{};
}

Status MakerSqlWriter::change_device(const MakerDevice& device, std::string_view actor, std::string_view action,
                                     std::string_view detail) {
  TRY([[maybe_unused]] const Ok updated, update_device(device));
  // Whoever it belongs to now: a request of before is answered anew, and not with the voucher of before.
  TRY([[maybe_unused]] const Ok forgotten,
      database_
          .query("UPDATE vouchers SET request = NULL WHERE serial = ? AND issuer = ? AND request IS NOT NULL",
                 device.serial, device.issuer)
          .run());
  return audited(device.changed, actor, action, subject_of(device.serial, device.issuer), std::string(detail));
}

Status MakerSqlWriter::put_customer(const Customer& customer, std::string_view actor) {
  CHECK_OR(valid_device_id(customer.id), Error{Fault::malformed, "customer: id"});
  CHECK_OR(customer.anchors.size() <= kMaxAnchors, Error{Fault::limit, "customer: more than 32 certificates"});
  TRY(const auto there, this->customer(customer.id));
  TRY([[maybe_unused]] const Ok put, database_
                                         .query("INSERT INTO customers (id, name, added, digest, base64_bodies)"
                                                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                                                " name = excluded.name, password = NULL, digest = excluded.digest,"
                                                " base64_bodies = excluded.base64_bodies",
                                                customer.id, customer.name, customer.added.ms, customer.digest,
                                                std::int64_t{customer.base64_bodies ? 1 : 0})
                                         .run());
  if (customer.password) {
    TRY([[maybe_unused]] const Ok kept,
        database_.query("UPDATE customers SET password = ? WHERE id = ?", *customer.password, customer.id).run());
  }
  TRY([[maybe_unused]] const Ok forgotten,
      database_.query("DELETE FROM customer_anchors WHERE customer = ?", customer.id).run());
  for (const Certificate& anchor : customer.anchors) {
    TRY([[maybe_unused]] const Ok kept, database_
                                            .query("INSERT INTO customer_anchors (key, customer, der) VALUES (?, ?, ?)",
                                                   key_digest(anchor), customer.id, anchor.der)
                                            .run());
  }
  return audited(customer.added, actor, there ? "customer.changed" : "customer.added", customer.id,
                 text_object({{"name", customer.name},
                              {"certificates", std::to_string(customer.anchors.size())},
                              {"password", customer.password ? "set" : "none"},
                              {"digest", customer.digest.empty() ? "none" : "set"},
                              {"base64_bodies", customer.base64_bodies ? "yes" : "no"}}));
}

Status MakerSqlWriter::vouched(const GivenVoucher& given, std::string_view actor) {
  const VoucherEntry& entry = given.entry;
  TRY(auto device, this->device(entry.issuer, entry.serial));
  CHECK_OR(device && device->version == given.version,
           Error{Fault::conflict, "maker device: changed since it was read"});
  TRY(const auto before, this->given(given.request, given.form));
  CHECK_OR(!before, Error{Fault::conflict, "voucher: the same request was answered meanwhile"});
  device->state = Custody::claimed;
  device->claimant = entry.customer;
  device->claimed_key = entry.pinned_key;
  device->changed = entry.at;
  TRY([[maybe_unused]] const Ok claimed, update_device(*device));
  TRY([[maybe_unused]] const Ok logged,
      database_
          .query("INSERT INTO vouchers (issuer, serial, at, domain_id, pinned_key, assertion, customer, request, form,"
                 " voucher) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 entry.issuer, entry.serial, entry.at.ms, entry.domain_id, entry.pinned_key, entry.assertion,
                 entry.customer, given.request, given.form, given.voucher)
          .run());
  if (entry.nonce) {
    TRY([[maybe_unused]] const Ok kept,
        database_.query("UPDATE vouchers SET nonce = ? WHERE sequence = last_insert_rowid()", *entry.nonce).run());
  }
  return audited(entry.at, actor, "voucher.given", subject_of(entry.serial, entry.issuer),
                 text_object({{"customer", entry.customer},
                              {"domain", hex(entry.domain_id)},
                              {"assertion", entry.assertion},
                              {"nonce", entry.nonce ? "yes" : "no"},
                              {"request", hex(given.request)}}));
}

Status MakerSqlWriter::claim_refused(const RefusedClaim& claim, std::string_view actor) {
  TRY([[maybe_unused]] const Ok counted,
      database_
          .query("UPDATE refused_claims SET times = times + 1, last = ?, registrar = ?, customer = ?"
                 " WHERE serial = ? AND issuer = ? AND rule = ?",
                 claim.last.ms, claim.registrar, claim.customer, claim.serial, claim.issuer, claim.rule)
          .run());
  if (database_.changes() > 0) {
    return Ok{};
  }
  TRY([[maybe_unused]] const Ok first,
      database_
          .query("INSERT INTO refused_claims (issuer, serial, rule, registrar, customer, first, last, times)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                 claim.issuer, claim.serial, claim.rule, claim.registrar, claim.customer, claim.last.ms, claim.last.ms)
          .run());
  return audited(claim.last, actor, "claim.refused", subject_of(claim.serial, claim.issuer),
                 text_object({{"rule", claim.rule}, {"registrar", claim.registrar}, {"customer", claim.customer}}));
}

Result<std::int64_t> MakerSqlWriter::prune(Instant before, Instant now, std::string_view actor) {
  TRY([[maybe_unused]] const Ok forgotten,
      database_
          .query("UPDATE vouchers SET request = NULL, voucher = NULL WHERE at < ? AND voucher IS NOT NULL", before.ms)
          .run());
  // The latest of each device, domain and kind counts those that go (RFC 8995 section 5.8.1).
  TRY([[maybe_unused]] const Ok counted,
      database_
          .query("WITH kept (latest, gone) AS (SELECT max(sequence), sum(CASE WHEN at < ?1 THEN 1 + truncated END)"
                 "   FROM vouchers GROUP BY serial, issuer, pinned_key, nonce IS NULL)"
                 " UPDATE vouchers SET truncated = kept.gone - CASE WHEN at < ?1 THEN 1 ELSE -truncated END FROM kept"
                 " WHERE vouchers.sequence = kept.latest AND kept.gone IS NOT NULL",
                 before.ms)
          .run());
  TRY([[maybe_unused]] const Ok gone,
      database_
          .query("DELETE FROM vouchers WHERE at < ? AND sequence NOT IN"
                 " (SELECT max(sequence) FROM vouchers GROUP BY serial, issuer, pinned_key, nonce IS NULL)",
                 before.ms)
          .run());
  const std::int64_t lines = database_.changes();
  TRY([[maybe_unused]] const Ok noted,
      audited(now, actor, "log.pruned", "vouchers",
              text_object({{"before", utc_text(before)}, {"lines", std::to_string(lines)}})));
  return lines;
}

}  // namespace imprint::store
