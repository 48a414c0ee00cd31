#include "survey/explain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "survey/page.h"
#include "survey/survey_testing.h"
#include "survey/words.h"

namespace imprint::survey {
namespace {

Explanation said(std::string_view word) { return explain(word, all_facts(), {}); }

std::vector<std::string> protocols_of(const Explanation& e) {
  std::vector<std::string> out;
  for (const Use& use : e.uses) {
    if (std::ranges::find(out, use.protocol) == out.end()) {
      out.push_back(use.protocol);
    }
  }
  return out;
}

TEST(Explain, one_word_is_found_in_any_spelling_and_form) {
  const auto wanted = protocols_of(said("enrollment"));
  EXPECT_EQ(wanted, (std::vector<std::string>{"est", "brski", "sztp", "ocf", "dpp"}));
  for (const std::string_view other : {"Enrolment", "ENROLLMENT", "enroll", "enrol", "enrolled"}) {
    EXPECT_EQ(protocols_of(said(other)), wanted) << other;
  }
  EXPECT_EQ(protocols_of(said("initialisation")), protocols_of(said("initialization")));
  EXPECT_EQ(protocols_of(said("bootstrap")), protocols_of(said("bootstrapping")));
  EXPECT_EQ(protocols_of(said("re-enrolment")), std::vector<std::string>{"est"});
  EXPECT_EQ(protocols_of(said("reprovisioning")), (std::vector<std::string>{"fdo", "bluetooth_mesh"}));
}

TEST(Explain, one_word_means_different_things_and_each_has_its_source) {
  const Explanation e = said("bootstrapping");
  ASSERT_TRUE(e.umbrella);
  EXPECT_EQ(e.umbrella->central_in, (std::vector<std::string>{"brski", "eap_noob", "sztp", "lwm2m"}));
  EXPECT_GE(e.uses.size(), 8U);
  for (const Use& use : e.uses) {
    EXPECT_FALSE(use.source.empty());
  }
  EXPECT_TRUE(std::ranges::any_of(
      e.uses, [](const Use& u) { return u.protocol == "est" && u.source == "RFC 7030 section 4.1.1"; }));
}

TEST(Explain, players_are_found_by_every_name_they_have) {
  const Explanation registrar = said("registrar");
  ASSERT_EQ(registrar.uses.size(), 1U);
  EXPECT_EQ(registrar.uses[0].protocol, "brski");
  EXPECT_EQ(registrar.uses[0].ours, "steerer");
  EXPECT_EQ(said("JRC").uses.size(), 1U);
  EXPECT_EQ(said("MASA").uses.at(0).ours, "authority");
  EXPECT_EQ(said("pledge").uses.at(0).ours, "device");
  EXPECT_EQ(said("join proxy").uses.at(0).ours, "helper");
  EXPECT_EQ(protocols_of(said("OBT")), std::vector<std::string>{"ocf"});
  EXPECT_EQ(protocols_of(said("onboarding tool")), std::vector<std::string>{"ocf"});
  EXPECT_EQ(protocols_of(said("proxy")), std::vector<std::string>{"brski"});  // a word of "join proxy"
}

TEST(Explain, every_word_of_ours_and_every_term_explains_itself) {
  for (const OwnWord& own : own_words()) {
    EXPECT_EQ(said(own.word).own, own.meaning) << own.word;
  }
  for (const ProtocolFacts& protocol : all_facts().protocols) {
    for (const TermFacts& term : protocol.terms) {
      const auto found = protocols_of(said(term.word));
      EXPECT_NE(std::ranges::find(found, protocol.name), found.end()) << protocol.name << " " << term.word;
    }
  }
}

TEST(Explain, an_unknown_word_is_answered_by_those_near_it) {
  EXPECT_FALSE(said("xyzzy").found());
  EXPECT_TRUE(said("xyzzy").suggestions.empty());
  const auto near = said("bootstraping").suggestions;
  EXPECT_TRUE(said("bootstraping").found() || std::ranges::find(near, "bootstrapping") != near.end());
  const auto voucher = said("vuocher").suggestions;
  EXPECT_NE(std::ranges::find(voucher, "voucher"), voucher.end());
  const auto commission = said("comissioner").suggestions;
  EXPECT_NE(std::ranges::find(commission, "commissioner"), commission.end());
  EXPECT_FALSE(said("").found());
  EXPECT_FALSE(said("--").found());
  EXPECT_FALSE(said(std::string(100000, 'a')).found());
}

TEST(Explain, a_word_of_est_is_shown_where_it_happened) {
  Onboarding onboarding;
  const imprint::Run by_certificate = onboarding.certificate();
  const imprint::Run by_person = onboarding.bootstrap();
  const Explanation e = explain("bootstrapping", all_facts(), {by_certificate, by_person});
  ASSERT_EQ(e.seen.size(), 1U);  // only one of the two had to
  EXPECT_EQ(e.seen[0].run, by_person.id);
  std::vector<std::string> states;
  std::ranges::transform(e.seen[0].steps, std::back_inserter(states), &RunStep::state);
  EXPECT_EQ(states, (std::vector<std::string>{"Meeting", "Glimpsing", "Confirming"}));
  EXPECT_EQ(explain("enrollment", all_facts(), {by_certificate, by_person}).seen.size(), 2U);
  EXPECT_TRUE(explain("registrar", all_facts(), {by_certificate}).seen.empty());
  EXPECT_NE(to_text(said("bootstrapping")).find("no run on record shows it; it happens in Meeting"), std::string::npos);
}

TEST(Explain, text_fits_120_columns_for_every_word) {
  for (const ProtocolFacts& protocol : all_facts().protocols) {
    for (const TermFacts& term : protocol.terms) {
      const std::string text = to_text(said(term.word));
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        EXPECT_LE(columns_of(std::string_view(text).substr(at, end - at)), kColumns) << term.word;
        at = end + 1;
      }
    }
  }
}

TEST(Explain, json_has_the_same_facts) {
  const Json json = to_json(said("onboarding"));
  EXPECT_EQ(json.at("own").at("source"), "ours: docs/glossary.md");
  EXPECT_EQ(json.at("survey").at("central_in"), Json::array({"ocf", "fdo"}));
  EXPECT_GE(json.at("uses").size(), 4U);
}

}  // namespace
}  // namespace imprint::survey
