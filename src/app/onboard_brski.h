// From the command line of `imprint onboard brski` to a run of the pledge, and what is told of it.
#pragma once

#include "app/onboard_run.h"
#include "app/onboard_search.h"
#include "proto/brski/pledge.h"

namespace imprint::app {

struct BrskiOptions {
  OnboardOptions common;                // out, device, certificate, key, subject, alt_names, key_type, label, beliefs
  std::vector<std::string> registrars;  // HOST:PORT or URL, in the order of trying
  SearchOptions search;                 // in place of them: who announces itself
  std::string maker_anchors;            // file; of vouchers
  std::string cloud, cloud_anchors;     // URL, file
  std::string form, content_type;       // empty: cms, voucher
  std::string serial = "subject";
  std::vector<std::string> accepted;  // assertions; empty: all
  std::vector<std::string> quirks;    // what a registrar wants otherwise, in words
  bool no_clock = false, redirect_inside = false;
  bool csrattrs = false;  // asked for over CoAPS, too
  std::uint32_t rounds = 3;
};

// Reads all files named and opens the device's folder. `registrar` heard or given: see PledgePlan.
OrProblem<Ok> onboard_brski(const Context& context, const BrskiOptions& options);

// One run of the pledge in options.common.out: how it ended.
OrProblem<Ending> run_pledge(const Context& context, const BrskiOptions& options);
// --maker-anchors, or the file that `imprint factory make` puts beside its devices; empty without either.
std::string maker_anchors_of(const BrskiOptions& options);
// CLI-OPTION or PROFILE-OPTIONS for options that contradict each other, before anything is read.
OrProblem<Ok> check_together(const BrskiOptions& options);

}  // namespace imprint::app
