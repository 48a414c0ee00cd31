#include "survey/stories.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "survey/protocols.h"

namespace imprint::survey {
namespace {

constexpr std::int64_t kMostRuns = 4000;
constexpr std::size_t kMostParts = 64;
constexpr std::size_t kFirstParts = 16;  // of those that are shown if there are more
constexpr Duration kClocks = std::chrono::minutes(5);
constexpr std::string_view kRegistrar = "registrar";
constexpr std::string_view kHeld = "BRSKI-EST-HELD";

enum class Part : std::uint8_t { voucher, voucher_status, enrolment_status, certificate, other };

bool is_registrars(const Run& run) { return run.protocol == "brski" && run.role == kRegistrar; }

// "coaps, voucher status": which request it was is said last.
bool asks(const Run& run, std::string_view request) {
  const std::size_t comma = run.mode.rfind(", ");
  return std::string_view(run.mode).substr(comma == std::string::npos ? 0 : comma + 2) == request;
}

bool says(const Run& run, std::string_view word) { return run.mode.find(word) != std::string::npos; }

Part part_of(const Run& run) {
  if (is_registrars(run)) {
    return asks(run, "voucher")            ? Part::voucher
           : asks(run, "voucher status")   ? Part::voucher_status
           : asks(run, "enrolment status") ? Part::enrolment_status
                                           : Part::other;
  }
  // Only a device that has a certificate can renew it.
  return run.protocol == "est" && run.role == "server" && !says(run, "renewal") ? Part::certificate : Part::other;
}

bool earlier(const Run& a, const Run& b) { return a.started != b.started ? a.started < b.started : a.id < b.id; }

template <class T>
void add_new(std::vector<T>& to, const std::vector<T>& more) {
  std::ranges::copy_if(more, std::back_inserter(to),
                       [&](const T& each) { return std::ranges::find(to, each) == to.end(); });
}

void add(RunCounts& to, const RunCounts& more) {
  to.messages += more.messages;
  to.bytes += more.bytes;
  to.round_trips += more.round_trips;
  to.connections += more.connections;
  to.public_key_operations += more.public_key_operations;
  to.persons_acts += more.persons_acts;
}

// One onboarding while its parts are read, oldest first.
class Joining {
 public:
  explicit Joining(const Run& first) {
    out_.run = first;
    out_.run.obtained.clear();
    out_.run.counts = {};
    out_.run.rule.clear();
    out_.run.result = "incomplete";
    out_.from_start = part_of(first) == Part::voucher;
    take(first);
  }

  // Whether it goes on with this run.
  bool wants(const Run& run) const {
    const bool soon = run.started - out_.run.ended <= kSameMatter;
    switch (part_of(run)) {
      case Part::voucher:
        return !vouchered_ && (out_.run.result == "waiting" || soon);
      case Part::voucher_status:
      case Part::enrolment_status:
        return vouchered_;
      case Part::certificate:
        return vouchered_ && !reported_ && (!certified_ || soon);
      case Part::other:
        break;
    }
    return false;
  }

  void take(const Run& run) {
    out_.parts.push_back(run.id);
    out_.run.ended = std::max(out_.run.ended, run.ended);
    add(out_.run.counts, run.counts);
    add_new(out_.run.obtained, run.obtained);
    nonceless_ = nonceless_ || says(run, "nonceless");
    coaps_ = coaps_ || says(run, "coaps");
    const Part part = part_of(run);
    vouchered_ = vouchered_ || run.result == "vouchered" || part == Part::enrolment_status;
    certified_ = certified_ || (part == Part::certificate ? run.result == "operational"
                                                          : part == Part::enrolment_status && !run.obtained.empty());
    reported_ = reported_ || (part == Part::enrolment_status && run.result == "operational");
    judge(run);
  }

  Story done() {
    out_.run.mode = std::string(nonceless_ ? "nonceless, " : "") + (coaps_ ? "coaps" : "https");
    return std::move(out_);
  }

 private:
  // What the onboarding has come to with this part.
  void judge(const Run& run) {
    if (reported_ && certified_) {
      out_.run.result = "operational";
      out_.run.rule.clear();
      return;
    }
    if (run.result == "answered") {  // a report once more: nothing new
      return;
    }
    if (run.result == "pending" && run.rule == kHeld && out_.run.result == "held") {  // it asks, and is held still
      return;
    }
    const bool stops = run.result == "refused" || run.result == "failed" || run.result == "held";
    const bool waits = run.result == "pending";
    out_.run.result = stops ? run.result : !waits ? "incomplete" : run.rule == kHeld ? "held" : "waiting";
    out_.run.rule = stops || waits ? run.rule : std::string();
  }

