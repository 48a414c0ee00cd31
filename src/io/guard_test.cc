#include "io/guard.h"

#include <gtest/gtest.h>

namespace imprint::io {
namespace {

Uri outside() { return *Uri::parse("https://masa.example:8443/x"); }

class Inside : public testing::TestWithParam<const char*> {};

TEST_P(Inside, address_named_from_outside_is_refused) {
  const Status status = Guard().check(outside(), GetParam());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().fault, Fault::refused);
}

INSTANTIATE_TEST_SUITE_P(Guard, Inside,
                         testing::Values("127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "10.0.0.1",
                                         "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
                                         "169.254.169.254", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fdff::1",
                                         "0.0.0.0", "0.1.2.3", "::", "100.64.0.1", "100.127.255.255", "224.0.0.1",
                                         "239.255.255.255", "240.0.0.1", "255.255.255.255", "ff02::1", "192.0.0.1",
                                         "198.18.0.1", "198.19.255.255", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1",
                                         "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "::ffff:10.0.0.1",
                                         "::ffff:169.254.169.254", "::10.0.0.1", "2002:7f00:1::1", "2002:a00:1::1",
                                         "2001::1"));

class Outside : public testing::TestWithParam<const char*> {};

TEST_P(Outside, address_is_allowed) { EXPECT_TRUE(Guard().check(outside(), GetParam())); }

INSTANTIATE_TEST_SUITE_P(Guard, Outside,
                         testing::Values("8.8.8.8", "9.255.255.255", "11.0.0.0", "126.0.0.1", "128.0.0.1", "172.15.0.1",
                                         "172.32.0.1", "192.167.0.1", "192.169.0.1", "169.253.0.1", "100.63.255.255",
                                         "100.128.0.0", "223.255.255.255", "198.17.0.1", "198.20.0.1", "2a00:1450::1",
                                         "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"));

TEST(Guard, operators_own_address_may_be_anywhere_and_only_at_its_port) {
  Guard guard;
  guard.allow(*Uri::parse("https://Registrar.local:8443/est"));
  EXPECT_TRUE(guard.check(*Uri::parse("https://registrar.local:8443/other"), "192.168.1.2"));
  EXPECT_FALSE(guard.check(*Uri::parse("https://registrar.local:22/"), "192.168.1.2"));
  EXPECT_FALSE(guard.check(outside(), "192.168.1.2"));
}

TEST(Guard, a_link_local_address_is_allowed_on_its_own_link_alone) {
  Guard guard;
  guard.allow(*Uri::parse("https://[fe80::1%25eth0]:8443/"));
  EXPECT_TRUE(guard.check(*Uri::parse("https://[fe80::1%25eth0]:8443/est"), "fe80::1"));
  EXPECT_FALSE(guard.check(*Uri::parse("https://[fe80::1%25eth1]:8443/est"), "fe80::1"));
  EXPECT_FALSE(guard.check(*Uri::parse("https://[fe80::1]:8443/est"), "fe80::1"));
  EXPECT_FALSE(guard.check(*Uri::parse("https://[fe80::1%25eth0]:22/"), "fe80::1"));
}

TEST(Guard, loopback_for_test_rigs_opens_nothing_else) {
  Guard guard;
  guard.allow_loopback();
  EXPECT_TRUE(guard.check(outside(), "127.0.0.1"));
  EXPECT_TRUE(guard.check(outside(), "::1"));
  EXPECT_TRUE(guard.check(outside(), "::ffff:127.0.0.1"));
  EXPECT_FALSE(guard.check(outside(), "10.0.0.1"));
  EXPECT_FALSE(guard.check(outside(), "0.0.0.0"));
}

TEST(Guard, what_is_not_an_address_is_refused) {
  Guard guard;
  guard.allow_loopback();
  for (const char* text : {"", "localhost", "127.1", "0x7f000001", "2130706433", "127.0.0.1 ", "fe80::1%lo", "[::1]"}) {
    EXPECT_FALSE(guard.check(outside(), text)) << text;
  }
}

}  // namespace
}  // namespace imprint::io
