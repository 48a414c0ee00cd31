#include "io/deadlines.h"

#include <vector>

namespace imprint::io {

Deadlines::Deadlines(Loop& loop, std::function<void(std::uint64_t id)> due) : loop_(loop), due_(std::move(due)) {}

Deadlines::~Deadlines() { loop_.cancel(timer_); }

void Deadlines::set(std::uint64_t id, Instant when) {
  const auto [it, fresh] = when_.try_emplace(id, when);
  if (!fresh) {
    if (it->second == when) {
      return;
    }
    order_.erase({it->second, id});
    it->second = when;
  }
  order_.emplace(when, id);
  arm();
}

void Deadlines::clear(std::uint64_t id) {
  if (const auto it = when_.find(id); it != when_.end()) {
    order_.erase({it->second, id});
    when_.erase(it);
  }
}

// A timer that fires too early costs less than one that is set anew with each change.
void Deadlines::arm() {
  if (order_.empty() || (timer_ != 0 && armed_ <= order_.begin()->first)) {
    return;
  }
  loop_.cancel(timer_);
  armed_ = order_.begin()->first;
  timer_ = loop_.after(armed_ - loop_.now(), [this] { fire(); });
}

void Deadlines::fire() {
  timer_ = 0;
  const Instant now = loop_.now();
  std::vector<std::uint64_t> late;
  while (!order_.empty() && order_.begin()->first <= now) {
    const std::uint64_t id = order_.begin()->second;
    clear(id);
    late.push_back(id);
  }
  for (const std::uint64_t id : late) {
    due_(id);
  }
  arm();
}

}  // namespace imprint::io
