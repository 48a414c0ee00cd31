#include "store/sqlite/checkpoint.h"
#include "store/sqlite/migrations.h"
#include "store/sqlite/read_pool.h"
#include "store/sqlite/write_queue.h"
#include "store/sqlite/writer.h"

namespace imprint::store {
namespace {

constexpr std::size_t kMostIdle = 64;  // read connections kept for later

class SqliteStore final : public Store {
 public:
  SqliteStore(const std::string& path, std::unique_ptr<Database> database, std::unique_ptr<Database> for_checkpoints)
      : checkpointer_(std::move(for_checkpoints)),
        pool_(path, kMostIdle),
        queue_(std::move(database), "store: too many changes wait",
               [this](int pages) { checkpointer_.grown_to(pages); }) {}
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;
  // Finishes what is queued. Every Reader must have ended before.
  ~SqliteStore() override = default;

  void submit(Change change, std::function<void(Status)> done) override {
    queue_.submit(std::move(change), std::move(done), true);
  }
  void submit_along(Change change, std::function<void(Status)> done) override {
    queue_.submit(std::move(change), std::move(done), false);
  }
  Result<std::unique_ptr<Reader>> read() override {
    TRY(auto reader, PooledReader<Reads<Reader>>::begin(pool_));
    return std::unique_ptr<Reader>(std::move(reader));
  }

 private:
  Checkpointer checkpointer_;
  ReadPool pool_;
  WriteQueue<SqliteWriter, Change> queue_;  // last: what it still does uses the above
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path) {
  TRY(std::unique_ptr<Database> database, Database::open(path, Database::Access::read_write));
  // Readers never wait for the writer, nor it for them.
  TRY([[maybe_unused]] const Ok logged, database->execute("PRAGMA journal_mode=WAL"));
  TRY([[maybe_unused]] const Ok migrated, migrate(*database));
  TRY(std::unique_ptr<Database> for_checkpoints, Database::open(path, Database::Access::read_write));
  return std::make_unique<SqliteStore>(path, std::move(database), std::move(for_checkpoints));
}

}  // namespace imprint::store
