#include "crypto/random.h"

namespace imprint {

// The same octets in every process: what uses the toy is to be replayed.
void SystemRng::fill(std::span<std::uint8_t> out) {
  static SeededRng source(1);
  source.fill(out);
}

Secret random_secret(Rng& rng, std::size_t n) {
  Bytes bytes(n);
  rng.fill(bytes);
  return Secret{BytesView(bytes)};
}

}  // namespace imprint
