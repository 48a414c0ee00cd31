#include "store/sqlite/migrations.h"

#include <array>
#include <vector>

#include "store/certificates.h"

namespace imprint::store {
namespace {

struct Migration {
  const char* sql = nullptr;
  const char* counted = nullptr;        // PRAGMA takes no bound values
  Status (*fill)(Database&) = nullptr;  // what SQL cannot say
};

// Digests and names of the certificates that are on record already.
Status fill_certificates(Database& database) {
  constexpr std::int64_t kPage = 1000;
  std::int64_t last = 0;
  while (true) {
    std::vector<std::pair<std::int64_t, Bytes>> page;
    Query query = database.query("SELECT sequence, der FROM certificates WHERE sequence > ? ORDER BY sequence LIMIT ?",
                                 last, kPage);
    while (true) {
      TRY(const bool row, query.step());
      if (!row) {
        break;
      }
      page.emplace_back(query.number(0), query.bytes(1));
    }
    if (page.empty()) {
      return Ok{};
    }
    for (const auto& [sequence, der] : page) {
      const Result<Certificate> certificate = Certificate::parse(der);
      TRY([[maybe_unused]] const Ok filled,
          database
              .query("UPDATE certificates SET sha256 = ?, names = ? WHERE sequence = ?", sha256(der),
                     certificate ? names_text(*certificate) : std::string(), sequence)
              .run());
    }
    last = page.back().first;
  }
}

// Steps are only ever added at the end. Times are milliseconds since 1970, enumerations their names, STRICT holds the
// column types. `spent` and `revoked` are NULL until it happens.
constexpr std::array<Migration, 12> kMigrations{
    {{R"sql(
CREATE TABLE devices (
  id TEXT NOT NULL PRIMARY KEY,
  model TEXT NOT NULL,
  serial TEXT NOT NULL,
  label TEXT NOT NULL,
  lifecycle TEXT NOT NULL,
  admission TEXT NOT NULL,
  added INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  version INTEGER NOT NULL
) STRICT;

CREATE TABLE device_identities (
  identity TEXT NOT NULL PRIMARY KEY,
  device TEXT NOT NULL REFERENCES devices (id),
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_identities_device ON device_identities (device, position);

CREATE TABLE secrets (
  mac BLOB NOT NULL PRIMARY KEY,
  device TEXT NOT NULL REFERENCES devices (id),
  user TEXT NOT NULL,
  one_time INTEGER NOT NULL,
  spent INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_device ON secrets (device, user);

CREATE TABLE certificates (
  sequence INTEGER PRIMARY KEY,
  serial BLOB NOT NULL UNIQUE,
  device TEXT NOT NULL REFERENCES devices (id),
  profile TEXT NOT NULL,
  subject TEXT NOT NULL,
  der BLOB NOT NULL,
  spki_sha256 BLOB NOT NULL,
  request_key BLOB NOT NULL,
  not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  issued INTEGER NOT NULL,
  identity TEXT NOT NULL,
  reason TEXT NOT NULL,
  renews BLOB NOT NULL,
  revoked INTEGER,
  revocation_reason INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX certificates_request_key ON certificates (request_key);
CREATE INDEX certificates_spki ON certificates (spki_sha256);
CREATE INDEX certificates_device ON certificates (device, serial);
CREATE INDEX certificates_revoked ON certificates (serial) WHERE revoked IS NOT NULL;

CREATE TABLE pending (
  request_key BLOB NOT NULL PRIMARY KEY,
  device TEXT NOT NULL,
  identity TEXT NOT NULL,
  device_identity TEXT NOT NULL,
  label TEXT NOT NULL,
  subject TEXT NOT NULL,
  csr BLOB NOT NULL,
  reason TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  state TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  decided INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  previous BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE TABLE runs (
  id TEXT NOT NULL PRIMARY KEY,
  protocol TEXT NOT NULL,
  mode TEXT NOT NULL,
  role TEXT NOT NULL,
  device TEXT NOT NULL,
  started INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  result TEXT NOT NULL,
  rule TEXT NOT NULL,
  summary TEXT NOT NULL,
  steps TEXT NOT NULL,
  beliefs TEXT NOT NULL
) STRICT;
CREATE INDEX runs_started ON runs (started, id);
)sql",
      "PRAGMA user_version=1"},
     {R"sql(
CREATE TABLE denials (
  digest BLOB NOT NULL PRIMARY KEY,
  request_key BLOB NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  asked INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_device ON pending (device, state);
)sql",
      "PRAGMA user_version=2"},
     // A certificate of the owner's own server has no device.
     {R"sql(
CREATE TABLE certificates_with_server (
  sequence INTEGER PRIMARY KEY,
  serial BLOB NOT NULL UNIQUE,
  device TEXT REFERENCES devices (id),
  profile TEXT NOT NULL,
  subject TEXT NOT NULL,
  der BLOB NOT NULL,
  spki_sha256 BLOB NOT NULL,
  request_key BLOB NOT NULL,
  not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  issued INTEGER NOT NULL,
  identity TEXT NOT NULL,
  reason TEXT NOT NULL,
  renews BLOB NOT NULL,
  revoked INTEGER,
  revocation_reason INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO certificates_with_server (sequence, serial, device, profile, subject, der, spki_sha256, request_key,
  not_before, not_after, issued, identity, reason, renews, revoked, revocation_reason)
SELECT sequence, serial, device, profile, subject, der, spki_sha256, request_key,
  not_before, not_after, issued, identity, reason, renews, revoked, revocation_reason FROM certificates;
DROP TABLE certificates;
ALTER TABLE certificates_with_server RENAME TO certificates;
CREATE INDEX certificates_request_key ON certificates (request_key);
CREATE INDEX certificates_spki ON certificates (spki_sha256);
CREATE INDEX certificates_device ON certificates (device, serial);
CREATE INDEX certificates_revoked ON certificates (serial) WHERE revoked IS NOT NULL;
CREATE INDEX certificates_renews ON certificates (renews) WHERE renews <> x'';

CREATE INDEX pending_waiting ON pending (first, request_key) WHERE state = 'waiting';

CREATE TABLE numbers (
  name TEXT NOT NULL PRIMARY KEY,
  last INTEGER NOT NULL
) STRICT;
)sql",
      "PRAGMA user_version=3"},
     // Pages of lists.
     {R"sql(
CREATE INDEX IF NOT EXISTS runs_device ON runs (device, started, id);
CREATE INDEX IF NOT EXISTS pending_first ON pending (first, request_key);
)sql",
      "PRAGMA user_version=4"},
     // Where a certificate came from, and what it is searched by.
     {R"sql(
ALTER TABLE certificates ADD COLUMN sha256 BLOB NOT NULL DEFAULT x'';
ALTER TABLE certificates ADD COLUMN names TEXT NOT NULL DEFAULT '';
ALTER TABLE certificates ADD COLUMN basis TEXT NOT NULL DEFAULT 'none';
ALTER TABLE certificates ADD COLUMN evidence TEXT NOT NULL DEFAULT '';
ALTER TABLE certificates ADD COLUMN run TEXT NOT NULL DEFAULT '';
ALTER TABLE certificates ADD COLUMN issued_entry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificates ADD COLUMN revoked_entry INTEGER NOT NULL DEFAULT 0;
CREATE INDEX certificates_sha256 ON certificates (sha256);

WITH entry (sequence, serial) AS MATERIALIZED (
  SELECT sequence, json_extract(CASE WHEN json_valid(detail) THEN detail END, '$.serial')
  FROM audit WHERE action = 'certificate.issued')
UPDATE certificates SET issued_entry = entry.sequence FROM entry
WHERE entry.serial = lower(hex(certificates.serial));
WITH entry (sequence, serial) AS MATERIALIZED (
  SELECT sequence, json_extract(CASE WHEN json_valid(detail) THEN detail END, '$.serial')
  FROM audit WHERE action = 'certificate.revoked')
UPDATE certificates SET revoked_entry = entry.sequence FROM entry
WHERE entry.serial = lower(hex(certificates.serial));
)sql",
      "PRAGMA user_version=5", fill_certificates},
     // Answers to requests with an Idempotency-Key.
     {R"sql(
CREATE TABLE answers (
  sequence INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  request BLOB NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  etag TEXT NOT NULL,
  location TEXT NOT NULL,
  body BLOB NOT NULL,
  had_secret INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_at ON answers (at);
)sql",
      "PRAGMA user_version=6"},
     // What HTTP Digest needs of a secret.
     {R"sql(
ALTER TABLE secrets ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
CREATE INDEX secrets_user ON secrets (user) WHERE digest <> x'';
)sql",
      "PRAGMA user_version=7"},
     // What TLS-SRP needs of a secret.
     {"ALTER TABLE secrets ADD COLUMN srp BLOB NOT NULL DEFAULT x'';", "PRAGMA user_version=8"},
     // Shared keys under which keys are wrapped.
     {R"sql(
CREATE TABLE wrap_keys (
  device TEXT NOT NULL REFERENCES devices (id),
  id BLOB NOT NULL,
  mac BLOB NOT NULL UNIQUE,
  sealed BLOB NOT NULL,
  PRIMARY KEY (device, id)
) STRICT, WITHOUT ROWID;
)sql",
      "PRAGMA user_version=9"},
     // Ids are found whatever their case.
     {"CREATE INDEX devices_any_case ON devices (id COLLATE NOCASE);", "PRAGMA user_version=10"},
     // Devices that asked for vouchers (RFC 8995). One that is not in the inventory may be refused.
     {R"sql(
CREATE TABLE pledges (
  issuer BLOB NOT NULL,
  serial TEXT NOT NULL,
  key BLOB NOT NULL,
  device TEXT NOT NULL,
  stage TEXT NOT NULL,
  form TEXT NOT NULL,
  nonce TEXT NOT NULL,
  request BLOB NOT NULL,
  voucher BLOB NOT NULL,
  domain_id BLOB NOT NULL,
  masa TEXT NOT NULL,
  run TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  vouchered INTEGER,
  reported INTEGER,
  enrolled INTEGER,
  cleared INTEGER NOT NULL,
  rule TEXT NOT NULL,
  reason TEXT NOT NULL,
  log TEXT NOT NULL,
  certificate TEXT NOT NULL,
  PRIMARY KEY (issuer, serial)
) STRICT;
CREATE INDEX pledges_key ON pledges (key, last);
CREATE INDEX pledges_device ON pledges (device, issuer, serial);
)sql",
      "PRAGMA user_version=11"},
     // A hold lasts until a person clears it. A device is found by its IDevID, and no more by its key alone.
     {R"sql(
ALTER TABLE pledges ADD COLUMN held TEXT NOT NULL DEFAULT '';
UPDATE pledges SET held = CASE rule WHEN '' THEN 'BRSKI-HELD' ELSE rule END
  WHERE stage = 'imprinted' AND cleared = 0 AND rule NOT IN ('BRSKI-LOG-MISSING', 'BRSKI-LOG-UNREADABLE');
DROP INDEX pledges_key;
)sql",
      "PRAGMA user_version=12"}}};

