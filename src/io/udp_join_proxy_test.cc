#include "io/udp_join_proxy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/reader.h"

namespace imprint::io {
namespace {

// Somebody with a socket that keeps what comes: a pledge, or a registrar.
class Peer {
 public:
  struct Datagram {
    Address from;
    std::string text;
  };
  explicit Peer(Loop& loop, std::string address = "127.0.0.1", bool echoes = false) : address_(std::move(address)) {
    socket_ = *UdpSocket::bind(loop, {address_, 0},
                               {[this, echoes](const Address& from, BytesView d) {
                                  got.push_back({from, std::string(as_text(d))});
                                  if (echoes) {
                                    EXPECT_TRUE(socket_->send_to(from, d));
                                  }
                                },
                                nullptr});
  }
  Address address() const { return *Address::parse(address_, socket_->port()); }
  void say(const Address& to, std::string_view words) { ASSERT_TRUE(socket_->send_to(to, view(words))); }

  std::vector<Datagram> got;

 private:
  std::string address_;
  std::unique_ptr<UdpSocket> socket_;
};

class ProxyRig : public testing::Test {
 protected:
  void stateful(UdpJoinProxyOptions options = {}) {
    options.registrar = registrar.address();
    proxy = *UdpJoinProxy::stateful(loop, std::move(options));
  }
  // Headers that say where they go, in the clear.
  void stateless(UdpJoinProxyOptions options = {}) {
    options.registrar = registrar.address();
    ReturnEnvelope envelope;
    envelope.wrap = [](const Address& pledge, BytesView d, Instant) {
      Bytes out = pledge.bytes();
      out.insert(out.end(), d.begin(), d.end());
      return out;
    };
    envelope.open = [](BytesView d, Instant) -> Result<ReturnEnvelope::Returned> {
      Reader r(d);
      Address to;
      to.v6 = r.u8() == 6;
      const BytesView ip = r.take(16);
      std::ranges::copy(ip, to.ip.begin());
      to.port = r.u16();
      r.u32();
      CHECK_OR(r.good(), Error{Fault::unauthentic, "test: header"});
      return ReturnEnvelope::Returned{to, r.take_rest()};
    };
    proxy = *UdpJoinProxy::stateless(loop, std::move(options), std::move(envelope));
  }
  Address at() const { return *Address::parse("127.0.0.1", proxy->port()); }
  bool until(const std::function<bool()>& condition, Duration time = Duration(5000)) {
    for (const Instant end = loop.now() + time; !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }
  // Time for what is on its way, and for what must not come.
  void settle(Duration time = Duration(40)) {
    until([] { return false; }, time);
  }

  Loop loop;
  Peer registrar{loop, "127.0.0.1", true};
  std::unique_ptr<UdpJoinProxy> proxy;
};

using StatefulProxy = ProxyRig;
using StatelessProxy = ProxyRig;

TEST_F(StatefulProxy, each_pledge_has_its_own_way_there_and_back) {
  stateful();
  Peer one(loop), other(loop);
  one.say(at(), "hello from one");
  other.say(at(), "hello from the other");
  ASSERT_TRUE(until([&] { return one.got.size() == 1 && other.got.size() == 1; }));
  EXPECT_EQ(one.got[0].text, "hello from one");
  EXPECT_EQ(one.got[0].from, at()) << "the answer comes from where the pledge has sent to";
  EXPECT_EQ(other.got[0].text, "hello from the other");
  ASSERT_EQ(registrar.got.size(), 2U);
  EXPECT_NE(registrar.got[0].from, registrar.got[1].from);
  one.say(at(), "more");
  ASSERT_TRUE(until([&] { return registrar.got.size() == 3; }));
  const auto before = std::ranges::find(registrar.got, "hello from one", &Peer::Datagram::text);
  EXPECT_EQ(registrar.got[2].from, before->from);
  settle();
  const UdpJoinProxyStats stats = proxy->stats();
  EXPECT_EQ(stats.open, 2U);
  EXPECT_EQ(stats.from_pledges, 3U);
  EXPECT_EQ(stats.to_pledges, 3U);
  EXPECT_EQ(stats.bytes_from_pledges, stats.bytes_to_pledges);
}

TEST_F(StatefulProxy, an_address_has_two_ways_and_not_three) {
  stateful();
  Peer first(loop), second(loop), third(loop), elsewhere(loop, "127.0.0.2");
  for (Peer* peer : {&first, &second, &third, &elsewhere}) {
    peer->say(at(), "hello");
    settle(Duration(10));
  }
  EXPECT_TRUE(until([&] { return elsewhere.got.size() == 1; }));
  EXPECT_TRUE(third.got.empty());
  EXPECT_EQ(proxy->stats().over_limit, 1U);
  EXPECT_EQ(proxy->stats().open, 3U);
  first.say(at(), "again");
  EXPECT_TRUE(until([&] { return first.got.size() == 2; })) << "who is there goes on";
}

TEST_F(StatefulProxy, an_interface_has_ten_ways_and_not_eleven) {
  stateful();
  std::vector<std::unique_ptr<Peer>> pledges;
  for (int i = 0; i < 11; ++i) {
    pledges.push_back(std::make_unique<Peer>(loop, "127.0.0." + std::to_string(10 + i)));
    pledges.back()->say(at(), "hello");
    settle(Duration(5));
  }
  settle();
  EXPECT_EQ(proxy->stats().open, 10U);
  EXPECT_EQ(proxy->stats().over_limit, 1U);
  EXPECT_TRUE(pledges[10]->got.empty());
  EXPECT_EQ(pledges[9]->got.size(), 1U);
}

TEST_F(StatefulProxy, a_way_ends_when_it_has_been_quiet_and_makes_room) {
  UdpJoinProxyOptions options;
  options.idle = Duration(120);
  options.max_of_address = 1;
  stateful(options);
  Peer one(loop), other(loop);
  for (int i = 0; i < 4; ++i) {  // longer than `idle` in all
    one.say(at(), "hello");
    settle(Duration(50));
  }
  EXPECT_EQ(proxy->stats().open, 1U);
  other.say(at(), "hello");
  settle(Duration(20));
  EXPECT_TRUE(other.got.empty());
  EXPECT_TRUE(until([&] { return proxy->stats().open == 0; }, Duration(1000)));
  other.say(at(), "hello");
  EXPECT_TRUE(until([&] { return other.got.size() == 1; }));
}

TEST_F(StatefulProxy, who_gets_no_answer_makes_room_for_another) {
  Peer mute(loop);
  UdpJoinProxyOptions options;
  options.unanswered = Duration(30);
  options.max_of_interface = 2;
  stateful(options);
  ASSERT_TRUE(proxy->set_registrar(mute.address()));
  Peer one(loop, "127.0.0.10"), two(loop, "127.0.0.11"), late(loop, "127.0.0.12");
  one.say(at(), "noise");
  two.say(at(), "noise");
  late.say(at(), "too early");
  ASSERT_TRUE(until([&] { return proxy->stats().from_pledges == 3; }));
  EXPECT_EQ(proxy->stats().over_limit, 1U);
  ASSERT_TRUE(until([&] {
    one.say(at(), "noise");  // which keeps nothing
    late.say(at(), "hello");
    return std::ranges::find(mute.got, "hello", &Peer::Datagram::text) != mute.got.end();
  }));
  EXPECT_EQ(proxy->stats().open, 2U);
}

TEST_F(StatefulProxy, a_registrar_that_is_away_ends_the_way) {
  UdpJoinProxyOptions options;
  Address nobody;
  {
    Peer gone(loop);
    nobody = gone.address();
  }
  options.registrar = nobody;
  proxy = *UdpJoinProxy::stateful(loop, options);
  Peer pledge(loop);
  pledge.say(at(), "hello");
  EXPECT_TRUE(until([&] { return proxy->stats().unreachable == 1; }));
  EXPECT_EQ(proxy->stats().open, 0U);
  EXPECT_TRUE(pledge.got.empty());
  ASSERT_TRUE(proxy->set_registrar(registrar.address()));
  pledge.say(at(), "hello");
  EXPECT_TRUE(until([&] { return pledge.got.size() == 1; }));
}

TEST_F(StatefulProxy, another_registrar_gets_what_comes_from_then_on) {
  stateful();
  Peer pledge(loop), other(loop, "127.0.0.3", true);
  pledge.say(at(), "first");
  ASSERT_TRUE(until([&] { return pledge.got.size() == 1; }));
  ASSERT_TRUE(proxy->set_registrar(other.address()));
  EXPECT_EQ(proxy->stats().open, 0U);
  pledge.say(at(), "second");
  ASSERT_TRUE(until([&] { return pledge.got.size() == 2; }));
  EXPECT_EQ(other.got.at(0).text, "second");
  EXPECT_EQ(registrar.got.size(), 1U);
}

TEST_F(StatefulProxy, what_is_too_large_or_empty_goes_no_further) {
  UdpJoinProxyOptions options;
  options.max_datagram = 100;
  stateful(options);
  Peer pledge(loop);
  pledge.say(at(), std::string(101, 'x'));
  pledge.say(at(), "");
  pledge.say(at(), std::string(100, 'y'));
  ASSERT_TRUE(until([&] { return pledge.got.size() == 1; }));
  EXPECT_EQ(registrar.got.size(), 1U);
  EXPECT_EQ(proxy->stats().over_limit, 1U);
}

TEST_F(StatefulProxy, nobody_but_the_registrar_is_heard) {
  stateful();
  Peer pledge(loop), stranger(loop, "127.0.0.4");
  pledge.say(at(), "hello");
  ASSERT_TRUE(until([&] { return pledge.got.size() == 1; }));
  stranger.say(registrar.got.at(0).from, "forged");
  settle();
  EXPECT_EQ(pledge.got.size(), 1U);
}

TEST_F(StatelessProxy, pledges_share_one_port_and_each_gets_its_own_answer) {
  stateless();
  std::vector<std::unique_ptr<Peer>> pledges;
  for (int i = 0; i < 30; ++i) {
    pledges.push_back(std::make_unique<Peer>(loop));
    pledges.back()->say(at(), "pledge " + std::to_string(i));
  }
  ASSERT_TRUE(until([&] { return std::ranges::all_of(pledges, [](const auto& p) { return p->got.size() == 1; }); }));
  std::set<Address> sources;
  for (const auto& one : registrar.got) {
    sources.insert(one.from);
  }
  EXPECT_EQ(sources.size(), 1U);
  for (std::size_t i = 0; i < pledges.size(); ++i) {
    EXPECT_EQ(pledges[i]->got[0].text, "pledge " + std::to_string(i));
    EXPECT_EQ(pledges[i]->got[0].from, at());
  }
  EXPECT_EQ(proxy->stats().from_pledges, 30U);
  EXPECT_EQ(proxy->stats().to_pledges, 30U);
  EXPECT_EQ(proxy->stats().open, 0U);
}

TEST_F(StatelessProxy, what_is_no_answer_is_dropped_without_a_word) {
  stateless();
  Peer pledge(loop);
  pledge.say(at(), "hello");
  ASSERT_TRUE(until([&] { return pledge.got.size() == 1; }));
  registrar.say(registrar.got[0].from, "?");
  ASSERT_TRUE(until([&] { return proxy->stats().unreadable == 1; }));
  registrar.say(registrar.got[0].from, registrar.got[0].text.substr(0, 23));  // a header, and nothing for anybody
  settle();
  EXPECT_EQ(pledge.got.size(), 1U);
  EXPECT_EQ(registrar.got.size(), 1U);
  Peer stranger(loop, "127.0.0.4");
  stranger.say(registrar.got[0].from, registrar.got[0].text);
  settle();
  EXPECT_EQ(pledge.got.size(), 1U) << "only the registrar is heard";
}

TEST_F(StatelessProxy, so_many_go_on_in_a_second) {
  UdpJoinProxyOptions options;
  options.max_per_second = 5;
  stateless(options);
  Peer pledge(loop);
  for (int i = 0; i < 8; ++i) {
    pledge.say(at(), "hello");
  }
  ASSERT_TRUE(until([&] { return proxy->stats().over_limit == 3; }));
  ASSERT_TRUE(until([&] { return pledge.got.size() == 5; }));
  settle(Duration(1020));
  pledge.say(at(), "later");
  EXPECT_TRUE(until([&] { return pledge.got.size() == 6; }));
}

TEST_F(StatelessProxy, one_neighbour_has_a_part_of_them) {
  UdpJoinProxyOptions options;
  options.max_per_second = 6;
  options.max_of_address_per_second = 4;
  stateless(options);
  Peer loud(loop, "127.0.0.10"), other(loop, "127.0.0.11");
  for (int i = 0; i < 20; ++i) {
    loud.say(at(), "noise");
  }
  ASSERT_TRUE(until([&] { return proxy->stats().from_pledges == 20; }));
  other.say(at(), "hello");
  EXPECT_TRUE(until([&] { return other.got.size() == 1; }));
}

TEST_F(StatelessProxy, another_registrar_gets_what_comes_from_then_on) {
  stateless();
  Peer pledge(loop), other(loop, "127.0.0.3", true);
  ASSERT_TRUE(proxy->set_registrar(other.address()));
  pledge.say(at(), "hello");
  ASSERT_TRUE(until([&] { return pledge.got.size() == 1; }));
  EXPECT_TRUE(registrar.got.empty());
}

TEST_F(ProxyRig, while_nobody_knows_a_registrar_what_comes_is_dropped) {
  for (const bool with_state : {true, false}) {
    UdpJoinProxyOptions options;
    const Address later = registrar.address();
    if (with_state) {
      proxy = *UdpJoinProxy::stateful(loop, options);
    } else {
      const auto wrap = [](const Address&, BytesView d, Instant) { return to_bytes(d); };
      const auto open = [](BytesView, Instant) -> Result<ReturnEnvelope::Returned> {
        return Error{Fault::unauthentic, "test: header"};
      };
      proxy = *UdpJoinProxy::stateless(loop, options, {wrap, open});
    }
    Peer pledge(loop);
    pledge.say(at(), "early");
    EXPECT_TRUE(until([&] { return proxy->stats().lost == 1; })) << with_state;
    registrar.got.clear();
    ASSERT_TRUE(proxy->set_registrar(later));
    pledge.say(at(), "now");
    ASSERT_TRUE(until([&] { return !registrar.got.empty(); })) << with_state;
    EXPECT_EQ(registrar.got.at(0).text, "now");
  }
}

TEST_F(ProxyRig, a_port_that_is_taken_is_said) {
  UdpJoinProxyOptions options;
  options.registrar = registrar.address();
  options.listen.port = registrar.address().port;
  const auto proxy_there = UdpJoinProxy::stateful(loop, options);
  ASSERT_FALSE(proxy_there);
  EXPECT_EQ(proxy_there.error().fault, Fault::conflict);
  EXPECT_EQ(UdpJoinProxy::stateless(loop, options, {}).error().fault, Fault::conflict);
}

}  // namespace
}  // namespace imprint::io
