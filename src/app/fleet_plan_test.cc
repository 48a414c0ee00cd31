#include "app/fleet_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace imprint::app {
namespace {

const std::vector<FleetKind> kEvery{FleetKind::est, FleetKind::brski, FleetKind::est_coaps, FleetKind::brski_coaps,
                                    FleetKind::brski_cloud};

std::map<FleetKind, std::uint32_t> counts(const std::vector<FleetPart>& parts) {
  std::map<FleetKind, std::uint32_t> out;
  for (const FleetPart& part : parts) {
    out[part.kind] += part.count;
  }
  return out;
}

std::set<Way> ways(const std::vector<FleetPart>& parts) {
  std::set<Way> out;
  for (const FleetPart& part : parts) {
    out.insert(part.way);
  }
  return out;
}

TEST(FleetPlan, every_device_is_shared_out_and_every_kind_gets_one_where_there_are_enough) {
  for (std::uint32_t devices = 1; devices <= 64; ++devices) {
    for (std::size_t kinds = 1; kinds <= kEvery.size(); ++kinds) {
      const std::vector<FleetKind> chosen(kEvery.begin(), kEvery.begin() + static_cast<std::ptrdiff_t>(kinds));
      const auto got = counts(plan_fleet(devices, chosen));
      std::uint32_t sum = 0, least = devices, most = 0;
      for (const auto& [kind, count] : got) {
        sum += count;
        least = std::min(least, count);
        most = std::max(most, count);
      }
      EXPECT_EQ(sum, devices);
      EXPECT_EQ(got.size(), std::min<std::size_t>(devices, kinds)) << devices;
      EXPECT_LE(most - least, 1U);
    }
  }
}

TEST(FleetPlan, no_part_is_empty_and_no_model_is_made_twice) {
  for (std::uint32_t devices = 1; devices <= 64; ++devices) {
    std::set<std::string> models;
    for (const FleetPart& part : plan_fleet(devices, kEvery)) {
      EXPECT_GT(part.count, 0U);
      EXPECT_TRUE(models.insert(part.model).second) << part.model;
    }
  }
}

TEST(FleetPlan, a_kind_that_is_named_twice_counts_once) {
  EXPECT_EQ(plan_fleet(3, {FleetKind::est_coaps, FleetKind::est_coaps}), plan_fleet(3, {FleetKind::est_coaps}));
  EXPECT_TRUE(plan_fleet(3, {}).empty());
  EXPECT_TRUE(plan_fleet(0, kEvery).empty());
}

TEST(FleetPlan, every_way_of_est_is_there_from_four_devices_on) {
  using enum Way;
  const auto est = [](std::uint32_t devices) { return ways(plan_fleet(devices, {FleetKind::est})); };
  EXPECT_EQ(est(1), (std::set{anchors}));
  EXPECT_EQ(est(2), (std::set{secret, anchors}));
  EXPECT_EQ(est(3), (std::set{secret, anchors}));
  EXPECT_EQ(est(4), (std::set{secret, anchors, renewal, bootstrap}));
  EXPECT_EQ(ways(plan_fleet(9, {FleetKind::est_coaps})), (std::set{coaps}));
}

TEST(FleetPlan, brski_comes_from_two_makers_and_in_all_its_ways) {
  using enum Way;
  std::set<std::string> makers;
  for (const FleetPart& part : plan_fleet(2, {FleetKind::brski})) {
    makers.insert(part.maker);
  }
  EXPECT_EQ(makers, (std::set<std::string>{"acme", "bolt"}));
  EXPECT_EQ(ways(plan_fleet(4, {FleetKind::brski})), (std::set{given, proxy, jws}));
  EXPECT_EQ(ways(plan_fleet(2, {FleetKind::brski_coaps})), (std::set{given, proxy}));
  EXPECT_EQ(ways(plan_fleet(2, {FleetKind::brski_cloud})), (std::set{redirected, est_domain}));
}

TEST(FleetPlan, kinds_are_known_by_their_names) {
  for (const std::string& one : fleet_kind_names()) {
    ASSERT_TRUE(fleet_kind_named(one)) << one;
    EXPECT_EQ(name(*fleet_kind_named(one)), one);
  }
  EXPECT_EQ(fleet_kind_names().size(), kEvery.size());
  EXPECT_FALSE(fleet_kind_named("sztp"));
  EXPECT_FALSE(fleet_kind_named(""));
}

}  // namespace
}  // namespace imprint::app
