#include "proto/brski/discovery.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/reader.h"
#include "proto/brski/discovery_rules.h"

namespace imprint::brski {
namespace {

constexpr std::array kOurs{kAnProxy, kAnJoinRegistrar, kSrvEst};

// Our own spelling; empty: the objective is not of discovery.
std::string_view ours(std::string_view name) {
  const auto* const found =
      std::ranges::find_if(kOurs, [name](std::string_view one) { return same_objective(one, name); });
  return found == kOurs.end() ? std::string_view() : *found;
}

// What may be said on a link without security: the proxy, and beside it the neighbour of an ACP (RFC 8995 4.1.1).
bool for_bare_links(std::string_view name) { return name == kAnProxy || name == kAnAcp; }

bool has_ended(const Heard& one, Instant now) { return one.ends && *one.ends <= now; }

}  // namespace

// ---- what is heard ----

bool FloodCache::near(BytesView address) const {
  return is_link_local(address) || (options_.loopback && is_loopback_address(address));
}

Status FloodCache::check(const Flood& flood, const Arrival& from) const {
  if (!options_.strict) {
    return Ok{};
  }
  CHECK_OR(near(from.source), Error{Fault::refused, kGraspSource});
  for (const Offer& offer : flood.offers) {
    CHECK_OR(offer.objective.loop_count == 1, Error{Fault::refused, kGraspLoopCount});
    CHECK_OR(for_bare_links(offer.objective.name), Error{Fault::refused, kGraspObjective});
    CHECK_OR(!offer.locator || near(offer.locator->address), Error{Fault::refused, kGraspLocator});
  }
  return Ok{};
}

Status FloodCache::take(BytesView datagram, const Arrival& from) {
  TRY(const Flood flood, Flood::parse(datagram));
  TRY(const Ok fine, check(flood, from));
  for (const Offer& offer : flood.offers) {
    if (!ours(offer.objective.name).empty()) {
      keep(offer, flood.ttl_ms, from);
    }
  }
  return fine;
}

void FloodCache::keep(const Offer& offer, std::uint32_t ttl_ms, const Arrival& from) {
  Heard heard{std::string(ours(offer.objective.name)),
              offer.locator,
              offer.objective.value,
              from.source,
              from.interface,
              from.at,
              std::nullopt};
  if (ttl_ms != 0) {
    heard.ends = from.at + Duration(ttl_ms);
  }
  // A null locator is a tag as any other; two links may have the same link-local address on them.
  std::erase_if(all_, [&](const Heard& one) {
    return has_ended(one, from.at) ||
           (one.name == heard.name && one.locator == heard.locator && one.interface == heard.interface);
  });
  if (all_.size() >= options_.most) {
    make_room();
  }
  all_.push_back(std::move(heard));
}

// Whoever announces the most places loses the oldest of them: many that are nowhere do not shut out who has one.
void FloodCache::make_room() {
  const auto of_one_source = [this](const Heard& one) {
    return std::ranges::count_if(
        all_, [&](const Heard& o) { return o.source == one.source && o.interface == one.interface; });
  };
  all_.erase(
      std::ranges::min_element(all_, {}, [&](const Heard& one) { return std::pair(-of_one_source(one), one.at); }));
}

const std::vector<Heard>& FloodCache::all(Instant now) {
  std::erase_if(all_, [now](const Heard& one) { return has_ended(one, now); });
  return all_;
}

std::vector<Heard> FloodCache::of(std::string_view name, Instant now) {
  std::vector<Heard> out;
  std::ranges::copy_if(all(now), std::back_inserter(out), [name](const Heard& one) { return one.name == name; });
  return out;
}

// ---- where to go ----

// A URI is not taken apart: nobody announces a proxy so.
std::optional<Place> place_of(const Heard& heard) {
  const auto& locator = heard.locator;
  if (!locator || locator->kind == Locator::Kind::uri || locator->port.value_or(0) == 0 || !locator->protocol) {
    return std::nullopt;
  }
  Locator bare = *locator;
  bare.port.reset();
  std::string host = text_of(bare);
  if (bare.kind == Locator::Kind::ipv6) {
    host = host.substr(1, host.size() - 2);  // without its brackets
  }
  return Place{std::move(host), *locator->port, is_link_local(bare.address) ? heard.interface : 0U, *locator->protocol};
}

Candidates::One* Candidates::find(const Place& place) {
  const auto found = std::ranges::find(all_, place, &One::place);
  return found == all_.end() ? nullptr : &*found;
}

void Candidates::add(const Place& place) {
  if (all_.size() >= options_.most) {
    // One that is no longer announced makes room, the one tried longest ago first.
    auto out = all_.end();
    for (auto one = all_.begin(); one != all_.end(); ++one) {
      if (!one->there && !one->trying && (out == all_.end() || one->tried < out->tried)) {
        out = one;
      }
    }
    if (out == all_.end()) {
      return;
    }
    all_.erase(out);
  }
  all_.push_back({place, true, false, std::nullopt, options_.first_pause, {}});
}

void Candidates::announced(const std::vector<Place>& places) {
  for (One& one : all_) {
    one.there = std::ranges::find(places, one.place) != places.end();
  }
  for (const Place& place : places) {
    if (find(place) == nullptr) {
      add(place);
    }
  }
}

std::optional<Place> Candidates::next(Instant now) {
  One *best = nullptr, *waits = nullptr;
  for (One& one : all_) {
    const bool may = one.there && !one.trying && (!one.tried || one.not_before <= now);
    if (may && (best == nullptr || one.tried < best->tried)) {  // never tried is before every time
      best = &one;
    }
    if (may && one.waits && (waits == nullptr || one.tried < waits->tried)) {
      waits = &one;
    }
  }
  if (best == nullptr) {
    return std::nullopt;
  }
  best = !best->tried && new_one_ && waits != nullptr ? waits : best;
  new_one_ = !best->tried;
  best->waits = false;
  best->tried = now;
  best->trying = true;
  return best->place;
}

std::optional<Instant> Candidates::wakes() const {
  std::optional<Instant> out;
  for (const One& one : all_) {
    if (one.there && !one.trying) {
      const Instant when = one.tried ? one.not_before : Instant{0};
      out = out ? std::min(*out, when) : when;
    }
  }
  return out;
}

void Candidates::failed(const Place& place, Instant now) {
  if (One* const one = find(place)) {
    one->trying = false;
    one->not_before = now + one->pause;
    one->pause = std::min(one->pause * 2, options_.longest_pause);
  }
}

void Candidates::left_waiting(const Place& place, Instant now) {
  if (One* const one = find(place)) {
    one->trying = false;
    one->waits = true;
    one->not_before = now + options_.first_pause;
  }
}

void Candidates::worked(const Place& place) {
  if (One* const one = find(place)) {
    one->trying = false;
    one->pause = options_.first_pause;
    one->not_before = {};
  }
}

// ---- what is said ----

void Announcer::say(std::vector<Offer> offers, Bytes initiator, Instant now) {
  offers_ = std::move(offers);
  initiator_ = std::move(initiator);
  next_ = now;
}

std::optional<Instant> Announcer::wakes() const { return offers_.empty() ? std::nullopt : std::optional(next_); }

std::optional<Bytes> Announcer::due(Instant now, Rng& rng) {
  if (offers_.empty() || now < next_) {
    return std::nullopt;
  }
  next_ = now + options_.period;
  std::array<std::uint8_t, 4> session{};
  rng.fill(session);
  return Flood{Reader(session).u32(), initiator_, options_.ttl_ms, offers_}.encode();
}

}  // namespace imprint::brski
