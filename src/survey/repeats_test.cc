#include "survey/repeats.h"

#include <gtest/gtest.h>

#include "store/store_testing.h"
#include "survey/stories.h"

namespace imprint::survey {
namespace {

constexpr Instant kStart{1'800'000'000'000};

// Runs as they end, one half a minute after the other.
class Repeats : public store::StoreTest {
 protected:
  imprint::Run run(std::string protocol, std::string mode, std::string result, std::string rule) {
    imprint::Run out;
    const std::string number = std::to_string(++made_);
    out.id = std::string(16 - number.size(), '0') + number;
    out.role = protocol == "est" ? "server" : "registrar";
    out.protocol = std::move(protocol);
    out.mode = std::move(mode);
    out.device = "lamp-1";
    out.started = at_;
    out.ended = at_ + Duration(5);
    out.result = std::move(result);
    out.rule = std::move(rule);
    out.counts = {2, 7, 1, 0, 0, 0};
    out.steps = {{"Admitting", "who", out.started, Duration(1), {}, {}},
                 {"Idle", "it waits", out.ended, Duration(4), {}, "let somebody approve"}};
    at_ = at_ + std::chrono::seconds(30);
    return out;
  }
  imprint::Run waits() { return run("brski", "voucher", "pending", "SITE-WAITING"); }
  void keep(const imprint::Run& run) {
    ASSERT_TRUE(write([&](store::Writer& w) { return keep_run(w, run); }));
  }
  std::int64_t kept() { return *read()->count("runs"); }

  Instant at_ = kStart;
  int made_ = 0;
};

TEST_F(Repeats, a_device_that_waits_has_one_run_however_often_it_asks) {
  for (int i = 0; i < 200; ++i) {
    keep(waits());
  }
  ASSERT_EQ(kept(), 1);
  const imprint::Run one = *read()->run("0000000000000001").operator*();
  EXPECT_EQ(one.counts.round_trips, 200U);
  EXPECT_EQ(one.counts.messages, 400U);
  EXPECT_EQ(one.counts.bytes, 1400U);
  EXPECT_EQ(one.started, kStart);
  EXPECT_EQ(one.ended, kStart + std::chrono::seconds(199 * 30) + Duration(5));
  ASSERT_EQ(one.steps.size(), 3U) << "it does not grow";
  EXPECT_EQ(one.steps[2].check, "asked again, 200 times in all");
  EXPECT_EQ(one.steps[2].next, "let somebody approve");
  EXPECT_EQ(one.steps[2].at, one.ended);
  EXPECT_EQ(one.steps[2].took, one.ended - one.steps[1].at);
}

TEST_F(Repeats, no_clock_ends_a_wait) {
  keep(waits());
  at_ = at_ + std::chrono::hours(24 * 7);
  keep(waits());
  EXPECT_EQ(kept(), 1);
}

TEST_F(Repeats, another_outcome_another_way_or_another_device_is_another_run) {
  keep(waits());
  keep(run("brski", "voucher", "pending", "BRSKI-MASA-WAITS"));
  keep(run("brski", "coaps, voucher", "pending", "BRSKI-MASA-WAITS"));
  keep(run("est", "certificate", "pending", "SITE-WAITING"));
  imprint::Run other = run("est", "certificate", "pending", "SITE-WAITING");
  other.device = "lamp-2";
  keep(other);
  EXPECT_EQ(kept(), 5);
  keep(run("est", "certificate", "pending", "SITE-WAITING"));
  EXPECT_EQ(kept(), 5) << "lamp-1 still waits at EST, whatever came between";
}

TEST_F(Repeats, what_came_to_something_is_never_put_together) {
  for (int i = 0; i < 3; ++i) {
    keep(run("brski", "voucher", "vouchered", ""));
    keep(run("est", "certificate", "operational", ""));
  }
  EXPECT_EQ(kept(), 6);
  keep(waits());
  keep(run("brski", "voucher", "vouchered", ""));
  keep(waits());
  EXPECT_EQ(kept(), 9) << "it waits for another voucher";
}

TEST_F(Repeats, who_is_refused_by_the_registrar_again_and_again_has_one_run_within_the_hour) {
  keep(run("brski", "voucher", "refused", "BRSKI-MASA-REFUSED"));
  keep(run("brski", "voucher", "refused", "BRSKI-MASA-REFUSED"));
  keep(run("brski", "voucher", "failed", "BRSKI-MASA-SILENT"));
  keep(run("brski", "voucher", "failed", "BRSKI-MASA-SILENT"));
  EXPECT_EQ(kept(), 2);
  at_ = at_ + kSameMatter;
  keep(run("brski", "voucher", "failed", "BRSKI-MASA-SILENT"));
  EXPECT_EQ(kept(), 3);
  keep(run("est", "certificate", "refused", "EST-CSR"));
  keep(run("est", "certificate", "refused", "EST-CSR"));
  EXPECT_EQ(kept(), 5) << "each of EST's refusals is a request of its own";
}

TEST_F(Repeats, strangers_are_not_put_together) {
  for (int i = 0; i < 2; ++i) {
    imprint::Run stranger = run("brski", "voucher", "refused", "SITE-UNKNOWN");
    stranger.device.clear();
    keep(stranger);
  }
  EXPECT_EQ(kept(), 2);
}

}  // namespace
}  // namespace imprint::survey
