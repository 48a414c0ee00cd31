// `imprint bench brski`: what whole onboardings and bulk vouchers cost each player, beside the operations that they are
// made of.
#pragma once

#include "bench/est.h"

namespace imprint::bench {

// An owner's site and a maker's MASA, each in a folder, with the devices known to both.
struct BrskiPlan {
  std::string config, data;                  // of `imprint serve`: one loop
  std::string masa_folder;                   // of `imprint masa serve`
  std::vector<EstDevice> devices;            // that onboard themselves
  std::vector<EstDevice> bulk;               // that vouchers are fetched for, in one call
  Certificate maker;                         // root of the devices, of the MASA's TLS and of its vouchers
  std::vector<Certificate> registrar_chain;  // up to what is pinned
  PrivateKey registrar_key;
  std::vector<Certificate> masa_chain;
  PrivateKey masa_key;
  // Tells the site where the MASA listens, before the site's server starts.
  std::function<Status(std::uint16_t masa_port)> introduce;
  double seconds = 2;
  unsigned at_once = 16;
  const std::atomic<bool>* interrupted = nullptr;
  std::function<void(std::string_view)> progress;
};

inline std::string log_of(const BrskiPlan& plan) { return plan.data + "/bench.log"; }
inline std::string masa_log_of(const BrskiPlan& plan) { return plan.data + "/bench-masa.log"; }

// One kind of operation in a player's part of an onboarding.
struct Operation {
  std::string_view what;
  unsigned count = 0;
  double us = 0;  // of one, bare
};

// What an onboarding costs a player, and what it is made of.
struct Player {
  double us = 0;  // processor time, all threads
  std::vector<Operation> operations;
  double floor_us() const;
  double ratio() const { return floor_us() > 0 ? us / floor_us() : 0; }
};

struct BrskiFigures {
  unsigned cores = 1;
  double rate = 0;  // complete onboardings a second
  double p50_ms = 0, p99_ms = 0;
  Player pledge, registrar, masa;
  std::uint64_t onboarded = 0, failed = 0;  // in all, with the warm-up
  std::string first_failure;

  double sign_us = 0, verify_us = 0;  // the floor of a voucher, measured around the bulk call
  std::uint64_t bulk = 0;             // vouchers of the bulk call
  double bulk_s = 0;                  // how long it took
  double bulk_masa_us = 0;            // processor time of the MASA for a voucher, all threads
  double bulk_rate() const { return bulk_s > 0 ? static_cast<double>(bulk) / bulk_s : 0; }
  // Time of a voucher over one signature and one verification, and processor time over the same.
  double bulk_ratio() const;
  double bulk_cpu_ratio() const;
};

// Takes about three times `seconds` and some more for the bulk call. Faults: unreachable (a server does not start, or
// interrupted), internal.
Result<BrskiFigures> measure_brski(const BrskiPlan& plan);

}  // namespace imprint::bench
