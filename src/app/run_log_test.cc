#include "app/run_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "io/log.h"

namespace imprint::app {
namespace {

Run run_of(std::string result, std::string rule) {
  Run run;
  run.id = "00112233445566ff";
  run.protocol = "brski";
  run.mode = "voucher";
  run.role = "registrar";
  run.device = "lamp-7";
  run.result = std::move(result);
  run.rule = std::move(rule);
  run.steps.push_back({"Fetching", "asks the MASA", Instant{1}, {}, "", ""});
  run.steps.push_back({"Idle",
                       "the MASA refused [BRSKI-MASA-REFUSED]: status 403: sold to\nsomebody else",
                       Instant{2},
                       {},
                       "refused",
                       "ask the maker"});
  return run;
}

// The line as JSON; null if there is none.
Json logged(const Run& run) {
  testing::internal::CaptureStderr();
  io::set_log(io::LogLevel::info, true);
  log_run(run);
  const std::string line = testing::internal::GetCapturedStderr();
  return line.empty() ? Json() : *parse_json(line);
}

TEST(RunLog, says_why_a_masa_refused) {
  const Json line = logged(run_of("refused", "BRSKI-MASA-REFUSED"));
  EXPECT_EQ(line["event"], "brski.refused");
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["device"], "lamp-7");
  EXPECT_EQ(line["rule"], "BRSKI-MASA-REFUSED");
  EXPECT_EQ(line["why"], "the MASA refused [BRSKI-MASA-REFUSED]: status 403: sold to\nsomebody else");
  EXPECT_EQ(line["next"], "ask the maker");
  EXPECT_EQ(line["run"], "00112233445566ff");
}

TEST(RunLog, says_who_is_held_and_whose_masa_is_away) {
  EXPECT_EQ(logged(run_of("held", "BRSKI-LOG-DOMAIN"))["event"], "brski.held");
  EXPECT_EQ(logged(run_of("failed", "BRSKI-MASA-AWAY"))["event"], "brski.failed");
  imprint::Run bare = run_of("failed", "");
  bare.steps.clear();
  EXPECT_EQ(logged(bare)["event"], "brski.failed");
}

TEST(RunLog, is_silent_of_what_went_well_of_strangers_and_of_others) {
  EXPECT_TRUE(logged(run_of("operational", "")).is_null());
  EXPECT_TRUE(logged(run_of("pending", "SITE-WAITING")).is_null()) << "it asks twice a minute";
  imprint::Run run = run_of("refused", "BRSKI-NO-IDEVID");
  run.anonymous = true;
  EXPECT_TRUE(logged(run).is_null()) << "whoever comes";
  run = run_of("refused", "EST-CSR");
  run.protocol = "est";
  EXPECT_TRUE(logged(run).is_null());
  run = run_of("refused", "BRSKI-REFUSED");
  run.role = "client";
  EXPECT_TRUE(logged(run).is_null());
}

}  // namespace
}  // namespace imprint::app
