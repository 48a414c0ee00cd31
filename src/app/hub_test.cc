#include "app/hub.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "store/store_testing.h"

namespace imprint::app {
namespace {

Run run_of(std::string result, std::string rule = {}) {
  Run run;
  run.id = "00112233445566ff";
  run.protocol = "est";
  run.mode = "secret";
  run.role = "server";
  run.device = "lamp-7";
  run.started = Instant{1'000};
  run.ended = Instant{1'030};
  run.result = std::move(result);
  run.rule = std::move(rule);
  return run;
}

// What a listener heard.
struct Ear {
  std::vector<Event> heard;
  std::function<void(const Event&)> listener() {
    return [this](const Event& event) { heard.push_back(event); };
  }
};

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Hub, tells_a_step_in_the_words_of_a_run) {
  Hub hub(nullptr);
  Ear ear;
  hub.listen(0, ear.listener());
  hub.step(run_of("", "EST-CSR"),
           {"Enrolling", "bad\nrequest", Instant{1'020}, Duration{20}, "malformed", "make a better one"});
  ASSERT_EQ(ear.heard.size(), 1U);
  EXPECT_EQ(ear.heard[0].name, "run.step");
  EXPECT_EQ(ear.heard[0].json.find('\n'), std::string::npos);
  const Json json = *parse_json(ear.heard[0].json);
  EXPECT_EQ(json["run"], "00112233445566ff");
  EXPECT_EQ(json["protocol"], "est");
  EXPECT_EQ(json["mode"], "secret");
  EXPECT_EQ(json["role"], "server");
  EXPECT_EQ(json["device"], "lamp-7");
  EXPECT_EQ(json["state"], "Enrolling");
  EXPECT_EQ(json["check"], "bad\nrequest");
  EXPECT_EQ(json["took_ms"], 20);
  EXPECT_EQ(json["fault"], "malformed");
  EXPECT_EQ(json["rule"], "EST-CSR");
  EXPECT_EQ(json["next"], "make a better one");
}

TEST(Hub, a_step_that_went_well_names_no_rule) {
  Hub hub(nullptr);
  Ear ear;
  hub.listen(0, ear.listener());
  hub.step(run_of("", "EST-CSR"), {"Enrolling", "", Instant{}, {}, "", ""});
  EXPECT_EQ((*parse_json(ear.heard.at(0).json))["rule"], "");
}

TEST(Hub, events_are_numbered_upwards_and_kept_for_who_comes_back) {
  Hub hub(nullptr);
  Ear first;
  const std::uint64_t listener = hub.listen(0, first.listener());
  hub.tell("a", "{}");
  hub.unlisten(listener);
  hub.tell("b", "{}");
  hub.tell("c", "{}");
  ASSERT_EQ(first.heard.size(), 1U);
  Ear again;
  hub.listen(first.heard[0].id, again.listener());
  ASSERT_EQ(again.heard.size(), 2U);
  EXPECT_EQ(again.heard[0].name, "b");
  EXPECT_EQ(again.heard[0].id, first.heard[0].id + 1);
  EXPECT_EQ(again.heard[1].name, "c");
}

TEST(Hub, keeps_4096_events) {
  Hub hub(nullptr);
  for (int i = 0; i < 5'000; ++i) {
    hub.tell(std::to_string(i), "{}");
  }
  Ear ear;
  hub.listen(0, ear.listener());
  ASSERT_EQ(ear.heard.size(), 4'096U);
  EXPECT_EQ(ear.heard.front().name, "904");
  EXPECT_EQ(ear.heard.back().name, "4999");
}

TEST(Hub, numbers_go_on_after_a_restart) {
  Ear before, after;
  {
    Hub hub(nullptr);
    hub.listen(0, before.listener());
    hub.tell("a", "{}");
  }
  Hub hub(nullptr);
  hub.listen(before.heard.at(0).id - 1, after.listener());
  hub.tell("b", "{}");
  EXPECT_GE(after.heard.at(0).id, before.heard[0].id);
}

TEST(Hub, counts_runs_by_protocol_role_result_and_reason) {
  Hub hub(nullptr);
  hub.ended(run_of("operational"));
  hub.ended(run_of("operational"));
  hub.ended(run_of("refused", "SITE-UNKNOWN"));
  const std::string text = hub.metrics({});
  EXPECT_TRUE(
      has_line(text, R"(imprint_onboardings_total{protocol="est",reason="none",result="operational",role="server"} 2)"))
      << text;
  EXPECT_TRUE(has_line(
      text, R"(imprint_onboardings_total{protocol="est",reason="SITE-UNKNOWN",result="refused",role="server"} 1)"))
      << text;
  EXPECT_TRUE(has_line(text, R"(imprint_onboarding_duration_seconds_count{protocol="est",role="server"} 3)")) << text;
  EXPECT_TRUE(
      has_line(text, R"(imprint_onboarding_duration_seconds_bucket{protocol="est",role="server",le="0.025"} 0)"))
      << text;
  EXPECT_TRUE(has_line(text, R"(imprint_onboarding_duration_seconds_bucket{protocol="est",role="server",le="0.05"} 3)"))
      << text;
  EXPECT_TRUE(has_line(text, "imprint_build_info{version=\"" IMPRINT_VERSION "\"} 1")) << text;
}

TEST(Hub, counts_refusals_by_fault) {
  Hub hub(nullptr);
  hub.step(run_of(""), {"Idle", "", Instant{}, {}, "unauthentic", ""});
  hub.step(run_of(""), {"Idle", "", Instant{}, {}, "", ""});
  EXPECT_TRUE(has_line(hub.metrics({}), R"(imprint_refusals_total{fault="unauthentic"} 1)"));
}

TEST(Hub, metrics_never_name_a_device_and_have_few_series) {
  Hub hub(nullptr);
  for (int i = 0; i < 1'000; ++i) {
    imprint::Run run = run_of("refused", "RULE-" + std::to_string(i));
    run.device = "lamp-" + std::to_string(i);
    hub.ended(run);
  }
  const std::string text = hub.metrics({});
  EXPECT_EQ(text.find("lamp-"), std::string::npos);
  EXPECT_EQ(text.find("RULE-64"), std::string::npos);
  EXPECT_TRUE(
      has_line(text, R"(imprint_onboardings_total{protocol="est",reason="other",result="refused",role="server"} 936)"))
      << text;
}

TEST(Hub, gauges_of_one_name_stand_together) {
  Hub hub(nullptr);
  const std::string text = hub.metrics({{"a", 1}, {"a{x=\"1\"}", 2.5}, {"a_b", 3}, {"c_total", 4}});
  EXPECT_TRUE(text.ends_with(
      "# TYPE a gauge\na 1\na{x=\"1\"} 2.5\n# TYPE a_b gauge\na_b 3\n# TYPE c_total counter\nc_total 4\n"))
      << text;
}

TEST(Hub, a_run_that_ended_is_on_record) {
  store::TestFolder folder;
  const std::unique_ptr<store::Store> store = store::open_store(folder.file());
  Hub hub(store.get());
  imprint::Run run = run_of("operational");
  run.steps.push_back({"Idle", "done", Instant{1'030}, Duration{30}, "", ""});
  hub.ended(run);
  ASSERT_TRUE(store->write([](store::Writer&) -> Status { return Ok{}; }));  // after the run's own, in order
  const auto reader = *store->read();
  const auto found = *reader->run(run.id);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->steps, run.steps);
  EXPECT_EQ(found->result, "operational");
}

TEST(Hub, a_stranger_s_run_is_told_and_counted_but_not_kept) {
  store::TestFolder folder;
  const std::unique_ptr<store::Store> store = store::open_store(folder.file());
  Hub hub(store.get());
  Ear ear;
  hub.listen(0, ear.listener());
  imprint::Run run = run_of("refused", "SITE-UNKNOWN");
  run.anonymous = true;
  hub.ended(run);
  ASSERT_TRUE(store->write([](store::Writer&) -> Status { return Ok{}; }));
  EXPECT_EQ(*(*store->read())->count("runs"), 0);
  EXPECT_EQ(ear.heard.size(), 1U);
  EXPECT_NE(hub.metrics({}).find(R"(reason="SITE-UNKNOWN",result="refused",role="server"} 1)"), std::string::npos);
}

TEST(Hub, who_asks_again_and_again_is_told_each_time_and_kept_as_one_run) {
  store::TestFolder folder;
  const std::unique_ptr<store::Store> store = store::open_store(folder.file());
  Hub hub(store.get());
  Ear ear;
  hub.listen(0, ear.listener());
  for (int n = 1; n <= 5; ++n) {
    imprint::Run run = run_of("pending", "SITE-WAITING");
    run.id = std::to_string(n);
    run.started = Instant{n};
    run.counts.round_trips = 1;
    hub.ended(run);
  }
  ASSERT_TRUE(store->write([](store::Writer&) -> Status { return Ok{}; }));
  EXPECT_EQ(*(*store->read())->count("runs"), 1);
  EXPECT_EQ((*(*store->read())->run("1"))->counts.round_trips, 5U);
  EXPECT_EQ(ear.heard.size(), 5U);
}

TEST(Hub, old_runs_go_while_new_ones_come) {
  store::TestFolder folder;
  const std::unique_ptr<store::Store> store = store::open_store(folder.file());
  Hub hub(store.get(), 10);
  const auto save = [&](std::int64_t n) {
    imprint::Run run = run_of("operational");
    run.id = std::to_string(n);
    run.started = Instant{n};
    hub.ended(run);
  };
  for (std::int64_t n = 1; n <= 128; ++n) {
    save(n);
  }
  ASSERT_TRUE(store->write([](store::Writer&) -> Status { return Ok{}; }));
  EXPECT_EQ(*(*store->read())->count("runs"), 10);
  EXPECT_TRUE((*(*store->read())->run("128")).has_value());
  hub.keep(5);
  for (std::int64_t n = 129; n <= 192; ++n) {
    save(n);
  }
  ASSERT_TRUE(store->write([](store::Writer&) -> Status { return Ok{}; }));
  EXPECT_EQ(*(*store->read())->count("runs"), 5);
}

}  // namespace
}  // namespace imprint::app
