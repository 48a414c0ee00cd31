#include "survey/explain.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "survey/page.h"
#include "survey/protocols.h"
#include "survey/words.h"

namespace imprint::survey {
namespace {

constexpr std::size_t kLongestWord = 64;
constexpr std::size_t kMostSuggestions = 5;
constexpr std::size_t kIndent = 18;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// What is left of a word when spelling, case, hyphens and grammatical form are taken away: "enrol" of Enrollment.
std::string stem(std::string_view word) {
  std::string out = lower(word.substr(0, kLongestWord));
  std::erase_if(out, [](char c) { return c == ' ' || c == '-' || c == '_' || c == '.' || c == '/'; });
  replace_all(out, "isation", "ization");
  replace_all(out, "isati", "izati");
  replace_all(out, "ise", "ize");
  replace_all(out, "enroll", "enrol");
  replace_all(out, "pped", "ped");
  replace_all(out, "pping", "ping");
  // Longest first; what remains has to be a word still.
  for (const std::string_view ending : {"ization", "ation", "ment", "ing", "ize", "ed", "s"}) {
    if (out.size() >= ending.size() + 4 && out.ends_with(ending)) {
      out.erase(out.size() - ending.size());
      break;
    }
  }
  return out;
}

// "onboarding tool (OBT)" is also "onboarding tool" and "OBT"; "owner/user" is also "owner" and "user".
std::vector<std::string> names_in(std::string_view name) {
  std::vector<std::string> out{std::string(name)};
  std::string part;
  for (const char c : std::string(name) + ",") {
    if (c == '/' || c == ',' || c == ';' || c == '(' || c == ')') {
      const std::size_t begin = part.find_first_not_of(' ');
      if (begin != std::string::npos) {
        out.push_back(part.substr(begin, part.find_last_not_of(' ') + 1 - begin));
      }
      part.clear();
    } else {
      part += c;
    }
  }
  return out;
}

// Whether a name is asked for: by itself (exact), or as one of its words ("registrar" in "cloud registrar").
enum class Match : std::uint8_t { none, part, exact };

Match match(std::string_view asked, std::string_view name) {
  Match out = Match::none;
  for (const std::string& each : names_in(name)) {
    if (stem(each) == asked) {
      return Match::exact;
    }
    for (std::size_t at = 0; at < each.size();) {
      const std::size_t end = std::min(each.find_first_of(" -", at), each.size());
      out = stem(std::string_view(each).substr(at, end - at)) == asked ? Match::part : out;
      at = end + 1;
    }
  }
  return out;
}

// Every use whose name fits; those that fit by one word only, if no name fits as a whole.
std::vector<Use> uses_of(std::string_view asked, const Facts& facts) {
  std::vector<Use> exact;
  std::vector<Use> part;
  const auto add = [&](Use use) {
    const Match fit = match(asked, use.word);
    if (fit != Match::none) {
      (fit == Match::exact ? exact : part).push_back(std::move(use));
    }
  };
  for (const ProtocolFacts& protocol : facts.protocols) {
    for (const TermFacts& t : protocol.terms) {
      add({protocol.name, t.word, t.ours, false, t.meaning, t.source, t.states});
    }
    for (const PlayerFacts& p : protocol.players) {
      add({protocol.name, p.name, p.kind, true, p.does, p.source, {}});
    }
  }
  return exact.empty() ? part : exact;
}

// "server Issuing", "registrar Fetching": the states that a word names are the device's, unless it says whose.
bool names(const std::set<std::string>& states, const Run& run, const RunStep& step) {
  const bool said = told_by_device(run) || step.state.find(' ') != std::string::npos;
  return states.contains(said ? step.state : run.role + " " + step.state);
}

std::vector<Seen> seen_in(const std::vector<Use>& uses, const std::vector<Run>& runs) {
  std::vector<Seen> out;
  for (const Run& run : runs) {
    std::set<std::string> states;
    for (const Use& use : uses) {
      if (use.protocol == run.protocol) {
        states.insert(use.states.begin(), use.states.end());
      }
    }
    Seen seen{run.protocol, run.mode, run.id, run.ended, {}};
    std::ranges::copy_if(run.steps, std::back_inserter(seen.steps),
                         [&](const RunStep& step) { return names(states, run, step); });
    if (!seen.steps.empty()) {
      out.push_back(std::move(seen));
    }
  }
  return out;
}

// Insertions, deletions and replacements of one letter between two words.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::set<std::string> known_words(const Facts& facts) {
  std::set<std::string> out;
  for (const OwnWord& own : own_words()) {
    out.emplace(own.word);
  }
  for (const UmbrellaTerm& term : facts.umbrella) {
    out.insert(term.word);
  }
  for (const ProtocolFacts& protocol : facts.protocols) {
    for (const TermFacts& term : protocol.terms) {
      out.insert(term.word);
    }
    for (const PlayerFacts& player : protocol.players) {
      const std::vector<std::string> names = names_in(player.name);
      out.insert(names.size() > 1 ? std::next(names.begin()) : names.begin(), names.end());
    }
  }
  return out;
}

// The known words nearest to one that is not known, nearest first.
std::vector<std::string> suggestions_for(std::string_view asked, const Facts& facts) {
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& word : known_words(facts)) {
    const std::string known = stem(word);
    const bool within = asked.size() >= 3 && (known.find(asked) != std::string::npos);
    const std::size_t far = within ? 0 : distance(asked, known);
    if (far <= std::max<std::size_t>(1, asked.size() / 3)) {
      near.emplace_back(far, word);
    }
  }
  std::ranges::sort(near);
  std::vector<std::string> out;
  for (auto& [far, word] : near) {
    if (out.size() < kMostSuggestions) {
      out.push_back(std::move(word));
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    out.append(out.empty() ? "" : ", ").append(part);
  }
  return out;
}

// ---- text ----

std::string survey_text(const UmbrellaTerm& term) {
  std::string out;
  if (!term.meaning.empty()) {
    out += hanging("the survey", "recommends: " + term.meaning + " [" + term.source + "]", kIndent);
  }
  if (!term.central_in.empty()) {
    out += hanging(out.empty() ? "the survey" : "",
                   "the word for the whole way in " + joined(term.central_in) + " [" + term.source + "]", kIndent);
  }
  for (const Sourced& narrow : term.narrow) {
    out += hanging(out.empty() ? "the survey" : "",
                   "a narrow use in " + narrow.source + ": " + narrow.text + " [" + term.source + "]", kIndent);
  }
  return out.empty()
             ? hanging("the survey", "many protocols say it, each in its own sense [" + term.source + "]", kIndent)
             : out;
}

std::string use_text(const Use& use, bool first) {
  std::string text = use.word + (use.player ? ", a player" : "") + ": " + use.meaning + " [" + use.source + "]";
  if (use.ours != use.word) {
    text += " (ours: " + use.ours + ")";
  }
  return hanging(first ? use.protocol : "", text, kIndent);
}

std::string seen_text(const Seen& seen) {
  std::string steps;
  for (const RunStep& step : seen.steps) {
    steps.append(steps.empty() ? "" : " > ")
        .append(step.state)
        .append(" ")
        .append(std::to_string(step.took.count()))
        .append(" ms");
  }
  return hanging(seen.protocol + " " + seen.mode, "run " + seen.run + ", " + utc_text(seen.when) + ": " + steps,
                 kIndent);
}

// Where it would happen, as long as no run has shown it.
std::string states_text(const std::vector<Use>& uses) {
  std::string out;
  std::set<std::string> told;
  for (const Use& use : uses) {
    if (!use.states.empty() && told.insert(use.protocol).second) {
      out += hanging(use.protocol, "no run on record shows it; it happens in " + joined(use.states), kIndent);
    }
  }
  return out;
}

}  // namespace

