#include "model/pledge.h"

#include <algorithm>
#include <array>

namespace imprint {
namespace {

constexpr std::array<std::string_view, 5> kStages{"asked", "vouchered", "imprinted", "refused", "enrolled"};

}  // namespace

std::string_view name(PledgeStage stage) { return kStages.at(static_cast<std::size_t>(stage)); }

std::optional<PledgeStage> pledge_stage_named(std::string_view name) {
  const auto* const at = std::ranges::find(kStages, name);
  if (at == kStages.end()) {
    return std::nullopt;
  }
  return static_cast<PledgeStage>(at - kStages.begin());
}

}  // namespace imprint
