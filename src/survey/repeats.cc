#include "survey/repeats.h"

#include <algorithm>

#include "survey/stories.h"

namespace imprint::survey {
namespace {

constexpr std::int64_t kLatest = 16;  // runs of a device: some are of the other protocol
constexpr std::string_view kAgain = "asked again";

bool waits(const Run& run) { return run.result == "pending"; }

// Whoever asks a registrar in vain may ask at once again (RFC 8995 section 5.6), EST's clients have their own pace.
bool may_repeat(const Run& run) {
  const bool in_vain =
      run.protocol == "brski" && run.role == "registrar" && (run.result == "refused" || run.result == "failed");
  return !run.device.empty() && (waits(run) || in_vain);
}

bool says_it_again(const Run& before, const Run& run) {
  return before.mode == run.mode && before.result == run.result && before.rule == run.rule &&
         (waits(run) || run.started - before.ended <= kSameMatter);
}

Run together(Run before, const Run& run) {
  before.counts.messages += run.counts.messages;
  before.counts.bytes += run.counts.bytes;
  before.counts.round_trips += run.counts.round_trips;
  before.started = std::min(before.started, run.started);  // of two at once the later may be told first
  before.ended = std::max(before.ended, run.ended);
  if (!before.steps.empty() && before.steps.back().check.starts_with(kAgain)) {
    before.steps.pop_back();
  }
  RunStep again = run.steps.empty() ? RunStep{} : run.steps.back();
  again.check = std::string(kAgain) + ", " + std::to_string(before.counts.round_trips) + " times in all";
  again.at = before.ended;
  again.took = before.steps.empty() ? Duration{} : again.at - before.steps.back().at;
  before.steps.push_back(std::move(again));
  return before;
}

}  // namespace

Status keep_run(store::Writer& store, const Run& run) {
  if (!may_repeat(run)) {
    return store.save_run(run);
  }
  TRY(const std::vector<Run> latest, store.runs({.device = run.device, .limit = kLatest}));
  const auto before = std::ranges::find_if(
      latest, [&](const Run& each) { return each.protocol == run.protocol && each.role == run.role; });
  if (before == latest.end() || !says_it_again(*before, run)) {
    return store.save_run(run);
  }
  auto kept = store.run(before->id);
  const bool there = kept && *kept;  // else it cannot be read: this one must not be lost as well
  return store.save_run(there ? together(**std::move(kept), run) : run);
}

}  // namespace imprint::survey
