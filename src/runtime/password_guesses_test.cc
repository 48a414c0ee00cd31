#include "runtime/password_guesses.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace imprint {
namespace {

using std::chrono::seconds;

class Guesses : public ::testing::Test {
 protected:
  static PasswordGuesses::Limits limits() { return {3, seconds(30), 5, seconds(60)}; }
  SeededRng rng_{7};
  PasswordGuesses guesses_{rng_, limits()};
  Instant now_{1'800'000'000'000};

  bool waits(std::string_view user, std::string_view address) const {
    return guesses_.wait(user, address, now_).has_value();
  }
};

TEST_F(Guesses, so_many_from_one_network_and_then_one_a_pause) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(waits("north", "192.0.2.1")) << i;
    guesses_.wrong("north", "192.0.2.1", now_);
  }
  EXPECT_EQ(guesses_.wait("north", "192.0.2.1", now_), seconds(30));
  EXPECT_TRUE(waits("south", "192.0.2.1")) << "for other accounts as well";
  EXPECT_FALSE(waits("north", "192.0.2.2"));
  now_ = now_ + seconds(29);
  EXPECT_EQ(guesses_.wait("north", "192.0.2.1", now_), seconds(1));
  now_ = now_ + seconds(1);
  EXPECT_FALSE(waits("north", "192.0.2.1"));
  guesses_.wrong("north", "192.0.2.1", now_);
  EXPECT_TRUE(waits("north", "192.0.2.1")) << "one, not three";
  now_ = now_ + seconds(90);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(waits("north", "192.0.2.1")) << i;
    guesses_.wrong("north", "192.0.2.1", now_);
  }
}

TEST_F(Guesses, so_many_for_one_account_wherever_they_come_from) {
  for (int i = 0; i < 5; ++i) {
    const std::string from = "192.0.2." + std::to_string(i);
    EXPECT_FALSE(waits("north", from)) << i;
    guesses_.wrong("north", from, now_);
  }
  EXPECT_EQ(guesses_.wait("north", "198.51.100.1", now_), seconds(60));
  EXPECT_FALSE(waits("south", "198.51.100.1"));
}

TEST_F(Guesses, strangers_do_not_lock_a_customer_out) {
  guesses_.right("north", "203.0.113.5", now_);
  for (int i = 0; i < 200; ++i) {
    guesses_.wrong("north", "192.0.2." + std::to_string(i % 250), now_);
  }
  EXPECT_TRUE(waits("north", "198.51.100.1"));
  EXPECT_FALSE(waits("north", "203.0.113.5"));
  EXPECT_TRUE(waits("north", "203.0.113.6"));
  for (int i = 0; i < 3; ++i) {
    guesses_.wrong("north", "203.0.113.5", now_);
  }
  EXPECT_TRUE(waits("north", "203.0.113.5")) << "what comes from there itself counts";
  now_ = now_ + std::chrono::hours(24 * 31);
  for (int i = 0; i < 5; ++i) {
    guesses_.wrong("north", "192.0.2." + std::to_string(i), now_);
  }
  EXPECT_TRUE(waits("north", "203.0.113.5")) << "long ago";
}

TEST_F(Guesses, of_ipv6_the_network_counts_and_ipv4_is_the_same_in_both_spellings) {
  for (int i = 0; i < 3; ++i) {
    guesses_.wrong("north", "2001:db8::" + std::to_string(i + 1), now_);
  }
  EXPECT_TRUE(waits("north", "2001:db8::ffff"));
  EXPECT_FALSE(waits("north", "2001:db8:0:1::1"));
  for (int i = 0; i < 3; ++i) {
    guesses_.wrong("south", "::ffff:192.0.2.7", now_);
  }
  EXPECT_TRUE(waits("south", "192.0.2.7"));
  EXPECT_FALSE(waits("south", "::ffff:192.0.2.8"));
}

TEST_F(Guesses, a_clock_that_is_set_back_keeps_nobody_out) {
  for (int i = 0; i < 3; ++i) {
    guesses_.wrong("north", "192.0.2.1", now_);
  }
  EXPECT_TRUE(waits("north", "192.0.2.1"));
  now_ = now_ - std::chrono::hours(1000);
  EXPECT_FALSE(waits("north", "192.0.2.1"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(waits("north", "192.0.2.1")) << i;
    guesses_.wrong("north", "192.0.2.1", now_);
  }
  EXPECT_EQ(guesses_.wait("north", "192.0.2.1", now_), seconds(30));
}

}  // namespace
}  // namespace imprint
