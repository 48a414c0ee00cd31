// A virtual device: the real client role on a storage that survives power cuts, and a user who tries again.
#pragma once

#include "runtime/est_device.h"
#include "sim/born.h"
#include "sim/network.h"
#include "sim/power.h"

namespace imprint::sim {

class Thing {
 public:
  using Ended = std::function<void(Thing&)>;
  Thing(Clock& clock, Network& network, Power& power, Rng& rng, Journal& journal, const factory::Born& born,
        est::PlanRef plan, bool forgetful, Ended ended);
  Thing(const Thing&) = delete;
  Thing& operator=(const Thing&) = delete;

  // Switches it on; it goes on from what its storage holds.
  void boot();
  // Renews what it holds, once; told like the first run. Only when that is over.
  void renew();

  const std::string& id() const { return born_.entry.id; }
  bool has_idevid() const { return born_.entry.idevid.has_value(); }
  // Durable in the device.
  std::optional<est::Installed> installed();
  // The key that the certificate in the device is for.
  Result<PrivateKey> key(const std::string& id) { return storage_.key(id); }
  const Run& last_run() const { return last_; }
  bool sound() const { return sound_; }  // every belief stated so far stood on something
  std::uint32_t boots() const { return boots_; }
  // How many certificates the owner has to have on record for it.
  std::int64_t certificates() { return installed() ? (renewed_ && installed()->certificate != *renewed_ ? 2 : 1) : 0; }
  Instant first_boot() const { return first_boot_; }
  std::optional<Instant> operational() const { return operational_; }

 private:
  void acted();
  void ended(const Run& run);
  void off();
  // What it is to do now; none if there is nothing left.
  est::PlanRef errand();

  Clock& clock_;
  Network& network_;
  Power& power_;
  Rng& rng_;
  Journal& journal_;
  const factory::Born& born_;
  est::PlanRef plan_;
  const bool forgetful_;
  Ended ended_;
  MemoryStorage storage_;
  std::unique_ptr<EstDevice> running_;
  Run last_;
  Instant first_boot_;
  std::optional<Instant> operational_;
  std::uint32_t boots_ = 0;
  std::optional<Certificate> renewed_;  // what is to be renewed
  bool halted_ = false, sound_ = true;
};

}  // namespace imprint::sim
