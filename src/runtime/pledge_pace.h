// How often a device may have its maker asked and our books written to: each of them costs it one small request.
#pragma once

#include <string>
#include <unordered_map>

#include "base/instant.h"

namespace imprint {

// Of one device: so many at once, and one more each so long. An onboarding takes three.
struct PaceLimits {
  std::int64_t at_once = 60;
  Duration each = std::chrono::seconds(20);
  std::size_t devices = 10'000;  // that are remembered; beyond them the one that did least is forgotten
};

// A leaky bucket for each device. One that has emptied takes no memory.
class PledgePace {
 public:
  // How long the device has to wait before it is served again; zero: not at all. `who`: its key.
  Duration wait(const std::string& who, Instant now, const PaceLimits& limits) const;
  // It has been served, and that was one.
  void count(const std::string& who, Instant now, const PaceLimits& limits);
  std::size_t devices() const { return empty_at_.size(); }

 private:
  void make_room(Instant now, const PaceLimits& limits);

  std::unordered_map<std::string, Instant> empty_at_;
};

}  // namespace imprint
