// Reproducible "randomness" for the simulator.
#pragma once

#include <cstdint>

namespace imprint {

// While one lives, every random number that OpenSSL draws in this process comes from the seed: keys, signatures,
// serial numbers. NOT secret. For a process that simulates and does nothing else; one at a time.
class SeededRandomness {
 public:
  explicit SeededRandomness(std::uint64_t seed);
  SeededRandomness(const SeededRandomness&) = delete;
  SeededRandomness& operator=(const SeededRandomness&) = delete;
  ~SeededRandomness();
};

}  // namespace imprint
