// What the command line says: its rules, its suggestions, the lines that people paste, the beliefs that it reports.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/command.h"
#include "app/shell_word.h"
#include "app/suggestion.h"

namespace imprint::app {
namespace {

TEST(Words, every_problem_has_a_rule_and_says_what_to_do) {
  for (int fault = 0; fault <= static_cast<int>(Fault::internal); ++fault) {
    const Error error{static_cast<Fault>(fault), "something"};
    const Problem problem(error);
    EXPECT_FALSE(problem.rule.empty()) << fault;
    EXPECT_FALSE(problem.source.empty()) << fault;
    EXPECT_FALSE(problem.next.empty()) << fault;
  }
}

TEST(Words, a_slip_is_suggested_and_another_word_is_not) {
  EXPECT_EQ(suggestion("lst", {"add", "list", "show"}), "; did you mean list?");
  EXPECT_EQ(suggestion("frobnicate", {"add", "list", "show"}), "");
}

TEST(Words, a_path_is_one_word_of_a_shell) {
  EXPECT_EQ(shell_word("/tmp/site"), "/tmp/site");
  EXPECT_EQ(shell_word("/tmp/my site"), "'/tmp/my site'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(Words, a_curl_line_ends_with_its_address) {
  const std::string line = api_curl("/tmp/my site", "http://127.0.0.1:1", "/v1/devices");
  EXPECT_TRUE(line.ends_with(" http://127.0.0.1:1/v1/devices"));
  EXPECT_NE(line.find("$(cat '/tmp/my site/admin.token')"), std::string::npos);
  EXPECT_EQ(line.find("--cacert"), std::string::npos);
  EXPECT_EQ(api_curl("/s", "https://192.0.2.1:1", "/v1/ca", false),
            "curl -s --cacert /s/ca/chain.pem --cert admin.pem --key admin.key https://192.0.2.1:1/v1/ca");
}

BeliefChange learned(const std::string& id, Strength alone, Ground ground, std::vector<std::string> because) {
  BeliefChange out;
  out.belief.id = id;
  out.strength = alone;
  out.evidence = {ground, "looked", {}, std::move(because)};
  return out;
}

TEST(Words, a_belief_is_reported_as_strong_as_the_weakest_that_it_stands_on) {
  imprint::Run run;
  run.beliefs = {learned("anchor", Strength::confirmed, Ground::person, {}),
                 learned("credential", Strength::proved, Ground::check, {"anchor"}),
                 learned("stray", Strength::proved, Ground::check, {"nothing"})};
  const Json json = admin::beliefs_json(run);
  ASSERT_EQ(json.size(), 3U);
  EXPECT_EQ(json[0]["strength"], "confirmed");
  EXPECT_EQ(json[1]["strength"], "confirmed");
  EXPECT_EQ(json[2]["strength"], "none");
}

}  // namespace
}  // namespace imprint::app
