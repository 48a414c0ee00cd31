#include "crypto/seal.h"

#include <gtest/gtest.h>

namespace imprint {
namespace {

const Secret kKey("a key"), kPlain("what nobody may see");
const Bytes kBound{1, 2, 3};

TEST(Seal, opens_with_the_same_key_and_bound_bytes_only) {
  const auto sealed = seal(kKey, kPlain, kBound);
  ASSERT_TRUE(sealed);
  const auto opened = open_sealed(kKey, *sealed, kBound);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(same(*opened, kPlain));
  EXPECT_EQ(open_sealed(Secret("another"), *sealed, kBound).error().fault, Fault::unauthentic);
  EXPECT_EQ(open_sealed(kKey, *sealed, Bytes{1, 2}).error().fault, Fault::unauthentic);
}

TEST(Seal, no_bit_of_it_may_change) {
  const Bytes sealed = *seal(kKey, kPlain, kBound);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 1U;
    EXPECT_FALSE(open_sealed(kKey, changed, kBound)) << i;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(open_sealed(kKey, BytesView(sealed).first(size), kBound)) << size;
  }
}

TEST(Seal, the_same_secret_is_sealed_otherwise_each_time) {
  EXPECT_NE(*seal(kKey, kPlain, kBound), *seal(kKey, kPlain, kBound));
  EXPECT_TRUE(open_sealed(kKey, *seal(kKey, Secret(), {}), {})->empty());
}

}  // namespace
}  // namespace imprint
