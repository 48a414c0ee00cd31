#include "model/shared_key.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "codec/base64.h"

namespace imprint {
namespace {

constexpr std::string_view kKey = "d90c1f5a6be28347f1a0b3c45e7d9168";

Status checked(std::string_view key) { return check_shared_key(*parse_shared_key("0a1b", key)); }

TEST(SharedKeyText, in_hexadecimal_and_in_base64) {
  for (const std::size_t size : {16U, 24U, 32U}) {
    Bytes octets(size);
    std::ranges::generate(octets, [n = 0x9dU]() mutable { return static_cast<std::uint8_t>(n = n * 77 + 5); });
    for (const std::string& text : {hex(octets), base64(octets)}) {
      const auto key = parse_shared_key("0A:1b", text);
      ASSERT_TRUE(key) << text;
      EXPECT_EQ(key->id, (Bytes{0x0a, 0x1b}));
      EXPECT_TRUE(same(key->key.expose(), octets)) << text;
    }
  }
}

TEST(SharedKeyText, of_another_length_is_malformed) {
  for (const std::string_view key : {"", "d90c", "d90c1f5a6be28347f1a0b3c45e7d91", "d90c1f5a6be28347f1a0b3c45e7d916800",
                                     "AAAA", "not a key at all", "d90c1f5a6be28347 f1a0b3c45e7d916_"}) {
    const auto parsed = parse_shared_key("0a", key);
    ASSERT_FALSE(parsed) << key;
    EXPECT_EQ(parsed.error().fault, Fault::malformed);
  }
}

TEST(SharedKeyText, an_identifier_is_1_to_64_octets) {
  EXPECT_TRUE(parse_shared_key(std::string(128, '7'), kKey));
  for (const std::string& id : {std::string(), std::string("xyz"), std::string("1"), std::string(130, '7')}) {
    const auto parsed = parse_shared_key(id, kKey);
    ASSERT_FALSE(parsed) << id;
    EXPECT_EQ(parsed.error().fault, Fault::malformed);
  }
}

TEST(SharedKeyStrength, random_octets_pass) {
  EXPECT_TRUE(checked(kKey));
  EXPECT_TRUE(checked("d90c1f5a6be28347f1a0b3c45e7d91680d4b8e1276ffa35c"));
  EXPECT_TRUE(checked("d90c1f5a6be28347f1a0b3c45e7d91680d4b8e1276ffa35c99e6041db7285ac3"));
}

TEST(SharedKeyStrength, what_somebody_could_guess_does_not) {
  for (const std::string_view weak :
       {"00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff", "000102030405060708090a0b0c0d0e0f",
        "0f0e0d0c0b0a09080706050403020100", "102030405060708090a0b0c0d0e0f000",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "d90c1f5a6be28347d90c1f5a6be28347",
        "d90c1f5a6be2834799d90c1f5a6be2834799d90c1f5a6be2", "deadbeefdeadbeefcafebabecafebabe",
        "2b7e151628aed2a6abf7158809cf4f3c", "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "4d7920566f696365206973204d792050"}) {  // "My Voice is My P"
    const Status strong = checked(weak);
    ASSERT_FALSE(strong) << weak;
    EXPECT_EQ(strong.error().fault, Fault::refused) << weak;
  }
}

TEST(SharedKeyStrength, the_lengths_are_looked_at_as_well) {
  const Secret key(*from_hex(kKey));
  EXPECT_EQ(check_shared_key({{}, key}).error().fault, Fault::malformed);
  EXPECT_EQ(check_shared_key({Bytes(65, 1), key}).error().fault, Fault::malformed);
  EXPECT_EQ(check_shared_key({{1}, Secret(BytesView(Bytes(15, 1)))}).error().fault, Fault::malformed);
}

}  // namespace
}  // namespace imprint
