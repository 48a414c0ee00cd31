// Stories from what is on record, in the table and by themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "store/store_testing.h"
#include "survey/compare.h"
#include "survey/compare_run.h"
#include "survey/explain.h"
#include "survey/stories_testing.h"

namespace imprint::survey {
namespace {

BeliefChange learned(std::string id, std::string statement, Ground ground, std::vector<std::string> because = {}) {
  BeliefChange out;
  out.belief = {std::move(id), Topic::peer, std::move(statement), kNoEnd};
  out.strength = Strength::proved;
  out.evidence = {ground, "a check", {}, std::move(because)};
  return out;
}

RunStep step(std::string state) { return {std::move(state), "found", kStart, Duration(3), {}, {}}; }

class OnRecord : public store::StoreTest {
 protected:
  void save(const imprint::Run& run) {
    ASSERT_TRUE(write([&](store::Writer& w) { return w.save_run(run); }));
  }
  void save_all(std::vector<imprint::Run> runs) {
    for (const imprint::Run& run : runs) {
      save(run);
    }
  }
  // As the registrar and EST tell it.
  std::vector<imprint::Run> parts() {
    std::vector<imprint::Run> out{s_.voucher(), s_.taken(), s_.certificate(), s_.reported()};
    out[0].steps = {step("Admitting"), step("Signing"), step("Opening"), step("Fetching"), step("Idle")};
    out[1].steps = {step("Recalling"), step("FetchingLog"), step("Idle")};
    out[2].steps = {step("Admitting"), step("Issuing"), step("Idle")};
    out[3].steps = {step("Ending"), step("Idle")};
    out[0].beliefs = {learned("anchor", "it vouches", Ground::person),
                      learned("peer", "who asks", Ground::check, {"anchor"})};
    out[2].beliefs = out[0].beliefs;
    out[2].beliefs[1].belief.statement = "who asks for a certificate";
    return out;
  }
  Table table() {
    const auto all = *read_stories(*read());
    return compare(all_facts(), *latest_runs(*read(), all), all);
  }
  Site s_;
};

std::string cell(const Table& table, std::string_view area, std::string_view name, std::string_view mode) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    for (const Row& row : table.rows) {
      if (table.columns[i].protocol == "brski" && table.columns[i].mode == mode && row.area == area &&
          (name.empty() || row.name == name)) {
        std::string out;
        for (const std::string& each : row.cells[i].measured) {
          out += (out.empty() ? "" : " | ") + each;
        }
        return out;
      }
    }
  }
  return "no such cell";
}

TEST_F(OnRecord, an_onboarding_is_read_whole_with_who_was_in_its_states) {
  save_all(parts());
  const imprint::Run run = *whole(*read(), read_stories(*read())->at(0));
  std::vector<std::string> states;
  std::ranges::transform(run.steps, std::back_inserter(states), &RunStep::state);
  EXPECT_EQ(states, (Told{"registrar Admitting", "registrar Signing", "registrar Opening", "registrar Fetching",
                          "registrar Idle", "registrar Recalling", "registrar FetchingLog", "registrar Idle",
                          "EST server Admitting", "EST server Issuing", "EST server Idle", "registrar Ending",
                          "registrar Idle"}));
}

TEST_F(OnRecord, a_belief_of_two_parts_is_there_once_and_what_changed_takes_its_place) {
  save_all(parts());
  const RunReport report = report_on(*whole(*read(), read_stories(*read())->at(0)));
  ASSERT_EQ(report.beliefs.size(), 3U);
  EXPECT_TRUE(report.sound());
  EXPECT_EQ(report.beliefs[2].change.fate, Fate::replaced);
  EXPECT_EQ(report.beliefs[2].change.belief.statement, "who asks for a certificate");
}

TEST_F(OnRecord, each_part_leads_to_the_whole) {
  const auto all = parts();
  save_all(all);
  const imprint::Run renewal = s_.run("server", "renewal", "operational");
  save(renewal);
  for (const imprint::Run& part : all) {
    const imprint::Run run = *story_with(*read(), part);
    EXPECT_EQ(run.id + " " + run.result, all[0].id + " operational");
    EXPECT_EQ(run.steps.size(), 13U);
  }
  EXPECT_EQ(story_with(*read(), renewal)->id, renewal.id);
}

