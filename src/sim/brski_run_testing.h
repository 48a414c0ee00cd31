// For tests of BRSKI in the simulator: runs on stores of their own.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "sim/brski_run.h"

namespace imprint::sim::testing {

class Runs final : public Journal {
 public:
  void step(const Run&, const RunStep&) override {}
  void ended(const Run& run) override { all.push_back(run); }
  std::vector<Run> all;
};

class BrskiRuns : public ::testing::Test {
 protected:
  BrskiReport run(const BrskiPlan& plan) {
    std::string folder = (std::filesystem::temp_directory_path() / "imprint-brski-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) {
      std::abort();
    }
    BrskiReport out;
    {
      const auto owners = store::open_sqlite(folder + "/site.db");
      const auto makers = store::open_maker_sqlite(folder + "/masa.db");
      auto report = run_brski(plan, **owners, **makers, journal_);
      if (report) {
        out = *std::move(report);
      } else {
        ADD_FAILURE() << report.error().what;
      }
    }
    std::filesystem::remove_all(folder);
    return out;
  }
  BrskiReport run(BrskiPlan::Way way) {
    BrskiPlan plan;
    plan.way = way;
    return run(plan);
  }
  Runs journal_;
};

inline bool is_operational(const BrskiReport& r) { return r.owner && r.owner->configured && r.installed; }

inline std::string story(const Run& run) {
  std::string out = run.mode + ": " + run.result;
  for (const RunStep& step : run.steps) {
    out += "\n  " + step.state + ": " + step.check;
  }
  return out;
}

inline std::string joined(const std::vector<std::string>& all) {
  std::string out;
  for (const std::string& one : all) {
    out += one + "\n";
  }
  return out;
}

// The power goes after each single action, of one player and then of the next: there is one owner and one certificate
// at the end, nothing half in between, and no second voucher for a device that has its own.
inline void expect_cuts_survived(const BrskiPlan& plain, const std::function<BrskiReport(const BrskiPlan&)>& run) {
  const BrskiReport calm = run(plain);
  for (const auto cut : {&BrskiPlan::device_cut, &BrskiPlan::owner_cut, &BrskiPlan::masa_cut}) {
    const std::uint64_t actions = cut == &BrskiPlan::device_cut  ? calm.device_actions
                                  : cut == &BrskiPlan::owner_cut ? calm.owner_actions
                                                                 : calm.masa_actions;
    ASSERT_GT(actions, 0U);
    std::uint64_t between = 0;
    for (std::uint64_t n = 1; n <= actions; ++n) {
      BrskiPlan plan = plain;
      plan.*cut = n;
      const BrskiReport r = run(plan);
      ASSERT_TRUE(is_operational(r)) << "cut after " << n << "\n" << story(r.run);
      EXPECT_EQ(r.owner->pinned, r.owner_root) << n;
      EXPECT_EQ(r.certificates, 1) << n;
      EXPECT_TRUE(r.sound) << n;
      EXPECT_EQ(r.boots, cut == &BrskiPlan::device_cut ? 2U : 1U) << n;
      EXPECT_TRUE(r.wrong.empty()) << n << ": " << joined(r.wrong);
      EXPECT_EQ(r.vouchers, r.vouchers_then.value_or(r.vouchers)) << n << ": a second one, with the first on record";
      between += r.vouchers_then ? 1 : 0;
    }
    EXPECT_EQ(between > 5, cut == &BrskiPlan::device_cut);
  }
}

}  // namespace imprint::sim::testing
