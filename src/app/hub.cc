#include "app/hub.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "app/run_log.h"
#include "app/version.h"
#include "codec/json.h"
#include "io/log.h"
#include "io/loop.h"
#include "survey/repeats.h"

namespace imprint::app {
namespace {

constexpr std::size_t kKeptEvents = 4096;
constexpr std::uint64_t kPruneEvery = 64;    // runs: looking for old ones costs a walk over the index
constexpr std::size_t kMaxLabelValues = 64;  // a label; more would be a mistake of ours, and memory
constexpr std::size_t kMaxLabelLength = 64;

// Upper ends in seconds: a run on a LAN takes milliseconds, one that waits for a person minutes.
const prometheus::Histogram::BucketBoundaries kDurations{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                         1,     2.5,  5,     10,   30,  60,   300};

std::string line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json run_head(const Run& run) {
  return {{"run", run.id}, {"protocol", run.protocol}, {"mode", run.mode}, {"role", run.role}, {"device", run.device}};
}

std::string step_json(const Run& run, const RunStep& step) {
  Json out = run_head(run);
  out["state"] = step.state;
  out["check"] = step.check;
  out["at"] = utc_text(step.at);
  out["took_ms"] = step.took.count();
  out["fault"] = step.fault;
  out["rule"] = step.fault.empty() ? std::string() : run.rule;
  out["next"] = step.next;
  return line(out);
}

std::string ended_json(const Run& run) {
  Json out = run_head(run);
  out["result"] = run.result;
  out["rule"] = run.rule;
  out["obtained"] = run.obtained;
  out["started"] = utc_text(run.started);
  out["ended"] = utc_text(run.ended);
  out["took_ms"] = (run.ended - run.started).count();
  return line(out);
}

// Keeps the values of one label few: whatever comes after the first 64, or is longer than any of ours, is "other".
class LabelValues {
 public:
  const std::string& operator()(const std::string& value) {
    static const std::string kOther = "other";
    static const std::string kNone = "none";
    if (value.empty()) {
      return kNone;
    }
    if (value.size() > kMaxLabelLength || (seen_.size() >= kMaxLabelValues && !seen_.contains(value))) {
      return kOther;
    }
    return *seen_.insert(value).first;
  }

 private:
  std::set<std::string> seen_;
};

std::string_view base_name(std::string_view series) { return series.substr(0, series.find('{')); }

// In the text format all series of one name stand together, under one TYPE line.
std::string gauges_text(const std::map<std::string, double>& gauges) {
  std::map<std::string_view, std::vector<const std::pair<const std::string, double>*>> families;
  for (const auto& gauge : gauges) {
    families[base_name(gauge.first)].push_back(&gauge);
  }
  std::string out;
  for (const auto& [name, series] : families) {
    out.append("# TYPE ").append(name).append(name.ends_with("_total") ? " counter\n" : " gauge\n");
    for (const auto* one : series) {
      std::array<char, 32> number{};
      std::snprintf(number.data(), number.size(), "%.17g", one->second);
      out.append(one->first).append(" ").append(number.data()).append("\n");
    }
  }
  return out;
}

}  // namespace

struct Hub::Impl {
  Impl(store::Store* s, std::size_t k) : store(s), keep(k) {
    prometheus::BuildGauge()
        .Name("imprint_build_info")
        .Help("Always 1; the labels say which build this is")
        .Register(registry)
        .Add({{"version", std::string(kVersion)}})
        .Set(1);
  }

  // Under `metrics_mutex`.
  void count(const Run& run) {
    const std::string protocol = protocols(run.protocol);
    const std::string role = roles(run.role);
    onboardings
        .Add({{"protocol", protocol}, {"role", role}, {"result", results(run.result)}, {"reason", reasons(run.rule)}})
        .Increment();
    durations.Add({{"protocol", protocol}, {"role", role}}, kDurations)
        .Observe(static_cast<double>((run.ended - run.started).count()) / 1000.0);
  }

