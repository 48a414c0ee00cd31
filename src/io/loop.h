// One thread's event loop: sockets, timers, and work posted from other threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "io/schedule.h"

struct event_base;

namespace imprint::io {

// The wall clock.
Instant wall_clock();
// A clock that only goes forward, whatever happens to the other one; its beginning has no meaning.
Instant steady_clock();

// The process ignores SIGPIPE from the first Loop on: a peer that has left is an error of a write, not the end of us.
class Loop final : public Schedule {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() override;

  // Runs until stop(); called on the thread that owns the loop from then on.
  void run();
  // Ends run() soon. From any thread or signal-safe context of the loop.
  void stop();
  void post(std::function<void()> work) override;
  std::uint64_t after(Duration delay, std::function<void()> work) override;
  void cancel(std::uint64_t timer) override;
  // Calls the function on the loop's thread whenever the process gets this signal.
  void on_signal(int signal, std::function<void()> work);
  Instant now() const override { return wall_clock(); }
  event_base* base() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imprint::io
