// A device that onboards itself by EST over HTTPS or CoAPS: the client role, its storage and its connections, on one
// loop.
#pragma once

#include <functional>
#include <memory>

#include "io/any_client.h"
#include "proto/est/client.h"
#include "runtime/device_storage.h"
#include "runtime/recorder.h"

namespace imprint {

// Makes a device's connections: over sockets, or over the simulator's links.
using Connector = std::function<std::unique_ptr<io::RequestClient>(io::HttpsClient::Keys,
                                                                   std::function<void(std::uint64_t session)> lost)>;
Connector over_sockets(io::Loop& loop, const io::Guard& guard, Rng& rng);

// What a device's owner hears of its run.
template <class State>
struct DeviceHooks {
  // Asks a person whether this is the right fingerprint, unless the plan says which to expect; `answer` may be called
  // later, on the loop's thread.
  std::function<void(const ConfirmFingerprint& question, std::function<void(bool)> answer)> confirm;
  // The run is over: the state is a last one, or the error says why the device's own disk gave up.
  std::function<void(const State&, const Run&, const std::optional<Error>& broken)> ended;
  // After every single action; may call halt(). Need not be set.
  std::function<void()> acted;
};

class EstDevice {
 public:
  using Hooks = DeviceHooks<est::Client::State>;

  EstDevice(io::Schedule& schedule, Rng& rng, const Connector& connector, DeviceStorage& storage, Journal* journal,
            std::string device, Hooks hooks);
  EstDevice(const EstDevice&) = delete;
  EstDevice& operator=(const EstDevice&) = delete;
  ~EstDevice();

  // On the schedule's thread.
  void start(est::PlanRef plan);
  // The power is cut: nothing more leaves.
  void halt();

 private:
  class World;
  std::unique_ptr<World> world_;
};

}  // namespace imprint
