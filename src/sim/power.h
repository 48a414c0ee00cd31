// When the power goes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/rng.h"

namespace imprint::sim {

// Counts actions; asked after every single one. The n-th cuts, or each with a chance.
class Power {
 public:
  Power(SeededRng& rng, double chance, std::optional<std::uint64_t> after)
      : rng_(rng), chance_(chance), after_(after) {}
  // Calls `look` after every single action, before the power may go.
  void watch(std::function<void()> look) { look_ = std::move(look); }
  bool goes() {
    ++actions_;
    if (look_) {
      look_();
    }
    const bool out = after_ ? actions_ == *after_ : rng_.chance(chance_);
    cuts_ += out ? 1 : 0;
    return out;
  }
  // Each action cuts with this chance from now on.
  void strike(double chance) { chance_ = chance; }
  void stay() {
    chance_ = 0;
    after_.reset();
  }
  std::uint64_t actions() const { return actions_; }
  std::uint64_t cuts() const { return cuts_; }

 private:
  SeededRng& rng_;
  double chance_;
  std::optional<std::uint64_t> after_;
  std::function<void()> look_;
  std::uint64_t actions_ = 0, cuts_ = 0;
};

}  // namespace imprint::sim
