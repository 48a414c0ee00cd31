// A fleet of virtual devices and their owner, without sockets, in virtual time: one seed replays everything.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "sim/owner.h"

namespace imprint::sim {

// What is to happen. Faults strike until `faults_end`, then everything heals and every device has to become
// operational.
struct FleetPlan {
  std::uint32_t devices = 100;  // 1..100,000; every third has a one-time token, the others an IDevID
  std::uint64_t seed = 1;
  LinkFaults link{.loss = 0.01, .duplicate = 0.01, .least = Duration(2), .most = Duration(60)};
  DiskFaults disk{.refusal = 0.002, .least = Duration(1), .most = Duration(8)};
  SignerFaults signer{.gone = 0.002, .most = Duration(200)};
  double device_cut = 0.002;  // chance that the power goes after an action, after every single one
  double owner_cut = 0.0002;
  std::optional<std::uint64_t> device_cut_after, owner_cut_after;  // in place of chance: after exactly this action
  bool coaps = false;                                              // EST over CoAPS: every device has an IDevID
  // When the owner's root is rolled over: each device that has a certificate by then renews it within `arrival` after
  // that, and ends with the new root's.
  std::optional<Duration> rollover;
  bool forgetful = false;  // a mistake on purpose: a power cut loses the record of what was asked; it has to be found
  Duration arrival = std::chrono::minutes(1);  // within which the devices are switched on
  Duration faults_end = std::chrono::minutes(5);
};

// Faults drawn from the seed: calm seas for some, storms for others.
FleetPlan swarm(std::uint64_t seed, std::uint32_t devices);

struct FleetReport {
  std::uint64_t operational = 0, renewed = 0, certificates = 0, runs = 0, connections = 0;
  std::uint64_t device_actions = 0, owner_actions = 0, device_cuts = 0, owner_cuts = 0, boots = 0, events = 0;
  LinkCounts link;
  Duration lasted{}, median{}, p99{}, longest{};  // virtual: the whole, and from first power-on to operational
  Sha256 trace{};                                 // of every step of every run, in order
  std::vector<std::string> wrong;                 // what must never be and was; empty when all is well
};

using Progress = std::function<void(std::uint64_t operational, std::uint64_t devices, Duration virtual_time)>;

// Runs to the end, or until `stop` says so. `disk` is an empty store. While it runs, OpenSSL's randomness comes from
// the seed: for a process that does nothing else.
Result<FleetReport> run_fleet(const FleetPlan& plan, store::Store& disk, const Progress& progress = {},
                              const std::function<bool()>& stop = {});

}  // namespace imprint::sim
