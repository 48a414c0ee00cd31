#include "sim/slow_store.h"

#include <algorithm>

namespace imprint::sim {

void SlowStore::submit(Change change, std::function<void(Status)> done) {
  const auto spread = static_cast<std::uint64_t>((faults_.most - faults_.least).count());
  const Duration takes = faults_.least + Duration(static_cast<std::int64_t>(rng_.below(spread + 1)));
  busy_until_ = std::max(busy_until_, clock_.now()) + takes;
  const bool refused = rng_.chance(faults_.refusal);
  const auto due = [this, life = life_, refused, change = std::move(change), done = std::move(done)] {
    if (life == life_) {
      done(refused ? Status(Error{Fault::unreachable, "store: the disk refuses"}) : disk_.write(change));
    }
  };
  clock_.after(busy_until_ - clock_.now(), due);
}

}  // namespace imprint::sim
