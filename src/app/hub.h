// Where everything that happens in the program is told: metrics, the live event stream, and the store of runs.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/recorder.h"
#include "store/store.h"

namespace imprint::app {

// One event of the stream, as it is sent: a number that never goes back, a name and one line of JSON.
struct Event {
  std::uint64_t id = 0;
  std::string name;  // "run.step", "run.ended", "device.changed", …
  std::string json;
};

class Hub final : public Journal {
 public:
  // Runs that end are written to the store, unless it is null or nobody known asked; the latest `keep` stay there.
  explicit Hub(store::Store* store, std::size_t keep = 10'000);
  ~Hub() override;

  void step(const Run& run, const RunStep& step) override;
  void ended(const Run& run) override;
  void keep(std::size_t runs);
  void tell(std::string name, std::string json);

  // Calls the listener for every event after `last_id` (those still kept: the latest 4,096), now and from then on, from
  // any thread. The number given back ends it: once unlisten() is back, no further call comes. A listener is quick and
  // does not call the hub.
  std::uint64_t listen(std::uint64_t last_id, std::function<void(const Event&)> listener);
  void unlisten(std::uint64_t listener);

  // The text of /metrics. `gauges` adds what only the caller knows, name (with labels) to value.
  std::string metrics(const std::map<std::string, double>& gauges);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imprint::app