TEST_F(OnRecord, of_very_many_parts_the_middle_is_left_out) {
  std::vector<imprint::Run> many{s_.voucher()};
  for (int i = 0; i < 99; ++i) {
    many.push_back(s_.taken("answered"));
    many.back().steps = {step("Recalling")};
  }
  save_all(many);
  const auto all = *read_stories(*read());
  ASSERT_EQ(all.at(0).parts.size(), 100U);
  EXPECT_EQ(whole(*read(), all[0])->steps.size(), 63U);
}

TEST_F(OnRecord, the_table_has_the_onboarding_as_its_owner_s_side_saw_it) {
  save_all(parts());
  const Table t = table();
  EXPECT_EQ(cell(t, "measured", "run", "https"), "0000000000000001");
  EXPECT_EQ(cell(t, "measured", "device", "https"), "lamp-1");
  EXPECT_EQ(cell(t, "measured", "told by", "https"), "registrar");
  EXPECT_EQ(cell(t, "measured", "took", "https"), "30020 ms");
  EXPECT_EQ(cell(t, "measured", "round trips", "https"), "at least 4");
  EXPECT_EQ(cell(t, "measured", "bytes", "https"), "not measured");
  EXPECT_EQ(cell(t, "measured", "on record", "https"), "1 operational");
  const std::string way = cell(t, "processes", "", "https");
  EXPECT_NE(way.find("(registrar Admitting, Signing, Opening) | the MASA decides, writes its audit log and signs the "
                     "voucher (registrar Fetching)"),
            std::string::npos)
      << way;
  EXPECT_NE(way.find("enrolment by EST on the same connection (EST server Admitting, Issuing)"), std::string::npos);
  EXPECT_EQ(way.find("Idle"), std::string::npos);
  EXPECT_EQ(cell(t, "owner's knowledge", "", "https"),
            "it vouches (proved: a check) | who asks (proved: a check) | who asks for a certificate (proved: a check) "
            "| given: voucher for 1 | given: certificate CN=lamp-1");
  EXPECT_TRUE(cell(t, "imparted knowledge", "", "https").empty()) << "what the device believes it alone can say";
  const std::string text = to_text(t);
  EXPECT_NE(text.find("imprint compare --with"), std::string::npos);
  EXPECT_EQ(text.find("not measured"), std::string::npos) << "rows that say nothing are left out";
  EXPECT_EQ(std::ranges::count_if(t.columns, [](const Column& c) { return !c.run.empty(); }), 1) << "EST has none";
}

TEST_F(OnRecord, who_is_not_through_is_named_and_counts_as_no_success) {
  save_all(parts());
  s_.device = "lamp-2";
  save_all({s_.voucher(), s_.taken("held", "BRSKI-LOG-DOMAIN")});
  s_.device = "lamp-3";
  save_all({s_.voucher("pending", "SITE-WAITING")});
  const Table t = table();
  EXPECT_EQ(cell(t, "measured", "device", "https"), "lamp-1");
  EXPECT_EQ(cell(t, "measured", "on record", "https"), "1 operational, 1 held, 1 waiting");
  ASSERT_EQ(t.not_through.size(), 2U);
  EXPECT_EQ(t.not_through[0].device + " " + t.not_through[0].result, "lamp-3 waiting");
  EXPECT_EQ(t.not_through[1].device + " " + t.not_through[1].result, "lamp-2 held");
  const std::string text = to_text(t);
  EXPECT_NE(text.find("held BRSKI-LOG-DOMAIN"), std::string::npos);
  EXPECT_NE(to_markdown(t).find("| lamp-3 | brski https | waiting SITE-WAITING |"), std::string::npos);
  const Json json = to_json(t);
  EXPECT_EQ(json.at("not_through").at(1).at("rule"), "BRSKI-LOG-DOMAIN");
  EXPECT_EQ(json.at("not_through").at(0).at("result"), "waiting");

  save_all({s_.voucher(), s_.taken(), s_.certificate(), s_.reported()});
  EXPECT_EQ(table().not_through.size(), 1U) << "lamp-3 is through now";
}

