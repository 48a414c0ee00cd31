#include "io/places.h"

namespace imprint::io {
namespace {

// How long one may say nothing, and how long a handshake may take at all, when others want the place.
constexpr Duration kTimeForWord{200};
constexpr Duration kTimeForHandshake{2000};

}  // namespace

void Places::shake(Connection& c, Instant now) { shaking_.emplace(c.id(), Place{&c, now}); }

void Places::rest(Connection& c, Instant now) {
  release(c);
  number_of_.emplace(c.id(), ++last_number_);
  resting_.emplace(last_number_, Place{&c, now});
}

void Places::release(const Connection& c) {
  shaking_.erase(c.id());
  if (const auto it = number_of_.find(c.id()); it != number_of_.end()) {
    resting_.erase(it->second);
    number_of_.erase(it);
  }
}

Connection* Places::handshake_to_end(Instant now) const {
  for (const auto& [id, place] : shaking_) {
    const Duration there = now - place.since;
    if (there < kTimeForWord) {
      return nullptr;  // as are all that came later
    }
    if (there >= kTimeForHandshake || place.connection->silent()) {
      return place.connection;
    }
  }
  return nullptr;
}

Connection* Places::to_end(Instant now) const {
  if (Connection* c = handshake_to_end(now)) {
    return c;
  }
  const bool rested = !resting_.empty() && now - resting_.begin()->second.since >= kTimeForWord;
  return rested ? resting_.begin()->second.connection : nullptr;
}

}  // namespace imprint::io
