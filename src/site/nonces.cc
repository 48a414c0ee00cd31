#include "site/nonces.h"

#include "role/digest.h"

namespace imprint::site {
namespace {

constexpr std::size_t kMostNonces = 4096;

}  // namespace

bool NonceBook::take(const std::string& nonce, std::uint32_t count, Instant now) {
  const std::optional<Instant> made = nonce_made(key_, nonce);
  const std::scoped_lock lock(mutex_);
  since_ = std::min(since_, now);  // the clock went back: what comes does count
  if (count == 0 || !made || *made < since_ || now < *made || now - *made > kNonceLife) {
    return false;
  }
  std::uint32_t& last = last_[{made->ms, nonce}];
  if (count <= last) {
    return false;
  }
  last = count;
  const std::int64_t too_old = (now - kNonceLife).ms;
  while (!last_.empty() && (last_.size() > kMostNonces || last_.begin()->first.first < too_old)) {
    since_ = std::max(since_, Instant{last_.begin()->first.first + 1});
    last_.erase(last_.begin());
  }
  return true;
}

}  // namespace imprint::site
