#include "survey/compare.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "role/proof.h"
#include "survey/protocols.h"

namespace imprint::survey {
namespace {

constexpr std::int64_t kMostRuns = 1000;

// What one column is drawn from.
struct Subject {
  const ProtocolFacts& protocol;
  const ModeFacts* mode = nullptr;  // nothing: all modes together
  const Run* run = nullptr;
};

// Of "server key, certificate" that is "server key": how the run began makes no column of its own.
std::string_view mode_of(const Run& run) { return std::string_view(run.mode).substr(0, run.mode.find(',')); }

bool same_kind(const Run& a, const Run& b) { return a.protocol == b.protocol && mode_of(a) == mode_of(b); }

// Whether the run started from this belief rather than came to it: the factory, or an operator beforehand, put it in.
bool is_initial(const BeliefChange& change) {
  return change.evidence.ground == Ground::factory ||
         change.evidence.check == ProofTraits<Configured<Certificate>>::kCheck ||
         change.evidence.check == ProofTraits<Recalled<Certificate>>::kCheck ||
         change.evidence.check == ProofTraits<FromRecord<Certificate>>::kCheck;
}

// The beliefs of a run, each with the strength that its chain leaves it.
std::vector<std::string> beliefs_of(const Run& run, bool initial) {
  std::vector<std::string> out;
  Beliefs held;
  for (const BeliefChange& change : run.beliefs) {
    const bool stands = held.apply(change);
    if (change.fate == Fate::forgotten || is_initial(change) != initial) {
      continue;
    }
    const auto strength = stands ? held.strength(change.belief.id) : std::nullopt;
    out.push_back(change.belief.statement + " (" +
                  std::string(strength ? name(*strength) : "its evidence does not hold") + ", " +
                  std::string(name(change.evidence.ground)) + ")");
  }
  return out;
}

std::string process_of(const ProtocolFacts& facts, const std::string& state) {
  for (const ProcessFacts& process : facts.processes) {
    if (std::ranges::find(process.states, state) != process.states.end()) {
      return process.step;
    }
  }
  return {};
}

// The states of the run with the steps that they stand for; states of one step share a line, and one that is entered
// again and again is named once.
std::vector<std::string> steps_of(const ProtocolFacts& facts, const Run& run) {
  std::vector<std::string> out;
  std::string before;
  std::string_view state;
  for (const RunStep& step : run.steps) {
    if (std::exchange(state, step.state) == step.state) {
      continue;
    }
    const std::string process = process_of(facts, step.state);
    if (!process.empty() && process == before) {
      out.back().insert(out.back().size() - 1, ", " + step.state);
    } else {
      out.push_back(process.empty() ? step.state : process + " (" + step.state + ")");
    }
    before = process;
  }
  return out;
}

// ---- cells ----

Cell terms(const Subject& s) {
  Cell out;
  for (const TermFacts& term : s.protocol.terms) {
    const std::string text = term.ours == term.word ? term.word : term.word + " = " + term.ours;
    if (std::ranges::find(out.said, text, &Sourced::text) == out.said.end()) {
      out.said.push_back({text, term.source});
    }
  }
  return out;
}

Cell players(const Subject& s) {
  Cell out;
  for (const PlayerFacts& player : s.protocol.players) {
    const std::string kind = player.kind == player.name ? std::string() : " (" + player.kind + ")";
    out.said.push_back({player.name + kind + (player.does == player.kind ? "" : ": " + player.does), player.source});
  }
  return out;
}

Cell initial_beliefs(const Subject& s) {
  if (s.run != nullptr && told_by_device(*s.run)) {
    return {{}, beliefs_of(*s.run, true)};
  }
  return {s.mode != nullptr ? s.mode->initial_beliefs : s.protocol.initial_beliefs, {}};
}

Cell imparted(const Subject& s) {
  if (s.run != nullptr && told_by_device(*s.run)) {
    return {{}, beliefs_of(*s.run, false)};
  }
  return {s.mode != nullptr ? s.mode->imparted_beliefs : s.protocol.imparted_beliefs, {}};
}

Cell processes(const Subject& s) {
  if (s.run != nullptr) {
    return {{}, steps_of(s.protocol, *s.run)};
  }
  Cell out;
  for (const ProcessFacts& step : s.protocol.processes) {
    out.said.push_back({step.step, step.source});
  }
  return out;
}

Cell assumed(const Subject& s, std::string_view about) {
  Cell out;
  if (s.mode != nullptr) {
    for (const AssumptionFacts& a : s.mode->assumes) {
      if (a.about == about) {
        out.said.push_back({a.text, a.source});
      }
    }
  }
  return out;
}

Cell on_scale(const Subject& s, const std::string& scale) {
  Cell out;
  std::vector<const DimensionFacts*> found;
  for (const DimensionFacts& value : s.protocol.dimensions) {
    if (value.name == scale) {
      found.push_back(&value);
    }
  }
  const bool own =
      s.mode != nullptr && std::ranges::any_of(found, [&](const auto* v) { return v->mode == s.mode->name; });
  for (const DimensionFacts* value : found) {
    if (s.mode == nullptr) {
      out.said.push_back({value->mode.empty() ? value->value : value->value + " (" + value->mode + ")", value->source});
    } else if (value->mode == (own ? s.mode->name : std::string())) {
      out.said.push_back({value->value, value->source});
    }
  }
  return out;
}

// ---- what runs measured ----

std::string weakest(const Run& run) {
  std::optional<Strength> least;
  bool learned = false;
  Beliefs held;
  for (const BeliefChange& change : run.beliefs) {
    const bool imparts = change.fate != Fate::forgotten && !is_initial(change);
    learned = learned || imparts;
    if (held.apply(change) && imparts) {
      const auto strength = held.strength(change.belief.id);
      least = least ? std::min(*least, *strength) : *strength;
    }
  }
  return least ? std::string(name(*least)) : learned ? "their evidence does not hold" : "none learned";
}

struct Measure {
  std::string_view name;
  std::function<std::string(const Run&)> of;
  bool by_server = false;  // measured there as well
};

const std::vector<Measure>& measures() {
  const auto count = [](std::uint32_t RunCounts::*member) {
    return [member](const Run& run) { return std::to_string(run.counts.*member); };
  };
  static const std::vector<Measure> kMeasures{
      {"run", [](const Run& run) { return run.id; }, true},
      {"told by", [](const Run& run) { return run.role; }, true},
      {"ended", [](const Run& run) { return utc_text(run.ended); }, true},
      {"took", [](const Run& run) { return std::to_string((run.ended - run.started).count()) + " ms"; }, true},
      {"connections", count(&RunCounts::connections)},
      {"messages", count(&RunCounts::messages), true},
      {"bytes", count(&RunCounts::bytes)},
      {"round trips", count(&RunCounts::round_trips), true},
      {"public-key operations", count(&RunCounts::public_key_operations)},
      {"persons' acts", count(&RunCounts::persons_acts)},
      {"initial beliefs", [](const Run& run) { return std::to_string(beliefs_of(run, true).size()); }},
      {"imparted beliefs", [](const Run& run) { return std::to_string(beliefs_of(run, false).size()); }},
      {"weakest of them", weakest},
  };
  return kMeasures;
}

Cell measured(const Subject& s, const Measure& measure) {
  if (s.run != nullptr) {
    const bool known = measure.by_server || told_by_device(*s.run);
    return {{}, {known ? measure.of(*s.run) : "not measured by the " + s.run->role}};
  }
  Cell out;
  if (s.mode != nullptr && measure.name == "persons' acts") {
    for (const ActFacts& act : s.mode->acts) {
      out.said.push_back({"a " + act.player + ": " + act.act, act.source});
    }
  }
  return out;
}

std::vector<Subject> subjects(const Facts& facts, const std::vector<Run>& runs) {
  std::vector<Subject> out;
  for (const ProtocolFacts& protocol : facts.protocols) {
    // The survey's own modes are names without facts of their own.
    const bool spoken =
        std::ranges::any_of(protocol.modes, [](const ModeFacts& m) { return !m.initial_beliefs.empty(); });
    if (!spoken) {
      out.push_back({protocol});
      continue;
    }
    for (const ModeFacts& mode : protocol.modes) {
      const auto run = std::ranges::find_if(
          runs, [&](const Run& r) { return r.protocol == protocol.name && mode_of(r) == mode.name; });
      out.push_back({protocol, &mode, run == runs.end() ? nullptr : &*run});
    }
  }
  return out;
}

}  // namespace

Result<std::vector<Run>> latest_runs(store::Reader& reader) {
  TRY(const std::vector<Run> all, reader.runs({.device = {}, .limit = kMostRuns}));
  std::vector<Run> chosen;  // newest first
  for (const Run& run : all) {
    if (run.result != "operational") {
      continue;
    }
    const auto rival = std::ranges::find_if(chosen, [&](const Run& r) { return same_kind(r, run); });
    if (rival == chosen.end()) {
      chosen.push_back(run);
    } else if (!told_by_device(*rival) && told_by_device(run)) {
      *rival = run;
    }
  }
  for (Run& run : chosen) {
    TRY(auto whole, reader.run(run.id));
    if (whole) {
      run = *std::move(whole);
    }
  }
  return chosen;
}

Table compare(const Facts& facts, const std::vector<Run>& runs) {
  static constexpr std::array<std::string_view, 13> kScales{
      "umbrella term",       "belief category", "initial trust", "knowledge class", "maker's role",
      "maker needed online", "user's role",     "persons' acts", "locality",        "authorization",
      "reset and resale",    "privacy",         "discovery"};
  Table out;
  out.sources = facts.sources;
  const std::vector<Subject> all = subjects(facts, runs);
  for (const Subject& s : all) {
    Column column{s.protocol.name,
                  s.mode != nullptr ? s.mode->name : "",
                  s.mode != nullptr ? s.mode->title : s.protocol.title,
                  {},
                  {},
                  {}};
    if (s.run != nullptr) {
      column.run = s.run->id;
      column.side = s.run->role;
      column.when = s.run->ended;
    }
    out.columns.push_back(std::move(column));
  }
  const auto add = [&](std::string area, std::string name, Style style, const auto& cell_of) {
    Row row{std::move(area), std::move(name), style, {}};
    std::ranges::transform(all, std::back_inserter(row.cells), cell_of);
    out.rows.push_back(std::move(row));
  };
  add("terms", "the protocol's word = our word, where they differ", Style::together, terms);
  add("players", "who takes part, and what they do", Style::apart, players);
  add("initial beliefs", "what the device holds before", Style::together, initial_beliefs);
  add("processes", "the way, step by step", Style::in_order, processes);
  add("imparted knowledge", "what the device believes afterwards", Style::together, imparted);
  for (const std::string_view about : {"link", "IP", "clock", "DNS", "I/O", "keys"}) {
    add("assumptions", std::string(about), Style::together, [&](const Subject& s) { return assumed(s, about); });
  }
  for (const std::string_view scale : kScales) {
    add("scales", std::string(scale), Style::together,
        [&](const Subject& s) { return on_scale(s, std::string(scale)); });
  }
  for (const Measure& measure : measures()) {
    add("measured", std::string(measure.name), Style::together, [&](const Subject& s) { return measured(s, measure); });
  }
  return out;
}

}  // namespace imprint::survey
