#include "crypto/srp.h"

#include <gtest/gtest.h>

namespace imprint {
namespace {

// RFC 5054 appendix B.
TEST(Srp, the_known_answer_of_the_specification) {
  const Bytes salt = *from_hex("beb25379d1a8581eb5a727673a2441ee");
  const auto made = srp_detail::verifier_of("alice", Secret("password123"), 1024, salt);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->salt, salt);
  EXPECT_EQ(hex(made->verifier.expose()),
            "7e273de8696ffc4f4e337d05b4b375beb0dde1569e8fa00a9886d8129bada1f1822223ca1a605b530e379ba4729fdc59"
            "f105b4787e5186f5c671085a1447b52a48cf1970b4fb6f8400bbf4cebfbb168152e08ab5ea53d15c1aff87b2b9da6e04"
            "e058ad51cc72bfc9033b564e26480d78e955a5e29e7ab245db2be315e2099afb");
}

TEST(Srp, each_verifier_has_a_salt_of_its_own_that_is_a_number_of_20_bytes) {
  const auto a = srp_verifier("dev-1", Secret("a token"));
  const auto b = srp_verifier("dev-1", Secret("a token"));
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->salt.size(), 20U);
  EXPECT_NE(a->salt, b->salt);
  EXPECT_GE(a->salt.front(), 0x80);
  EXPECT_FALSE(same(a->verifier, b->verifier));
  EXPECT_LE(a->verifier.size(), kSrpBits / 8);
}

TEST(Srp, what_openssl_would_cut_off_is_refused) {
  using namespace std::string_literals;
  EXPECT_FALSE(srp_verifier("dev-1", Secret("to\0ken"s)));
  EXPECT_FALSE(srp_verifier("dev\0-1"s, Secret("token")));
  EXPECT_FALSE(srp_verifier("", Secret("token")));
  EXPECT_FALSE(srp_verifier(std::string(256, 'a'), Secret("token")));
  EXPECT_TRUE(srp_verifier(std::string(255, 'a'), Secret("token")));
}

}  // namespace
}  // namespace imprint
