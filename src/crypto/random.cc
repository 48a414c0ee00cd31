#include "crypto/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>

namespace imprint {

void SystemRng::fill(std::span<std::uint8_t> out) {
  constexpr std::size_t kStep = std::size_t{1} << 20U;  // RAND_bytes counts in int
  while (!out.empty()) {
    const std::size_t n = std::min(out.size(), kStep);
    if (RAND_bytes(out.data(), static_cast<int>(n)) != 1) {
      std::abort();
    }
    out = out.subspan(n);
  }
}

Secret random_secret(Rng& rng, std::size_t n) {
  Bytes bytes(n);
  rng.fill(bytes);
  Secret out{BytesView(bytes)};
  wipe(bytes);
  return out;
}

}  // namespace imprint
