// What one run came to believe, how strongly, and what each belief rests on, down to the factory, a person, a contact
// or a claim.
#pragma once

#include <optional>

#include "codec/json.h"
#include "model/run.h"

namespace imprint::survey {

// One belief on the way from a belief to its ground.
struct Link {
  std::size_t depth = 0;  // 0: the belief itself
  std::string id;
  Strength strength = Strength::asserted;  // as held
  Ground ground = Ground::check;
  std::string check;
};

struct BeliefReport {
  BeliefChange change;
  std::optional<Strength> held;  // capped by the weakest link; nothing if it is forgotten or does not stand
  std::string problem;           // why it does not stand: "its evidence ends nowhere"; empty if it does
  std::vector<Link> chain;       // the belief, then what it stands on, depth first; at most 64 links
};

struct RunReport {
  Run run;
  std::vector<BeliefReport> beliefs;  // in the order of the run

  // No belief whose chain ends nowhere, and none stronger than what it stands on.
  bool sound() const;
};

RunReport report_on(Run run);

// For people (120 columns), as Markdown, as JSON.
std::string to_text(const RunReport& report);
std::string to_markdown(const RunReport& report);
Json to_json(const RunReport& report);

}  // namespace imprint::survey
