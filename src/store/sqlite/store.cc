#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "store/sqlite/checkpoint.h"
#include "store/sqlite/migrations.h"
#include "store/sqlite/writer.h"

namespace imprint::store {
namespace {

constexpr std::size_t kMostQueued = 65'536;  // beyond, the disk is too slow for the load: refuse rather than pile up
constexpr std::size_t kMostTogether = 256;   // changes of one transaction
constexpr std::chrono::milliseconds kPatience{100};  // for changes that nobody waits for
constexpr std::size_t kMostIdle = 64;                // read connections kept for later

// Read connections that nobody uses at the moment.
class Pool {
 public:
  explicit Pool(std::string path) : path_(std::move(path)) {}

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
    if (idle_.size() < kMostIdle) {
      idle_.push_back(std::move(database));
    }
  }

 private:
  std::string path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Database>> idle_;
};

// A read transaction on a borrowed connection.
class PooledReader final : public Reads<Reader> {
 public:
  PooledReader(Pool& pool, std::unique_ptr<Database> database)
      : Reads(*database), pool_(pool), borrowed_(std::move(database)) {}
  PooledReader(const PooledReader&) = delete;
  PooledReader& operator=(const PooledReader&) = delete;
  ~PooledReader() override {
    const Status ended = database_.query("COMMIT").run();
    if (ended && !database_.failed()) {
      pool_.give_back(std::move(borrowed_));  // one that has failed is closed instead
    }
  }

 private:
  Pool& pool_;
  std::unique_ptr<Database> borrowed_;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(const std::string& path, std::unique_ptr<Database> database, std::unique_ptr<Database> for_checkpoints)
      : checkpointer_(std::move(for_checkpoints)),
        database_(std::move(database)),
        writer_(*database_),
        pool_(path),
        thread_([this] { work(); }) {}
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;
  // Finishes what is queued. Every Reader must have ended before.
  ~SqliteStore() override {
    {
      const std::scoped_lock lock(mutex_);
      closing_ = true;
    }
    wanted_.notify_one();
    thread_.join();
  }

  void submit(Change change, std::function<void(Status)> done) override {
    queue_up({std::move(change), std::move(done)}, true);
  }
  void submit_along(Change change, std::function<void(Status)> done) override {
    queue_up({std::move(change), std::move(done)}, false);
  }
  Result<std::unique_ptr<Reader>> read() override;

 private:
  struct Job {
    Change change;
    std::function<void(Status)> done;
    Status outcome = Ok{};
  };

  void queue_up(Job job, bool urgent);
  void work();
  std::vector<Job> next_jobs();
  Status perform(std::vector<Job>& jobs);

  Checkpointer checkpointer_;
  std::unique_ptr<Database> database_;
  SqliteWriter writer_;
  Pool pool_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<Job> queue_;
  bool urgent_ = false;                             // somebody waits for one of them
  std::chrono::steady_clock::time_point patience_;  // when those that nobody waits for are done all the same
  bool closing_ = false;
  std::thread thread_;  // last: it uses all of the above
};

void SqliteStore::queue_up(Job job, bool urgent) {
  {
    const std::scoped_lock lock(mutex_);
    if (queue_.size() < kMostQueued) {
      if (queue_.empty()) {
        patience_ = std::chrono::steady_clock::now() + kPatience;
      }
      queue_.push_back(std::move(job));
      urgent_ = urgent_ || urgent || queue_.size() >= kMostTogether;
      if (urgent_ || queue_.size() == 1) {
        wanted_.notify_one();
      }
      return;
    }
  }
  job.done(Error{Fault::unreachable, "store: too many changes wait"});
}

Result<std::unique_ptr<Reader>> SqliteStore::read() {
  TRY(std::unique_ptr<Database> database, pool_.take());
  TRY([[maybe_unused]] const Ok begun, database->query("BEGIN").run());
  return std::make_unique<PooledReader>(pool_, std::move(database));
}

void SqliteStore::work() {
  database_->on_commit([this](int pages) { checkpointer_.grown_to(pages); });
  while (true) {
    std::vector<Job> jobs = next_jobs();
    if (jobs.empty()) {
      return;
    }
    const Status committed = perform(jobs);
    for (Job& job : jobs) {
      // A refusal, too, was judged by what the batch had written before: if that is gone, nobody knows.
      job.done(committed ? job.outcome : committed);
      job = {};  // frees what its functions hold before the next one runs
    }
  }
}

// Waits for changes; none when the store closes and all are done.
std::vector<SqliteStore::Job> SqliteStore::next_jobs() {
  std::unique_lock lock(mutex_);
  wanted_.wait(lock, [this] { return closing_ || !queue_.empty(); });
  wanted_.wait_until(lock, patience_, [this] { return closing_ || urgent_; });
  std::vector<Job> jobs;
  while (!queue_.empty() && jobs.size() < kMostTogether) {
    jobs.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  urgent_ = urgent_ && !queue_.empty();
  return jobs;
}

// Runs all in one transaction and fills their outcomes. An error: nothing was kept, of any of them.
Status SqliteStore::perform(std::vector<Job>& jobs) {
  Status so_far = writer_.begin();
  for (Job& job : jobs) {
    if (!so_far) {
      break;
    }
    job.outcome = writer_.change(job.change);
    if (database_->failed() || !database_->in_transaction()) {
      so_far = job.outcome;
    }
  }
  if (so_far) {
    so_far = writer_.commit();
  }
  if (so_far) {
    return so_far;
  }
  writer_.roll_back();
  return Error{Fault::unreachable, so_far.error().what};
}

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
