// Who has to go when a server is full: the order in which connections are ended to make room for others.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "base/instant.h"

namespace imprint::io {

// How long one may say nothing, and how long a handshake may take at all, when others want the place.
inline constexpr Duration kTimeForWord{200};
inline constexpr Duration kTimeForHandshake{2000};

// Knows the connections that have proven nothing and have no request under way. The others are kept always. A Member
// has an id() that only grows, and says whether its peer is still silent() in the handshake.
template <class Member>
class Places {
 public:
  // It is in its handshake.
  void shake(Member& m, Instant now) { shaking_.emplace(m.id(), Place{&m, now}); }
  // It has shaken hands and waits, from now on.
  void rest(Member& m, Instant now) {
    release(m);
    number_of_.emplace(m.id(), ++last_number_);
    resting_.emplace(last_number_, Place{&m, now});
  }
  // It has something under way, or has proven who it is, or is gone.
  void release(const Member& m) {
    shaking_.erase(m.id());
    if (const auto it = number_of_.find(m.id()); it != number_of_.end()) {
      resting_.erase(it->second);
      number_of_.erase(it);
    }
  }

  std::size_t shaking() const { return shaking_.size(); }
  bool empty() const { return shaking_.empty() && resting_.empty(); }

  // The longest handshake that has said nothing, or that has had its time. Null: all are too young, ask again soon.
  Member* handshake_to_end(Instant now) const {
    for (const auto& [id, place] : shaking_) {
      const Duration there = now - place.since;
      if (there < kTimeForWord) {
        return nullptr;  // as are all that came later
      }
      if (there >= kTimeForHandshake || place.member->silent()) {
        return place.member;
      }
    }
    return nullptr;
  }
  // That, or else the one that has rested longest.
  Member* to_end(Instant now) const {
    if (Member* m = handshake_to_end(now)) {
      return m;
    }
    const bool rested = !resting_.empty() && now - resting_.begin()->second.since >= kTimeForWord;
    return rested ? resting_.begin()->second.member : nullptr;
  }

 private:
  struct Place {
    Member* member;
    Instant since;
  };
  std::map<std::uint64_t, Place> shaking_;                      // by the member's id, so the longest there is first
  std::map<std::uint64_t, Place> resting_;                      // by a number that only grows
  std::unordered_map<std::uint64_t, std::uint64_t> number_of_;  // in resting_, by the member's id
  std::uint64_t last_number_ = 0;
};

}  // namespace imprint::io
