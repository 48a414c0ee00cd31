// Answers that are kept: for a day, so many, so many bytes, in both stores alike.
#include "store/memory/memory.h"
#include "store/store_testing.h"

namespace imprint::store {
namespace {

constexpr Instant kThen{1'000'000'000'000};

KeptAnswer answer_numbered(std::uint32_t n, Instant at = kThen, std::size_t bytes = 3) {
  KeptAnswer out;
  out.key = sha256(numbered(n));
  out.request = sha256(out.key);
  out.at = at;
  out.status = 201;
  out.content_type = "application/json";
  out.etag = "\"1\"";
  out.location = "/v1/devices/a";
  out.body = Bytes(bytes, 0x7b);
  return out;
}

class KeptAnswers : public StoreTest {
 protected:
  // On disk and in memory; both have to say the same.
  Status keep(const KeptAnswer& answer) {
    const Status there = write([&](Writer& w) { return w.keep_answer(answer); });
    const Status here = MemoryWriter(tables_).keep_answer(answer);
    EXPECT_EQ(fault_of(there), fault_of(here));
    return there;
  }
  std::optional<KeptAnswer> kept(std::uint32_t n, Instant at = kThen) {
    const Sha256 key = answer_numbered(n).key;
    std::optional<KeptAnswer> out;
    EXPECT_TRUE(write([&](Writer& w) -> Status {
      TRY(out, w.kept_answer(key, at));
      return Ok{};
    }));
    EXPECT_EQ(out, *MemoryWriter(tables_).kept_answer(key, at));
    return out;
  }
  Tables tables_;
};

TEST_F(KeptAnswers, come_back_as_they_were_after_a_restart) {
  KeptAnswer secret = answer_numbered(2);
  secret.had_secret = true;
  ASSERT_TRUE(keep(answer_numbered(1)));
  ASSERT_TRUE(keep(secret));
  reopen();
  EXPECT_EQ(kept(1), answer_numbered(1));
  EXPECT_EQ(kept(2), secret);
  EXPECT_FALSE(kept(3));
}

TEST_F(KeptAnswers, one_key_has_one_answer) {
  ASSERT_TRUE(keep(answer_numbered(1)));
  KeptAnswer other = answer_numbered(1);
  other.status = 200;
  EXPECT_EQ(fault_of(keep(other)), Fault::conflict);
  EXPECT_EQ(kept(1)->status, 201);
}

TEST_F(KeptAnswers, go_after_a_day) {
  ASSERT_TRUE(keep(answer_numbered(1)));
  EXPECT_TRUE(kept(1, kThen + kAnswerKept - Duration(1)));
  EXPECT_FALSE(kept(1, kThen + kAnswerKept));
  ASSERT_TRUE(keep(answer_numbered(1, kThen + kAnswerKept)));  // the key is free again
  ASSERT_TRUE(keep(answer_numbered(2, kThen + kAnswerKept + Duration(1))));
  EXPECT_EQ(kept(1, kThen + kAnswerKept)->at, kThen + kAnswerKept);
  EXPECT_EQ(tables_.answers.size(), 2U);
}

TEST_F(KeptAnswers, the_oldest_go_when_there_are_too_many) {
  const auto many = static_cast<std::uint32_t>(kMostAnswers);
  ASSERT_TRUE(write([&](Writer& w) -> Status {
    for (std::uint32_t n = 0; n < many; ++n) {
      TRY([[maybe_unused]] const Ok done, w.keep_answer(answer_numbered(n)));
      TRY([[maybe_unused]] const Ok here, MemoryWriter(tables_).keep_answer(answer_numbered(n)));
    }
    return Ok{};
  }));
  EXPECT_TRUE(kept(0));
  ASSERT_TRUE(keep(answer_numbered(many)));
  EXPECT_FALSE(kept(0));
  EXPECT_TRUE(kept(1));
  EXPECT_TRUE(kept(many));
}

TEST_F(KeptAnswers, the_oldest_go_when_they_are_too_large) {
  constexpr auto kHalf = static_cast<std::size_t>(kMostAnswerBytes / 2);
  ASSERT_TRUE(keep(answer_numbered(1, kThen, kHalf)));
  ASSERT_TRUE(keep(answer_numbered(2, kThen, kHalf)));
  EXPECT_TRUE(kept(1));
  ASSERT_TRUE(keep(answer_numbered(3, kThen, 1)));
  EXPECT_FALSE(kept(1));
  EXPECT_TRUE(kept(2));
  ASSERT_TRUE(keep(answer_numbered(4, kThen, 2 * kHalf + 1)));  // the newest stays in any case
  EXPECT_FALSE(kept(3));
  EXPECT_TRUE(kept(4));
}

}  // namespace
}  // namespace imprint::store
