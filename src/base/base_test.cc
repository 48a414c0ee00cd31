#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/instant.h"
#include "base/reader.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/secret.h"

namespace imprint {
namespace {

Result<int> half(int n) {
  CHECK_OR(n % 2 == 0, Error{Fault::malformed, "odd"});
  return n / 2;
}

Result<int> quarter(int n) {
  TRY(const int h, half(n));
  return half(h);
}

TEST(Result, try_hands_on_the_first_error) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error(), (Error{Fault::malformed, "odd"}));
}

TEST(Result, looking_at_a_value_that_is_not_there_ends_the_process) {
  EXPECT_DEATH({ [[maybe_unused]] const int n = *half(3); }, "");
}

TEST(Hex, reads_back_what_it_wrote_and_refuses_the_rest) {
  const Bytes bytes{0x00, 0xab, 0xff};
  EXPECT_EQ(hex(bytes), "00abff");
  EXPECT_EQ(fingerprint_text(bytes), "00:AB:FF");
  EXPECT_EQ(from_hex("00:AB:ff"), bytes);
  EXPECT_EQ(from_hex("0"), std::nullopt);
  EXPECT_EQ(from_hex("0g"), std::nullopt);
  EXPECT_EQ(from_hex("0:0"), std::nullopt);
}

TEST(Reader, remembers_the_first_failure_and_gives_zeros_afterwards) {
  const Bytes in{1, 2, 3};
  Reader r(in);
  EXPECT_EQ(r.u16(), 0x0102);
  EXPECT_EQ(r.u16(), 0);
  EXPECT_EQ(r.u8(), 0);
  EXPECT_EQ(r.finish(1, "short").error().fault, Fault::malformed);
}

TEST(Reader, refuses_bytes_that_are_left_over) {
  const Bytes in{1, 2};
  Reader r(in);
  EXPECT_EQ(r.u8(), 1);
  EXPECT_FALSE(r.finish(1, "long"));
}

TEST(Writer, writes_what_the_reader_reads) {
  Writer w;
  w.u8(1);
  w.u16(0x0203);
  w.u32(0x04050607);
  w.u64(0x08090a0b0c0d0e0fU);
  w.text("x");
  EXPECT_EQ(hex(w.out()), "0102030405060708090a0b0c0d0e0f78");
  Reader r(w.out());
  EXPECT_EQ(r.u8(), 1);
  EXPECT_EQ(r.u16(), 0x0203);
  EXPECT_EQ(r.u32(), 0x04050607U);
  EXPECT_EQ(r.u64(), 0x08090a0b0c0d0e0fU);
  EXPECT_EQ(as_text(r.take_rest()), "x");
  EXPECT_TRUE(r.finish(true, "all"));
}

TEST(Secret, compares_in_full_and_knows_lengths) {
  const Secret a("correct horse");
  Secret b = a;
  EXPECT_TRUE(same(a, b));
  b = Secret("correct horsf");
  EXPECT_FALSE(same(a, b));
  EXPECT_FALSE(same(a, Secret("correct")));
  EXPECT_TRUE(same(Secret(), Secret()));
}

TEST(Secret, a_moved_secret_leaves_nothing_behind) {
  Secret a("token");
  const Secret b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(as_text(b.expose()), "token");
}

TEST(Instant, is_written_as_utc) {
  EXPECT_EQ(utc_text({0}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_text({-1000}), "1969-12-31T23:59:59Z");
  EXPECT_EQ(utc_text(kNoEnd), "9999-12-31T23:59:59Z");
}

TEST(SeededRng, the_same_seed_gives_the_same_bytes) {
  SeededRng a(7);
  SeededRng b(7);
  SeededRng c(8);
  std::array<std::uint8_t, 20> x{};
  std::array<std::uint8_t, 20> y{};
  std::array<std::uint8_t, 20> z{};
  a.fill(x);
  b.fill(y);
  c.fill(z);
  EXPECT_EQ(x, y);
  EXPECT_NE(x, z);
}

TEST(SeededRng, chance_is_about_as_likely_as_said) {
  SeededRng rng(1);
  int hits = 0;
  for (int i = 0; i < 10000; ++i) {
    hits += rng.chance(0.2) ? 1 : 0;
  }
  EXPECT_NEAR(hits, 2000, 150);
}

}  // namespace
}  // namespace imprint
