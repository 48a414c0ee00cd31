#include "site/newcomer.h"

#include <gtest/gtest.h>

#include "model/device.h"

namespace imprint::site {
namespace {

const std::string kIdentity = "x509:" + std::string(48, 'a') + "5f2c8d3e9a1b7c04";

TEST(Newcomer, is_called_by_its_serial_number_and_its_identity) {
  EXPECT_EQ(newcomer_id("lamp-0001", kIdentity), "lamp-0001-5f2c8d3e9a1b7c04");
  EXPECT_EQ(newcomer_id("SN_7", kIdentity), "SN_7-5f2c8d3e9a1b7c04");
  EXPECT_EQ(newcomer_id("", kIdentity), "x509-5f2c8d3e9a1b7c04");
  EXPECT_EQ(newcomer_id("/../", kIdentity), "x509-5f2c8d3e9a1b7c04") << "nothing to read in it";
}

// A serial number is the maker's word: it makes no host, no path, no second name.
TEST(Newcomer, what_a_maker_writes_makes_no_other_name) {
  EXPECT_EQ(newcomer_id("mail.site.example", kIdentity), "mail-site-example-5f2c8d3e9a1b7c04");
  EXPECT_EQ(newcomer_id("a,CN=b", kIdentity), "a-CN-b-5f2c8d3e9a1b7c04");
  EXPECT_EQ(newcomer_id("-*a\xc3\xa9\n\\0", kIdentity), "a----0-5f2c8d3e9a1b7c04");
  EXPECT_EQ(newcomer_id("00-D0-E5:F2", kIdentity), "00-D0-E5-F2-5f2c8d3e9a1b7c04");
  const std::string most = newcomer_id(std::string(500, 'x'), kIdentity);
  EXPECT_EQ(most, std::string(40, 'x') + "-5f2c8d3e9a1b7c04");
  constexpr std::size_t kDnsLabel = 63;
  EXPECT_LE(most.size(), kDnsLabel);
  for (const std::string_view serial : {"lamp-0001", "", ".", "a b", "\xff", "SN:1"}) {
    EXPECT_TRUE(valid_device_id(newcomer_id(serial, kIdentity))) << serial;
  }
}

TEST(Newcomer, one_that_somebody_named_is_none) {
  EXPECT_TRUE(is_newcomer_id("lamp-0001-5f2c8d3e9a1b7c04", "lamp-0001", kIdentity));
  EXPECT_TRUE(is_newcomer_id("x509-5f2c8d3e9a1b7c04", "lamp-0001", kIdentity)) << "of a version before";
  EXPECT_FALSE(is_newcomer_id("lamp-0001", "lamp-0001", kIdentity));
  EXPECT_FALSE(is_newcomer_id("lamp-0002-5f2c8d3e9a1b7c04", "lamp-0001", kIdentity));
  EXPECT_FALSE(is_newcomer_id("lamp-0001-5f2c8d3e9a1b7c05", "lamp-0001", kIdentity));
  EXPECT_FALSE(is_newcomer_id("x509-short", "", "short"));
}

}  // namespace
}  // namespace imprint::site
