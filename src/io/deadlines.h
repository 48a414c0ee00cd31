// Many deadlines on one timer.
#pragma once

#include <functional>
#include <set>
#include <unordered_map>
#include <utility>

#include "io/loop.h"

namespace imprint::io {

// One deadline each for things that have a number. `due` is called from the loop for each whose time has come, after
// its deadline is taken out; it may set and clear deadlines.
class Deadlines {
 public:
  Deadlines(Loop& loop, std::function<void(std::uint64_t id)> due);
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;
  ~Deadlines();

  // Replaces an earlier one.
  void set(std::uint64_t id, Instant when);
  void clear(std::uint64_t id);

 private:
  void arm();
  void fire();

  Loop& loop_;
  std::function<void(std::uint64_t)> due_;
  std::set<std::pair<Instant, std::uint64_t>> order_;
  std::unordered_map<std::uint64_t, Instant> when_;
  std::uint64_t timer_ = 0;
  Instant armed_;  // when timer_ fires, if it is not 0
};

}  // namespace imprint::io
