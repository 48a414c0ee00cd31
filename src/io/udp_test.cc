#include "io/udp.h"

#include <unordered_set>

#include "io/deadlines.h"
#include "io/io_test.h"

namespace imprint::io {
namespace {

const UdpSocket::Handlers kDeaf{[](const Address&, BytesView) {}, nullptr};

// Runs the loop until the condition holds; false after ten seconds.
bool until(Loop& loop, const std::function<bool()>& condition) {
  for (const Instant end = loop.now() + Duration(10000); !condition() && loop.now() < end;) {
    const std::uint64_t tick = loop.after(Duration(2), [&loop] { loop.stop(); });
    loop.run();
    loop.cancel(tick);
  }
  return condition();
}

TEST(Address, is_a_value) {
  const auto a = Address::parse("127.0.0.1", 5684);
  const auto b = Address::parse("::1", 5684);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->text(), "127.0.0.1:5684");
  EXPECT_EQ(b->text(), "[::1]:5684");
  EXPECT_NE(*a, *b);
  EXPECT_NE(a->bytes(), b->bytes());
  EXPECT_EQ(*a, *Address::parse("127.0.0.1", 5684));
  EXPECT_NE(*a, *Address::parse("127.0.0.1", 5683));
  EXPECT_EQ((std::unordered_set<Address>{*a, *b, *a}).size(), 2U);
  EXPECT_FALSE(Address::parse("localhost", 1));
  EXPECT_FALSE(Address::parse("", 1));
}

TEST(Udp, carries_datagrams_with_their_senders) {
  Loop loop;
  std::vector<std::pair<Address, Bytes>> got;
  const auto server = UdpSocket::bind(
      loop, {}, {[&](const Address& from, BytesView d) { got.emplace_back(from, to_bytes(d)); }, nullptr});
  ASSERT_TRUE(server);
  Bytes answer;
  const auto client = UdpSocket::connect(loop, *Address::parse("127.0.0.1", (*server)->port()),
                                         {[&](const Address&, BytesView d) { answer = to_bytes(d); }, nullptr});
  ASSERT_TRUE(client);
  for (int i = 0; i < 40; ++i) {  // more than a batch
    ASSERT_TRUE((*client)->send(Bytes(static_cast<std::size_t>(i) + 1, 5)));
  }
  ASSERT_TRUE(until(loop, [&] { return got.size() == 40; }));
  EXPECT_EQ(got[0].second.size(), 1U);
  EXPECT_EQ(got[39].second.size(), 40U);
  EXPECT_EQ(got[0].first.port, (*client)->port());
  ASSERT_TRUE((*server)->send_to(got[0].first, view("back")));
  EXPECT_TRUE(until(loop, [&] { return answer == to_bytes("back"); }));
}

TEST(Udp, drops_what_is_too_large_and_takes_the_next) {
  Loop loop;
  std::vector<std::size_t> sizes;
  const auto server =
      UdpSocket::bind(loop, {}, {[&](const Address&, BytesView d) { sizes.push_back(d.size()); }, nullptr});
  const auto client = UdpSocket::connect(loop, *Address::parse("127.0.0.1", (*server)->port()), kDeaf);
  ASSERT_TRUE((*client)->send(Bytes(20000)));
  ASSERT_TRUE((*client)->send(Bytes(10)));
  ASSERT_TRUE(until(loop, [&] { return !sizes.empty(); }));
  EXPECT_EQ(sizes, std::vector<std::size_t>{10});
  const Status too_large = (*client)->send(Bytes(70000));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().fault, Fault::limit);
}

TEST(Udp, speaks_ipv6) {
  Loop loop;
  int got = 0;
  const auto server = UdpSocket::bind(loop, {.address = "::1", .port = 0, .reuse_port = false},
                                      {[&](const Address&, BytesView) { ++got; }, nullptr});
  if (!server) {
    GTEST_SKIP() << "no IPv6 loopback here";
  }
  const auto client = UdpSocket::connect(loop, *Address::parse("::1", (*server)->port()), kDeaf);
  ASSERT_TRUE((*client)->send(view("x")));
  EXPECT_TRUE(until(loop, [&] { return got == 1; }));
}

TEST(Udp, says_that_nobody_has_the_port) {
  Loop loop;
  std::uint16_t port = 0;
  {
    const auto gone = UdpSocket::bind(loop, {}, kDeaf);
    port = (*gone)->port();
  }
  int refused = 0;
  const auto client = UdpSocket::connect(loop, *Address::parse("127.0.0.1", port),
                                         {[](const Address&, BytesView) {}, [&] { ++refused; }});
  ASSERT_TRUE((*client)->send(view("anybody?")));
  EXPECT_TRUE(until(loop, [&] { return refused >= 1; }));
}

TEST(Udp, says_why_it_cannot_bind) {
  Loop loop;
  const auto first = UdpSocket::bind(loop, {}, kDeaf);
  ASSERT_TRUE(first);
  const UdpSocket::Where taken{.address = "127.0.0.1", .port = (*first)->port(), .reuse_port = false};
  EXPECT_EQ(UdpSocket::bind(loop, taken, kDeaf).error().fault, Fault::conflict);
  EXPECT_EQ(UdpSocket::bind(loop, {.address = "192.0.2.77"}, kDeaf).error().fault, Fault::unreachable);
  EXPECT_EQ(UdpSocket::bind(loop, {.address = "here"}, kDeaf).error().fault, Fault::malformed);
}

TEST(Udp, two_share_a_port_if_both_want_to) {
  Loop loop;
  const auto first = UdpSocket::bind(loop, {.address = "127.0.0.1", .port = 0, .reuse_port = true}, kDeaf);
  ASSERT_TRUE(first);
  EXPECT_TRUE(UdpSocket::bind(loop, {.address = "127.0.0.1", .port = (*first)->port(), .reuse_port = true}, kDeaf));
}

TEST(Udp, may_end_inside_its_handler) {
  Loop loop;
  std::unique_ptr<UdpSocket> server;
  int got = 0;
  server = *UdpSocket::bind(loop, {},
                            {[&](const Address&, BytesView) {
                               ++got;
                               server.reset();
                             },
                             nullptr});
  const auto client = UdpSocket::connect(loop, *Address::parse("127.0.0.1", server->port()), kDeaf);
  ASSERT_TRUE((*client)->send(view("1")));
  ASSERT_TRUE((*client)->send(view("2")));
  EXPECT_TRUE(until(loop, [&] { return got == 1; }));
}

TEST(Deadlines, come_in_order_and_once_each) {
  Loop loop;
  std::vector<std::uint64_t> due;
  Deadlines deadlines(loop, [&](std::uint64_t id) { due.push_back(id); });
  const Instant now = loop.now();
  deadlines.set(1, now + Duration(30));
  deadlines.set(2, now + Duration(10));
  deadlines.set(3, now + Duration(20));
  deadlines.set(4, now + Duration(5));
  deadlines.clear(3);
  deadlines.set(4, now + Duration(40));
  ASSERT_TRUE(until(loop, [&] { return due.size() == 3; }));
  EXPECT_EQ(due, (std::vector<std::uint64_t>{2, 1, 4}));
}

}  // namespace
}  // namespace imprint::io