Explanation explain(std::string_view word, const Facts& facts, const std::vector<Run>& runs) {
  Explanation out;
  out.asked = word.substr(0, kLongestWord);
  const std::string asked = stem(word);
  if (asked.empty()) {
    return out;
  }
  for (const OwnWord& own : own_words()) {
    if (stem(own.word) == asked) {
      out.own = own.meaning;
    }
  }
  for (const UmbrellaTerm& term : facts.umbrella) {
    if (stem(term.word) == asked) {
      out.umbrella = term;
    }
  }
  out.uses = uses_of(asked, facts);
  out.seen = seen_in(out.uses, runs);
  if (!out.found()) {
    out.suggestions = suggestions_for(asked, facts);
  }
  return out;
}

std::string to_text(const Explanation& explanation) {
  std::string out;
  if (!explanation.own.empty()) {
    out += hanging("our word", explanation.own + " [" + std::string(kOwnWordsSource) + "]", kIndent);
  }
  if (explanation.umbrella) {
    out += survey_text(*explanation.umbrella);
  }
  if (!explanation.uses.empty()) {
    out += heading("In the protocols");
  }
  std::string protocol;
  for (const Use& use : explanation.uses) {
    out += use_text(use, std::exchange(protocol, use.protocol) != use.protocol);
  }
  std::string happened;
  for (const Seen& seen : explanation.seen) {
    happened += seen_text(seen);
  }
  if (happened.empty()) {
    happened = states_text(explanation.uses);
  }
  if (!happened.empty()) {
    out += heading("In the last runs") + happened;
  }
  return out;
}

Json to_json(const Explanation& explanation) {
  Json out{{"word", explanation.asked},
           {"own", nullptr},
           {"survey", nullptr},
           {"uses", Json::array()},
           {"runs", Json::array()}};
  if (!explanation.own.empty()) {
    out["own"] = {{"meaning", explanation.own}, {"source", kOwnWordsSource}};
  }
  if (explanation.umbrella) {
    const UmbrellaTerm& term = *explanation.umbrella;
    Json narrow = Json::object();
    for (const Sourced& use : term.narrow) {
      narrow[use.source] = use.text;
    }
    out["survey"] = {{"recommended_meaning", term.meaning},
                     {"central_in", term.central_in},
                     {"narrow_uses", std::move(narrow)},
                     {"source", term.source}};
  }
  for (const Use& use : explanation.uses) {
    out["uses"].push_back({{"protocol", use.protocol},
                           {"word", use.word},
                           {"ours", use.ours},
                           {"player", use.player},
                           {"meaning", use.meaning},
                           {"source", use.source},
                           {"states", use.states}});
  }
  for (const Seen& seen : explanation.seen) {
    Json steps = Json::array();
    for (const RunStep& step : seen.steps) {
      steps.push_back({{"state", step.state}, {"took_ms", step.took.count()}});
    }
    out["runs"].push_back({{"protocol", seen.protocol},
                           {"mode", seen.mode},
                           {"run", seen.run},
                           {"ended", utc_text(seen.when)},
                           {"steps", std::move(steps)}});
  }
  return out;
}

}  // namespace imprint::survey
