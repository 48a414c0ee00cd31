// Time and what is to be done later: an event loop over sockets, or the simulator's virtual clock.
#pragma once

#include <cstdint>
#include <functional>

#include "base/instant.h"

namespace imprint::io {

class Schedule {
 public:
  Schedule() = default;
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  virtual ~Schedule() = default;

  virtual Instant now() const = 0;
  // Calls the function on the schedule's thread, in the order posted. From any thread.
  virtual void post(std::function<void()> work) = 0;
  // Calls the function once after the delay, on the schedule's thread. cancel() of an id that has fired is harmless; no
  // id is 0.
  virtual std::uint64_t after(Duration delay, std::function<void()> work) = 0;
  virtual void cancel(std::uint64_t timer) = 0;
};

}  // namespace imprint::io
