#include "survey/compare_run.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crypto/hash.h"
#include "survey/page.h"
#include "survey/survey_testing.h"

namespace imprint::survey {
namespace {

BeliefChange learned(std::string id, Strength strength, Ground ground, std::vector<std::string> because = {}) {
  BeliefChange out;
  out.belief = {id, Topic::anchor, "statement of " + id, kNoEnd};
  out.strength = strength;
  out.evidence = {ground, "a check", to_bytes("seen " + id), std::move(because)};
  return out;
}

RunReport report_of(std::vector<BeliefChange> changes) {
  Run run;
  run.id = "0123456789abcdef";
  run.beliefs = std::move(changes);
  return report_on(std::move(run));
}

// The general law, over whatever the roles themselves learn: every chain ends in the factory, a person, a contact or a
// claim, and nothing is stronger than what it stands on.
void expect_law(const RunReport& report) {
  EXPECT_TRUE(report.sound());
  for (const BeliefReport& b : report.beliefs) {
    ASSERT_FALSE(b.chain.empty()) << b.change.belief.id;
    EXPECT_NE(b.chain.back().ground, Ground::check) << b.change.belief.id;
    for (const Link& link : b.chain) {
      EXPECT_LE(*b.held, link.strength) << b.change.belief.id << " over " << link.id;
    }
  }
}

TEST(CompareRun, every_belief_of_an_enrolment_by_certificate_reaches_the_factory) {
  const RunReport report = report_on(Onboarding().certificate());
  ASSERT_EQ(report.run.result, "operational");
  ASSERT_EQ(report.beliefs.size(), 5U);  // endpoint, anchor, identity, server, own certificate
  expect_law(report);
  for (const BeliefReport& b : report.beliefs) {
    EXPECT_EQ(b.held, Strength::proved) << b.change.belief.id;
    EXPECT_EQ(b.chain.back().ground, Ground::factory) << b.change.belief.id;
  }
}

TEST(CompareRun, what_a_bootstrap_imparts_is_only_as_strong_as_a_persons_word) {
  const RunReport report = report_on(Onboarding().bootstrap());
  ASSERT_EQ(report.run.result, "operational");
  expect_law(report);
  const BeliefReport& own = report.beliefs.back();
  EXPECT_EQ(own.change.belief.topic, Topic::credential);
  EXPECT_EQ(own.change.strength, Strength::proved);  // what the signature alone would give
  EXPECT_EQ(own.held, Strength::confirmed);
  EXPECT_EQ(own.chain.back().ground, Ground::person);
}

TEST(CompareRun, strength_is_capped_along_the_whole_chain) {
  const RunReport report = report_of({learned("a", Strength::first_contact, Ground::contact),
                                      learned("b", Strength::proved, Ground::check, {"a"}),
                                      learned("c", Strength::proved, Ground::check, {"b"})});
  expect_law(report);
  EXPECT_EQ(report.beliefs[2].held, Strength::first_contact);
  ASSERT_EQ(report.beliefs[2].chain.size(), 3U);
  EXPECT_EQ(report.beliefs[2].chain[1].id, "b");
  EXPECT_EQ(report.beliefs[2].chain[2].id, "a");
  EXPECT_EQ(report.beliefs[2].chain[2].depth, 2U);
  EXPECT_NE(to_text(report).find("first contact (the check alone would give: proved)"), std::string::npos);
}

TEST(CompareRun, a_chain_that_ends_nowhere_is_named) {
  const RunReport baseless = report_of({learned("a", Strength::proved, Ground::check)});
  EXPECT_FALSE(baseless.sound());
  EXPECT_EQ(baseless.beliefs[0].problem, "its evidence ends nowhere: a check that stands on no belief");
  EXPECT_FALSE(baseless.beliefs[0].held);

  const RunReport absent = report_of({learned("a", Strength::proved, Ground::check, {"z"})});
  EXPECT_EQ(absent.beliefs[0].problem, "its evidence ends nowhere: z was not held");
  EXPECT_NE(to_text(absent).find("PROBLEM"), std::string::npos);
  EXPECT_NE(to_text(absent).find("NOT all"), std::string::npos);
}

TEST(CompareRun, nothing_may_stand_on_what_was_forgotten) {
  BeliefChange gone = learned("a", Strength::proved, Ground::factory);
  gone.fate = Fate::forgotten;
  gone.why = "the owner changed";
  const RunReport report = report_of(
      {learned("a", Strength::proved, Ground::factory), gone, learned("b", Strength::proved, Ground::check, {"a"})});
  EXPECT_TRUE(report.beliefs[1].problem.empty());
  EXPECT_FALSE(report.beliefs[1].held);
  EXPECT_FALSE(report.beliefs[2].problem.empty());
  EXPECT_NE(to_text(report).find("the owner changed"), std::string::npos);
}

TEST(CompareRun, twice_learned_and_wrongly_replaced_are_named) {
  BeliefChange replaced = learned("c", Strength::proved, Ground::factory);
  replaced.fate = Fate::replaced;
  replaced.replaces = "b";
  const RunReport report = report_of(
      {learned("a", Strength::proved, Ground::factory), learned("a", Strength::proved, Ground::factory), replaced});
  EXPECT_EQ(report.beliefs[1].problem, "learned a second time");
  EXPECT_EQ(report.beliefs[2].problem, "replaces a belief that was not held");
}

TEST(CompareRun, a_belief_that_replaces_its_own_ground_does_not_run_in_circles) {
  BeliefChange next = learned("a", Strength::proved, Ground::check, {"a"});
  next.fate = Fate::replaced;
  next.replaces = "a";
  const RunReport report = report_of({learned("a", Strength::confirmed, Ground::person), next, next, next});
  expect_law(report);
  EXPECT_EQ(report.beliefs[3].chain.size(), 4U);
  EXPECT_EQ(report.beliefs[3].held, Strength::confirmed);
}

TEST(CompareRun, chains_are_bounded) {
  std::vector<BeliefChange> changes{learned("0", Strength::proved, Ground::factory),
                                    learned("1", Strength::proved, Ground::check, {"0", "0"})};
  for (int i = 2; i < 40; ++i) {  // unbounded, this doubles with every belief
    const std::string under = std::to_string(i - 1);
    changes.push_back(learned(std::to_string(i), Strength::proved, Ground::check, {under, under}));
  }
  const RunReport report = report_of(std::move(changes));
  EXPECT_EQ(report.beliefs.back().chain.size(), 64U);
  EXPECT_FALSE(to_text(report).empty());
}

TEST(CompareRun, the_bytes_seen_are_named_measured_and_cut_to_64) {
  Onboarding onboarding;
  const RunReport report = report_on(onboarding.bootstrap());
  const std::string text = to_text(report);
  const Bytes& der = onboarding.ca().certificate.der;
  EXPECT_NE(text.find("certificate of CN=Owner CA, by CN=Owner CA; " + std::to_string(der.size()) + " bytes"),
            std::string::npos);
  EXPECT_NE(text.find("sha256 " + hex(sha256(der))), std::string::npos);
  const Json json = to_json(report);
  for (const Json& belief : json.at("beliefs")) {
    EXPECT_LE(belief.at("seen").at("first_bytes").get<std::string>().size(), 128U);
  }
  EXPECT_TRUE(json.at("sound").get<bool>());
  EXPECT_NE(text.find("text https://localhost:8443"), std::string::npos);  // the endpoint
}

TEST(CompareRun, no_line_is_longer_than_120_columns_and_none_carries_control_characters) {
  imprint::Run run = Onboarding().certificate();
  run.beliefs.front().belief.statement = std::string(400, 'x') + "\033[31m";
  const std::string text = to_text(report_on(run));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(columns_of(std::string_view(text).substr(at, end - at)), kColumns) << text.substr(at, end - at);
    at = end + 1;
  }
  EXPECT_EQ(text.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace imprint::survey
