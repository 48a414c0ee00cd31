// What the survey says: of the words that all protocols use, and of the protocols that this program does not speak
// (yet). The data are facts.json beside this file, a digest in our own words.
#pragma once

#include "base/result.h"
#include "model/survey.h"

namespace imprint::survey {

// A word that the survey found in many protocols, with different meanings.
struct UmbrellaTerm {
  std::string word;
  std::string meaning;                  // that the survey recommends; empty: it recommends none
  std::vector<std::string> central_in;  // protocols whose own word for the whole way it is
  std::vector<Sourced> narrow;          // protocol (as source) and the narrow use that it makes of the word
  std::string source;
};

struct Facts {
  std::vector<Sourced> sources;  // what the short names of sources stand for
  std::vector<UmbrellaTerm> umbrella;
  std::vector<ProtocolFacts> protocols;
};

// The text of facts.json, part of the program.
std::string_view facts_json();

// Malformed if a member is missing or of another type.
Result<Facts> parse_facts(std::string_view json);

// The facts of the survey, and those that each built-in protocol states of itself, the latter first.
const Facts& all_facts();

}  // namespace imprint::survey
