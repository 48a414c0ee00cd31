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
  coaps,      // the same, with a certificate, over CoAPS
  bootstrap,  // holds the fingerprint of the owner's CA alone
  renewal     // holds the anchors, and renews its certificate at once: two outcomes
};

// Which protocols a fleet speaks.
struct Protocols {
  bool est = true;    // over HTTPS
  bool coaps = true;  // EST over CoAPS, by devices with a certificate
};

// The paths of a fleet's devices, in their order. From four devices on the last bootstraps and the one before it renews
// (over HTTPS); of those with a certificate every second goes over CoAPS, so that a fleet shows every mode.
std::vector<Path> paths_of(const std::vector<factory::Born>& devices, Protocols protocols);

// Lets every device onboard, at most `at_once` at the same time, and reports each as it ends. Returns when all are over
// or when `stop` says so.
std::vector<Outcome> onboard_fleet(Server& server, const std::vector<factory::Born>& devices,
                                   const std::vector<Path>& paths, std::uint32_t at_once,
                                   const std::function<void(const Outcome&)>& report,
                                   const std::function<bool()>& stop);

}  // namespace imprint::app
