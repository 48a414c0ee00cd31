// The SQLite C API as values: a connection that closes itself, and queries that reset themselves.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/bytes.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace imprint::store {

class Database;

// One use of a prepared statement: values are bound in order, rows are stepped through, and it is reset when it ends.
// A failure of preparing or binding is reported by the first step().
class Query {
 public:
  Query(Query&&) = delete;  // returned by elision only
  ~Query();

  // Moves to the next row: true if there is one. See Database::fault() for the Faults.
  Result<bool> step();
  // Runs a statement that gives no rows.
  Status run();

  // Columns of the row that the last step() reached, from 0.
  std::int64_t number(int column) const;
  std::string text(int column) const;
  Bytes bytes(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  template <class... Values>
  Query(Database& database, sqlite3_stmt* statement, int code, const Values&... values)
      : database_(database), statement_(statement), code_(code) {
    (bind(values), ...);
  }
  void bind(std::int64_t value);
  void bind(std::string_view value);
  void bind(BytesView value);
  void bind(std::nullptr_t);  // NULL
  void keep(int code);        // remembers the first failure

  Database& database_;
  sqlite3_stmt* statement_;
  int code_;
  int bound_ = 0;
};

// A connection, used by one thread at a time. It keeps every statement that it has prepared.
class Database {
 public:
  enum class Access : std::uint8_t { read_only, read_write };

  // Opens the file; with read_write creates it (0600, and so are the files that SQLite puts beside it), and takes the
  // permissions of everybody else from one that exists.
  static Result<std::unique_ptr<Database>> open(const std::string& path, Access access);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // `sql` must have static storage: statements are kept by it. Values are copied.
  template <class... Values>
  Query query(std::string_view sql, const Values&... values) {
    int code = 0;
    sqlite3_stmt* statement = prepared(sql, code);
    return Query(*this, statement, code, values...);
  }
  // Runs SQL without values, several statements if there are; keeps nothing.
  Status execute(const char* sql);

  // After each commit of this connection, on its thread, `grown_to` gets the pages that the write-ahead log holds;
  // nothing is moved out of the log by itself any more.
  void on_commit(std::function<void(int pages)> grown_to);
  // Moves what the log holds into the database file, as far as no reader needs it there. With `restart` it waits for
  // readers and the writer, so that the log begins anew. What fails is left for the next time.
  void checkpoint(bool restart);

  // Rows that the last statement inserted, changed or deleted.
  std::int64_t changes() const;
  // Whether a transaction is open: SQLite may end it by itself when the disk fails.
  bool in_transaction() const;
  // Whether the disk, the memory or another process let us down since the last call of forgive(): nothing of the
  // transaction may be kept then.
  bool failed() const { return failed_; }
  void forgive() { failed_ = false; }

 private:
  friend class Query;
  explicit Database(sqlite3* handle) : handle_(handle) {}
  sqlite3_stmt* prepared(std::string_view sql, int& code);
  // unreachable: the disk, memory or a lock of another process. conflict: a constraint. malformed: the file is damaged.
  Error fault(int code);

  sqlite3* handle_;
  std::unordered_map<std::string_view, sqlite3_stmt*> statements_;
  std::function<void(int)> grown_to_;
  bool failed_ = false;
};

}  // namespace imprint::store
