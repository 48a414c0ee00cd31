// What `imprint bench brski` measures at: an owner's site and a maker's MASA, each in a folder of its own, all new.
#pragma once

#include "app/bench_site.h"
#include "app/command.h"
#include "bench/brski.h"

namespace imprint::app {

struct BrskiBenchOptions {
  double seconds = 4;
  unsigned at_once = 16;
  unsigned devices = 256;
  unsigned bulk = 2000;
};

// Both in `folder`. The devices are of one maker, known to the site and sold to it.
OrProblem<bench::BrskiPlan> make_brski_bench_site(const BrskiBenchOptions& options, const std::string& folder);

// What both have on record: certificates of devices, and vouchers that the MASA has given.
struct BrskiOnRecord {
  std::int64_t certificates = 0, vouchers = 0;
};
OrProblem<BrskiOnRecord> brski_on_record(const bench::BrskiPlan& plan);

}  // namespace imprint::app
