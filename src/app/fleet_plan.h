// What a fleet of `imprint demo` is made of: how many devices of which kind, of which maker, and how each comes to its
// owner. Pure: nothing here makes a device.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace imprint::app {

// What --protocols chooses, in the order in which devices are shared out.
enum class FleetKind : std::uint8_t { est, brski, est_coaps, brski_coaps, brski_cloud };
std::string_view name(FleetKind kind);  // "est-coaps"
std::optional<FleetKind> fleet_kind_named(std::string_view name);
std::vector<std::string> fleet_kind_names();  // of all

// How a device comes to its owner.
enum class Way : std::uint8_t {
  secret,      // EST: holds the owner's anchors, and a one-time token
  anchors,     // EST: the same with an IDevID
  renewal,     // EST: the same, and renews its certificate at once: two outcomes
  bootstrap,   // EST: holds the fingerprint of the owner's CA alone
  coaps,       // EST over CoAPS: holds the owner's anchors, and an IDevID
  given,       // BRSKI: the registrar's address was given
  proxy,       // BRSKI: a join proxy was heard
  jws,         // BRSKI: given; vouchers are JWS
  redirected,  // BRSKI: the maker's default registrar sends it to the owner's registrar
  est_domain   // BRSKI: the maker's default registrar gives a voucher that names the owner's EST server
};
std::string_view words(Way way);  // for people, beside the mode of a run; empty where the mode says it all

// Devices that are alike.
struct FleetPart {
  FleetKind kind = FleetKind::est;
  std::string maker;  // "acme"; empty: the factory of EST's devices, which has no MASA
  std::string model;  // "lamp"
  Way way = Way::anchors;
  std::uint32_t count = 0;
  bool operator==(const FleetPart&) const = default;
};

// The kinds share the devices evenly; the first ones get one more, if there are any left. Each kind counts once.
// From four devices with EST on all its ways are there, from two with BRSKI of a kind that kind's, and two makers.
std::vector<FleetPart> plan_fleet(std::uint32_t devices, const std::vector<FleetKind>& kinds);

}  // namespace imprint::app
