#include "model/enrolment.h"

#include <algorithm>
#include <array>

namespace imprint {
namespace {

// In the order of Basis. These words are stored.
constexpr std::array<std::string_view, 4> kBases{"none", "inventory", "request", "newcomer"};

}  // namespace

std::string_view name(Basis basis) { return kBases.at(static_cast<std::size_t>(basis)); }

std::optional<Basis> basis_named(std::string_view name) {
  const auto* const at = std::ranges::find(kBases, name);
  return at == kBases.end() ? std::nullopt : std::optional(static_cast<Basis>(at - kBases.begin()));
}

}  // namespace imprint
