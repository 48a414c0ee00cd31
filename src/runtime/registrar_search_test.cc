#include "runtime/registrar_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace imprint {
namespace {

using brski::Announced;
using End = RegistrarSearch::End;
using std::chrono::seconds;

constexpr Instant kStart{1'000'000};

// Time that jumps to what is due.
class Clock final : public io::Schedule {
 public:
  Instant now() const override { return now_; }
  void post(std::function<void()> work) override { after(Duration(0), std::move(work)); }
  std::uint64_t after(Duration delay, std::function<void()> work) override {
    due_[{now_ + delay, ++last_}] = std::move(work);
    return last_;
  }
  void cancel(std::uint64_t timer) override {
    std::erase_if(due_, [timer](const auto& one) { return one.first.second == timer; });
  }
  void run_to(Instant until) {
    while (!due_.empty() && due_.begin()->first.first <= until) {
      auto one = due_.extract(due_.begin());
      now_ = std::max(now_, one.key().first);
      one.mapped()();
    }
    now_ = until;
  }

 private:
  Instant now_ = kStart;
  std::uint64_t last_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> due_;
};

Announced at(int n, const char* scheme = "https") {
  return {*Uri::parse(std::string(scheme) + "://[fe80::" + std::to_string(n) + "%25eth0]:4443"), "a flood", kNoEnd};
}

struct Rig {
  struct Try final : RegistrarSearch::Attempt {
    Try(Rig& r, std::uint64_t i) : rig(r), id(i) {}
    ~Try() override { rig.there.erase(id); }
    void halt() override { rig.halted.insert(id); }
    Rig& rig;
    std::uint64_t id;
  };
  struct Begun {
    std::uint64_t id;
    std::string host;
    Duration after;
  };

  RegistrarSearch& start() {
    options.clock = [this] { return clock.now(); };
    search = std::make_unique<RegistrarSearch>(
        clock, rng, options,
        RegistrarSearch::Hooks{[this](std::uint64_t id, const Announced& where) {
                                 begun.push_back({id, where.at.host, clock.now() - kStart});
                                 there.insert(id);
                                 if (on_begin) {
                                   clock.post([this, id] { on_begin(id); });
                                 }
                                 return std::make_unique<Try>(*this, id);
                               },
                               [this](std::optional<std::uint64_t> worked) { over.push_back(worked.value_or(0)); }});
    return *search;
  }
  void run(Duration time) { clock.run_to(clock.now() + time); }
  std::vector<std::string> hosts() const {
    std::vector<std::string> out;
    for (const Begun& one : begun) {
      out.push_back(one.host);
    }
    return out;
  }

