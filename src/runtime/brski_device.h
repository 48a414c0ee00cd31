// A device that onboards itself by BRSKI: the pledge role, its storage and its connections, on one schedule.
#pragma once

#include "proto/brski/pledge.h"
#include "runtime/est_device.h"

namespace imprint {

class BrskiDevice {
 public:
  using Hooks = DeviceHooks<brski::Pledge::State>;  // `confirm` is never called: a voucher stands for a person

  BrskiDevice(io::Schedule& schedule, Rng& rng, const Connector& connector, DeviceStorage& storage, Journal* journal,
              std::string device, Hooks hooks);
  BrskiDevice(const BrskiDevice&) = delete;
  BrskiDevice& operator=(const BrskiDevice&) = delete;
  ~BrskiDevice();

  // On the schedule's thread.
  void start(brski::PledgePlanRef plan);
  // The power is cut: nothing more leaves.
  void halt();
  // Halts what takes too long. What there is of the run, ended as "waiting" if somebody has to decide, else as
  // "incomplete".
  Run cut_short();

 private:
  class World;
  std::unique_ptr<World> world_;
};

// As over_sockets(), with datagrams and records as small as a constrained registrar and the join proxies before it want
// them.
Connector pledge_over_sockets(io::Loop& loop, const io::Guard& guard, Rng& rng);

}  // namespace imprint
