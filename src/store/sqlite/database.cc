#include "store/sqlite/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>

namespace imprint::store {
namespace {

constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;
constexpr int kCheckpointBusyMs = 100;  // how long a checkpoint waits for a reader, and the writer for it
constexpr int kBusyMs = 5000;           // how long another process (the command line, a backup) may hold the write lock

// Makes the file before SQLite does, so that there is no moment at which others may read it. SQLite gives -wal and -shm
// the mode of the main file. An existing file is not opened here: closing it would drop the POSIX locks that this
// process may hold on it.
bool owner_only(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kOwnerOnly);
  if (fd >= 0) {
    return ::close(fd) == 0;
  }
  if (errno != EEXIST) {
    return false;
  }
  for (const char* suffix : {"", "-wal", "-shm"}) {
    if (::chmod((path + suffix).c_str(), kOwnerOnly) != 0 && errno != ENOENT) {
      return false;
    }
  }
  return true;
}

// FULL: a commit has reached the disk before it returns. The log is cut back to 64 MiB after a burst.
constexpr const char* kSettings =
    "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
    "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864;";

}  // namespace

Query::~Query() {
  if (statement_ != nullptr) {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);  // personal data does not stay behind in the cache
  }
}

Result<bool> Query::step() {
  if (code_ == SQLITE_OK) {
    code_ = sqlite3_step(statement_);
  }
  if (code_ == SQLITE_ROW) {
    code_ = SQLITE_OK;
    return true;
  }
  if (code_ == SQLITE_DONE) {
    return false;
  }
  return database_.fault(code_);
}

Status Query::run() {
  TRY([[maybe_unused]] const bool row, step());
  assert(!row);
  return Ok{};
}

std::int64_t Query::number(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Query::text(int column) const {
  const Bytes raw = bytes(column);  // a text may hold NUL: never read it as a C string
  return std::string(as_text(raw));
}

Bytes Query::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return to_bytes(BytesView(static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)));
}

bool Query::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

void Query::keep(int code) {
  if (code_ == SQLITE_OK) {
    code_ = code;
  }
}

void Query::bind(std::int64_t value) { keep(sqlite3_bind_int64(statement_, ++bound_, value)); }

void Query::bind(std::string_view value) {
  const char* data = value.empty() ? "" : value.data();  // a null pointer would bind NULL
  keep(sqlite3_bind_text64(statement_, ++bound_, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Query::bind(BytesView value) {
  const void* data = value.empty() ? static_cast<const void*>("") : value.data();
  keep(sqlite3_bind_blob64(statement_, ++bound_, data, value.size(), SQLITE_TRANSIENT));
}

void Query::bind(std::nullptr_t) { keep(sqlite3_bind_null(statement_, ++bound_)); }

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Access access) {
  if (access == Access::read_write && !owner_only(path)) {
    return Error{Fault::unreachable, "store: the database file cannot be created or made private"};
  }
  const int how = access == Access::read_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, how | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(handle));  // the handle must be closed even after a failure
  if (code != SQLITE_OK) {
    return database->fault(code);
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyMs);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  TRY([[maybe_unused]] const Ok settled, database->execute(kSettings));
  return database;
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) {
    sqlite3_finalize(statement);
  }
  sqlite3_close(handle_);
}

Status Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return fault(code);
  }
  return Ok{};
}

void Database::on_commit(std::function<void(int pages)> grown_to) {
  grown_to_ = std::move(grown_to);
  sqlite3_wal_hook(
      handle_,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Database*>(self)->grown_to_(pages);
        return SQLITE_OK;
      },
      this);
}

void Database::checkpoint(bool restart) {
  sqlite3_busy_timeout(handle_, kCheckpointBusyMs);
  const int how = restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  static_cast<void>(sqlite3_wal_checkpoint_v2(handle_, nullptr, how, nullptr, nullptr));
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

sqlite3_stmt* Database::prepared(std::string_view sql, int& code) {
  const auto known = statements_.find(sql);
  if (known != statements_.end()) {
    assert(sqlite3_stmt_busy(known->second) == 0);  // the same query twice at a time would share its cursor
    return known->second;
  }
  sqlite3_stmt* statement = nullptr;
  code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                            nullptr);
  if (code == SQLITE_OK) {
    statements_.emplace(sql, statement);
  }
  return statement;
}

Error Database::fault(int code) {
  switch (code & 0xff) {  // the low byte is the primary code
    case SQLITE_CONSTRAINT:
      return {Fault::conflict, "store: exists already"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      failed_ = true;
      return {Fault::malformed, "store: the database file is damaged or is none"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      failed_ = true;
      return {Fault::unreachable, "store: another process holds the database"};
    case SQLITE_FULL:
      failed_ = true;
      return {Fault::unreachable, "store: disk full"};
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
      failed_ = true;
      return {Fault::unreachable, "store: disk or memory failed"};
    case SQLITE_TOOBIG:
      return {Fault::limit, "store: value too large"};
    default:
      return {Fault::internal, "store: statement"};
  }
}

}  // namespace imprint::store
