#include "sim/clock.h"

#include <algorithm>

namespace imprint::sim {

std::uint64_t Clock::after(Duration delay, std::function<void()> work) {
  const Instant at = now_ + std::max(delay, Duration(0));
  const std::uint64_t id = ++last_;
  due_.emplace(Due{at, id}, std::move(work));
  when_.emplace(id, at);
  return id;
}

void Clock::cancel(std::uint64_t timer) {
  if (const auto it = when_.find(timer); it != when_.end()) {
    due_.erase({it->second, timer});
    when_.erase(it);
  }
}

bool Clock::step(Instant until) {
  if (due_.empty() || due_.begin()->first.first > until) {
    return false;
  }
  const auto first = due_.extract(due_.begin());
  now_ = first.key().first;
  when_.erase(first.key().second);
  ++steps_;
  first.mapped()();
  return true;
}

}  // namespace imprint::sim
