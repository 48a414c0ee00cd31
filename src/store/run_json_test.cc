#include "store/sqlite/run_json.h"

#include <gtest/gtest.h>

namespace imprint::store {
namespace {

Run some_run() {
  imprint::Run out;
  out.obtained = {"certificate CN=dev-1"};
  out.counts = {1, 2, 3, 4, 5, 6};
  out.steps = {{"Opening", "by an anchor", Instant{1'800'000'000'000}, Duration(4), {}, {}},
               {"Failed", "EST-REFUSED", Instant{-1}, Duration(0), "refused", "ask the owner"}};
  BeliefChange change;
  change.belief = {"anchor:01", Topic::anchor, "statement", kNoEnd};
  change.strength = Strength::confirmed;
  change.evidence = {Ground::check, "a check", Bytes{0, 255}, {"endpoint"}};
  change.fate = Fate::replaced;
  change.replaces = "anchor:00";
  change.why = "a reason";
  out.beliefs = {change};
  return out;
}

// The text with one part of it replaced.
std::string with(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(RunJson, what_is_kept_is_read_again) {
  const imprint::Run run = some_run();
  imprint::Run again;
  ASSERT_TRUE(read_summary(summary_json(run), again));
  ASSERT_TRUE(read_steps(steps_json(run), again));
  ASSERT_TRUE(read_beliefs(beliefs_json(run), again));
  EXPECT_EQ(again.obtained, run.obtained);
  EXPECT_EQ(again.counts, run.counts);
  EXPECT_EQ(again.steps, run.steps);
  EXPECT_EQ(beliefs_json(again), beliefs_json(run));
}

// A run's file may come from anywhere: a float of 1e30 has no integer, and to cast it is undefined.
TEST(RunJson, only_whole_numbers_are_numbers) {
  const imprint::Run run = some_run();
  for (const std::string_view other : {"1e30", "-1e30", "1.5", "\"1\"", "true", "null"}) {
    imprint::Run out;
    EXPECT_FALSE(read_summary(with(summary_json(run), "\"bytes\":2", "\"bytes\":" + std::string(other)), out)) << other;
    EXPECT_FALSE(read_steps(with(steps_json(run), "1800000000000", other), out)) << other;
    EXPECT_FALSE(read_steps(with(steps_json(run), "\"took_ms\":4", "\"took_ms\":" + std::string(other)), out)) << other;
    EXPECT_FALSE(read_beliefs(with(beliefs_json(run), std::to_string(kNoEnd.ms), other), out)) << other;
  }
  for (const std::string_view other : {"-1", "4294967296"}) {
    imprint::Run out;
    EXPECT_FALSE(read_summary(with(summary_json(run), "\"bytes\":2", "\"bytes\":" + std::string(other)), out)) << other;
  }
}

}  // namespace
}  // namespace imprint::store
