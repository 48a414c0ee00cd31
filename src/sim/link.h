// A link between two parties, and what it does to what it carries.
#pragma once

#include <functional>

#include "base/rng.h"
#include "sim/clock.h"

namespace imprint::sim {

// Chances are for each thing carried. Delays are uniform between the two, so what is sent later may arrive earlier.
struct LinkFaults {
  double loss = 0;
  double duplicate = 0;
  Duration least{2}, most{2};
  bool operator==(const LinkFaults&) const = default;
};

struct LinkCounts {
  std::uint64_t carried = 0, lost = 0, duplicated = 0, overtaken = 0;
};

class Link {
 public:
  Link(Clock& clock, SeededRng& rng, LinkFaults faults) : clock_(clock), rng_(rng), faults_(faults) {}

  // Calls `arrive` after the delay; not at all if it is lost, twice if it is duplicated.
  void carry(const std::function<void()>& arrive);
  void set(LinkFaults faults) { faults_ = faults; }
  const LinkCounts& counts() const { return counts_; }

 private:
  Duration delay();
  Clock& clock_;
  SeededRng& rng_;
  LinkFaults faults_;
  LinkCounts counts_;
  Instant latest_;  // arrival of the latest so far
};

}  // namespace imprint::sim
