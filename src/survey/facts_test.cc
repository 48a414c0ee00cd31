#include "survey/facts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "proto/brski/pledge.h"
#include "proto/brski/registrar.h"
#include "proto/brski/survey.h"
#include "proto/est/client.h"
#include "proto/est/server.h"
#include "proto/est/survey.h"
#include "role/table.h"
#include "survey/protocols.h"

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
      const bool known =
          s.source.starts_with("RFC ") || s.source.starts_with("survey ") || s.source.starts_with("draft-ietf-");
      EXPECT_TRUE(known) << protocol.name << ": " << s.text;
      EXPECT_NE(s.source.find_first_of("0123456789"), std::string::npos) << protocol.name << ": " << s.text;
    }
  }
}

TEST(SurveyFacts, eleven_protocols_are_there_once_and_the_spoken_ones_come_first) {
  std::vector<std::string> names;
  std::ranges::transform(all_facts().protocols, std::back_inserter(names), &ProtocolFacts::name);
  EXPECT_EQ(names, (std::vector<std::string>{"est", "brski", "sztp", "fdo", "lwm2m", "eap_noob", "ocf", "dpp",
                                             "bluetooth_mesh", "thread", "lpwan"}));
  ASSERT_EQ(protocols().size(), 2U);
  for (std::size_t i = 0; i < protocols().size(); ++i) {
    EXPECT_EQ(names[i], protocols()[i].name);
  }
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

// And those of BRSKI (section 2.7). A join proxy only carries: what is believed is the same with and without.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kModesOfBrski{
    {{"registrar direct", "https"}, {"through join proxy", "https"}, {"cloud registrar (named as player)", "cloud"}}};

// The modes of a protocol, each told completely and once.
std::set<std::string> modes_told(const ProtocolFacts& protocol) {
  std::set<std::string> told;
  for (const ModeFacts& mode : protocol.modes) {
    EXPECT_TRUE(told.insert(mode.name).second) << mode.name << " twice";
    EXPECT_FALSE(mode.title.empty() || mode.initial_beliefs.empty() || mode.imparted_beliefs.empty() ||
                 mode.acts.empty())
        << mode.name;
    EXPECT_EQ(mode.name.find(','), std::string::npos) << "the name of a run's mode counts up to a comma";
    for (const std::string_view about : {"link", "IP", "clock", "DNS", "I/O", "keys"}) {
      EXPECT_EQ(std::ranges::count(mode.assumes, about, &AssumptionFacts::about), 1) << mode.name << " " << about;
    }
  }
  return told;
}

template <std::size_t N>
std::set<std::string> with(const std::array<std::pair<std::string_view, std::string_view>, N>& of_survey,
                           std::set<std::string> more) {
  for (const auto& [theirs, mine] : of_survey) {
    more.emplace(mine);
  }
  return more;
}

TEST(SurveyFacts, every_mode_that_the_survey_gives_a_spoken_protocol_is_told) {
  // To the survey renewal is a step of all ways of EST.
  EXPECT_EQ(modes_told(est::survey_facts()), with(kModesOfEst, {"renewal"}));
  // It knows neither small devices nor vouchers fetched beforehand.
  EXPECT_EQ(modes_told(brski::survey_facts()), with(kModesOfBrski, {"coaps", "nonceless"}));
}

// What a player other than the device learns, and whether the maker has to be there: of every mode of BRSKI.
TEST(SurveyFacts, every_mode_of_brski_says_what_others_learn_and_whether_the_maker_is_needed) {
  const ProtocolFacts& facts = brski::survey_facts();
  const auto values = [&](std::string_view scale, const std::string& mode) {
    std::vector<std::string> own;
    std::vector<std::string> of_all;
    for (const DimensionFacts& value : facts.dimensions) {
      if (value.name == scale && (value.mode == mode || value.mode.empty())) {
        (value.mode.empty() ? of_all : own).push_back(value.value);
      }
    }
    return own.empty() ? of_all : own;
  };
  const auto says = [](const std::vector<std::string>& all, std::string_view words) {
    return std::ranges::any_of(all, [&](const std::string& one) { return one.find(words) != std::string::npos; });
  };
  for (const ModeFacts& mode : facts.modes) {
    const auto learned = values("privacy", mode.name);
    EXPECT_TRUE(says(learned, "a listener on the link")) << mode.name;
    EXPECT_TRUE(says(learned, "under TLS 1.2")) << mode.name;
    EXPECT_TRUE(says(learned, mode.name == "cloud" ? "the maker's registrar learns" : "the MASA learns")) << mode.name;
    EXPECT_TRUE(says(learned, "audit log")) << mode.name;
    EXPECT_EQ(says(values("maker needed online", mode.name), "yes"), mode.name != "nonceless") << mode.name;
  }
}

TEST(SurveyFacts, every_player_that_brski_s_specifications_name_is_told) {
  std::set<std::string> kinds;
  for (const PlayerFacts& player : brski::survey_facts().players) {
    kinds.insert(player.kind);
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"administrator", "authority", "device", "helper", "manufacturer", "owner",
                                          "steerer", "user"}));
}

// Section 2.3 as well: beliefs that not every way of EST imparts.
TEST(SurveyFacts, what_only_some_ways_of_est_impart_is_told_with_them) {
  const ProtocolFacts& est = est::survey_facts();
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

// The states of a device's role, but for those that are no steps of the way.
template <class Role>
std::set<std::string> states_of(std::set<std::string> last) {
  std::set<std::string> out = std::move(last);
  for (const TableRow& row : transition_table<Role>()) {
    out.insert(row.state);
  }
  out.erase("Resting");
  return out;
}

void expect_told(const ProtocolFacts& facts, const std::set<std::string>& states) {
  std::set<std::string> told;
  for (const ProcessFacts& step : facts.processes) {
    for (const std::string& state : step.states) {
      EXPECT_TRUE(told.insert(state).second) << facts.name << ": " << state << " is told twice";
    }
  }
  EXPECT_EQ(told, states) << facts.name;
  for (const TermFacts& term : facts.terms) {
    for (const std::string& state : term.states) {
      EXPECT_TRUE(states.contains(state)) << facts.name << " " << term.word << ": " << state;
    }
  }
}

// Those of somebody else, as a run that is told by them has them; who is at rest does nothing.
template <class Role>
void add_states(const std::string& who, std::set<std::string>& to) {
  for (const std::string& state : states_of<Role>({})) {
    if (state != "Idle") {
      to.insert(who + " " + state);
    }
  }
}

TEST(SurveyFacts, states_named_by_a_protocol_are_states_of_its_roles_and_all_of_them_are_told) {
  expect_told(est::survey_facts(), states_of<est::Client>({"Enrolled"}));
  std::set<std::string> brski = states_of<brski::Pledge>({"Configured"});
  add_states<brski::Registrar>("registrar", brski);
  add_states<est::Server>("EST server", brski);
  expect_told(brski::survey_facts(), brski);
}

TEST(SurveyFacts, only_the_device_s_own_run_is_told_by_the_device) {
  const auto told = [](std::string protocol, std::string role) {
    imprint::Run run;
    run.protocol = std::move(protocol);
    run.role = std::move(role);
    return told_by_device(run);
  };
  EXPECT_TRUE(told("est", "client"));
  EXPECT_FALSE(told("est", "server"));
  EXPECT_TRUE(told("brski", "pledge"));
  EXPECT_FALSE(told("brski", "registrar"));
  EXPECT_FALSE(told("brski", "client"));
  EXPECT_TRUE(told("carrier pigeon", "pigeon"));  // not ours: taken as it is
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
