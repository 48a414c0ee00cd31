#include "survey/stories.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "survey/stories_testing.h"

namespace imprint::survey {
namespace {

std::vector<std::string> outcomes(std::vector<imprint::Run> runs) {
  std::vector<std::string> out;
  for (const Story& each : stories(std::move(runs))) {
    out.push_back(each.run.protocol + " " + each.run.mode + " " + each.run.result +
                  (each.run.rule.empty() ? "" : " " + each.run.rule));
  }
  return out;
}

TEST(Stories, four_requests_of_one_device_are_one_run) {
  Site s;
  const std::vector<imprint::Run> parts{s.voucher(), s.taken(), s.certificate(), s.reported()};
  const auto all = stories(parts);
  ASSERT_EQ(all.size(), 1U);
  const imprint::Run& run = all[0].run;
  EXPECT_EQ(all[0].parts, (Told{parts[0].id, parts[1].id, parts[2].id, parts[3].id}));
  EXPECT_EQ(run.id, parts[0].id);
  EXPECT_EQ(run.protocol + " " + run.role + " " + run.mode + " " + run.device, "brski registrar https lamp-1");
  EXPECT_EQ(run.result, "operational");
  EXPECT_EQ(run.obtained, (Told{"voucher for 1", "certificate CN=lamp-1"}));
  EXPECT_EQ(run.counts.round_trips, 4U);
  EXPECT_EQ(run.started, parts[0].started);
  EXPECT_EQ(run.ended, parts[3].ended);
}

TEST(Stories, the_order_in_which_they_are_read_does_not_matter) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher(), s.taken(), s.certificate(), s.reported()};
  std::ranges::reverse(parts);
  EXPECT_EQ(outcomes(parts), (Told{"brski https operational"}));
}

TEST(Stories, only_who_has_a_certificate_and_reports_it_has_succeeded) {
  Site s;
  EXPECT_EQ(outcomes({s.voucher()}), (Told{"brski https incomplete"}));
  EXPECT_EQ(outcomes({s.voucher(), s.taken()}), (Told{"brski https incomplete"}));
  EXPECT_EQ(outcomes({s.voucher(), s.taken(), s.certificate()}), (Told{"brski https incomplete"}));
  EXPECT_EQ(outcomes({s.voucher(), s.taken(), s.reported()}), (Told{"brski https incomplete"}));
  EXPECT_EQ(outcomes({s.voucher(), s.taken(), s.certificate(), s.reported("failed")}), (Told{"brski https failed"}));
}

TEST(Stories, a_report_by_the_new_certificate_shows_that_there_is_one) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher(), s.taken()};
  parts.push_back(s.reported());
  parts.back().obtained = {"certificate 12, by which it reports"};
  EXPECT_EQ(outcomes(parts), (Told{"brski https operational"}));
  ASSERT_EQ(latest_of(stories(parts)).size(), 1U);
  parts.erase(parts.begin(), parts.begin() + 2);  // they were removed meanwhile
  EXPECT_EQ(outcomes(parts), (Told{"brski https operational"}));
  EXPECT_TRUE(latest_of(stories(parts)).empty()) << "it measures nothing";
}

TEST(Stories, who_waits_is_held_or_is_refused_has_not_succeeded) {
  Site s;
  EXPECT_EQ(outcomes({s.voucher("pending", "SITE-WAITING")}), (Told{"brski https waiting SITE-WAITING"}));
  EXPECT_EQ(outcomes({s.voucher("refused", "BRSKI-MASA-REFUSED")}), (Told{"brski https refused BRSKI-MASA-REFUSED"}));
  EXPECT_EQ(outcomes({s.voucher("failed", "BRSKI-MASA-SILENT")}), (Told{"brski https failed BRSKI-MASA-SILENT"}));
  std::vector<imprint::Run> parts{s.voucher(), s.taken("refused", "BRSKI-VOUCHER-REJECTED")};
  EXPECT_EQ(outcomes(parts), (Told{"brski https refused BRSKI-VOUCHER-REJECTED"}));
  parts = {s.voucher(), s.taken(), s.certificate("pending", "SITE-WAITING")};
  EXPECT_EQ(outcomes(parts), (Told{"brski https waiting SITE-WAITING"}));
  parts = {s.voucher(), s.taken(), s.certificate("pending", "BRSKI-EST-HELD")};
  EXPECT_EQ(outcomes(parts), (Told{"brski https held BRSKI-EST-HELD"})) << "a person has held it since";
}

TEST(Stories, a_held_one_is_held_by_what_was_found_until_it_is_cleared) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher(), s.taken("held", "BRSKI-LOG-DOMAIN"),
                                  s.certificate("pending", "BRSKI-EST-HELD"), s.taken("answered")};
  EXPECT_EQ(outcomes(parts), (Told{"brski https held BRSKI-LOG-DOMAIN"}));
  s.at = s.at + std::chrono::hours(24 * 30);  // no clock ends it
  parts.push_back(s.certificate());
  EXPECT_EQ(outcomes(parts), (Told{"brski https incomplete"}));
  parts.push_back(s.reported());
  EXPECT_EQ(outcomes(parts), (Told{"brski https operational"}));
  EXPECT_EQ(stories(parts)[0].parts.size(), 6U);
  parts.push_back(s.reported("refused"));
  EXPECT_EQ(outcomes(parts), (Told{"brski https operational"})) << "what succeeded has succeeded";
}

