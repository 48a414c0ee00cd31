// A fleet of virtual devices that onboard themselves over real TLS and DTLS on loopback: `imprint demo`.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "app/fleet_plan.h"
#include "factory/line.h"
#include "proto/brski/pledge.h"
#include "runtime/recorder.h"

namespace imprint::app {

// A device as it is switched on: what it was born with, and what it is told to do.
struct FleetDevice {
  factory::Born born;
  FleetPart part;  // that it is one of
  std::variant<est::PlanRef, brski::PledgePlanRef> plan;
};

// How one run of a device of the fleet went.
struct Outcome {
  std::string device;
  FleetPart part;
  std::string protocol, mode, result, rule, next;  // of its run
  std::vector<std::string> obtained;
  std::uint32_t round_trips = 0;
  Duration took{};
};

// Lets every device onboard, at most `at_once` at the same time, and reports each as it ends. Returns when all are over
// or when `stop` says so.
std::vector<Outcome> onboard_fleet(Journal& journal, const std::vector<FleetDevice>& devices, std::uint32_t at_once,
                                   const std::function<void(const Outcome&)>& report,
                                   const std::function<bool()>& stop);

}  // namespace imprint::app
