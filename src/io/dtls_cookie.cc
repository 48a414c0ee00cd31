#include "io/dtls_cookie.h"

#include <utility>

#include "crypto/random.h"

namespace imprint::io {
namespace {

constexpr Duration kLife{60000};
constexpr std::size_t kSecretSize = 32;

Secret fresh_secret() {
  SystemRng rng;
  return random_secret(rng, kSecretSize);
}

}  // namespace

Cookies::Cookies() : secret_(fresh_secret()), last_secret_(fresh_secret()) {}

Bytes Cookies::make(const DatagramPath& for_whom, Instant now) {
  change(now);
  return to_bytes(hmac_sha256(secret_, for_whom.bytes()));
}

bool Cookies::good(const DatagramPath& from, BytesView cookie, Instant now) {
  change(now);
  const Bytes what = from.bytes();
  return same(hmac_sha256(secret_, what), cookie) || same(hmac_sha256(last_secret_, what), cookie);
}

void Cookies::change(Instant now) {
  const Duration age = since_ ? now - *since_ : Duration{0};
  if (since_ && age >= Duration{0} && age < kLife) {
    return;
  }
  if (since_) {
    const bool lapsed = age < Duration{0} || age >= 2 * kLife;  // nobody has a cookie of ours, or the clock was set
    last_secret_ = lapsed ? fresh_secret() : std::move(secret_);
    secret_ = fresh_secret();
  }
  since_ = now;
}

}  // namespace imprint::io
