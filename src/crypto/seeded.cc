#include "crypto/seeded.h"

#include <openssl/rand.h>

#include <cassert>
#include <optional>

#include "base/rng.h"

// RAND_set_rand_method is deprecated, and the only way to reach every draw without a provider of our own.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace imprint {
namespace {

std::optional<SeededRng> source;

int fill(unsigned char* out, int size) {
  source->fill({out, static_cast<std::size_t>(size)});
  return 1;
}

int ready() { return 1; }

constexpr RAND_METHOD kMethod{nullptr, fill, nullptr, nullptr, fill, ready};

}  // namespace

SeededRandomness::SeededRandomness(std::uint64_t seed) {
  assert(!source);
  source.emplace(seed);
  RAND_set_rand_method(&kMethod);
}

SeededRandomness::~SeededRandomness() {
  RAND_set_rand_method(nullptr);
  source.reset();
}

}  // namespace imprint

#pragma GCC diagnostic pop
