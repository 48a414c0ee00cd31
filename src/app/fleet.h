// A fleet of virtual devices that onboard themselves over real TLS on loopback: `imprint demo`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/server.h"
#include "factory/line.h"

namespace imprint::app {

// How one device of the fleet fared.
struct Outcome {
  std::string device, protocol, mode, result, rule, next;
  std::vector<std::string> obtained;
  std::uint32_t round_trips = 0;
  Duration took{};
};

// How a device of the fleet comes to its owner, besides what it was born with.
enum class Path : std::uint8_t {
  anchors,    // holds the owner's anchors from the factory
  bootstrap,  // holds the fingerprint of the owner's CA alone
  renewal     // holds the anchors, and renews its certificate at once: two outcomes
};

// The path of the device with this number in a fleet of so many. From four devices on the last bootstraps and the one
// before it renews, so that a fleet shows every mode.
Path path_of(std::size_t device, std::size_t fleet);

// Lets every device onboard, at most `at_once` at the same time, and reports each as it ends. Returns when all are over
// or when `stop` says so.
std::vector<Outcome> onboard_fleet(Server& server, const std::vector<factory::Born>& devices, std::uint32_t at_once,
                                   const std::function<void(const Outcome&)>& report,
                                   const std::function<bool()>& stop);

}  // namespace imprint::app
