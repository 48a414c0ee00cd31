// The explorer finds what it is there to find.
#include <gtest/gtest.h>

#include "sim/explore/est_world.h"

namespace imprint::explore {
namespace {

constexpr std::size_t kMaxStates = 200'000;

TEST(Explore, every_run_of_est_ends_and_nothing_bad_happens_on_the_way) {
  for (const Mode mode : {Mode::idevid, Mode::token, Mode::bootstrap, Mode::renewal, Mode::server_key}) {
    for (const Bounds& bounds : {Bounds{1, 0, 0, 0, 1}, Bounds{0, 0, 1, 1, 0}, Bounds{0, 1, 0, 0, 0}}) {
      const Report r = explore_est({mode, bounds}, kMaxStates);
      EXPECT_EQ(r.violation, "");
      EXPECT_EQ(r.stuck, 0U);
      EXPECT_GT(r.succeeded, 0U);
      EXPECT_TRUE(r.complete);
      EXPECT_GT(r.states, 50U);
    }
  }
}

TEST(Explore, an_owner_who_changes_its_root_leaves_no_device_behind) {
  for (const Bounds& bounds : {Bounds{1, 0, 0, 0, 0}, Bounds{0, 0, 1, 0, 0}}) {
    const Report r = explore_est({Mode::rollover, bounds}, kMaxStates);
    EXPECT_EQ(r.violation, "");
    EXPECT_EQ(r.stuck, 0U);
    EXPECT_GT(r.succeeded, 0U);
    EXPECT_TRUE(r.complete);
  }
}

TEST(Explore, a_person_who_decides_late_delays_but_does_not_block) {
  const Report r = explore_est({Mode::idevid, {1, 0, 0, 0, 0}, Plant::none, true}, kMaxStates);
  EXPECT_EQ(r.violation, "");
  EXPECT_EQ(r.stuck, 0U);
}

TEST(Explore, a_client_that_sends_before_it_saves_is_found) {
  const Report r = explore_est({Mode::idevid, {}, Plant::client_sends_before_save}, kMaxStates);
  EXPECT_EQ(r.violation, "a request is on its way, and the client's disk does not know its key");
  EXPECT_FALSE(r.trace.empty());
}

TEST(Explore, a_server_that_replies_before_it_records_is_found) {
  const Report r = explore_est({Mode::token, {}, Plant::server_replies_before_note}, kMaxStates);
  EXPECT_EQ(r.violation, "the server hands out a certificate that the owner has no record of");
  EXPECT_FALSE(r.trace.empty());
}

TEST(Explore, a_key_that_the_owner_makes_is_on_record_with_its_certificate_before_it_leaves) {
  const Report r = explore_est({Mode::server_key, {0, 0, 0, 0, 0}, Plant::server_replies_before_note}, kMaxStates);
  EXPECT_EQ(r.violation, "the server hands out a certificate that the owner has no record of");
  EXPECT_FALSE(r.trace.empty());
}

TEST(Explore, a_device_that_installs_a_key_before_it_keeps_it_is_found) {
  const Report r = explore_est({Mode::server_key, {0, 0, 0, 0, 0}, Plant::device_keeps_no_key}, kMaxStates);
  EXPECT_EQ(r.violation, "the client installs a certificate for a key that it does not hold");
  EXPECT_FALSE(r.trace.empty());
}

TEST(Explore, a_root_that_nothing_leads_to_is_found) {
  const Report r = explore_est({Mode::rollover, {0, 0, 0, 0, 0}, Plant::owner_sends_no_links}, kMaxStates);
  EXPECT_EQ(r.violation, "the client's anchors lead to its owner's server no more");
  EXPECT_FALSE(r.trace.empty());
}

TEST(Explore, the_search_says_when_it_was_cut_short) {
  const Report r = explore_est({Mode::idevid, {1, 0, 1, 0, 0}}, 100);
  EXPECT_FALSE(r.complete);
}

// A world of one counter that may take a wrong turn: 0 -> 1 -> 2 (end), 1 -> 3 (nowhere to go).
struct Turns {
  struct World {
    std::uint32_t at = 0;
    using Key = std::array<std::uint32_t, 1>;
    Key key() const { return {at}; }
    bool finished() const { return at == 2; }
    bool succeeded() const { return finished(); }
  };
  template <class Emit>
  void moves(const World& w, Emit emit) {
    if (w.at == 0) {
      emit(World{1}, "on", false, "");
    } else if (w.at == 1) {
      emit(World{2}, "right", false, "");
      emit(World{3}, "wrong", false, "");
    } else if (w.at == 3 && way_back_by_a_fault) {
      emit(World{1}, "a lucky fault", true, "");
    }
  }
  bool way_back_by_a_fault = false;
};

TEST(Explore, a_dead_end_is_found_even_if_a_fault_would_lead_out) {
  for (const bool lucky : {false, true}) {
    Turns turns{lucky};
    const Report r = Explorer<Turns::World, Turns>(turns, 100).run({});
    EXPECT_EQ(r.states, 4U);
    EXPECT_EQ(r.stuck, 1U);
    EXPECT_EQ(r.trace, (std::vector<std::string>{"on", "wrong"}));
  }
}

}  // namespace
}  // namespace imprint::explore
