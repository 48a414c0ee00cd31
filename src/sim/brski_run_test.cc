// BRSKI from factory to owner in virtual time: what the survey says of it, held against runs, and power cuts anywhere.
#include <algorithm>

#include "sim/brski_run_testing.h"
#include "survey/compare.h"
#include "survey/compare_run.h"
#include "survey/explain.h"

namespace imprint::sim {
namespace {

using testing::is_operational;
using testing::story;
using Way = BrskiPlan::Way;
using Brski = testing::BrskiRuns;

TEST_F(Brski, every_way_leads_to_the_owner_and_asks_nobody_at_the_device) {
  for (const Way way : {Way::direct, Way::proxy, Way::nonceless, Way::cloud}) {
    const BrskiReport r = run(way);
    ASSERT_TRUE(is_operational(r)) << story(r.run);
    EXPECT_EQ(r.owner->pinned, r.owner_root);
    EXPECT_EQ(r.certificates, 1);
    EXPECT_EQ(r.vouchers, 1);
    EXPECT_EQ(r.run.counts.persons_acts, 0U) << r.run.mode;
    EXPECT_TRUE(r.sound);
    EXPECT_TRUE(survey::report_on(r.run).sound()) << r.run.mode;
    EXPECT_TRUE(r.wrong.empty()) << testing::joined(r.wrong);
  }
}

TEST_F(Brski, that_this_is_the_owner_rests_on_the_factory_and_is_proved) {
  const survey::RunReport report = survey::report_on(run(Way::proxy).run);
  const auto owner = std::ranges::find_if(report.beliefs, [](const survey::BeliefReport& b) {
    return b.change.belief.statement.find("speaks for my owner") != std::string::npos;
  });
  ASSERT_NE(owner, report.beliefs.end());
  EXPECT_EQ(owner->held, Strength::proved);
  ASSERT_EQ(owner->chain.size(), 3U);
  for (std::size_t i = 1; i < owner->chain.size(); ++i) {
    EXPECT_EQ(owner->chain[i].ground, Ground::factory) << owner->chain[i].id;
  }
}

TEST_F(Brski, who_answers_is_a_stranger_until_the_voucher_came) {
  const imprint::Run told = run(Way::proxy).run;
  std::vector<Strength> of_peers;
  for (const BeliefChange& change : told.beliefs) {
    if (change.belief.topic == Topic::peer) {
      of_peers.push_back(change.strength);
    }
  }
  ASSERT_GE(of_peers.size(), 2U);
  EXPECT_EQ(of_peers.front(), Strength::first_contact);
  EXPECT_EQ(of_peers[1], Strength::proved);
}

TEST_F(Brski, the_maker_has_to_be_there_unless_the_voucher_is) {
  BrskiPlan plan;
  plan.masa_closed = true;
  EXPECT_FALSE(is_operational(run(plan)));
  plan.way = Way::nonceless;
  const BrskiReport r = run(plan);
  EXPECT_TRUE(is_operational(r)) << story(r.run);
  EXPECT_EQ(r.masa, 0U);  // the owner installs unseen by the maker
}

TEST_F(Brski, of_a_usual_run_the_maker_hears_twice) {
  EXPECT_EQ(run(Way::proxy).masa, 2U);  // voucher and audit log
}

TEST_F(Brski, the_maker_can_keep_a_device_from_another_owner) {
  BrskiPlan plan;
  plan.sold_to_other = true;
  const BrskiReport r = run(plan);
  EXPECT_FALSE(is_operational(r));
  EXPECT_FALSE(r.owner);
  EXPECT_EQ(r.vouchers, 0);
  EXPECT_EQ(r.certificates, 0);
  EXPECT_TRUE(r.wrong.empty()) << testing::joined(r.wrong);
}

TEST_F(Brski, the_same_seed_gives_the_same_run) {
  BrskiPlan plan;
  plan.seed = 11;
  plan.link = {.loss = 0.02, .duplicate = 0.02, .least = Duration(1), .most = Duration(40)};
  const BrskiReport first = run(plan);
  const BrskiReport second = run(plan);
  EXPECT_TRUE(is_operational(first)) << story(first.run);
  EXPECT_EQ(first.run.id, second.run.id);
  EXPECT_EQ(first.run.ended, second.run.ended);
  EXPECT_EQ(story(first.run), story(second.run));
}

TEST_F(Brski, a_power_cut_after_any_action_of_anybody_leaves_one_owner_and_one_certificate) {
  testing::expect_cuts_survived({}, [this](const BrskiPlan& plan) { return run(plan); });
}

// ---- the survey's tables ----

const survey::Cell* cell(const survey::Table& table, std::string_view area, std::string_view mode) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const auto row = std::ranges::find(table.rows, area, &survey::Row::area);
    if (table.columns[i].protocol == "brski" && table.columns[i].mode == mode && row != table.rows.end()) {
      return &row->cells[i];
    }
  }
  return nullptr;
}

TEST_F(Brski, the_table_is_drawn_from_these_runs) {
  std::vector<imprint::Run> told;
  for (const Way way : {Way::proxy, Way::nonceless, Way::cloud}) {
    told.push_back(run(way).run);
  }
  BrskiPlan small;
  small.coaps = true;
  told.push_back(run(small).run);
  const survey::Table table = survey::compare(survey::all_facts(), told);
  for (const std::string_view mode : {"https", "nonceless", "cloud", "coaps"}) {
    for (const std::string_view area : {"initial beliefs", "processes", "imparted knowledge", "measured"}) {
      const survey::Cell* const found = cell(table, area, mode);
      ASSERT_NE(found, nullptr) << mode << " " << area;
      EXPECT_FALSE(found->measured.empty()) << mode << " " << area;
    }
    // Every step of the run has its name in the survey's terms, but for a rest.
    for (const std::string& step : cell(table, "processes", mode)->measured) {
      EXPECT_NE(step.find(" ("), std::string::npos) << mode << ": " << step;
    }
  }
}

// It saw what it saw: its steps are called its own, and what the device came to believe is not among them.
TEST_F(Brski, what_only_the_registrar_told_is_no_story_of_the_device) {
  run(Way::proxy);
  std::erase_if(journal_.all, [](const imprint::Run& r) { return r.role == "pledge"; });
  ASSERT_FALSE(journal_.all.empty());
  const survey::Table table = survey::compare(survey::all_facts(), journal_.all);
  EXPECT_TRUE(cell(table, "imparted knowledge", "https")->measured.empty());
  const auto told = survey::explain("imprint", survey::all_facts(), journal_.all).seen;
  ASSERT_FALSE(told.empty());
  for (const survey::Seen& one : told) {
    for (const RunStep& step : one.steps) {
      EXPECT_NE(step.state, "Telling") << "the device's";
    }
  }
}

TEST_F(Brski, imprinting_is_shown_where_it_happened) {
  const imprint::Run told = run(Way::proxy).run;
  const survey::Explanation e = survey::explain("imprinting", survey::all_facts(), {told});
  ASSERT_EQ(e.seen.size(), 1U);
  ASSERT_EQ(e.seen[0].steps.size(), 1U);
  EXPECT_EQ(e.seen[0].steps[0].state, "Telling");
}

}  // namespace
}  // namespace imprint::sim