TEST_F(OnRecord, the_device_s_own_story_is_told_and_not_counted_twice) {
  save_all(parts());
  imprint::Run own = s_.run("pledge", "cloud", "operational");
  own.started = kStart;
  const auto all = *read_stories(*read(), {own});
  const Table t = compare(all_facts(), *latest_runs(*read(), all), all);
  EXPECT_EQ(cell(t, "measured", "told by", "cloud"), "pledge");
  EXPECT_EQ(cell(t, "measured", "on record", "cloud"), "1 operational");
  EXPECT_EQ(cell(t, "measured", "run", "https"), "") << "it was the same one";
}

TEST_F(OnRecord, why_it_did_not_succeed_the_registrar_knows_better) {
  save_all({s_.voucher(), s_.taken("held", "BRSKI-LOG-DOMAIN")});
  imprint::Run own = s_.run("pledge", "https", "waiting");
  own.started = kStart;
  const auto all = *read_stories(*read(), {own});
  const Table t = compare(all_facts(), *latest_runs(*read(), all), all);
  ASSERT_EQ(t.not_through.size(), 1U);
  EXPECT_EQ(t.not_through[0].role + " " + t.not_through[0].result, "registrar held");
  EXPECT_EQ(cell(t, "measured", "on record", "https"), "1 held");
}

TEST_F(OnRecord, a_word_is_shown_where_it_happened_on_the_owner_s_side) {
  save_all(parts());
  const auto runs = *latest_runs(*read());
  const auto seen = [&](std::string_view word) {
    std::string out;
    for (const Seen& each : explain(word, all_facts(), runs).seen) {
      for (const RunStep& one : each.steps) {
        out += (out.empty() ? "" : ", ") + one.state;
      }
    }
    return out;
  };
  EXPECT_EQ(seen("voucher"), "registrar Fetching");
  EXPECT_EQ(seen("MASA audit log"), "registrar FetchingLog");
  EXPECT_EQ(seen("status telemetry"), "registrar Recalling, registrar Ending");
  EXPECT_EQ(seen("LDevID"), "EST server Issuing");
  EXPECT_EQ(seen("provisional TLS"), "") << "only the device sees that";
}

TEST_F(OnRecord, the_story_of_one_has_its_steps_its_outcome_and_what_to_do) {
  s_.device = "lamp-2";
  std::vector<imprint::Run> held{s_.voucher(), s_.taken("held", "BRSKI-LOG-DOMAIN")};
  held[1].steps = {step("Recalling"), {"Idle", "an unknown domain", kStart, Duration(1), "refused", "ask who had it"}};
  save_all(held);
  const RunReport report = report_on(*story_with(*read(), held[1]));
  const std::string text = to_text(report);
  EXPECT_NE(text.find("brski https, told by the registrar, device lamp-2, held by BRSKI-LOG-DOMAIN"),
            std::string::npos);
  EXPECT_NE(text.find("an unknown domain (refused)"), std::string::npos) << text;
  EXPECT_NE(text.find("next: ask who had it"), std::string::npos);
  EXPECT_NE(text.find("no changes of belief"), std::string::npos);
  EXPECT_NE(to_markdown(report).find("next: ask who had it"), std::string::npos);
  const Json json = to_json(report);
  EXPECT_EQ(json.at("result"), "held");
  EXPECT_EQ(json.at("rule"), "BRSKI-LOG-DOMAIN");
  EXPECT_EQ(json.at("steps").at(1).at("next"), "ask who had it");
}

TEST(StoryOfOne, asking_and_waiting_in_turn_is_told_once) {
  imprint::Run run;
  run.steps = {step("Signing")};
  for (int i = 0; i < 50; ++i) {
    run.steps.push_back(step("Asking"));
    run.steps.push_back(step("Waiting"));
  }
  run.steps.push_back(step("Telling"));
  const std::string text = to_text(report_on(run));
  EXPECT_LT(std::ranges::count(text, '\n'), 12);
  EXPECT_NE(text.find("and so on, 97 more"), std::string::npos) << text;
  EXPECT_LT(text.find("and so on"), text.find("Telling"));
  EXPECT_EQ(to_json(report_on(run)).at("steps").size(), 102U) << "as JSON all of them are there";
}

}  // namespace
}  // namespace imprint::survey
