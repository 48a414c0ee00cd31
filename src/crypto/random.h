// The system's randomness behind the Rng interface.
#pragma once

#include "base/rng.h"
#include "base/secret.h"

namespace imprint {

class SystemRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// n random bytes as a secret, from the given source.
Secret random_secret(Rng& rng, std::size_t n);

}  // namespace imprint
