#include "runtime/registrar_search.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "proto/brski/dnssd.h"

namespace imprint {
namespace {

using brski::Announced;
using brski::Place;

constexpr std::size_t kMaxRemembered = 64;

// A place is known by how it is reached: the same port may lead to two things over TCP and UDP.
Place place_of(const Announced& one) {
  return {one.at.host, one.at.port, 0, one.at.scheme == "coaps" ? brski::kUdp : brski::kTcp};
}

}  // namespace

RegistrarSearch::RegistrarSearch(io::Schedule& schedule, Rng& rng, Options options, Hooks hooks)
    : schedule_(schedule),
      rng_(rng),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      ends_(options_.clock() + options_.longest),
      candidates_(options_.candidates) {
  rearm(options_.clock());
}

RegistrarSearch::~RegistrarSearch() { schedule_.cancel(timer_); }

// ---- what is heard ----

void RegistrarSearch::remember(const Announced& one) {
  std::erase_if(remembered_, [&](const Announced& known) { return known.at == one.at; });
  if (remembered_.size() >= kMaxRemembered) {
    remembered_.erase(remembered_.begin());
  }
  remembered_.push_back(one);
}

void RegistrarSearch::heard(const std::vector<Announced>& all) {
  std::vector<Place> places;
  for (const Announced& one : all) {
    remember(one);
    places.push_back(place_of(one));
  }
  announced_ = all;
  candidates_.announced(places);
  work();
}

// ---- whom it tries ----

void RegistrarSearch::work() {
  if (over_) {
    return;
  }
  const Instant now = options_.clock();
  leave_who_waits(now);
  if (time_is_up(now) && attempts_.empty()) {
    finish(std::nullopt);
    return;
  }
  begin_due(now);
  rearm(now);
}

void RegistrarSearch::begin_due(Instant now) {
  const bool may = !claimed_ && !time_is_up(now) && now >= next_begin_;
  const auto wakes = candidates_.wakes();
  if (!may || !wakes || *wakes > now || !has_room(now)) {
    return;
  }
  if (const auto place = candidates_.next(now)) {
    next_begin_ = now + brski::random_delay(rng_, options_.gap_least, options_.gap_most);
    begin(*place, now);
  }
}

// Somebody who answers slowly on purpose does not keep the device from others: the oldest attempt that has come no
// further for a while makes room (RFC 8995 section 5.1). One that is told to wait, which its owner may do too, has more
// time, unless it is the newest: that place goes round, and who was there first is not driven out at once by those who
// come later. Nor does it keep its place for ever: nobody knows yet whether it is the owner's.
Instant RegistrarSearch::makes_room(const std::pair<const std::uint64_t, Running>& one) const {
  const bool newest = one.first == attempts_.rbegin()->first;  // ids grow
  return one.second.progress + (one.second.waits && !newest ? options_.patience : options_.stalled);
}

void RegistrarSearch::make_room(std::map<std::uint64_t, Running>::iterator one, Instant now) {
  const brski::Place& place = one->second.place;
  one->second.waits ? candidates_.left_waiting(place, now) : candidates_.failed(place, now);
  bury(one);
}

bool RegistrarSearch::has_room(Instant now) {
  if (attempts_.size() < options_.most) {
    return true;
  }
  const auto oldest = std::ranges::find_if(attempts_, [&](const auto& one) { return makes_room(one) <= now; });
  if (oldest == attempts_.end()) {
    return false;
  }
  make_room(oldest, now);
  return true;
}

// An attempt that has found the owner may wait as long as it has to.
void RegistrarSearch::leave_who_waits(Instant now) {
  if (!time_is_up(now) || !options_.others_remain || claimed_) {
    return;
  }
  for (auto one = attempts_.begin(); one != attempts_.end();) {
    const auto at = one++;
    if (at->second.waits && at->second.progress + options_.stalled <= now) {
      bury(at);
    }
  }
}

void RegistrarSearch::begin(const Place& place, Instant now) {
  const auto where = std::ranges::find_if(announced_, [&](const Announced& one) { return place_of(one) == place; });
  assert(where != announced_.end() && "only what is announced now is tried");
  remember(*where);  // so that it is on record, however much is said meanwhile
  const std::uint64_t id = ++last_id_;
  Running& running = attempts_[id];
  running.place = place;
  running.progress = now;
  running.attempt = hooks_.begin(id, Announced(*where));
}

void RegistrarSearch::rearm(Instant now) {
  schedule_.cancel(timer_);
  timer_ = 0;
  if (over_) {
    return;
  }
  Instant first = time_is_up(now) ? now + options_.stalled : ends_;
  if (const auto wakes = candidates_.wakes(); wakes && !claimed_ && !time_is_up(now)) {
    Instant next = std::max(*wakes, next_begin_);
    if (attempts_.size() >= options_.most) {
      Instant room = kNoEnd;
      for (const auto& one : attempts_) {
        room = std::min(room, makes_room(one));
      }
      next = std::max(next, room);
    }
    first = std::min(first, next);
  }
  timer_ = schedule_.after(std::max(first - now, Duration(1)), [this] { work(); });
}

// ---- what comes of it ----

void RegistrarSearch::entered(std::uint64_t id, const std::string& state, bool waits) {
  const auto one = attempts_.find(id);
  if (one == attempts_.end()) {
    return;
  }
  if (waits) {
    one->second.waits = true;
  } else if (one->second.states.insert(state).second) {
    one->second.waits = false;
    one->second.progress = options_.clock();
  }
}

bool RegistrarSearch::claim(std::uint64_t id) {
  if (!attempts_.contains(id) || (claimed_ && *claimed_ != id)) {
    return false;
  }
  claimed_ = id;
  const Instant now = options_.clock();
  for (auto one = attempts_.begin(); one != attempts_.end();) {
    const auto at = one++;
    if (at->first != id) {
      candidates_.failed(at->second.place, now);
      bury(at);
    }
  }
  return true;
}

void RegistrarSearch::ended(std::uint64_t id, End how) {
  const auto one = attempts_.find(id);
  if (over_ || one == attempts_.end()) {
    return;
  }
  if (claimed_ == id) {
    claimed_.reset();
  }
  if (how == End::failed) {
    candidates_.failed(one->second.place, options_.clock());
    bury(one);
    work();
    return;
  }
  bury(one);
  finish(how == End::worked ? std::optional(id) : std::nullopt);
}

// An attempt may be on the way of telling something: it is destroyed when the schedule comes to it.
void RegistrarSearch::bury(std::map<std::uint64_t, Running>::iterator one) {
  const std::uint64_t id = one->first;
  one->second.attempt->halt();
  buried_[id] = std::move(one->second.attempt);
  attempts_.erase(one);
  schedule_.post([this, id, here = std::weak_ptr<bool>(here_)] {
    if (!here.expired()) {
      buried_.erase(id);
    }
  });
}

void RegistrarSearch::finish(std::optional<std::uint64_t> worked) {
  over_ = true;
  schedule_.cancel(timer_);
  timer_ = 0;
  while (!attempts_.empty()) {
    bury(attempts_.begin());
  }
  hooks_.over(worked);
}

}  // namespace imprint
