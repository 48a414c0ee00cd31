// Virtual time: nothing passes but what is due next.
#pragma once

#include <map>
#include <unordered_map>
#include <utility>

#include "io/schedule.h"

namespace imprint::sim {

// One thread. What is due at the same instant happens in the order in which it was asked for.
class Clock final : public io::Schedule {
 public:
  explicit Clock(Instant start) : now_(start) {}

  Instant now() const override { return now_; }
  void post(std::function<void()> work) override { after(Duration(0), std::move(work)); }
  std::uint64_t after(Duration delay, std::function<void()> work) override;
  void cancel(std::uint64_t timer) override;

  // Does the next thing that is due, if it is due by then; false if nothing is.
  bool step(Instant until);
  std::uint64_t steps() const { return steps_; }

 private:
  using Due = std::pair<Instant, std::uint64_t>;
  Instant now_;
  std::uint64_t last_ = 0, steps_ = 0;
  std::map<Due, std::function<void()>> due_;
  std::unordered_map<std::uint64_t, Instant> when_;
};

}  // namespace imprint::sim
