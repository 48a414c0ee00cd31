#include "runtime/pledge_pace.h"

#include <algorithm>

namespace imprint {
namespace {

// What is in the bucket, as time. A clock that was set back fills none beyond its brim.
Duration filled(Instant empty_at, Instant now, const PaceLimits& limits) {
  return std::clamp(empty_at - now, Duration(0), limits.at_once * limits.each);
}

}  // namespace

Duration PledgePace::wait(const std::string& who, Instant now, const PaceLimits& limits) const {
  const auto at = empty_at_.find(who);
  if (at == empty_at_.end()) {
    return Duration(0);
  }
  return std::max(Duration(0), filled(at->second, now, limits) - (limits.at_once - 1) * limits.each);
}

void PledgePace::count(const std::string& who, Instant now, const PaceLimits& limits) {
  const auto at = empty_at_.find(who);
  if (at != empty_at_.end()) {
    const Duration full = limits.at_once * limits.each;
    at->second = now + std::min(full, filled(at->second, now, limits) + limits.each);
    return;
  }
  make_room(now, limits);
  empty_at_.emplace(who, now + limits.each);
}

void PledgePace::make_room(Instant now, const PaceLimits& limits) {
  if (empty_at_.size() < std::max<std::size_t>(limits.devices, 1)) {
    return;
  }
  std::erase_if(empty_at_, [now](const auto& one) { return one.second <= now; });
  if (empty_at_.size() >= std::max<std::size_t>(limits.devices, 1)) {
    empty_at_.erase(std::ranges::min_element(empty_at_, {}, [](const auto& one) { return one.second; }));
  }
}

}  // namespace imprint
