#include "survey/compare.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "role/proof.h"
#include "survey/compare_run.h"
#include "survey/protocols.h"

namespace imprint::survey {
namespace {

// What one column is drawn from.
struct Subject {
  const ProtocolFacts& protocol;
  const ModeFacts* mode = nullptr;  // nothing: all modes together
  const Run* run = nullptr;
  std::vector<const Run*> all = {};  // of this protocol and mode, whatever became of them
};

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

// "registrar Fetching" after "registrar Admitting" is "Fetching" alone.
std::string without_who(const std::string& state, const std::string& before) {
  const std::size_t space = state.rfind(' ');
  const bool same = space != std::string::npos && before.starts_with(state.substr(0, space + 1));
  return same ? state.substr(space + 1) : state;
}

// A request of a device's that is answered: nothing that a protocol has a name for.
bool is_rest(const std::string& state) { return state.ends_with(" Idle"); }

// The states of the run with the steps that they stand for; states of one step share a line, and one that is entered
// again and again is named once.
std::vector<std::string> steps_of(const ProtocolFacts& facts, const Run& run) {
  std::vector<std::string> out;
  std::string before;
  std::string state;
  for (const RunStep& step : run.steps) {
    const std::string last = state;
    if (is_rest(step.state) || std::exchange(state, step.state) == step.state) {
      continue;
    }
    const std::string process = process_of(facts, step.state);
    if (!process.empty() && process == before) {
      out.back().insert(out.back().size() - 1, ", " + without_who(step.state, last));
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

// What somebody else came to know of the device in its run, each with the check that it stands on.
Cell owners_knowledge(const Subject& s) {
  Cell out;
  if (s.run == nullptr || told_by_device(*s.run)) {
    return out;
  }
  for (const BeliefReport& each : report_on(*s.run).beliefs) {
    const std::string held = each.held ? std::string(name(*each.held)) : "its evidence does not hold";
    out.measured.push_back(each.change.belief.statement + " (" + held + ": " + each.change.evidence.check + ")");
  }
  for (const std::string& given : s.run->obtained) {
    out.measured.push_back("given: " + given);
  }
  return out;
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

// What whoever is not the device knows of a measure of its run.
enum class Elsewhere : std::uint8_t { unknown, least, known };

struct Measure {
  std::string_view name;
  std::function<std::string(const Run&)> of;
  Elsewhere elsewhere = Elsewhere::unknown;
};

const std::vector<Measure>& measures() {
  const auto count = [](std::uint32_t RunCounts::*member) {
    return [member](const Run& run) { return std::to_string(run.counts.*member); };
  };
  static const std::vector<Measure> kMeasures{
      {"run", [](const Run& run) { return run.id; }, Elsewhere::known},
      {"device", [](const Run& run) { return run.device; }, Elsewhere::known},
      {"told by", [](const Run& run) { return run.role; }, Elsewhere::known},
      {"ended", [](const Run& run) { return utc_text(run.ended); }, Elsewhere::known},
      {"took", [](const Run& run) { return std::to_string((run.ended - run.started).count()) + " ms"; },
       Elsewhere::known},
      {"connections", count(&RunCounts::connections)},
      // What anybody may ask for without a name is not on record: the device counts more.
      {"messages", count(&RunCounts::messages), Elsewhere::least},
      {"bytes", count(&RunCounts::bytes)},
      {"round trips", count(&RunCounts::round_trips), Elsewhere::least},
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
    const Elsewhere how = told_by_device(*s.run) ? Elsewhere::known : measure.elsewhere;
    const std::string text = how == Elsewhere::unknown ? std::string(kNotMeasured) : measure.of(*s.run);
    return {{}, {(how == Elsewhere::least ? "at least " : "") + text}};
  }
  Cell out;
  if (s.mode != nullptr && measure.name == "persons' acts") {
    for (const ActFacts& act : s.mode->acts) {
      out.said.push_back({"a " + act.player + ": " + act.act, act.source});
    }
  }
  return out;
}

// "12 operational, 1 held": how all of them ended that are on record.
Cell outcomes(const Subject& s) {
  std::map<std::string, std::size_t> counts;
  for (const Run* const run : s.all) {
    ++counts[run->result];
  }
  std::string text;
  const auto tell = [&](const std::string& result, std::size_t count) {
    text.append(text.empty() ? "" : ", ").append(std::to_string(count)).append(" ").append(result);
  };
  if (const auto good = counts.extract("operational")) {
    tell(good.key(), good.mapped());
  }
  for (const auto& [result, count] : counts) {
    tell(result, count);
  }
  return text.empty() ? Cell{} : Cell{{}, {text}};
}

// The latest run of each device that did not succeed in it. `all` is newest first.
std::vector<Run> not_through(const Facts& facts, const std::vector<Story>& all) {
  std::vector<Run> out;
  std::set<std::pair<std::string, std::string>> seen;
  for (const Story& each : all) {
    const Run& run = each.run;
    const bool ours = std::ranges::any_of(facts.protocols, [&](const auto& p) { return p.name == run.protocol; });
    const bool counts = ours && each.instead.empty();
    const bool latest = counts && (run.device.empty() || seen.emplace(run.protocol, run.device).second);
    if (latest && run.result != "operational" && run.result != "answered") {
      out.push_back(run);
    }
  }
  return out;
}

std::vector<Subject> subjects(const Facts& facts, const std::vector<Run>& runs, const std::vector<Story>& all) {
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
      for (const Story& each : all) {
        const bool told_here = each.instead.empty() && each.run.result != "answered";
        if (told_here && each.run.protocol == protocol.name && mode_of(each.run) == mode.name) {
          out.back().all.push_back(&each.run);
        }
      }
    }
  }
  return out;
}

}  // namespace

Table compare(const Facts& facts, const std::vector<Run>& runs, const std::vector<Story>& all_runs) {
  static constexpr std::array<std::string_view, 13> kScales{
      "umbrella term",       "belief category", "initial trust", "knowledge class", "maker's role",
      "maker needed online", "user's role",     "persons' acts", "locality",        "authorization",
      "reset and resale",    "privacy",         "discovery"};
  Table out;
  out.sources = facts.sources;
  out.not_through = not_through(facts, all_runs);
  const std::vector<Subject> all = subjects(facts, runs, all_runs);
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
      column.device = s.run->device;
      column.by_device = told_by_device(*s.run);
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
  add("owner's knowledge", "what the owner's side came to know of the device, and gave it", Style::apart,
      owners_knowledge);
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
  add("measured", "on record", Style::together, outcomes);
  return out;
}

}  // namespace imprint::survey
