// From the command line of `imprint onboard brski` to a run of the pledge, and what is told of it.
#pragma once

#include "app/onboard_run.h"
#include "proto/brski/pledge.h"

namespace imprint::app {

struct BrskiOptions {
  OnboardOptions common;                // out, device, certificate, key, subject, alt_names, key_type, label, beliefs
  std::vector<std::string> registrars;  // HOST:PORT or URL, in the order of trying
  std::string maker_anchors;            // file; of vouchers
  std::string cloud, cloud_anchors;     // URL, file
  std::string form = "cms", content_type = "voucher", serial = "subject";
  std::vector<std::string> accepted;  // assertions; empty: all
  bool no_clock = false, redirect_inside = false;
  std::uint32_t rounds = 3;
};

// Reads all files named and opens the device's folder. `registrar` heard or given: see PledgePlan.
OrProblem<Ok> onboard_brski(const Context& context, const BrskiOptions& options);

}  // namespace imprint::app
