#include "model/belief.h"

#include <algorithm>
#include <array>

namespace imprint {
namespace {

constexpr std::array<std::string_view, 6> kStrengths{"asserted", "first contact", "proximity",
                                                     "label",    "confirmed",     "proved"};

}  // namespace

std::string_view name(Strength strength) { return kStrengths.at(static_cast<std::size_t>(strength)); }

std::optional<Strength> strength_named(std::string_view name) {
  const auto at = std::ranges::find(kStrengths, name);
  if (at == kStrengths.end()) {
    return std::nullopt;
  }
  return static_cast<Strength>(at - kStrengths.begin());
}

std::string_view name(Ground ground) {
  static constexpr std::array<std::string_view, 5> kNames{"factory", "check", "person", "contact", "claim"};
  return kNames.at(static_cast<std::size_t>(ground));
}

std::string_view name(Topic topic) {
  static constexpr std::array<std::string_view, 8> kNames{"anchor",   "peer", "own identity", "credential",
                                                          "endpoint", "wish", "possession",   "membership"};
  return kNames.at(static_cast<std::size_t>(topic));
}

std::string_view name(Fate fate) {
  static constexpr std::array<std::string_view, 3> kNames{"learned", "replaced", "forgotten"};
  return kNames.at(static_cast<std::size_t>(fate));
}

const BeliefChange* Beliefs::find(std::string_view id) const {
  const auto at = std::ranges::find_if(held_, [&](const BeliefChange& b) { return b.belief.id == id; });
  return at == held_.end() ? nullptr : &*at;
}

std::optional<Strength> Beliefs::strength(std::string_view id) const {
  const BeliefChange* held = find(id);
  if (held == nullptr) {
    return std::nullopt;
  }
  return held->strength;
}

bool Beliefs::apply(const BeliefChange& change) {
  if (change.fate == Fate::forgotten) {
    return std::erase_if(held_, [&](const BeliefChange& b) { return b.belief.id == change.belief.id; }) == 1;
  }
  BeliefChange next = change;
  if (next.evidence.ground == Ground::check && next.evidence.because.empty()) {
    return false;
  }
  for (const std::string& reason : next.evidence.because) {
    const auto under = strength(reason);
    if (!under) {
      return false;
    }
    next.strength = std::min(next.strength, *under);
  }
  if (change.fate == Fate::replaced) {
    if (std::erase_if(held_, [&](const BeliefChange& b) { return b.belief.id == change.replaces; }) != 1) {
      return false;
    }
  } else if (find(next.belief.id) != nullptr) {
    return false;
  }
  held_.push_back(std::move(next));
  return true;
}

}  // namespace imprint
