// Which nonces of HTTP Digest (RFC 7616) have been used, and how often: no answer to a challenge counts twice. Shared
// by all threads that serve devices.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/instant.h"
#include "base/secret.h"

namespace imprint::site {

class NonceBook {
 public:
  // Nonces of before `since` are stale: what was used before a restart is not known.
  explicit NonceBook(Instant since) : since_(since) {}

  // Whether this nonce may be answered with this count (`nc`): it is the key's, not older than kNonceLife, and each
  // count is above the one before. Call it once the answer itself is right: only who has a secret takes a place in the
  // book. It has 4,096 places; beyond, what is as old as the oldest makes room and is stale.
  bool take(const Secret& key, const std::string& nonce, std::uint32_t count, Instant now);

 private:
  std::mutex mutex_;
  Instant since_;
  std::map<std::pair<std::int64_t, std::string>, std::uint32_t> last_;  // by time of making and nonce
};

}  // namespace imprint::site