  Story out_;
  bool vouchered_ = false, certified_ = false, reported_ = false, nonceless_ = false, coaps_ = false;
};

Story alone(Run run) {
  Story out{std::move(run), {}, {}};
  out.parts.push_back(out.run.id);
  return out;
}

// All of one device, on the owner's side.
void join(std::vector<Run>& runs, std::vector<Story>& out) {
  std::ranges::sort(runs, earlier);
  std::unique_ptr<Joining> open;
  const auto close = [&] {
    if (open) {
      out.push_back(open->done());
      open.reset();
    }
  };
  for (Run& run : runs) {
    if (open && open->wants(run)) {
      open->take(run);
    } else if (is_registrars(run)) {
      close();
      open = std::make_unique<Joining>(run);
    } else {
      out.push_back(alone(std::move(run)));
    }
  }
  close();
}

// The device's story of the same time: clocks differ.
void find_own(std::vector<Story>& all) {
  for (Story& each : all) {
    if (!is_registrars(each.run)) {
      continue;
    }
    const auto own = std::ranges::find_if(all, [&](const Story& other) {
      return other.run.protocol == each.run.protocol && told_by_device(other.run) &&
             other.run.device == each.run.device && other.run.started <= each.run.ended + kClocks &&
             each.run.started <= other.run.ended + kClocks;
    });
    if (own != all.end()) {
      const bool good = own->run.result == "operational";
      (good ? each : *own).instead = good ? own->run.id : each.run.id;
      each.run.mode = own->run.mode;
    }
  }
}

std::string who(const Run& run) {
  return is_registrars(run) ? "registrar " : run.protocol == "est" ? "EST server " : "";
}

// A belief that is held already is told once; one that says something else takes its place.
void add_beliefs(Run& to, Beliefs& held, const std::vector<BeliefChange>& more) {
  for (BeliefChange change : more) {
    const BeliefChange* const before = held.find(change.belief.id);
    if (change.fate == Fate::learned && before != nullptr) {
      if (before->belief == change.belief) {
        continue;
      }
      change.fate = Fate::replaced;
      change.replaces = change.belief.id;
    }
    held.apply(change);
    to.beliefs.push_back(std::move(change));
  }
}

void add_steps(Run& to, const Run& part) {
  for (RunStep step : part.steps) {
    step.state = who(part) + step.state;
    to.steps.push_back(std::move(step));
  }
}

}  // namespace

std::vector<Story> stories(std::vector<Run> runs) {
  std::vector<Story> out;
  std::map<std::string, std::vector<Run>> of_device;
  for (Run& run : runs) {
    if (part_of(run) != Part::other && !run.device.empty()) {
      of_device[run.device].push_back(std::move(run));
    } else if (is_registrars(run)) {  // of a stranger's: nothing joins them
      out.push_back(Joining(run).done());
    } else {
      out.push_back(alone(std::move(run)));
    }
  }
  for (auto& [device, its] : of_device) {
    join(its, out);
  }
  std::ranges::sort(out, [](const Story& a, const Story& b) { return earlier(b.run, a.run); });
  find_own(out);
  return out;
}

Result<std::vector<Story>> read_stories(store::Reader& reader, const std::vector<Run>& given) {
  TRY(std::vector<Run> runs, reader.runs({.device = {}, .limit = kMostRuns}));
  for (const Run& run : given) {
    std::erase_if(runs, [&](const Run& other) { return other.id == run.id; });
    runs.push_back(run);
  }
  return stories(std::move(runs));
}

std::string_view mode_of(const Run& run) { return std::string_view(run.mode).substr(0, run.mode.find(',')); }

std::vector<Story> latest_of(const std::vector<Story>& all) {
  std::vector<Story> out;
  for (const Story& each : all) {
    if (each.run.result != "operational" || !each.from_start) {
      continue;
    }
    const auto rival = std::ranges::find_if(out, [&](const Story& other) {
      return other.run.protocol == each.run.protocol && mode_of(other.run) == mode_of(each.run);
    });
    if (rival == out.end()) {
      out.push_back(each);
    } else if (!told_by_device(rival->run) && told_by_device(each.run)) {
      *rival = each;
    }
  }
  return out;
}

Result<Run> whole(store::Reader& reader, const Story& story) {
  Run out = story.run;
  if (!is_registrars(out)) {
    TRY(const std::optional<Run> run, reader.run(out.id));
    return run ? *run : out;
  }
  out.steps.clear();
  out.beliefs.clear();
  Beliefs held;
  const std::size_t left_out = story.parts.size() > kMostParts ? story.parts.size() - kMostParts : 0;
  for (std::size_t i = 0; i < story.parts.size(); ++i) {
    if (i >= kFirstParts && i < kFirstParts + left_out) {
      continue;
    }
    TRY(const std::optional<Run> part, reader.run(story.parts[i]));
    if (part) {  // else it was removed meanwhile
      add_steps(out, *part);
      add_beliefs(out, held, part->beliefs);
    }
  }
  return out;
}

Result<std::vector<Run>> latest_runs(store::Reader& reader, const std::vector<Story>& all) {
  std::vector<Run> out;
  for (const Story& each : latest_of(all)) {
    TRY(Run run, whole(reader, each));
    out.push_back(std::move(run));
  }
  return out;
}

Result<std::vector<Run>> latest_runs(store::Reader& reader) {
  TRY(const std::vector<Story> all, read_stories(reader));
  return latest_runs(reader, all);
}

Result<Run> story_with(store::Reader& reader, const Run& part) {
  if (part_of(part) == Part::other || part.device.empty()) {
    return whole(reader, alone(part));
  }
  TRY(std::vector<Run> runs, reader.runs({.device = part.device, .limit = kMostRuns}));
  for (const Story& each : stories(std::move(runs))) {
    if (std::ranges::find(each.parts, part.id) != each.parts.end()) {
      return whole(reader, each);
    }
  }
  return whole(reader, alone(part));
}

}  // namespace imprint::survey
