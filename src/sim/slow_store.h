// A store whose disk takes virtual time, loses power, and now and then refuses.
#pragma once

#include "base/rng.h"
#include "sim/clock.h"
#include "store/store.h"

namespace imprint::sim {

struct DiskFaults {
  double refusal = 0;  // of a change: nothing of it remains
  Duration least{1}, most{1};
  bool operator==(const DiskFaults&) const = default;
};

// The real store behind a queue: a change is durable when its time has come, all of it, and not before.
class SlowStore final : public store::Store {
 public:
  SlowStore(store::Store& disk, Clock& clock, SeededRng& rng, DiskFaults faults)
      : disk_(disk), clock_(clock), rng_(rng), faults_(faults) {}

  void submit(Change change, std::function<void(Status)> done) override;
  void submit_along(Change change, std::function<void(Status)> done) override {
    submit(std::move(change), std::move(done));
  }
  Result<std::unique_ptr<store::Reader>> read() override { return disk_.read(); }
  // What waits in the queue is lost, and nobody hears of it.
  void cut() { ++life_; }
  void set(DiskFaults faults) { faults_ = faults; }

 private:
  store::Store& disk_;
  Clock& clock_;
  SeededRng& rng_;
  DiskFaults faults_;
  std::uint64_t life_ = 0;
  Instant busy_until_;
};

}  // namespace imprint::sim
