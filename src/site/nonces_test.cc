#include "site/nonces.h"

#include <gtest/gtest.h>

#include "base/reader.h"
#include "role/digest.h"

namespace imprint::site {
namespace {

const Secret kKey("key");
constexpr Instant kNow{1'700'000'000'000};

std::string nonce_of(Instant made, std::uint64_t n = 0) {
  Writer w;
  w.u64(n);
  return make_nonce(kKey, made, w.out());
}

TEST(Nonces, a_count_counts_once_and_upward) {
  NonceBook book(kKey);
  const std::string nonce = nonce_of(kNow);
  EXPECT_FALSE(book.take(nonce, 0, kNow));
  EXPECT_TRUE(book.take(nonce, 1, kNow));
  EXPECT_FALSE(book.take(nonce, 1, kNow));
  EXPECT_TRUE(book.take(nonce, 5, kNow));
  EXPECT_FALSE(book.take(nonce, 4, kNow));
  EXPECT_TRUE(book.take(nonce_of(kNow, 1), 1, kNow));
}

TEST(Nonces, one_is_ours_and_of_the_last_minutes) {
  NonceBook book(kKey);
  const std::string nonce = nonce_of(kNow);
  EXPECT_FALSE(NonceBook(Secret("another key")).take(nonce, 1, kNow));  // as of before a restart
  EXPECT_FALSE(book.take("nonce", 1, kNow));
  EXPECT_FALSE(book.take(nonce_of(kNow + Duration(1)), 1, kNow));  // of the future
  EXPECT_TRUE(book.take(nonce, 1, kNow + kNonceLife));
  EXPECT_FALSE(book.take(nonce, 2, kNow + kNonceLife + Duration(1)));
}

TEST(Nonces, a_clock_that_was_set_back_makes_a_new_beginning) {
  NonceBook book(kKey);
  EXPECT_TRUE(book.take(nonce_of(kNow), 1, kNow));
  EXPECT_TRUE(book.take(nonce_of(kNow + 2 * kNonceLife), 1, kNow + 2 * kNonceLife));  // the first has left the book
  const Instant then = kNow - std::chrono::minutes(1);
  EXPECT_FALSE(book.take(nonce_of(kNow + Duration(1)), 1, then));
  EXPECT_TRUE(book.take(nonce_of(then), 1, then));
  EXPECT_FALSE(book.take(nonce_of(then), 1, then));
}

TEST(Nonces, a_count_of_nothing_takes_no_place) {
  NonceBook book(kKey);
  const std::string first = nonce_of(kNow);
  ASSERT_TRUE(book.take(first, 1, kNow));
  for (int n = 1; n <= 5000; ++n) {
    EXPECT_FALSE(book.take(nonce_of(kNow + Duration(n)), 0, kNow + Duration(n)));
  }
  EXPECT_TRUE(book.take(first, 2, kNow + Duration(5000)));  // it would have had to make room
}

TEST(Nonces, a_full_book_forgets_the_oldest_and_takes_it_no_more) {
  NonceBook book(kKey);
  const std::string oldest = nonce_of(kNow);
  ASSERT_TRUE(book.take(oldest, 1, kNow));
  for (int n = 1; n <= 4096; ++n) {
    const Instant at = kNow + Duration(n);
    ASSERT_TRUE(book.take(nonce_of(at), 1, at));
  }
  EXPECT_FALSE(book.take(oldest, 1, kNow + Duration(4096)));  // a replay
  EXPECT_FALSE(book.take(oldest, 2, kNow + Duration(4096)));
  EXPECT_TRUE(book.take(nonce_of(kNow + Duration(1)), 2, kNow + Duration(4096)));
}

}  // namespace
}  // namespace imprint::site
