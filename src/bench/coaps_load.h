// The clients of a measurement over CoAPS: one thread with our own client, a new association for every enrolment.
#pragma once

#include "bench/est.h"

namespace imprint::bench {

struct CoapsLoadPlan {
  std::uint16_t port = 0;
  const std::vector<EstDevice>* devices = nullptr;
  Certificate ca;     // the anchor for the server
  bool enrol = true;  // else: the association is closed as soon as it is open
  unsigned at_once = 64;
  double seconds = 1;
  const std::atomic<bool>* interrupted = nullptr;
};

// Runs until the time is over or the supply is used up, then waits for what is under way (10 seconds at most).
LoadResult run_coaps_load(const CoapsLoadPlan& plan, Supply& supply);

// Associations that are open and say nothing; they end with this object.
class IdleAssociations {
 public:
  // At most 64 handshakes at once. Fault::unreachable if one fails.
  static Result<std::unique_ptr<IdleAssociations>> open(const CoapsLoadPlan& plan, std::size_t count);
  IdleAssociations(const IdleAssociations&) = delete;
  IdleAssociations& operator=(const IdleAssociations&) = delete;
  ~IdleAssociations();

 private:
  IdleAssociations();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imprint::bench