Status take_steps(Database& database) {
  std::int64_t version = 0;
  {
    Query query = database.query("PRAGMA user_version");
    TRY(const bool row, query.step());
    version = row ? query.number(0) : 0;
  }
  if (version < 0 || version > static_cast<std::int64_t>(kMigrations.size())) {
    return Error{Fault::unsupported, "store: the database was written by a newer version of this program"};
  }
  for (std::size_t i = static_cast<std::size_t>(version); i < kMigrations.size(); ++i) {
    TRY([[maybe_unused]] const Ok changed, database.execute(kMigrations[i].sql));
    if (kMigrations[i].fill != nullptr) {
      TRY([[maybe_unused]] const Ok filled, kMigrations[i].fill(database));
    }
    TRY([[maybe_unused]] const Ok counted, database.execute(kMigrations[i].counted));
  }
  return Ok{};
}

}  // namespace

Status migrate(Database& database) {
  // The lock comes before the look at the version: two programs may open a new file at the same time.
  TRY([[maybe_unused]] const Ok begun, database.execute("BEGIN IMMEDIATE"));
  Status done = take_steps(database);
  if (done) {
    done = database.execute("COMMIT");
  }
  if (!done && database.in_transaction()) {
    static_cast<void>(database.execute("ROLLBACK"));
  }
  return done;
}

}  // namespace imprint::store
