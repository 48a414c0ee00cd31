// What a word means: to us, to the survey, and to each protocol that uses it; and where it happened in runs.
#pragma once

#include "codec/json.h"
#include "model/run.h"
#include "survey/facts.h"

namespace imprint::survey {

// A protocol's use of the word, for something that happens or for a player.
struct Use {
  std::string protocol;
  std::string word;  // as the protocol spells it
  std::string ours;  // our word for it
  bool player = false;
  std::string meaning, source;
  std::vector<std::string> states;  // where a role of ours does it
};

// A run in which it happened.
struct Seen {
  std::string protocol, mode, run;
  Instant when;
  std::vector<RunStep> steps;  // those that did it
};

struct Explanation {
  std::string asked;
  std::string own;                       // what the word means when we say it; empty: it is no word of ours
  std::optional<UmbrellaTerm> umbrella;  // what the survey says of it as a whole
  std::vector<Use> uses;
  std::vector<Seen> seen;
  std::vector<std::string> suggestions;  // words like it, if it is unknown

  bool found() const { return !own.empty() || umbrella.has_value() || !uses.empty(); }
};

// Spelling, case, hyphens and grammatical form are taken lightly: "Enrolment" finds enrollment, "bootstrap"
// bootstrapping. `runs` are the latest of each protocol and mode.
Explanation explain(std::string_view word, const Facts& facts, const std::vector<Run>& runs);

// For people (120 columns), as JSON.
std::string to_text(const Explanation& explanation);
Json to_json(const Explanation& explanation);

}  // namespace imprint::survey
