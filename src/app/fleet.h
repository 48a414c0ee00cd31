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

// Lets every device onboard, at most `at_once` at the same time, and reports each as it ends. Returns when all are over
// or when `stop` says so.
std::vector<Outcome> onboard_fleet(Server& server, const std::vector<factory::Born>& devices, std::uint32_t at_once,
                                   const std::function<void(const Outcome&)>& report,
                                   const std::function<bool()>& stop);

}  // namespace imprint::app