  // With every 64th run the old ones go, in the same transaction.
  void save(const Run& run) {
    const bool prune = saved++ % kPruneEvery == kPruneEvery - 1;
    const auto most = static_cast<std::int64_t>(keep.load());
    store->submit_along(
        [run, prune, most](store::Writer& writer) -> Status {
          TRY([[maybe_unused]] const Ok written, survey::keep_run(writer, run));
          return prune ? writer.prune_runs(most) : Status(Ok{});
        },
        [id = run.id](const Status& done) {
          if (!done) {
            io::log(io::LogLevel::warning, "run.not_saved",
                    {{"run", id}, {"fault", imprint::name(done.error().fault)}});
          }
        });
  }

  store::Store* const store;
  std::atomic<std::size_t> keep;
  std::atomic<std::uint64_t> saved{0};

  std::mutex metrics_mutex;
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& onboardings =
      prometheus::BuildCounter().Name("imprint_onboardings_total").Help("Runs that have ended").Register(registry);
  prometheus::Family<prometheus::Histogram>& durations = prometheus::BuildHistogram()
                                                             .Name("imprint_onboarding_duration_seconds")
                                                             .Help("From the start of a run to its end")
                                                             .Register(registry);
  prometheus::Family<prometheus::Counter>& refusals =
      prometheus::BuildCounter().Name("imprint_refusals_total").Help("Inputs that a role refused").Register(registry);
  LabelValues protocols, roles, results, reasons, faults;

  std::mutex events_mutex;
  std::deque<Event> events;
  // From the clock on, so that a stream that comes back after a restart (Last-Event-ID) finds later numbers only.
  std::uint64_t last_event = static_cast<std::uint64_t>(io::wall_clock().ms);
  std::uint64_t last_listener = 0;
  std::map<std::uint64_t, std::function<void(const Event&)>> listeners;
};

Hub::Hub(store::Store* store, std::size_t keep) : impl_(std::make_unique<Impl>(store, keep)) {}
Hub::~Hub() = default;

void Hub::keep(std::size_t runs) { impl_->keep = runs; }

void Hub::step(const Run& run, const RunStep& step) {
  if (!step.fault.empty()) {
    const std::lock_guard lock(impl_->metrics_mutex);
    impl_->refusals.Add({{"fault", impl_->faults(step.fault)}}).Increment();
  }
  tell("run.step", step_json(run, step));
}

void Hub::ended(const Run& run) {
  log_run(run);
  {
    const std::lock_guard lock(impl_->metrics_mutex);
    impl_->count(run);
  }
  if (impl_->store != nullptr && !run.anonymous) {
    impl_->save(run);
  }
  tell("run.ended", ended_json(run));
}

void Hub::tell(std::string name, std::string json) {
  const std::lock_guard lock(impl_->events_mutex);  // held while telling, so that every listener sees the same order
  if (impl_->events.size() == kKeptEvents) {
    impl_->events.pop_front();
  }
  const Event& event = impl_->events.emplace_back(Event{++impl_->last_event, std::move(name), std::move(json)});
  for (const auto& [id, listener] : impl_->listeners) {
    listener(event);
  }
}

std::uint64_t Hub::listen(std::uint64_t last_id, std::function<void(const Event&)> listener) {
  const std::lock_guard lock(impl_->events_mutex);
  for (const Event& event : impl_->events) {
    if (event.id > last_id) {
      listener(event);
    }
  }
  impl_->listeners.emplace(++impl_->last_listener, std::move(listener));
  return impl_->last_listener;
}

void Hub::unlisten(std::uint64_t listener) {
  const std::lock_guard lock(impl_->events_mutex);
  impl_->listeners.erase(listener);
}

std::string Hub::metrics(const std::map<std::string, double>& gauges) {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect()) + gauges_text(gauges);
}

}  // namespace imprint::app
