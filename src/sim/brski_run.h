// One device that comes to its owner by BRSKI: the real pledge, registrar and MASA on one clock.
#pragma once

#include "proto/brski/pledge.h"
#include "sim/brski_domain.h"

namespace imprint::sim {

struct BrskiPlan {
  // What the device is told, and what was done before it came.
  enum class Way : std::uint8_t {
    direct,     // the registrar's address was given
    proxy,      // a join proxy was heard; it only carries, so that the registrar is all there is behind it
    nonceless,  // the registrar has fetched a voucher beforehand
    cloud,      // nobody was heard: the maker's registrar sends it on
  };
  Way way = Way::proxy;
  bool coaps = false;  // to the owner's registrar over CoAPS, with vouchers in COSE (cBRSKI); direct or by a proxy
  std::uint64_t seed = 1;
  bool masa_closed = false;    // nobody answers there, once the device comes
  bool sold_to_other = false;  // the maker knows another owner
  LinkFaults link;
  // The power goes after this action: of the device, of the owner, of the MASA. None: it never does.
  std::optional<std::uint64_t> device_cut, owner_cut, masa_cut;
  // In place of that: the chance that it goes, after every single action of anybody, and how often a user switches a
  // device on again whose run failed. At `faults_end` all of this is over, and the link is good.
  double cut_chance = 0;
  std::uint32_t tries = 1;
  std::optional<Duration> faults_end;
};

// Ways, bindings and faults drawn from the seed: calm seas for some, storms for others.
BrskiPlan brski_swarm(std::uint64_t seed);

struct BrskiReport {
  Run run;  // the device's own story; of the last one if it was switched on again
  std::optional<brski::Imprinted> owner;
  std::optional<est::Installed> installed;
  Certificate owner_root;
  bool sound = true;       // every belief stated stood on something
  std::uint64_t masa = 0;  // requests that the MASA answered after the device was switched on
  std::uint64_t boots = 0, device_actions = 0, owner_actions = 0, masa_actions = 0;
  std::int64_t certificates = 0;  // that the owner has on record
  std::int64_t vouchers = 0;      // that the maker has in its log
  // So many when the device lost its power with its voucher on record and no certificate, the last time.
  std::optional<std::int64_t> vouchers_then;
  std::vector<std::string> wrong;  // what must never be and was (sim/brski_check.h); empty when all is well
  LinkCounts link;
};

// Fault::internal if the world could not be set up, or if the voucher could not be fetched beforehand. The stores are
// the owner's and the maker's; what survives a power cut is in them, and all runs go to `journal`.
Result<BrskiReport> run_brski(const BrskiPlan& plan, store::Store& owners, store::MakerStore& makers, Journal& journal);

}  // namespace imprint::sim
