// Answers that are kept, in memory.
#include <algorithm>

#include "store/memory/memory.h"

namespace imprint::store {

Result<std::optional<KeptAnswer>> MemoryWriter::kept_answer(const Sha256& key, Instant now) {
  const auto at = std::ranges::find(t_.answers, key, &KeptAnswer::key);
  return at == t_.answers.end() || is_over(*at, now) ? std::nullopt : std::optional(*at);
}

Status MemoryWriter::keep_answer(const KeptAnswer& answer) {
  const auto there = std::ranges::find(t_.answers, answer.key, &KeptAnswer::key);
  CHECK_OR(there == t_.answers.end() || is_over(*there, answer.at), Error{Fault::conflict, "answer: kept already"});
  std::erase_if(t_.answers, [&](const KeptAnswer& each) { return is_over(each, answer.at); });
  t_.answers.push_back(answer);
  const auto size = [](const KeptAnswer& each) { return static_cast<std::int64_t>(each.body.size()); };
  auto first = t_.answers.end() - 1;  // the oldest that stays
  std::int64_t bytes = size(*first);
  while (first != t_.answers.begin() && t_.answers.end() - first < kMostAnswers &&
         bytes + size(*(first - 1)) <= kMostAnswerBytes) {
    --first;
    bytes += size(*first);
  }
  t_.answers.erase(t_.answers.begin(), first);
  return Ok{};
}

}  // namespace imprint::store
