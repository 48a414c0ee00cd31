// What a protocol says of itself in the terms of the survey of initial security setup (draft-irtf-t2trg-security-setup-
// iot-devices): its words, its players, what is believed before and after, and the way between, as data. Every sentence
// names its source: a section of a specification or of the survey.
#pragma once

#include <string>
#include <vector>

namespace imprint {

// A sentence and where it is said: "RFC 7030 section 4.1.1", "survey 2.3".
struct Sourced {
  std::string text, source;
  bool operator==(const Sourced&) const = default;
};

// A word of the protocol.
struct TermFacts {
  std::string word;     // as the protocol spells it
  std::string ours;     // our word for it (docs/glossary.md)
  std::string meaning;  // in this protocol
  std::string source;
  std::vector<std::string> states;  // the role's states in which it happens; empty: no single place
};

// A party of the protocol.
struct PlayerFacts {
  std::string name;  // the protocol's own word
  std::string kind;  // our word: "device", "manufacturer", "steerer", …
  std::string does, source;
};

// A step of the protocol's way.
struct ProcessFacts {
  std::string step, source;
  std::vector<std::string> states;  // the device role's states that do it; empty: nothing that a run shows
};

// What a mode needs to be there, about one thing: "link", "IP", "clock", "DNS", "I/O", "keys".
struct AssumptionFacts {
  std::string about, text, source;
};

// What a player has to do in a mode.
struct ActFacts {
  std::string player, act, source;
};

// One way of running the protocol that changes what is believed and why.
struct ModeFacts {
  std::string name;   // as Run::mode has it, up to a comma
  std::string title;  // for people
  std::vector<AssumptionFacts> assumes;
  std::vector<Sourced> initial_beliefs, imparted_beliefs;
  std::vector<ActFacts> acts;
};

// A value on one of the survey's scales ("belief category", "discovery", "maker needed online", …).
struct DimensionFacts {
  std::string name, value;
  std::string mode;  // empty: in every mode
  std::string source;
};

struct ProtocolFacts {
  std::string name;   // as Run::protocol has it
  std::string title;  // for people
  std::string specifications;
  std::string umbrella;  // the protocol's own word for the whole way
  std::vector<ModeFacts> modes;
  std::vector<TermFacts> terms;
  std::vector<PlayerFacts> players;
  std::vector<Sourced> initial_beliefs, imparted_beliefs;  // of all modes together
  std::vector<ProcessFacts> processes;                     // in order
  std::vector<DimensionFacts> dimensions;
};

}  // namespace imprint
