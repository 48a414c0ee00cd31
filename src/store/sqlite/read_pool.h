// Connections for readers, of either store. Private to the stores on SQLite.
#pragma once

#include <mutex>

#include "store/sqlite/database.h"

namespace imprint::store {

// Read connections that nobody uses at the moment. From any thread.
class ReadPool {
 public:
  ReadPool(std::string path, std::size_t most_idle) : path_(std::move(path)), most_idle_(most_idle) {}

  Result<std::unique_ptr<Database>> take() {
    {
      const std::scoped_lock lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Database> database = std::move(idle_.back());
        idle_.pop_back();
        return database;
      }
    }
    return Database::open(path_, Database::Access::read_only);
  }

  void give_back(std::unique_ptr<Database> database) {
    const std::scoped_lock lock(mutex_);
    if (idle_.size() < most_idle_) {
      idle_.push_back(std::move(database));
    }
  }

 private:
  std::string path_;
  std::size_t most_idle_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Database>> idle_;
};

// A read transaction on a borrowed connection. `Reads` answers questions on a connection.
template <class Reads>
class PooledReader final : public Reads {
 public:
  PooledReader(ReadPool& pool, std::unique_ptr<Database> database)
      : Reads(*database), pool_(pool), borrowed_(std::move(database)) {}
  PooledReader(const PooledReader&) = delete;
  PooledReader& operator=(const PooledReader&) = delete;
  ~PooledReader() override {
    const Status ended = this->database_.query("COMMIT").run();
    if (ended && !this->database_.failed()) {
      pool_.give_back(std::move(borrowed_));  // one that has failed is closed instead
    }
  }

  static Result<std::unique_ptr<PooledReader>> begin(ReadPool& pool) {
    TRY(std::unique_ptr<Database> database, pool.take());
    TRY([[maybe_unused]] const Ok begun, database->query("BEGIN").run());
    return std::make_unique<PooledReader>(pool, std::move(database));
  }

 private:
  ReadPool& pool_;
  std::unique_ptr<Database> borrowed_;
};

}  // namespace imprint::store
