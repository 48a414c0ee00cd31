#include "base/rng.h"

namespace imprint {

std::uint64_t SeededRng::next() {
  state_ += 0x9e3779b97f4a7c15U;  // splitmix64, public domain (Vigna): every seed is good, every run the same
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

void SeededRng::fill(std::span<std::uint8_t> out) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 8 == 0) {
      word = next();
    }
    out[i] = static_cast<std::uint8_t>(word >> (8 * (i % 8)));
  }
}

std::uint64_t SeededRng::below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

bool SeededRng::chance(double probability) { return static_cast<double>(next() >> 11U) * 0x1.0p-53 < probability; }

}  // namespace imprint
