// Randomness as roles see it: given to them with each turn, never drawn by them.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace imprint {

class Rng {
 public:
  Rng() = default;
  Rng(const Rng&) = delete;
  Rng& operator=(const Rng&) = delete;
  virtual ~Rng() = default;

  // Fills the whole span, or ends the process: there is no useful way to go on without randomness.
  virtual void fill(std::span<std::uint8_t> out) = 0;
};

// Reproducible and NOT secret: for the simulator and for tests, where the seed replays everything.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override;
  std::uint64_t next();                      // 64 uniform bits
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound); 0 if bound is 0
  bool chance(double probability);           // true with this probability

 private:
  std::uint64_t state_;
};

}  // namespace imprint
