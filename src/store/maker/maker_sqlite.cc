// The schema, and the store on it.
#include "store/maker/maker_sql.h"
#include "store/sqlite/read_pool.h"
#include "store/sqlite/write_queue.h"

namespace imprint::store {
namespace {

constexpr std::size_t kMostIdle = 8;  // read connections kept for later
constexpr std::int64_t kVersion = 3;

// Times are milliseconds since 1970, enumerations their names. `voucher` and `request` are NULL once retention has
// taken them; `nonce` is NULL for a voucher without one.
constexpr const char* kSchema = R"sql(
CREATE TABLE maker_devices (
  serial TEXT NOT NULL,
  issuer BLOB NOT NULL,
  model TEXT NOT NULL,
  idevid BLOB,
  customer TEXT NOT NULL,
  state TEXT NOT NULL,
  claimant TEXT NOT NULL DEFAULT '',
  claimed_key BLOB NOT NULL DEFAULT x'',
  added INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  version INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (serial, issuer)
) STRICT;
CREATE INDEX maker_devices_customer ON maker_devices (customer, serial, issuer);
CREATE INDEX maker_devices_issuer ON maker_devices (issuer);

CREATE TABLE customers (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  password BLOB,
  added INTEGER NOT NULL
) STRICT;
CREATE TABLE customer_anchors (
  key BLOB NOT NULL PRIMARY KEY,
  customer TEXT NOT NULL REFERENCES customers (id),
  der BLOB NOT NULL
) STRICT;
CREATE INDEX customer_anchors_customer ON customer_anchors (customer);

CREATE TABLE vouchers (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  serial TEXT NOT NULL,
  issuer BLOB NOT NULL,
  at INTEGER NOT NULL,
  domain_id BLOB NOT NULL,
  pinned_key BLOB NOT NULL,
  nonce TEXT,
  assertion TEXT NOT NULL,
  customer TEXT NOT NULL,
  truncated INTEGER NOT NULL DEFAULT 0,
  request BLOB,
  form TEXT NOT NULL,
  voucher BLOB,
  FOREIGN KEY (serial, issuer) REFERENCES maker_devices (serial, issuer)
) STRICT;
CREATE INDEX vouchers_device ON vouchers (serial, issuer, sequence);
CREATE UNIQUE INDEX vouchers_request ON vouchers (request, form) WHERE request IS NOT NULL;
CREATE INDEX vouchers_at ON vouchers (at);

CREATE TABLE refused_claims (
  serial TEXT NOT NULL,
  issuer BLOB NOT NULL,
  rule TEXT NOT NULL,
  registrar TEXT NOT NULL,
  customer TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  times INTEGER NOT NULL,
  PRIMARY KEY (serial, issuer, rule)
) STRICT;
CREATE INDEX refused_claims_last ON refused_claims (last);

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
PRAGMA user_version=1;
)sql";
// Where devices find their owners (draft-ietf-anima-brski-cloud).
constexpr const char* kOwners = R"sql(
ALTER TABLE maker_devices ADD COLUMN owner TEXT NOT NULL DEFAULT 'unsaid';
ALTER TABLE maker_devices ADD COLUMN owner_url TEXT NOT NULL DEFAULT '';
ALTER TABLE maker_devices ADD COLUMN owner_pin BLOB;
ALTER TABLE maker_devices ADD COLUMN owner_configuration TEXT NOT NULL DEFAULT '';
PRAGMA user_version=2;
)sql";

// What is kept of a password for HTTP Digest, and what a customer's registrars do otherwise than RFC 8995.
constexpr const char* kLogins = R"sql(
ALTER TABLE customers ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE customers ADD COLUMN base64_bodies INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version=3;
)sql";

Status take_steps(Database& database) {
  std::int64_t version = 0;
  {
    Query query = database.query("PRAGMA user_version");
    TRY(const bool row, query.step());
    version = row ? query.number(0) : 0;
  }
  CHECK_OR(version >= 0 && version <= kVersion,
           Error{Fault::unsupported, "maker store: the database was written by a newer version of this program"});
  if (version == 0) {
    TRY([[maybe_unused]] const Ok made, database.execute(kSchema));
  }
  if (version < 2) {
    TRY([[maybe_unused]] const Ok learnt, database.execute(kOwners));
  }
  return version < 3 ? database.execute(kLogins) : Status(Ok{});
}

class SqliteMakerStore final : public MakerStore {
 public:
  SqliteMakerStore(const std::string& path, std::unique_ptr<Database> database)
      : pool_(path, kMostIdle), queue_(std::move(database), "maker store: too many changes wait") {}
  SqliteMakerStore(const SqliteMakerStore&) = delete;
  SqliteMakerStore& operator=(const SqliteMakerStore&) = delete;
  // Finishes what is queued. Every reader must have ended before.
  ~SqliteMakerStore() override = default;

  void submit(Change change, std::function<void(Status)> done) override {
    queue_.submit(std::move(change), std::move(done), true);
  }
  Result<std::unique_ptr<MakerReader>> read() override {
    TRY(auto reader, PooledReader<MakerReads<MakerReader>>::begin(pool_));
    return std::unique_ptr<MakerReader>(std::move(reader));
  }

 private:
  ReadPool pool_;
  WriteQueue<MakerSqlWriter, Change> queue_;  // last: what it still does uses the above
};

}  // namespace

Status migrate_maker(Database& database) {
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

Result<std::unique_ptr<MakerStore>> open_maker_sqlite(const std::string& path) {
  TRY(std::unique_ptr<Database> database, Database::open(path, Database::Access::read_write));
  TRY([[maybe_unused]] const Ok logged, database->execute("PRAGMA journal_mode=WAL"));
  TRY([[maybe_unused]] const Ok migrated, migrate_maker(*database));
  return std::make_unique<SqliteMakerStore>(path, std::move(database));
}

}  // namespace imprint::store