  Clock clock;
  SeededRng rng{7};
  RegistrarSearch::Options options;
  std::vector<Begun> begun;
  std::set<std::uint64_t> there, halted;
  std::vector<std::uint64_t> over;  // 0: none
  std::function<void(std::uint64_t)> on_begin;
  std::unique_ptr<RegistrarSearch> search;  // last: its attempts go first
};

TEST(RegistrarSearch, nobody_announced_ends_in_its_time) {
  Rig rig;
  rig.options.longest = seconds(30);
  rig.start();
  rig.run(Duration(29'999));
  EXPECT_TRUE(rig.over.empty());
  rig.run(Duration(2));
  EXPECT_EQ(rig.over, std::vector<std::uint64_t>{0});
  EXPECT_TRUE(rig.begun.empty());
}

TEST(RegistrarSearch, the_first_is_tried_at_once_and_the_next_3_to_5_seconds_later_in_parallel) {
  Rig rig;
  rig.start().heard({at(1), at(2), at(3)});
  EXPECT_EQ(rig.hosts(), std::vector<std::string>{"fe80::1%eth0"});
  rig.run(seconds(11));
  ASSERT_EQ(rig.begun.size(), 3U) << "the first ones are still under way";
  EXPECT_EQ(rig.search->under_way(), 3U);
  for (std::size_t i = 1; i < 3; ++i) {
    const Duration gap = rig.begun[i].after - rig.begun[i - 1].after;
    EXPECT_GE(gap, seconds(3));
    EXPECT_LE(gap, Duration(5'010));
  }
  EXPECT_EQ(rig.hosts(), (std::vector<std::string>{"fe80::1%eth0", "fe80::2%eth0", "fe80::3%eth0"}));
}

TEST(RegistrarSearch, a_bad_one_leads_to_the_next_and_its_own_pause_doubles) {
  Rig rig;
  rig.options.longest = seconds(100);
  rig.on_begin = [&](std::uint64_t id) { rig.search->ended(id, End::failed); };
  rig.start().heard({at(1), at(2)});
  rig.run(seconds(99));
  std::vector<Duration> first;
  for (const auto& one : rig.begun) {
    if (one.host == "fe80::1%eth0") {
      first.push_back(one.after);
    }
  }
  ASSERT_EQ(first.size(), 4U) << "at 0, 10, 30 and 70 s";
  EXPECT_GE(first[1] - first[0], seconds(10));
  EXPECT_GE(first[2] - first[1], seconds(20));
  EXPECT_GE(first[3] - first[2], seconds(40));
  EXPECT_EQ(rig.begun.at(1).host, "fe80::2%eth0");
  rig.run(seconds(2));
  EXPECT_EQ(rig.over, std::vector<std::uint64_t>{0}) << "all failed: nobody";
}

TEST(RegistrarSearch, who_comes_later_is_tried_when_the_gap_is_over) {
  Rig rig;
  rig.start().heard({at(1)});
  rig.run(Duration(100));
  rig.search->heard({at(1), at(2)});
  EXPECT_EQ(rig.begun.size(), 1U);
  rig.run(seconds(6));
  EXPECT_EQ(rig.hosts(), (std::vector<std::string>{"fe80::1%eth0", "fe80::2%eth0"}));
}

TEST(RegistrarSearch, who_is_no_longer_announced_is_not_tried) {
  Rig rig;
  rig.start().heard({at(1), at(2)});
  rig.search->heard({at(1)});
  rig.run(seconds(20));
  EXPECT_EQ(rig.begun.size(), 1U);
}

TEST(RegistrarSearch, the_same_port_over_tcp_and_udp_is_two_places) {
  Rig rig;
  rig.start().heard({at(1), at(1, "coaps")});
  rig.run(seconds(6));
  EXPECT_EQ(rig.begun.size(), 2U);
}

TEST(RegistrarSearch, who_stalls_on_purpose_makes_room_the_oldest_first) {
  Rig rig;
  rig.options.most = 2;
  rig.start().heard({at(1), at(2), at(3)});
  rig.run(seconds(12));
  ASSERT_EQ(rig.begun.size(), 3U);
  EXPECT_EQ(rig.search->under_way(), 2U) << "never more than that";
  EXPECT_EQ(rig.halted, std::set<std::uint64_t>{1});
  EXPECT_FALSE(rig.there.contains(1)) << "and it is gone";
}

TEST(RegistrarSearch, who_gets_on_stays_and_who_waits_with_nobody_else_there_stays_too) {
  Rig rig;
  rig.options.most = 2;
  rig.options.longest = seconds(60);
  rig.start().heard({at(1), at(2), at(3)});
  for (int i = 0; i < 14; ++i) {
    rig.run(seconds(1));
    rig.search->entered(1, "State " + std::to_string(i), false);
  }
  EXPECT_FALSE(rig.halted.contains(1));
  EXPECT_TRUE(rig.halted.contains(2));
  Rig alone;
  alone.options.most = 1;
  alone.start().heard({at(1)});
  alone.run(seconds(60));
  EXPECT_TRUE(alone.halted.empty());
}

// Those of `hosts` that are there have the device wait, second by second.
void have_it_wait(Rig& rig, Duration time, const std::set<std::string>& hosts) {
  for (int i = 0; i < time / seconds(1); ++i) {
    for (const auto& one : rig.begun) {
      if (hosts.contains(one.host)) {
        rig.search->entered(one.id, i % 2 == 0 ? "Asking" : "Waiting", i % 2 != 0);
      }
    }
    rig.run(seconds(1));
  }
}

// Strangers answer 202 with Retry-After 1: the newest place goes round at once, and the others do after a while.
TEST(RegistrarSearch, who_only_has_it_wait_makes_no_progress_and_leaves_its_place_to_others) {
  Rig rig;
  rig.options.longest = seconds(200);
  std::set<std::string> hosts;
  std::vector<Announced> all;
  for (int n = 1; n <= 7; ++n) {
    all.push_back(at(n));
    hosts.insert(all.back().at.host);
  }
  rig.start().heard(all);
  have_it_wait(rig, seconds(19), hosts);
  EXPECT_FALSE(rig.halted.contains(1)) << "who was there first may be the owner's, and has some time";
  EXPECT_FALSE(rig.halted.contains(3));
  EXPECT_TRUE(rig.halted.contains(4));
  have_it_wait(rig, seconds(80), hosts);
  const auto begun = rig.hosts();
  EXPECT_EQ(std::set<std::string>(begun.begin(), begun.end()), hosts) << "everybody has had a turn";
  for (const std::uint64_t id : {1U, 2U, 3U}) {
    EXPECT_TRUE(rig.halted.contains(id)) << id;
    EXPECT_GT(std::ranges::count(begun, rig.begun.at(id - 1).host), 1) << "and comes again";
  }
}

TEST(RegistrarSearch, who_has_it_wait_keeps_its_place_while_nobody_else_is_to_be_tried) {
  Rig rig;
  rig.options.longest = seconds(200);
  rig.start().heard({at(1), at(2), at(3), at(4)});
  have_it_wait(rig, seconds(150), {"fe80::1%eth0", "fe80::2%eth0", "fe80::3%eth0", "fe80::4%eth0"});
  EXPECT_EQ(rig.begun.size(), 4U);
  EXPECT_TRUE(rig.halted.empty());
}

// The owner's registrar waits for a person. Somebody else announces new places without end, and answers at none.
TEST(RegistrarSearch, new_names_without_end_do_not_keep_out_who_has_it_wait) {
  Rig rig;
  rig.options.longest = seconds(400);
  std::vector<Announced> all{at(1)};
  rig.start().heard(all);
  for (int n = 0; n < 300; ++n) {
    all.push_back(at(100 + n));
    rig.search->heard(all);
    for (const auto& one : rig.begun) {
      if (one.host == "fe80::1%eth0") {
        rig.search->entered(one.id, "Waiting", true);
      }
    }
    rig.run(seconds(1));
  }
  EXPECT_GE(std::ranges::count(rig.hosts(), "fe80::1%eth0"), 5);
  EXPECT_GT(rig.begun.size(), 50U) << "and the others are tried";
}

TEST(RegistrarSearch, who_stalls_makes_room_before_who_waits) {
  Rig rig;
  rig.options.most = 2;
  rig.start().heard({at(1), at(2), at(3)});
  rig.search->entered(1, "Waiting", true);
  rig.run(seconds(12));
  ASSERT_EQ(rig.begun.size(), 3U);
  EXPECT_FALSE(rig.halted.contains(1));
  EXPECT_TRUE(rig.halted.contains(2));
}

TEST(RegistrarSearch, when_the_time_is_up_who_only_waits_is_left_if_somebody_else_remains) {
  for (const bool others : {false, true}) {
    Rig rig;
    rig.options.longest = seconds(10);
    rig.options.others_remain = others;
    rig.start().heard({at(1)});
    rig.search->entered(1, "Asking", false);
    rig.search->entered(1, "Waiting", true);
    rig.run(seconds(30));
    EXPECT_EQ(rig.halted.contains(1), others);
    EXPECT_EQ(rig.over.size(), others ? 1U : 0U);
  }
  Rig owned;
  owned.options.longest = seconds(10);
  owned.options.others_remain = true;
  owned.start().heard({at(1)});
  ASSERT_TRUE(owned.search->claim(1));
  owned.search->entered(1, "Waiting", true);
  owned.run(seconds(60));
  EXPECT_TRUE(owned.over.empty()) << "it has its owner";
  Rig busy;
  busy.options.longest = seconds(10);
  busy.options.others_remain = true;
  busy.start().heard({at(1)});
  busy.run(seconds(30));
  EXPECT_TRUE(busy.over.empty()) << "it ends by itself";
  busy.search->entered(1, "Waiting", true);
  busy.search->entered(1, "Telling", false);
  busy.run(seconds(30));
  EXPECT_TRUE(busy.over.empty()) << "it got on after it had waited";
}

TEST(RegistrarSearch, who_finds_the_owner_by_a_voucher_is_alone_from_then_on) {
  Rig rig;
  rig.start().heard({at(1), at(2), at(3), at(4), at(5)});
  rig.run(seconds(6));
  ASSERT_EQ(rig.begun.size(), 2U);
  EXPECT_TRUE(rig.search->claim(2));
  EXPECT_EQ(rig.halted, std::set<std::uint64_t>{1}) << "at once";
  EXPECT_FALSE(rig.search->claim(1)) << "too late";
  rig.search->ended(1, End::worked);
  EXPECT_TRUE(rig.over.empty()) << "what is cut off says nothing any more";
  rig.run(seconds(30));
  EXPECT_EQ(rig.begun.size(), 2U) << "and nobody else is tried";
  EXPECT_TRUE(rig.search->claim(2)) << "it may say so again";
  rig.search->ended(2, End::worked);
  EXPECT_EQ(rig.over, std::vector<std::uint64_t>{2});
}

TEST(RegistrarSearch, a_voucher_that_comes_to_nothing_opens_the_search_again) {
  Rig rig;
  rig.start().heard({at(1), at(2)});
  EXPECT_TRUE(rig.search->claim(1));
  rig.run(seconds(10));
  rig.search->ended(1, End::failed);
  EXPECT_EQ(rig.hosts().back(), "fe80::2%eth0");
  EXPECT_TRUE(rig.search->claim(2));
}

TEST(RegistrarSearch, what_is_wrong_with_the_device_ends_it_at_once) {
  Rig rig;
  rig.on_begin = [&](std::uint64_t id) { rig.search->ended(id, End::hopeless); };
  rig.start().heard({at(1), at(2)});
  rig.run(Duration(10));
  EXPECT_EQ(rig.over, std::vector<std::uint64_t>{0});
  rig.run(seconds(200));
  EXPECT_EQ(rig.begun.size(), 1U);
  EXPECT_EQ(rig.over.size(), 1U) << "told once";
}

TEST(RegistrarSearch, what_is_under_way_at_the_end_goes_on) {
  Rig rig;
  rig.options.longest = seconds(30);
  rig.start().heard({at(1)});
  rig.run(seconds(40));
  EXPECT_TRUE(rig.over.empty()) << "it may wait for a person";
  rig.search->heard({at(1), at(2)});
  rig.run(seconds(10));
  EXPECT_EQ(rig.begun.size(), 1U) << "but nothing new is begun";
  rig.search->ended(1, End::failed);
  EXPECT_EQ(rig.over, std::vector<std::uint64_t>{0});
}

TEST(RegistrarSearch, many_announcements_do_not_shut_out_the_one_that_comes_later) {
  Rig rig;
  rig.options.longest = seconds(3600);
  rig.on_begin = [&](std::uint64_t id) { rig.search->ended(id, End::failed); };
  std::vector<Announced> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back(at(1000 + i));
  }
  rig.start().heard(all);
  rig.run(seconds(3));
  all.push_back(at(1));
  rig.search->heard(all);
  rig.run(seconds(1800));
  const auto hosts = rig.hosts();
  EXPECT_NE(std::ranges::find(hosts, "fe80::1%eth0"), hosts.end());
  EXPECT_EQ(rig.search->remembered().size(), 64U) << "a limit";
}

TEST(RegistrarSearch, remembers_what_was_heard_the_latest_word_on_each) {
  Rig rig;
  rig.start().heard({at(1), at(2)});
  Announced again = at(1);
  again.by = "DNS-SD";
  rig.search->heard({again});
  ASSERT_EQ(rig.search->remembered().size(), 2U);
  EXPECT_EQ(rig.search->remembered().back(), again);
}

TEST(RegistrarSearch, can_end_while_something_is_under_way) {
  Rig rig;
  rig.start().heard({at(1)});
  rig.search->ended(1, End::failed);  // buried, not gone yet
  rig.search.reset();
  rig.run(seconds(100));
  EXPECT_TRUE(rig.there.empty());
}

}  // namespace
}  // namespace imprint
