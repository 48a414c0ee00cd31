// A way to a schedule for those who may answer after it has ended: a token, the store, another server.
#pragma once

#include <memory>
#include <mutex>

#include "io/schedule.h"

namespace imprint::io {

// Held by both sides; the one that owns the work closes it.
class Gate : public std::enable_shared_from_this<Gate> {
 public:
  explicit Gate(Schedule& schedule) : schedule_(&schedule) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() = default;

  // Posts to the schedule, from any thread. Dropped once the gate is closed, be it before the work has begun.
  void post(std::function<void()> work);
  // On the schedule's thread, or once that has ended.
  void close();

 private:
  std::mutex mutex_;
  Schedule* schedule_;  // null: closed
};

}  // namespace imprint::io
