// The explorer of BRSKI finds what it is there to find.
#include <gtest/gtest.h>

#include "sim/explore/brski_world.h"

namespace imprint::explore::trio {
namespace {

constexpr std::size_t kMaxStates = 200'000;

void expect_nothing(const Setting& setting) {
  const Report r = explore(setting, kMaxStates);
  EXPECT_EQ(r.violation, "");
  EXPECT_EQ(r.stuck, 0U);
  EXPECT_GT(r.succeeded, 0U);
  EXPECT_TRUE(r.complete);
  EXPECT_GT(r.states, 50U);
}

void expect_found(const Setting& setting, const std::string& what) {
  const Report r = explore(setting, kMaxStates);
  EXPECT_EQ(r.violation, what);
  EXPECT_FALSE(r.trace.empty());
}

TEST(ExploreBrski, every_device_comes_to_its_owner_and_to_nobody_else) {
  expect_nothing({Mode::claim, {1, 0, 0, 0}});
  expect_nothing({Mode::claim, {0, 0, 1, 0}});
  expect_nothing({Mode::rivals, {1, 0, 0, 0}});
  expect_nothing({Mode::sold, {0, 0, 1, 0}});
  expect_nothing({Mode::nonceless, {0, 0, 1, 0}});
}

TEST(ExploreBrski, whatever_is_sent_again_moves_no_device) {
  expect_nothing({Mode::claim, {0, 1, 0, 0}});
  expect_nothing({Mode::rivals, {0, 0, 0, 1}});
}

TEST(ExploreBrski, a_device_that_is_sold_on_has_another_owner_when_a_person_lets_it_on) {
  expect_nothing({Mode::sold, {0, 0, 0, 0, 0, 1}});
}

TEST(ExploreBrski, a_person_who_decides_late_and_a_part_that_fails_do_not_block) {
  expect_nothing({Mode::approval, {0, 0, 0, 0}});
  expect_nothing({Mode::claim, {0, 0, 0, 0, 1}});
}

TEST(ExploreBrski, the_other_forms_of_vouchers_go_the_same_way) {
  expect_nothing({Mode::claim, {0, 0, 0, 1}, Plant::none, brski::Form::cose});
  expect_nothing({Mode::claim, {0, 0, 0, 1}, Plant::none, brski::Form::jws});
}

// ---- mistakes that are planted ----

TEST(ExploreBrski, a_device_that_tells_before_it_saves_is_found) {
  expect_found({Mode::claim, {}, Plant::device_tells_before_save},
               "the device tells somebody that its voucher is good, and its disk does not know that owner");
}

TEST(ExploreBrski, a_device_that_loses_its_owner_is_found) {
  expect_found({Mode::claim, {}, Plant::device_keeps_no_owner},
               "the device tells somebody that its voucher is good, and its disk does not know that owner");
}

TEST(ExploreBrski, a_registrar_that_answers_before_it_records_is_found) {
  expect_found({Mode::claim, {}, Plant::registrar_replies_before_note},
               "the registrar hands out a voucher that it has no record of");
}

TEST(ExploreBrski, a_maker_that_answers_before_it_records_is_found) {
  expect_found({Mode::claim, {}, Plant::masa_replies_before_note}, "a voucher leaves that the maker has no record of");
}

TEST(ExploreBrski, a_device_whose_nonces_come_again_is_found) {
  expect_found({Mode::claim, {1, 0, 0, 0}, Plant::device_repeats_nonces}, "the device asks twice with one nonce");
}

TEST(ExploreBrski, a_maker_that_forgets_who_has_claimed_a_device_is_found) {
  expect_found({Mode::rivals, {1, 0, 0, 0}, Plant::masa_forgets_claims},
               "the maker gives one owner's device to another");
}

TEST(ExploreBrski, a_registrar_that_lets_everybody_enrol_is_found) {
  expect_found({Mode::sold, {0, 0, 0, 0, 0, 1}, Plant::registrar_has_no_gate},
               "EST is open to a device whose past nobody has cleared");
}

TEST(ExploreBrski, a_device_that_its_maker_does_not_know_is_a_dead_end) {
  const Report r = explore({Mode::claim, {}, Plant::masa_lacks_the_device}, kMaxStates);
  EXPECT_EQ(r.violation, "");
  EXPECT_GT(r.stuck, 0U);
}

}  // namespace
}  // namespace imprint::explore::trio
