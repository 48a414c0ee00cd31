#include <algorithm>
#include <array>

#include "store/maker/maker_sql.h"
#include "store/sqlite/rows.h"

namespace imprint::store {
namespace {

constexpr std::int64_t kMostRows = 100'000;  // one call never builds more: callers page
constexpr std::int64_t kMostNamesakes = 8, kMostEntries = 4096;

#define IMPRINT_MAKER_DEVICE                                                                        \
  "issuer, serial, model, idevid, customer, state, claimant, claimed_key, added, changed, version," \
  " owner, owner_url, owner_pin, owner_configuration"
#define IMPRINT_CUSTOMER "id, name, password, added, digest, base64_bodies"

std::int64_t bounded(std::int64_t limit) { return std::clamp<std::int64_t>(limit, 1, kMostRows); }

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

template <class T>
Result<std::optional<T>> one(Query& query, Result<T> (*read)(const Query&)) {
  TRY(const bool row, query.step());
  if (!row) {
    return std::optional<T>();
  }
  TRY(T value, read(query));
  return std::optional<T>(std::move(value));
}

Result<MakerDevice> device_of(const Query& row) {
  MakerDevice out;
  out.issuer = row.bytes(0);
  out.serial = row.text(1);
  out.model = row.text(2);
  if (!row.is_null(3)) {
    TRY(out.idevid, Certificate::parse(row.bytes(3)));
  }
  out.customer = row.text(4);
  const auto state = custody_named(row.text(5));
  CHECK_OR(state, Error{Fault::malformed, "maker store: state of a device"});
  out.state = *state;
  out.claimant = row.text(6);
  out.claimed_key = row.bytes(7);
  out.added = {row.number(8)};
  out.changed = {row.number(9)};
  out.version = row.number(10);
  const auto owner = owner_kind_named(row.text(11));
  CHECK_OR(owner, Error{Fault::malformed, "maker store: owner of a device"});
  out.owner.kind = *owner;
  out.owner.url = row.text(12);
  if (!row.is_null(13)) {
    TRY(out.owner.pinned, Certificate::parse(row.bytes(13)));
  }
  out.owner.configuration = row.text(14);
  return out;
}

Result<Customer> customer_of(const Query& row) {
  Customer out;
  out.id = row.text(0);
  out.name = row.text(1);
  if (!row.is_null(2)) {
    const Bytes mac = row.bytes(2);
    out.password.emplace();
    CHECK_OR(mac.size() == out.password->size(), Error{Fault::malformed, "maker store: password of a customer"});
    std::ranges::copy(mac, out.password->begin());
  }
  out.added = {row.number(3)};
  out.digest = row.bytes(4);
  out.base64_bodies = row.number(5) != 0;
  return out;
}

Result<VoucherEntry> entry_of(const Query& row) {
  VoucherEntry out;
  out.sequence = row.number(0);
  out.issuer = row.bytes(1);
  out.serial = row.text(2);
  out.at = {row.number(3)};
  out.domain_id = row.bytes(4);
  out.pinned_key = row.bytes(5);
  if (!row.is_null(6)) {
    out.nonce = row.text(6);
  }
  out.assertion = row.text(7);
  out.customer = row.text(8);
  out.truncated = row.number(9);
  return out;
}

Result<RefusedClaim> refusal_of(const Query& row) {
  return RefusedClaim{row.bytes(0), row.text(1),     row.text(2),     row.text(3),
                      row.text(4),  {row.number(5)}, {row.number(6)}, row.number(7)};
}

Result<Bytes> first_bytes(const Query& row) { return row.bytes(0); }
Result<Certificate> first_certificate(const Query& row) { return Certificate::parse(row.bytes(0)); }

Status read_anchors(Database& database, Customer& customer) {
  Query query = database.query("SELECT der FROM customer_anchors WHERE customer = ? ORDER BY key", customer.id);
  TRY(customer.anchors, all(query, first_certificate));
  return Ok{};
}

Result<std::optional<Customer>> one_customer(Database& database, Query& query) {
  TRY(std::optional<Customer> customer, one(query, customer_of));
  if (customer) {
    TRY([[maybe_unused]] const Ok read, read_anchors(database, *customer));
  }
  return customer;
}

}  // namespace

template <class Interface>
Result<std::optional<MakerDevice>> MakerReads<Interface>::device(BytesView issuer, std::string_view serial) {
  Query query = database_.query("SELECT " IMPRINT_MAKER_DEVICE " FROM maker_devices WHERE serial = ? AND issuer = ?",
                                serial, issuer);
  return one(query, device_of);
}

template <class Interface>
Result<std::vector<MakerDevice>> MakerReads<Interface>::devices_of_serial(std::string_view serial) {
  Query query =
      database_.query("SELECT " IMPRINT_MAKER_DEVICE " FROM maker_devices WHERE serial = ? ORDER BY issuer LIMIT ?",
                      serial, kMostNamesakes);
  return all(query, device_of);
}

template <class Interface>
Result<std::vector<MakerDevice>> MakerReads<Interface>::devices(const MakerDeviceFilter& filter) {
  const std::string state(filter.state ? name(*filter.state) : std::string_view());
  Query query =
      database_.query("SELECT " IMPRINT_MAKER_DEVICE
                      " FROM maker_devices WHERE (serial, issuer) > (?1, ?2)"
                      " AND (?3 = '' OR customer = ?3) AND (?4 = '' OR state = ?4)"
                      " ORDER BY serial, issuer LIMIT ?5",
                      filter.after_serial, filter.after_issuer, filter.customer, state, bounded(filter.limit));
  return all(query, device_of);
}

template <class Interface>
Result<std::vector<Bytes>> MakerReads<Interface>::issuers() {
  Query query = database_.query("SELECT DISTINCT issuer FROM maker_devices ORDER BY issuer LIMIT ?", kMostRows);
  return all(query, first_bytes);
}

template <class Interface>
Result<std::optional<Customer>> MakerReads<Interface>::customer(std::string_view id) {
  Query query = database_.query("SELECT " IMPRINT_CUSTOMER " FROM customers WHERE id = ?", id);
  return one_customer(database_, query);
}

template <class Interface>
Result<std::optional<Customer>> MakerReads<Interface>::customer_by_key(BytesView key_digest) {
  Query query = database_.query("SELECT " IMPRINT_CUSTOMER
                                " FROM customers"
                                " WHERE id = (SELECT customer FROM customer_anchors WHERE key = ?)",
                                key_digest);
  return one_customer(database_, query);
}

template <class Interface>
Result<std::vector<Customer>> MakerReads<Interface>::customers() {
  std::vector<Customer> out;
  {
    Query query = database_.query("SELECT " IMPRINT_CUSTOMER " FROM customers ORDER BY id LIMIT ?", kMostRows);
    TRY(out, all(query, customer_of));
  }
  for (Customer& one : out) {
    TRY([[maybe_unused]] const Ok read, read_anchors(database_, one));
  }
  return out;
}

template <class Interface>
Result<std::vector<VoucherEntry>> MakerReads<Interface>::vouchers(BytesView issuer, std::string_view serial) {
  // Of more rows than are read the latest of each key and kind stay and count the others, as prune() has it.
  Query query = database_.query(
      "WITH mine AS (SELECT *, nonce IS NULL AS bare,"
      "   row_number() OVER (PARTITION BY pinned_key, nonce IS NULL ORDER BY sequence DESC) AS rank"
      "   FROM vouchers WHERE serial = ?1 AND issuer = ?2),"
      " cut (last) AS (SELECT ifnull((SELECT sequence FROM mine ORDER BY sequence DESC LIMIT 1 OFFSET ?3), 0)),"
      " hidden AS (SELECT pinned_key AS key, bare AS kind, sum(1 + truncated) AS gone FROM mine, cut"
      "   WHERE rank > 1 AND sequence <= last GROUP BY 1, 2)"
      " SELECT sequence, issuer, serial, at, domain_id, pinned_key, nonce, assertion, customer,"
      "   truncated + CASE WHEN rank = 1 THEN ifnull(gone, 0) ELSE 0 END"
      " FROM (SELECT * FROM mine, cut) LEFT JOIN hidden ON key = pinned_key AND kind = bare"
      " WHERE rank = 1 OR sequence > last ORDER BY sequence DESC LIMIT 2 * ?3",
      serial, issuer, kMostEntries);
  TRY(std::vector<VoucherEntry> out, all(query, entry_of));
  std::ranges::reverse(out);
  return out;
}

template <class Interface>
Result<std::optional<Bytes>> MakerReads<Interface>::given(BytesView request, std::string_view form) {
  Query query = database_.query("SELECT voucher FROM vouchers WHERE request = ? AND form = ?", request, form);
  return one(query, first_bytes);
}

template <class Interface>
Result<std::vector<RefusedClaim>> MakerReads<Interface>::refused(std::int64_t limit) {
  Query query = database_.query(
      "SELECT issuer, serial, rule, registrar, customer, first, last, times FROM refused_claims"
      " ORDER BY last DESC LIMIT ?",
      bounded(limit));
  return all(query, refusal_of);
}

template <class Interface>
Result<std::vector<AuditEntry>> MakerReads<Interface>::audit(std::int64_t after_sequence, std::int64_t limit) {
  Query query =
      database_.query("SELECT " IMPRINT_AUDIT_COLUMNS " FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?",
                      after_sequence, bounded(limit));
  return all(query, audit_row);
}

template <class Interface>
Result<std::int64_t> MakerReads<Interface>::count(std::string_view table) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kTables{
      {{"devices", "SELECT count(*) FROM maker_devices"},
       {"customers", "SELECT count(*) FROM customers"},
       {"vouchers", "SELECT count(*) FROM vouchers"},
       {"audit", "SELECT count(*) FROM audit"}}};
  const auto* const at = std::ranges::find(kTables, table, &std::pair<std::string_view, std::string_view>::first);
  CHECK_OR(at != kTables.end(), Error{Fault::internal, "maker store: no such table"});
  Query query = database_.query(at->second);
  TRY([[maybe_unused]] const bool row, query.step());
  return query.number(0);
}

template class MakerReads<MakerReader>;
template class MakerReads<MakerWriter>;

}  // namespace imprint::store
