// How often a device may have its maker asked.
#include "runtime/pledge_pace.h"

#include <gtest/gtest.h>

namespace imprint {
namespace {

constexpr Instant kNow{1'790'000'000'000};
constexpr Duration kSecond = std::chrono::seconds(1);
const PaceLimits kLimits{3, 10 * kSecond, 2};

TEST(PledgePace, so_many_at_once_and_then_one_each_so_long) {
  PledgePace pace;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pace.wait("a", kNow, kLimits), Duration(0)) << i;
    pace.count("a", kNow, kLimits);
  }
  EXPECT_EQ(pace.wait("a", kNow, kLimits), 10 * kSecond);
  EXPECT_EQ(pace.wait("b", kNow, kLimits), Duration(0)) << "each device for itself";
  EXPECT_EQ(pace.wait("a", kNow + 9 * kSecond, kLimits), kSecond);
  EXPECT_EQ(pace.wait("a", kNow + 10 * kSecond, kLimits), Duration(0));
  pace.count("a", kNow + 10 * kSecond, kLimits);
  EXPECT_EQ(pace.wait("a", kNow + 10 * kSecond, kLimits), 10 * kSecond);
}

TEST(PledgePace, a_bucket_never_fills_beyond_its_brim) {
  PledgePace pace;
  for (int i = 0; i < 100; ++i) {
    pace.count("a", kNow, kLimits);
  }
  EXPECT_EQ(pace.wait("a", kNow, kLimits), 10 * kSecond);
  EXPECT_EQ(pace.wait("a", kNow - 1000 * kSecond, kLimits), 10 * kSecond) << "the clock was set back";
}

TEST(PledgePace, remembers_no_more_devices_than_it_may) {
  PledgePace pace;
  pace.count("a", kNow, kLimits);
  for (int i = 0; i < 3; ++i) {
    pace.count("b", kNow, kLimits);
  }
  pace.count("c", kNow, kLimits);
  EXPECT_EQ(pace.devices(), 2U);
  EXPECT_GT(pace.wait("b", kNow, kLimits), Duration(0)) << "the one that did most is not forgotten";
  pace.count("d", kNow + 60 * kSecond, kLimits);
  EXPECT_EQ(pace.devices(), 1U) << "the others have nothing to be remembered for";
}

}  // namespace
}  // namespace imprint
