#include "app/host_port.h"

#include <gtest/gtest.h>

namespace imprint::app {
namespace {

TEST(HostPort, names_and_addresses) {
  EXPECT_EQ(parse_host_port("registrar.example:8443"), (HostPort{"registrar.example", 8443}));
  EXPECT_EQ(parse_host_port("192.0.2.1:0"), (HostPort{"192.0.2.1", 0}));
  EXPECT_EQ(parse_host_port("[::]:443"), (HostPort{"::", 443}));
  EXPECT_EQ(parse_host_port("[fe80::1%eth0]:65535"), (HostPort{"fe80::1%eth0", 65535}));
}

TEST(HostPort, anything_else_is_none) {
  for (const char* const bad :
       {"", ":", "host", "host:", ":443", "host:65536", "host:-1", "host:4 ", "host:0x1", "fe80::1", "fe80::1:443",
        "[]:1", "[host]:1", "[::1]", "[::1:443", "::1]:443", "https://a:1", "a b:1"}) {
    EXPECT_EQ(parse_host_port(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace imprint::app
