#include "survey/facts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "proto/est/client.h"
#include "role/table.h"

namespace imprint::survey {
namespace {

// Every sentence of a protocol with its source.
std::vector<Sourced> sentences_of(const ProtocolFacts& p) {
  std::vector<Sourced> out = p.initial_beliefs;
  out.insert(out.end(), p.imparted_beliefs.begin(), p.imparted_beliefs.end());
  for (const TermFacts& t : p.terms) {
    out.push_back({t.meaning, t.source});
    out.push_back({t.word, t.source});
    out.push_back({t.ours, t.source});
  }
  for (const PlayerFacts& player : p.players) {
    out.push_back({player.does, player.source});
    out.push_back({player.kind, player.source});
  }
  for (const ProcessFacts& step : p.processes) {
    out.push_back({step.step, step.source});
  }
  for (const DimensionFacts& d : p.dimensions) {
    out.push_back({d.value, d.source});
  }
  for (const ModeFacts& mode : p.modes) {
    out.insert(out.end(), mode.initial_beliefs.begin(), mode.initial_beliefs.end());
    out.insert(out.end(), mode.imparted_beliefs.begin(), mode.imparted_beliefs.end());
    for (const AssumptionFacts& a : mode.assumes) {
      out.push_back({a.text, a.source});
    }
    for (const ActFacts& act : mode.acts) {
      out.push_back({act.act, act.source});
    }
  }
  return out;
}

TEST(SurveyFacts, every_sentence_says_something_and_names_its_source) {
  for (const ProtocolFacts& protocol : all_facts().protocols) {
    const std::vector<Sourced> sentences = sentences_of(protocol);
    EXPECT_GT(sentences.size(), 20U) << protocol.name;
    for (const Sourced& s : sentences) {
      EXPECT_FALSE(s.text.empty()) << protocol.name << " " << s.source;
      EXPECT_TRUE(s.source.starts_with("RFC ") || s.source.starts_with("survey ")) << protocol.name << ": " << s.text;
      EXPECT_NE(s.source.find_first_of("0123456789"), std::string::npos) << protocol.name << ": " << s.text;
    }
  }
}

TEST(SurveyFacts, eleven_protocols_are_there_and_the_spoken_one_comes_first) {
  std::vector<std::string> names;
  std::ranges::transform(all_facts().protocols, std::back_inserter(names), &ProtocolFacts::name);
  EXPECT_EQ(names, (std::vector<std::string>{"est", "brski", "sztp", "fdo", "lwm2m", "eap_noob", "ocf", "dpp",
                                             "bluetooth_mesh", "thread", "lpwan"}));
}

// The seven ways of EST that the survey tells apart (later working text, section 2.3), and our modes for them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kModesOfEst{
    {{"pre-set trust, certificate", "certificate"},
     {"certificate-less TLS (shared secret)", "srp"},
     {"HTTP Basic/Digest password", "secret"},
     {"bootstrap of CA certificates by fingerprint", "bootstrap"},
     {"server-generated key", "server key"},
     {"full PKI request", "fullcmc"},
     {"over CoAP/DTLS", "coaps"}}};

TEST(SurveyFacts, every_mode_that_the_survey_gives_est_is_told) {
  std::set<std::string> ours{"renewal"};  // to the survey a step of all of them
  for (const auto& [theirs, mine] : kModesOfEst) {
    ours.emplace(mine);
  }
  std::set<std::string> told;
  for (const ModeFacts& mode : all_facts().protocols.front().modes) {
    EXPECT_TRUE(told.insert(mode.name).second) << mode.name << " twice";
    EXPECT_FALSE(mode.title.empty() || mode.initial_beliefs.empty() || mode.imparted_beliefs.empty() ||
                 mode.acts.empty())
        << mode.name;
    EXPECT_EQ(mode.name.find(','), std::string::npos) << "the name of a run's mode counts up to a comma";
    for (const std::string_view about : {"link", "IP", "clock", "DNS", "I/O", "keys"}) {
      EXPECT_EQ(std::ranges::count(mode.assumes, about, &AssumptionFacts::about), 1) << mode.name << " " << about;
    }
  }
  EXPECT_EQ(told, ours);
}

// Section 2.3 as well: beliefs that not every way of EST imparts.
TEST(SurveyFacts, what_only_some_ways_of_est_impart_is_told_with_them) {
  const ProtocolFacts& est = all_facts().protocols.front();
  const auto imparts = [](const std::vector<Sourced>& beliefs, std::string_view words) {
    return std::ranges::any_of(beliefs, [&](const Sourced& s) { return s.text.find(words) != std::string::npos; });
  };
  for (const auto& [words, only_in] :
       {std::pair{"key made by the server", "server key"}, std::pair{"CRLs, policy", "fullcmc"}}) {
    EXPECT_TRUE(imparts(est.imparted_beliefs, words)) << words;
    for (const ModeFacts& mode : est.modes) {
      EXPECT_EQ(imparts(mode.imparted_beliefs, words), mode.name == only_in) << mode.name << ": " << words;
    }
  }
}

TEST(SurveyFacts, umbrella_terms_name_protocols_that_are_there) {
  EXPECT_EQ(all_facts().umbrella.size(), 9U);
  for (const UmbrellaTerm& term : all_facts().umbrella) {
    for (const std::string& protocol : term.central_in) {
      const auto at = std::ranges::find(all_facts().protocols, protocol, &ProtocolFacts::name);
      ASSERT_NE(at, all_facts().protocols.end()) << protocol;
      EXPECT_EQ(at->umbrella, term.word);
    }
  }
}

TEST(SurveyFacts, states_named_by_est_are_states_of_its_client_and_all_of_them_are_told) {
  std::set<std::string> states{"Enrolled", "Failed"};
  for (const TableRow& row : transition_table<est::Client>()) {
    states.insert(row.state);
  }
  const ProtocolFacts& facts = all_facts().protocols.front();
  std::set<std::string> told;
  for (const ProcessFacts& step : facts.processes) {
    told.insert(step.states.begin(), step.states.end());
  }
  for (const TermFacts& term : facts.terms) {
    for (const std::string& state : term.states) {
      EXPECT_TRUE(states.contains(state)) << term.word << ": " << state;
    }
  }
  // Resting and Failed are no steps of the way.
  states.erase("Resting");
  states.erase("Failed");
  EXPECT_EQ(told, states);
}

TEST(SurveyFacts, damaged_facts_are_refused) {
  EXPECT_FALSE(parse_facts("{"));
  EXPECT_FALSE(parse_facts("{}"));
  std::string text(facts_json());
  text.replace(text.find("\"players\""), 9, "\"playersX\"");
  EXPECT_FALSE(parse_facts(text));
}

}  // namespace
}  // namespace imprint::survey
