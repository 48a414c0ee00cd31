// When a certificate is renewed, by numbers.
#include "app/renewal.h"

#include <gtest/gtest.h>

namespace imprint::app {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kFrom{1'800'000'000'000};

TEST(Renewal, at_two_thirds_of_the_lifetime_less_a_jitter) {
  const Instant until = kFrom + hours(300);
  EXPECT_EQ(renewal_time({}, {kFrom, until, 0}), kFrom + hours(200));
  EXPECT_EQ(renewal_time({}, {kFrom, until, 255}), kFrom + hours(185));  // a twentieth of the lifetime earlier
  EXPECT_EQ(renewal_time({0.5, {}}, {kFrom, until, 0}), kFrom + hours(150));
}

TEST(Renewal, a_time_before_the_end) {
  const Instant until = kFrom + hours(300);
  const RenewalRule rule{2.0 / 3, hours(40)};
  EXPECT_EQ(renewal_time(rule, {kFrom, until, 0}), kFrom + hours(260));
  EXPECT_EQ(renewal_time(rule, {kFrom, until, 255}), kFrom + hours(258));
  EXPECT_EQ(renewal_time(rule, {kFrom, until, 0, kFrom + hours(1)}), kFrom + hours(260));
}

TEST(Renewal, what_came_too_late_by_the_rule_is_not_renewed_at_once_and_again) {
  const Instant until = kFrom + hours(30), got = kFrom + minutes(5);
  EXPECT_EQ(renewal_time({2.0 / 3, hours(40)}, {kFrom, until, 0, got}).ms, (got + (until - got) * 2 / 3).ms);
  // Seconds long, and dated back by five minutes.
  const Instant soon = got + seconds(30);
  EXPECT_EQ(renewal_time({}, {kFrom, soon, 0, got}), got + seconds(20));
  EXPECT_EQ(renewal_time({}, {kFrom, got - seconds(5), 0, got}), got + seconds(1));  // had expired when it came
  EXPECT_LT(renewal_time({}, {kFrom, soon, 0}), got);                                // not seen to come: by the rule
}

TEST(Renewal, pauses_double_up_to_ten_minutes) {
  EXPECT_EQ(pause_after(1, hours(1000), 0), seconds(2));
  EXPECT_EQ(pause_after(2, hours(1000), 0), seconds(4));
  EXPECT_EQ(pause_after(5, hours(1000), 0), seconds(32));
  EXPECT_EQ(pause_after(10, hours(1000), 0), minutes(10));
  EXPECT_EQ(pause_after(4'000'000'000U, hours(1000), 0), minutes(10));
  EXPECT_EQ(pause_after(10, hours(1000), 255), seconds(450));
  EXPECT_EQ(pause_after(0, hours(1000), 0), seconds(2));
}

TEST(Renewal, a_pause_never_sleeps_through_the_end) {
  EXPECT_EQ(pause_after(10, minutes(4), 0), minutes(1));
  EXPECT_EQ(pause_after(10, seconds(2), 0), seconds(1));
  EXPECT_EQ(pause_after(10, seconds(0), 0), minutes(10));  // over: nothing is left to be early for
  EXPECT_EQ(pause_after(1, seconds(-5), 255), std::chrono::milliseconds(1500));
}

TEST(Renewal, durations) {
  EXPECT_EQ(parse_duration("90s"), seconds(90));
  EXPECT_EQ(parse_duration("45m"), minutes(45));
  EXPECT_EQ(parse_duration("12h"), hours(12));
  EXPECT_EQ(parse_duration("30d"), hours(720));
  for (const char* const bad : {"", "s", "0s", "-1d", "1", "1w", "1d ", " 1d", "1.5h", "+1h", "36501d",
                                "99999999999999999999s", "9223372036854775807d"}) {
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace imprint::app
