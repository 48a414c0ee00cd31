// Which nonces of HTTP Digest (RFC 7616) have been used, and how often: no answer to a challenge counts twice. Shared
// by all threads that serve devices.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/instant.h"
#include "base/secret.h"

namespace imprint::site {

// Its nonces are its own: a key made with the book, which nobody else has, makes those of before a restart invalid.
class NonceBook {
 public:
  explicit NonceBook(Secret key) : key_(std::move(key)) {}

  // Of the nonces that may be answered.
  const Secret& key() const { return key_; }
  // Whether this nonce may be answered with this count (`nc`): it is ours, not older than kNonceLife, and each count is
  // above the one before, the first at least 1. Call it once the answer itself is right: only who has a secret takes a
  // place in the book. It has 4,096 places; beyond, what is as old as the oldest makes room and is stale.
  bool take(const std::string& nonce, std::uint32_t count, Instant now);

 private:
  const Secret key_;
  std::mutex mutex_;
  Instant since_;  // what is older has left the book
  std::map<std::pair<std::int64_t, std::string>, std::uint32_t> last_;  // by time of making and nonce
};

}  // namespace imprint::site
