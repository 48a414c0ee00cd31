// Whole fleets in virtual time: calm, stormy, and with the power gone after every single action.
#include "sim/fleet.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

namespace imprint::sim {
namespace {

namespace fs = std::filesystem;

FleetReport run(const FleetPlan& plan) {
  std::string folder = (fs::temp_directory_path() / "imprint-fleet-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    std::abort();
  }
  FleetReport out;
  {
    const auto store = store::open_sqlite(folder + "/site.db");
    auto report = run_fleet(plan, **store);
    if (report) {
      out = *std::move(report);
    } else {
      ADD_FAILURE() << report.error().what;
    }
  }
  fs::remove_all(folder);
  return out;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    out += line + '\n';
  }
  return out;
}

FleetPlan calm(std::uint32_t devices, std::uint64_t seed = 1) {
  FleetPlan out;
  out.devices = devices;
  out.seed = seed;
  out.link = {};
  out.disk = {};
  out.signer = {};
  out.device_cut = out.owner_cut = 0;
  return out;
}

TEST(Fleet, in_calm_seas_every_device_becomes_operational_in_one_go) {
  const FleetReport r = run(calm(9));
  EXPECT_EQ(r.wrong, std::vector<std::string>{}) << joined(r.wrong);
  EXPECT_EQ(r.operational, 9U);
  EXPECT_EQ(r.certificates, 9U);
  EXPECT_EQ(r.boots, 9U);
  EXPECT_EQ(r.device_cuts + r.owner_cuts + r.link.lost, 0U);
}

TEST(Fleet, in_calm_seas_a_new_root_reaches_every_device) {
  for (const bool coaps : {false, true}) {
    FleetPlan plan = calm(9);
    plan.coaps = coaps;
    plan.rollover = std::chrono::seconds(30);  // in the midst of the first enrolments
    const FleetReport r = run(plan);
    EXPECT_EQ(r.wrong, std::vector<std::string>{}) << joined(r.wrong);
    EXPECT_EQ(r.operational, 9U);
    EXPECT_GT(r.renewed, 0U);
    EXPECT_LT(r.renewed, 9U);
    EXPECT_EQ(r.certificates, 9U + r.renewed);
  }
}

// The power goes at the device, or at its owner, after every single action of enrolment, rollover and renewal.
TEST(Fleet, a_power_cut_anywhere_loses_no_device_to_a_new_root) {
  for (const bool of_device : {true, false}) {
    for (std::uint64_t after = 1; after < 200; ++after) {
      FleetPlan plan = calm(1, after);
      plan.rollover = std::chrono::minutes(2);
      (of_device ? plan.device_cut_after : plan.owner_cut_after) = after;
      const FleetReport r = run(plan);
      EXPECT_TRUE(r.wrong.empty()) << "after " << after << '\n' << joined(r.wrong);
      EXPECT_EQ(r.renewed, 1U) << "after " << after;
      if (r.device_cuts + r.owner_cuts == 0) {
        EXPECT_GT(after, 12U) << "there are that many actions";
        break;
      }
    }
  }
}

TEST(Fleet, one_seed_replays_everything_and_another_does_not) {
  FleetPlan plan = swarm(5, 6);
  const FleetReport first = run(plan);
  EXPECT_EQ(run(plan).trace, first.trace);
  plan.seed = 6;
  EXPECT_NE(run(plan).trace, first.trace);
}

TEST(Fleet, in_storms_nothing_is_wrong_and_all_converge) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const FleetReport r = run(swarm(seed, 8));
    EXPECT_TRUE(r.wrong.empty()) << "seed " << seed << '\n' << joined(r.wrong);
    EXPECT_EQ(r.operational, 8U) << "seed " << seed;
  }
}

// Every tenth datagram lost, doubled, and later than those after it, as on a bad radio link; nothing heals.
TEST(Fleet, over_coaps_on_a_bad_link_every_device_ends_enrolled) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    FleetPlan plan = calm(10, seed);
    plan.coaps = true;
    plan.link = {.loss = 0.1, .duplicate = 0.1, .least = Duration(5), .most = Duration(4000)};
    plan.faults_end = std::chrono::hours(24 * 6);
    const FleetReport r = run(plan);
    EXPECT_TRUE(r.wrong.empty()) << "seed " << seed << '\n' << joined(r.wrong);
    EXPECT_EQ(r.operational, 10U) << "seed " << seed;
    EXPECT_EQ(r.certificates, 10U) << "seed " << seed;
    EXPECT_GT(r.link.lost + r.link.duplicated, 20U);
    EXPECT_GT(r.link.overtaken, 10U);
  }
}

TEST(Fleet, a_device_that_forgets_what_it_asked_for_is_found) {
  bool found = false;
  for (std::uint64_t after = 1; after <= 60 && !found; ++after) {
    FleetPlan plan = calm(1);
    plan.device_cut_after = after;
    plan.forgetful = true;
    found = !run(plan).wrong.empty();
  }
  EXPECT_TRUE(found);
}

// All requests come at the same few instants: some reach the owner's machine in the very moment its power goes.
TEST(Fleet, requests_that_arrive_as_the_power_goes_are_lost_and_no_more) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    FleetPlan plan = calm(24, seed);
    plan.arrival = Duration(0);
    plan.signer.most = Duration(50);
    plan.owner_cut = 0.02;
    const FleetReport r = run(plan);
    EXPECT_TRUE(r.wrong.empty()) << "seed " << seed << '\n' << joined(r.wrong);
    EXPECT_GT(r.owner_cuts, 0U);
  }
}

// Cuts the power after the first action, after the second, and so on until there is none left to cut after; says how
// many there are. Three devices: two with an IDevID, one with a token.
std::uint64_t cut_after_every_action(std::optional<std::uint64_t> FleetPlan::*after, std::uint64_t FleetReport::*cuts,
                                     bool coaps = false) {
  constexpr std::uint64_t kMost = 500;
  for (std::uint64_t n = 1; n <= kMost; ++n) {
    FleetPlan plan = calm(3);
    plan.*after = n;
    plan.coaps = coaps;
    const FleetReport r = run(plan);
    EXPECT_TRUE(r.wrong.empty()) << "after action " << n << '\n' << joined(r.wrong);
    EXPECT_EQ(r.operational, 3U) << "after action " << n;
    if (r.*cuts == 0) {
      return n - 1;
    }
  }
  ADD_FAILURE() << "more actions than " << kMost;
  return kMost;
}

TEST(Fleet, the_power_of_a_device_goes_after_every_single_action) {
  EXPECT_GT(cut_after_every_action(&FleetPlan::device_cut_after, &FleetReport::device_cuts), 30U);
}

TEST(Fleet, the_power_of_the_owner_goes_after_every_single_action) {
  EXPECT_GT(cut_after_every_action(&FleetPlan::owner_cut_after, &FleetReport::owner_cuts), 15U);
}

TEST(Fleet, over_coaps_the_power_of_either_goes_after_every_single_action) {
  EXPECT_GT(cut_after_every_action(&FleetPlan::device_cut_after, &FleetReport::device_cuts, true), 30U);
  EXPECT_GT(cut_after_every_action(&FleetPlan::owner_cut_after, &FleetReport::owner_cuts, true), 15U);
}

}  // namespace
}  // namespace imprint::sim
