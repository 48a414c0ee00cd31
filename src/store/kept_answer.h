// Answers to changing requests, kept so that the same request again gets the same answer and changes nothing.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/instant.h"
#include "crypto/hash.h"

namespace imprint::store {

// How long an answer is kept, how many are, and how many bytes their bodies have together; the oldest go first.
inline constexpr Duration kAnswerKept = std::chrono::hours(24);
inline constexpr std::int64_t kMostAnswers = 1000;
inline constexpr std::int64_t kMostAnswerBytes = 32 * 1024 * 1024;

struct KeptAnswer {
  Sha256 key{};      // of who asked, and of the key that the asker chose
  Sha256 request{};  // MAC of all that was asked
  Instant at;
  int status = 0;
  std::string content_type, etag, location;
  Bytes body;
  bool had_secret = false;  // the body was a secret's and is not kept
  bool operator==(const KeptAnswer&) const = default;
};

// Whether the answer's time is over.
inline bool is_over(const KeptAnswer& answer, Instant now) { return now - answer.at >= kAnswerKept; }

}  // namespace imprint::store
