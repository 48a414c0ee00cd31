// The owner's side in the simulator: the real server, policy, CA and store, on a machine that may lose its power.
#pragma once

#include "factory/line.h"
#include "runtime/est_server.h"
#include "sim/network.h"
#include "sim/power.h"
#include "sim/slow_store.h"

namespace imprint::sim {

// The CA's key is elsewhere: its signer takes up to this long, and sometimes is gone.
struct SignerFaults {
  double gone = 0;
  Duration most{0};
};

// What the owner's machine stands on.
struct Place {
  Clock& clock;
  Network& network;
  store::Store& disk;  // what survives a power cut
  SlowStore& store;    // the way to it
  Power& power;
  SeededRng& rng;
  Journal& journal;
};

class Owner {
 public:
  // `maker` is whose IDevIDs it takes.
  static Result<std::unique_ptr<Owner>> make(const Place& place, const Certificate& maker, SignerFaults signer,
                                             EstServer::Binding binding);
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  // Into the inventory, approved, with what the manifest says.
  Status expect(const std::vector<factory::Born>& devices);
  Uri address() const;
  // The root of now.
  std::vector<Certificate> anchors() const { return site_->ca.chain(); }
  void set(SignerFaults signer);
  // Another root takes the place of the one of now; both vouch for each other. The server is started anew.
  Status roll_over();

 private:
  class DistantSigner;
  Owner(const Place& place, EstServer::Binding binding) : at_(place), binding_(binding) {}
  Status set_up(const Certificate& maker, SignerFaults signer);
  Status make_endpoint(const std::vector<Certificate>& links);
  void restart();
  void switch_on();
  void acted();

  const Place at_;
  const EstServer::Binding binding_;
  Certificate maker_;
  std::shared_ptr<EstSite> site_;
  std::shared_ptr<DistantSigner> signer_;
  Endpoint endpoint_;
  std::unique_ptr<EstServer> est_;
  bool down_ = false;
};

}  // namespace imprint::sim
