// One thread's event loop: sockets, timers, and work posted from other threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/instant.h"

struct event_base;

namespace imprint::io {

// The wall clock.
Instant wall_clock();

// The process ignores SIGPIPE from the first Loop on: a peer that has left is an error of a write, not the end of us.
class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // Runs until stop(); called on the thread that owns the loop from then on.
  void run();
  // Ends run() soon. From any thread or signal-safe context of the loop.
  void stop();
  // Calls the function on the loop's thread, in the order posted. From any thread.
  void post(std::function<void()> work);
  // Calls the function once after the delay, on the loop's thread. cancel() of an id that has fired is harmless.
  std::uint64_t after(Duration delay, std::function<void()> work);
  void cancel(std::uint64_t timer);
  // Calls the function on the loop's thread whenever the process gets this signal.
  void on_signal(int signal, std::function<void()> work);
  Instant now() const { return wall_clock(); }
  event_base* base() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imprint::io