TEST(Stories, a_request_after_a_voucher_begins_another) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher(), s.voucher(), s.taken(), s.certificate(), s.reported(), s.voucher()};
  EXPECT_EQ(outcomes(parts), (Told{"brski https incomplete", "brski https operational", "brski https incomplete"}));
}

TEST(Stories, who_waits_for_days_and_gets_its_voucher_has_one) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher("pending", "SITE-WAITING")};
  s.at = s.at + std::chrono::hours(72);
  for (const imprint::Run& run : {s.voucher(), s.taken(), s.certificate(), s.reported()}) {
    parts.push_back(run);
  }
  EXPECT_EQ(outcomes(parts), (Told{"brski https operational"}));
}

TEST(Stories, who_was_refused_and_asks_again_soon_has_one_and_later_two) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher("refused", "BRSKI-MASA-REFUSED"), s.voucher()};
  EXPECT_EQ(outcomes(parts), (Told{"brski https incomplete"}));
  s.at = s.at + kSameMatter;
  parts = {s.voucher("refused", "BRSKI-MASA-REFUSED")};
  s.at = s.at + kSameMatter;
  parts.push_back(s.voucher());
  EXPECT_EQ(outcomes(parts), (Told{"brski https incomplete", "brski https refused BRSKI-MASA-REFUSED"}));
}

TEST(Stories, devices_are_told_apart) {
  Site s;
  std::vector<imprint::Run> parts;
  for (const auto step : {&Site::voucher, &Site::taken, &Site::certificate}) {
    for (const char* device : {"lamp-1", "lamp-2"}) {
      s.device = device;
      parts.push_back((s.*step)(step == &Site::voucher ? "vouchered"
                                : step == &Site::taken ? "imprinted"
                                                       : "operational",
                                {}));
    }
  }
  parts.push_back(s.reported());
  const auto all = stories(parts);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].run.device + " " + all[0].run.result, "lamp-2 operational");
  EXPECT_EQ(all[1].run.device + " " + all[1].run.result, "lamp-1 incomplete");
}

TEST(Stories, strangers_are_not_joined) {
  Site s;
  s.device.clear();
  EXPECT_EQ(outcomes({s.voucher("refused", "SITE-UNKNOWN"), s.voucher("refused", "SITE-UNKNOWN")}),
            (Told{"brski https refused SITE-UNKNOWN", "brski https refused SITE-UNKNOWN"}));
}

TEST(Stories, what_est_does_before_and_afterwards_is_its_own) {
  Site s;
  std::vector<imprint::Run> parts{s.certificate("refused", "BRSKI-EST-EARLY"), s.voucher(), s.taken(), s.certificate(),
                                  s.certificate()};  // a profile has two
  parts.push_back(s.run("server", "renewal", "operational"));
  EXPECT_EQ(outcomes(parts),
            (Told{"est renewal operational", "brski https incomplete", "est certificate refused BRSKI-EST-EARLY"}));
  s.at = s.at + kSameMatter;
  parts.push_back(s.certificate());
  parts.push_back(s.reported());
  EXPECT_EQ(outcomes(parts), (Told{"est certificate operational", "est renewal operational", "brski https operational",
                                   "est certificate refused BRSKI-EST-EARLY"}));
  parts.push_back(s.certificate());
  EXPECT_EQ(outcomes(parts).front(), "est certificate operational") << "who has reported is done";
}

TEST(Stories, the_mode_is_what_its_requests_show) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher(), s.taken(), s.certificate(), s.reported()};
  parts[0].mode = "nonceless, voucher";
  EXPECT_EQ(outcomes(parts), (Told{"brski nonceless, https operational"}));
  for (std::size_t i : {0U, 1U, 3U}) {
    parts[i].mode = "coaps, " + parts[i].mode;
  }
  EXPECT_EQ(outcomes(parts), (Told{"brski nonceless, coaps operational"}));
  EXPECT_EQ(mode_of(stories(parts)[0].run), "nonceless");
}

TEST(Stories, the_device_s_own_story_says_what_the_registrar_cannot_see) {
  Site s;
  std::vector<imprint::Run> parts{s.voucher(), s.taken(), s.certificate(), s.reported()};
  imprint::Run own = s.run("pledge", "cloud", "operational");
  own.started = parts[0].started - Duration(500);
  own.ended = parts[3].ended + Duration(500);
  parts.push_back(own);
  auto all = stories(parts);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].run.mode + all[1].run.mode, "cloudcloud");
  EXPECT_EQ(all[0].instead, own.id);
  EXPECT_EQ(latest_of(all).at(0).run.id, own.id);

  parts.back().started = parts.back().started + std::chrono::hours(1);  // another time
  parts.back().ended = parts.back().ended + std::chrono::hours(1);
  all = stories(parts);
  EXPECT_TRUE(all[0].instead.empty() && all[1].instead.empty());
  parts.back() = own;
  parts.back().device = "lamp-2";
  all = stories(parts);
  EXPECT_TRUE(all[0].instead.empty() && all[1].instead.empty());
}

TEST(Stories, what_has_not_succeeded_backs_no_column) {
  Site s;
  EXPECT_TRUE(latest_of(stories({s.voucher(), s.taken("held", "BRSKI-LOG-DOMAIN")})).empty());
  EXPECT_TRUE(latest_of(stories({s.voucher("pending", "SITE-WAITING")})).empty());
}

}  // namespace
}  // namespace imprint::survey
