// `imprint demo --simulate`: the fleet without sockets, in virtual time.
#pragma once

#include "app/command.h"

namespace imprint::app {

struct Simulation {
  std::uint32_t devices = 10;
  std::uint64_t seed = 1;
  std::string faults = "some";  // none, some, or drawn: from the seed
  bool coaps = false;           // EST over CoAPS, in place of HTTPS
  bool rollover = false;        // the owner's root is rolled over in the midst
};

// Simulates on a store in `folder` and prints the report. A problem if anything was wrong at the end.
OrProblem<Ok> simulate(const Context& context, const Simulation& options, const std::string& folder,
                       const std::function<bool()>& stop);

}  // namespace imprint::app
