#include "store/sqlite/checkpoint.h"

namespace imprint::store {
namespace {

constexpr int kWorthIt = 1000;    // pages, of 4 KiB: SQLite's own threshold
constexpr int kTooLong = 16'384;  // beyond, the writer has to wait, so that the log does not grow without end

}  // namespace

Checkpointer::Checkpointer(std::unique_ptr<Database> database)
    : database_(std::move(database)), start_at_(kWorthIt), thread_([this] { work(); }) {}

Checkpointer::~Checkpointer() {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
  }
  wanted_.notify_one();
  thread_.join();
}

void Checkpointer::grown_to(int pages) {
  {
    const std::scoped_lock lock(mutex_);
    pages_ = pages;
    if (pages_ < kWorthIt) {
      start_at_ = kWorthIt;  // the log has begun anew
    }
    if (pages_ < start_at_) {
      return;
    }
  }
  wanted_.notify_one();
}

// What fails is tried again when the log has grown by as much once more: nothing is lost meanwhile.
void Checkpointer::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.wait(lock, [this] { return closing_ || pages_ >= start_at_; });
    if (closing_) {
      return;
    }
    const bool too_long = pages_ >= kTooLong;
    start_at_ = pages_ + kWorthIt;
    lock.unlock();
    database_->checkpoint(too_long);
    lock.lock();
  }
}

}  // namespace imprint::store
