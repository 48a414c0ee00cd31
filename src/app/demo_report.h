// What `imprint demo` tells of its fleet: while it goes on, and at its end.
#pragma once

#include <map>

#include "app/command.h"
#include "app/demo_maker.h"
#include "app/fleet.h"

namespace imprint::app {

// Devices all of whose runs went well.
std::size_t operational_of(const std::vector<Outcome>& outcomes);

// The runs of one kind of device and one mode, together.
struct OutcomeGroup {
  FleetKind kind = FleetKind::est;
  std::string mode;  // of the runs, with the way beside it: "https, join proxy"
  std::size_t runs = 0, good = 0;
  std::uint32_t round_trips = 0;           // median
  Duration median{}, longest{};            // of all runs
  std::map<std::string, std::size_t> why;  // rules that were broken, and how often
};
// In the order of the kinds, and within one as the runs came.
std::vector<OutcomeGroup> groups_of(const std::vector<Outcome>& outcomes);

// Tables for people, everything as JSON. `wanted`: so many devices there are.
void print_report(const Context& context, std::vector<Outcome> outcomes, const std::vector<DemoMakerFacts>& makers,
                  std::size_t wanted);

// A line every tenth of the way.
class Progress {
 public:
  Progress(const Context& context, std::size_t wanted) : context_(context), wanted_(wanted) {}
  void one(const Outcome& o);

 private:
  const Context& context_;
  std::size_t wanted_;
  std::size_t done_ = 0;
};

}  // namespace imprint::app
