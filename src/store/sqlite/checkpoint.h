// Moves what the write-ahead log holds into the database file, on a thread of its own. SQLite's own way makes one
// commit in some dozens do that, with two more syncs of the disk, while requests wait for it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "store/sqlite/database.h"

namespace imprint::store {

class Checkpointer {
 public:
  // With a connection of its own to the writer's file.
  explicit Checkpointer(std::unique_ptr<Database> database);
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;
  ~Checkpointer();

  // Told by the writer after each commit: the pages that the log holds now. Any thread.
  void grown_to(int pages);

 private:
  void work();

  std::unique_ptr<Database> database_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  int pages_ = 0;
  int start_at_ = 0;  // pages that are worth the next checkpoint
  bool closing_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace imprint::store
