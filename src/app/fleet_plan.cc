#include "app/fleet_plan.h"

#include <algorithm>
#include <array>

namespace imprint::app {
namespace {

constexpr std::array<FleetKind, 5> kAll{FleetKind::est, FleetKind::brski, FleetKind::est_coaps, FleetKind::brski_coaps,
                                        FleetKind::brski_cloud};
constexpr std::uint32_t kLeastForAllWays = 4;

// Half of them; of an odd number the larger half.
std::uint32_t first_half(std::uint32_t count) { return count - count / 2; }

void add_est(std::uint32_t count, std::vector<FleetPart>& out) {
  const std::uint32_t tokens = (count + 1) / 3;
  const std::uint32_t others = count >= kLeastForAllWays ? 1 : 0;
  const FleetKind kind = FleetKind::est;
  out.push_back({kind, "", "token", Way::secret, tokens});
  out.push_back({kind, "", "idevid", Way::anchors, count - tokens - 2 * others});
  out.push_back({kind, "", "renewer", Way::renewal, others});
  out.push_back({kind, "", "finder", Way::bootstrap, others});
}

void add_kind(FleetKind kind, std::uint32_t count, std::vector<FleetPart>& out) {
  const std::uint32_t first = first_half(count), second = count - first;
  switch (kind) {
    case FleetKind::est:
      add_est(count, out);
      break;
    case FleetKind::est_coaps:
      out.push_back({kind, "", "coaps", Way::coaps, count});
      break;
    case FleetKind::brski:
      out.push_back({kind, "acme", "lamp", Way::given, first_half(first)});
      out.push_back({kind, "bolt", "meter", Way::given, first_half(second)});
      out.push_back({kind, "acme", "bulb", Way::proxy, first - first_half(first)});
      out.push_back({kind, "bolt", "gauge", Way::jws, second - first_half(second)});
      break;
    case FleetKind::brski_coaps:
      out.push_back({kind, "cell", "mote", Way::given, first});
      out.push_back({kind, "cell", "node", Way::proxy, second});
      break;
    case FleetKind::brski_cloud:
      out.push_back({kind, "acme", "cam", Way::redirected, first});
      out.push_back({kind, "cell", "tag", Way::est_domain, second});
      break;
  }
}

}  // namespace

std::string_view name(FleetKind kind) {
  switch (kind) {
    case FleetKind::est:
      return "est";
    case FleetKind::brski:
      return "brski";
    case FleetKind::est_coaps:
      return "est-coaps";
    case FleetKind::brski_coaps:
      return "brski-coaps";
    case FleetKind::brski_cloud:
      break;
  }
  return "brski-cloud";
}

std::optional<FleetKind> fleet_kind_named(std::string_view text) {
  const auto at = std::ranges::find(kAll, text, [](FleetKind kind) { return name(kind); });
  return at == kAll.end() ? std::nullopt : std::optional(*at);
}

std::vector<std::string> fleet_kind_names() {
  std::vector<std::string> out;
  for (const FleetKind kind : kAll) {
    out.emplace_back(name(kind));
  }
  return out;
}

std::string_view words(Way way) {
  switch (way) {
    case Way::proxy:
      return "join proxy";
    case Way::jws:
      return "JWS";
    case Way::redirected:
      return "redirected";
    case Way::est_domain:
      return "est-domain";
    case Way::secret:
    case Way::anchors:
    case Way::renewal:
    case Way::bootstrap:
    case Way::coaps:
    case Way::given:
      break;
  }
  return {};
}

std::vector<FleetPart> plan_fleet(std::uint32_t devices, const std::vector<FleetKind>& kinds) {
  std::vector<FleetKind> chosen;
  std::ranges::copy_if(kAll, std::back_inserter(chosen),
                       [&](FleetKind kind) { return std::ranges::find(kinds, kind) != kinds.end(); });
  std::vector<FleetPart> out;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto all = static_cast<std::uint32_t>(chosen.size());
    add_kind(chosen[i], devices / all + (i < devices % all ? 1 : 0), out);
  }
  std::erase_if(out, [](const FleetPart& part) { return part.count == 0; });
  return out;
}

}  // namespace imprint::app
