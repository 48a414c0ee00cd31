#include "sim/link.h"

namespace imprint::sim {

Duration Link::delay() {
  const auto spread = static_cast<std::uint64_t>((faults_.most - faults_.least).count());
  return faults_.least + Duration(static_cast<std::int64_t>(rng_.below(spread + 1)));
}

void Link::carry(const std::function<void()>& arrive) {
  ++counts_.carried;
  if (rng_.chance(faults_.loss)) {
    ++counts_.lost;
    return;
  }
  const int copies = rng_.chance(faults_.duplicate) ? 2 : 1;
  counts_.duplicated += copies == 2 ? 1 : 0;
  for (int i = 0; i < copies; ++i) {
    const Duration after = delay();
    const Instant at = clock_.now() + after;
    counts_.overtaken += at < latest_ ? 1 : 0;
    latest_ = std::max(latest_, at);
    clock_.after(after, arrive);
  }
}

}  // namespace imprint::sim
