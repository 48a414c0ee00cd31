// Virtual time, and what a link does to what it carries.
#include "sim/link.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace imprint::sim {
namespace {

constexpr Instant kStart{1000};
constexpr Instant kLater{1'000'000};

std::vector<int> carry(LinkFaults faults, int count, LinkCounts* counts = nullptr, std::uint64_t seed = 1) {
  Clock clock(kStart);
  SeededRng rng(seed);
  Link link(clock, rng, faults);
  std::vector<int> out;
  for (int i = 0; i < count; ++i) {
    link.carry([&out, i] { out.push_back(i); });
  }
  while (clock.step(kLater)) {
  }
  if (counts != nullptr) {
    *counts = link.counts();
  }
  return out;
}

TEST(Clock, things_happen_when_they_are_due_and_in_the_order_asked_for) {
  Clock clock(kStart);
  std::vector<std::int64_t> out;
  const auto note = [&] { out.push_back(clock.now().ms); };
  clock.after(Duration(50), note);
  clock.after(Duration(10), note);
  const std::uint64_t never = clock.after(Duration(20), [] { FAIL() << "it was cancelled"; });
  clock.post([&] {
    note();
    clock.cancel(never);
  });
  EXPECT_TRUE(clock.step(kLater));
  EXPECT_FALSE(clock.step(kStart)) << "nothing more is due by then";
  while (clock.step(kLater)) {
  }
  EXPECT_EQ(out, (std::vector<std::int64_t>{1000, 1010, 1050}));
}

TEST(Link, a_good_link_carries_everything_once_and_in_order) {
  EXPECT_EQ(carry({}, 5), (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(Link, loses) {
  LinkCounts counts;
  EXPECT_TRUE(carry({.loss = 1}, 5, &counts).empty());
  EXPECT_EQ(counts.lost, 5U);
}

TEST(Link, doubles) { EXPECT_EQ(carry({.duplicate = 1}, 2), (std::vector<int>{0, 0, 1, 1})); }

TEST(Link, what_is_sent_later_may_arrive_earlier) {
  LinkCounts counts;
  const std::vector<int> out = carry({.least = Duration(1), .most = Duration(100)}, 20, &counts);
  EXPECT_EQ(out.size(), 20U);
  EXPECT_FALSE(std::is_sorted(out.begin(), out.end()));
  EXPECT_GT(counts.overtaken, 0U);
}

TEST(Link, one_seed_replays_and_another_does_not) {
  const LinkFaults storm{.loss = 0.3, .duplicate = 0.3, .least = Duration(1), .most = Duration(100)};
  EXPECT_EQ(carry(storm, 50, nullptr, 7), carry(storm, 50, nullptr, 7));
  EXPECT_NE(carry(storm, 50, nullptr, 7), carry(storm, 50, nullptr, 8));
}

}  // namespace
}  // namespace imprint::sim
