// The thread that writes, of either store: changes that wait together are one durable transaction. Private to the
// stores on SQLite.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "store/sqlite/database.h"

namespace imprint::store {

// `SqlWriter` is made of the connection and has begin(), change(Change), commit() and roll_back(); what a change that
// fails did is undone by it.
template <class SqlWriter, class Change>
class WriteQueue {
 public:
  using Done = std::function<void(Status)>;

  // `too_many`: what is said while 65,536 changes wait. `grown`, if given, is told after each commit how many pages the
  // log has, on the writer's thread.
  WriteQueue(std::unique_ptr<Database> database, std::string_view too_many, std::function<void(int)> grown = {})
      : database_(std::move(database)),
        writer_(*database_),
        too_many_(too_many),
        grown_(std::move(grown)),
        thread_([this] { work(); }) {}
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  // Finishes what is queued.
  ~WriteQueue() {
    {
      const std::scoped_lock lock(mutex_);
      closing_ = true;
    }
    wanted_.notify_one();
    thread_.join();
  }

  // `urgent`: somebody waits for it; what nobody waits for is done along with the next that somebody does, or 100 ms
  // later.
  void submit(Change change, Done done, bool urgent) {
    {
      const std::scoped_lock lock(mutex_);
      if (queue_.size() < kMostQueued) {
        if (queue_.empty()) {
          patience_ = std::chrono::steady_clock::now() + kPatience;
        }
        queue_.push_back({std::move(change), std::move(done)});
        urgent_ = urgent_ || urgent || queue_.size() >= kMostTogether;
        if (urgent_ || queue_.size() == 1) {
          wanted_.notify_one();
        }
        return;
      }
    }
    done(Error{Fault::unreachable, too_many_});
  }

 private:
  static constexpr std::size_t kMostQueued = 65'536;  // beyond, the disk is too slow for the load
  static constexpr std::size_t kMostTogether = 256;   // changes of one transaction
  static constexpr std::chrono::milliseconds kPatience{100};

  struct Job {
    Change change;
    Done done;
    Status outcome = Ok{};
  };

  void work() {
    if (grown_) {
      database_->on_commit(grown_);
    }
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
  std::vector<Job> next_jobs() {
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
  Status perform(std::vector<Job>& jobs) {
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

  std::unique_ptr<Database> database_;
  SqlWriter writer_;
  std::string_view too_many_;
  std::function<void(int)> grown_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<Job> queue_;
  bool urgent_ = false;                             // somebody waits for one of them
  std::chrono::steady_clock::time_point patience_;  // when those that nobody waits for are done all the same
  bool closing_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace imprint::store
