#include "app/demo_report.h"

#include <gtest/gtest.h>

namespace imprint::app {
namespace {

Outcome outcome(const std::string& device, FleetKind kind, const std::string& mode, Way way = Way::given) {
  Outcome out;
  out.device = device;
  out.part.kind = kind;
  out.part.way = way;
  out.protocol = kind == FleetKind::est || kind == FleetKind::est_coaps ? "est" : "brski";
  out.mode = mode;
  out.result = "operational";
  out.round_trips = 3;
  out.took = Duration(10);
  return out;
}

Outcome refused(const std::string& device, const std::string& rule, std::int64_t ms) {
  Outcome out = outcome(device, FleetKind::brski, "https");
  out.result = "refused";
  out.rule = rule;
  out.took = Duration(ms);
  return out;
}

TEST(DemoReport, a_device_is_operational_if_all_its_runs_went_well) {
  std::vector<Outcome> all{outcome("a", FleetKind::est, "certificate"), outcome("a", FleetKind::est, "renewal"),
                           outcome("b", FleetKind::brski, "https")};
  EXPECT_EQ(operational_of(all), 2U);
  all[1].result = "failed";
  EXPECT_EQ(operational_of(all), 1U);
  EXPECT_EQ(operational_of({}), 0U);
}

TEST(DemoReport, runs_of_one_mode_and_way_are_counted_together_with_the_rules_that_refused) {
  const auto groups = groups_of({refused("a", "BRSKI-MASA-UNKNOWN", 90), outcome("b", FleetKind::brski, "https"),
                                 refused("c", "BRSKI-MASA-UNKNOWN", 50), refused("d", "", 70)});
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].mode, "https");
  EXPECT_EQ(groups[0].runs, 4U);
  EXPECT_EQ(groups[0].good, 1U);
  EXPECT_EQ(groups[0].median, Duration(70));
  EXPECT_EQ(groups[0].longest, Duration(90));
  EXPECT_EQ(groups[0].round_trips, 3U);
  EXPECT_EQ(groups[0].why, (std::map<std::string, std::size_t>{{"BRSKI-MASA-UNKNOWN", 2}, {"refused", 1}}));
}

TEST(DemoReport, ways_and_kinds_are_told_apart_and_stand_in_their_order) {
  const auto groups = groups_of(
      {outcome("a", FleetKind::brski_coaps, "coaps"), outcome("b", FleetKind::brski_coaps, "coaps", Way::proxy),
       outcome("c", FleetKind::est_coaps, "coaps", Way::coaps), outcome("d", FleetKind::est, "secret", Way::secret)});
  ASSERT_EQ(groups.size(), 4U);
  EXPECT_EQ(groups[0].kind, FleetKind::est);
  EXPECT_EQ(groups[1].kind, FleetKind::est_coaps);
  EXPECT_EQ(groups[2].mode, "coaps");
  EXPECT_EQ(groups[3].mode, "coaps, join proxy");
  EXPECT_TRUE(groups[0].why.empty());
  EXPECT_TRUE(groups_of({}).empty());
}

}  // namespace
}  // namespace imprint::app
