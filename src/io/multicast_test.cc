#include "io/multicast.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "io/udp.h"

namespace imprint::io {
namespace {

bool until(Loop& loop, const std::function<bool()>& condition, Duration longest = Duration(10000)) {
  for (const Instant end = loop.now() + longest; !condition() && loop.now() < end;) {
    const std::uint64_t tick = loop.after(Duration(2), [&loop] { loop.stop(); });
    loop.run();
    loop.cancel(tick);
  }
  return condition();
}

// A port that nobody has just now.
std::uint16_t free_port(Loop& loop) {
  return (*UdpSocket::bind(loop, {}, {[](const Address&, BytesView) {}, nullptr}))->port();
}

TEST(Interface, is_known_by_its_name) {
  const auto lo = Interface::find("lo");
  ASSERT_TRUE(lo);
  EXPECT_TRUE(lo->loopback);
  EXPECT_NE(lo->index, 0U);
  EXPECT_NE(std::ranges::find(lo->addresses, *Address::parse("127.0.0.1", 0)), lo->addresses.end());
  EXPECT_EQ(Interface::find("nothing0").error().fault, Fault::malformed);
}

TEST(Interface, knows_its_neighbours) {
  Interface one;
  one.addresses = {*Address::parse("192.0.2.17", 0), *Address::parse("2001:db8:1::1", 0)};
  one.prefixes = {28, 64};
  const auto near = [&one](const char* text) { return one.is_near(*Address::parse(text, 5)); };
  EXPECT_TRUE(near("192.0.2.30"));
  EXPECT_FALSE(near("192.0.2.32"));
  EXPECT_TRUE(near("169.254.1.1"));
  EXPECT_TRUE(near("2001:db8:1::ffff"));
  EXPECT_FALSE(near("2001:db8:2::1"));
  EXPECT_TRUE(near("fe80::1"));
  EXPECT_FALSE(near("fec0::1"));
  one.prefixes = {0, 0};
  EXPECT_FALSE(near("198.51.100.1")) << "an interface without a network has no neighbours";
}

// IPv6 has no groups on the loopback interface: tests/interop/brski/discovery_suite.py has it on a link of its own.
TEST(MulticastSocket, reaches_everybody_of_the_group_on_the_interface) {
  Loop loop;
  const Interface lo = *Interface::find("lo");
  const MulticastSocket::Where where{.group = "224.0.0.119", .port = free_port(loop), .hop_limit = 1};
  std::vector<std::pair<Address, Bytes>> one;
  std::vector<Bytes> other;
  const auto a = MulticastSocket::join(loop, lo, where,
                                       [&](const Address& from, BytesView d) { one.emplace_back(from, to_bytes(d)); });
  const auto b =
      MulticastSocket::join(loop, lo, where, [&](const Address&, BytesView d) { other.push_back(to_bytes(d)); });
  ASSERT_TRUE(a);
  ASSERT_TRUE(b) << "the port is shared";
  ASSERT_TRUE((*a)->send(view("hello")));
  ASSERT_TRUE(until(loop, [&] { return !one.empty() && !other.empty(); }));
  EXPECT_EQ(one[0].second, to_bytes("hello"));
  EXPECT_EQ(one[0].first.port, where.port);
  EXPECT_EQ(one[0].first.literal(), "127.0.0.1") << "an address of the interface";
  ASSERT_TRUE((*b)->send_to(one[0].first, view("to one")));
  EXPECT_TRUE(until(loop, [&] { return one.size() == 2 || other.size() == 2; }));
}

TEST(MulticastSocket, other_interfaces_and_groups_do_not_come_through) {
  Loop loop;
  const Interface lo = *Interface::find("lo");
  Interface elsewhere = lo;
  elsewhere.index += 1000;
  const std::uint16_t port = free_port(loop);
  int mine = 0;
  int others = 0;
  const auto a = MulticastSocket::join(loop, lo, {.group = "224.0.0.119", .port = port, .hop_limit = 1},
                                       [&](const Address&, BytesView) { ++mine; });
  const auto b = MulticastSocket::join(loop, lo, {.group = "224.0.0.251", .port = port, .hop_limit = 255},
                                       [&](const Address&, BytesView) { ++others; });
  ASSERT_TRUE(a);
  ASSERT_TRUE(b);
  ASSERT_TRUE((*a)->send(view("x")));
  ASSERT_TRUE(until(loop, [&] { return mine == 1; }));
  EXPECT_FALSE(until(
      loop, [&] { return others != 0; }, Duration(50)));
  const auto none = MulticastSocket::join(loop, elsewhere, {.group = "224.0.0.119", .port = port, .hop_limit = 1},
                                          [](const Address&, BytesView) {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::unreachable);
}

TEST(MulticastSocket, an_address_of_one_is_refused) {
  Loop loop;
  const auto out = MulticastSocket::join(loop, *Interface::find("lo"), {.group = "192.0.2.1", .port = 7017},
                                         [](const Address&, BytesView) {});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().fault, Fault::malformed);
}

TEST(MulticastSocket, a_port_that_somebody_has_alone_is_a_conflict) {
  Loop loop;
  const auto taken = UdpSocket::bind(loop, {.address = "0.0.0.0"}, {[](const Address&, BytesView) {}, nullptr});
  const auto out =
      MulticastSocket::join(loop, *Interface::find("lo"), {.group = "224.0.0.119", .port = (*taken)->port()},
                            [](const Address&, BytesView) {});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().fault, Fault::conflict);
}

}  // namespace
}  // namespace imprint::io
