// The owner's side in the simulator: the real server, policy, CA and store, on a machine that may lose its power.
#pragma once

#include "factory/line.h"
#include "runtime/est_server.h"
#include "sim/network.h"
#include "sim/power.h"
#include "sim/slow_store.h"

namespace imprint::sim {

class Owner {
 public:
  // `disk` outlives the owner and what it survives; `maker` is whose IDevIDs it takes.
  static Result<std::unique_ptr<Owner>> make(Clock& clock, Network& network, store::Store& disk, SlowStore& store,
                                             Power& power, Rng& rng, Journal& journal, const Certificate& maker);
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  // Into the inventory, approved, with what the manifest says.
  Status expect(const std::vector<factory::Born>& devices);
  Uri address() const;
  std::vector<Certificate> anchors() const { return site_->ca.chain(); }

 private:
  Owner(Clock& clock, Network& network, store::Store& disk, SlowStore& store, Power& power, Rng& rng, Journal& journal)
      : clock_(clock), network_(network), disk_(disk), store_(store), power_(power), rng_(rng), journal_(journal) {}
  Status set_up(const Certificate& maker);
  void switch_on();
  void acted();

  Clock& clock_;
  Network& network_;
  store::Store& disk_;
  SlowStore& store_;
  Power& power_;
  Rng& rng_;
  Journal& journal_;
  std::shared_ptr<EstSite> site_;
  Endpoint endpoint_;
  std::unique_ptr<EstServer> est_;
};

}  // namespace imprint::sim
