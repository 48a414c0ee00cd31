#include "runtime/join_proxy.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "crypto/random.h"
#include "io/udp.h"

namespace imprint {
namespace {

using Kind = JoinProxy::Event::Kind;

// A registrar that takes connections, a proxy before it, and somebody on the link who listens.
struct Rig {
  explicit Rig(bool announce = true) {
    open_registrar(0);
    options.registrar = "127.0.0.1";
    options.registrar_port = port;
    options.proxy.listen = {.address = "127.0.0.1", .port = 0, .reuse_port = false};
    options.instance = "Test proxy";
    options.probe_every = Duration(50);
    if (announce) {
      options.announce = DiscoveryPort::Options{.interface = "lo"};
    }
  }
  ~Rig() {
    for (const int fd : arrived) {
      close(fd);
    }
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void open_registrar(std::uint16_t at) {
    registrar = *io::Listener::open(loop, {.address = "127.0.0.1", .port = at}, [this] {
      while (const auto fd = registrar->accept()) {
        arrived.push_back(*fd);
      }
    });
    port = registrar->port();
  }
  void start() {
    auto made = JoinProxy::start(loop, rng, options, [this](const JoinProxy::Event& e) { events.push_back(e); });
    ASSERT_TRUE(made);
    proxy = *std::move(made);
  }
  std::size_t seen(Kind kind) const {
    return static_cast<std::size_t>(std::ranges::count(events, kind, &JoinProxy::Event::kind));
  }
  bool until(const std::function<bool()>& condition, Duration longest = Duration(10000)) {
    for (const Instant end = loop.now() + longest; !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }

  io::Loop loop;
  SystemRng rng;
  JoinProxy::Options options;
  std::uint16_t port = 0;
  std::unique_ptr<io::Listener> registrar;
  std::vector<int> arrived;
  std::vector<JoinProxy::Event> events;
  std::unique_ptr<JoinProxy> proxy;
};

TEST(JoinProxy, is_announced_while_its_registrar_is_there) {
  Rig rig;
  rig.start();
  EXPECT_FALSE(rig.proxy->announces()) << "nobody is told before the registrar was seen";
  const auto listener = *DiscoveryPort::open(
      rig.loop, rig.rng, {.interface = "lo", .browse = {std::string(brski::kProxyService)}}, nullptr);
  ASSERT_TRUE(rig.until([&] { return rig.proxy->announces(); }));
  EXPECT_EQ(rig.events.at(0).kind, Kind::registrar_found);
  EXPECT_EQ(rig.events.at(1).kind, Kind::announced);
  const auto ours = [&] {
    const auto all = listener->floods();
    return std::ranges::any_of(all, [&](const brski::Heard& one) {
      return one.name == brski::kAnProxy && one.locator && one.locator->port == rig.proxy->port();
    });
  };
  ASSERT_TRUE(rig.until(ours));
  std::optional<brski::Browser::Found> service;  // others may be announced on this machine
  const auto served = [&] {
    for (const auto& one : listener->services()) {
      if (one.port == rig.proxy->port()) {
        service = one;
        return true;
      }
    }
    return false;
  };
  ASSERT_TRUE(rig.until(served));
  EXPECT_TRUE(service->instance.starts_with("Test proxy"));
  EXPECT_EQ(service->text, std::vector<std::string>{"est-tls"});
  rig.registrar.reset();
  ASSERT_TRUE(rig.until([&] { return !rig.proxy->announces(); }));
  EXPECT_EQ(rig.seen(Kind::registrar_lost), 1U);
  EXPECT_EQ(rig.seen(Kind::withdrawn), 1U);
  EXPECT_TRUE(rig.until([&] { return !served(); })) << "it has said good-bye";
  rig.open_registrar(rig.port);
  EXPECT_TRUE(rig.until([&] { return rig.proxy->announces(); }));
}

TEST(JoinProxy, one_failed_probe_is_no_loss) {
  Rig rig(/*announce=*/false);
  rig.options.misses = 1000;
  rig.start();
  ASSERT_TRUE(rig.until([&] { return rig.proxy->registrar_there(); }));
  rig.registrar.reset();
  rig.until([] { return false; }, Duration(300));
  EXPECT_TRUE(rig.proxy->registrar_there());
}

TEST(JoinProxy, carries_connections_and_tells_of_them) {
  Rig rig(/*announce=*/false);
  rig.start();
  ASSERT_TRUE(rig.until([&] { return rig.proxy->registrar_there(); }));
  bool there = false;
  auto probe = std::make_unique<io::TcpProbe>(rig.loop, *io::Address::parse("127.0.0.1", rig.proxy->port()),
                                              Duration(5000), [&](bool answer) { there = answer; });
  ASSERT_TRUE(rig.until([&] { return there && rig.seen(Kind::opened) == 1; }));
  probe.reset();
  ASSERT_TRUE(rig.until([&] {  // the registrar ends what has ended
    for (const int fd : rig.arrived) {
      close(fd);
    }
    rig.arrived.clear();
    return rig.seen(Kind::closed) == 1;
  }));
  EXPECT_EQ(rig.proxy->stats().taken, 1U);
}

TEST(JoinProxy, turns_away_who_comes_without_a_registrar) {
  Rig rig(/*announce=*/false);
  rig.registrar.reset();
  rig.start();
  bool answered = false;
  const io::TcpProbe probe(rig.loop, *io::Address::parse("127.0.0.1", rig.proxy->port()), Duration(5000),
                           [&](bool) { answered = true; });
  ASSERT_TRUE(rig.until([&] { return answered && rig.seen(Kind::turned_away) == 1; }));
  EXPECT_FALSE(rig.proxy->registrar_there());
}

TEST(JoinProxy, stops_in_order) {
  Rig rig;
  rig.start();
  ASSERT_TRUE(rig.until([&] { return rig.proxy->announces(); }));
  bool stopped = false;
  rig.proxy->stop(Duration(5000), [&] { stopped = true; });
  EXPECT_FALSE(rig.proxy->announces());
  EXPECT_EQ(rig.seen(Kind::withdrawn), 1U);
  EXPECT_TRUE(rig.until([&] { return stopped; }));
}

TEST(JoinProxy, says_what_it_cannot_have) {
  Rig rig;
  rig.options.announce->interface = "nothing0";
  const auto none = JoinProxy::start(rig.loop, rig.rng, rig.options, nullptr);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::malformed);
  rig.options.announce.reset();
  rig.options.proxy.listen.port = rig.port;
  const auto taken = JoinProxy::start(rig.loop, rig.rng, rig.options, nullptr);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().fault, Fault::conflict);
}

// RFC 8995 section 4.3: what a registrar on the owner's own network says.
TEST(JoinProxy, registrars_are_those_that_take_tcp_and_speak_est) {
  io::Interface link;
  link.name = "eth1";
  link.index = 9;
  link.addresses = {*io::Address::parse("192.0.2.1", 0)};
  link.prefixes = {24};
  const auto flood = [](std::string_view name, std::string_view value,
                        std::string_view address = "fd000000000000000000000000000001",
                        std::uint8_t protocol = brski::kTcp) {
    const Bytes at = *from_hex(address);
    brski::Heard out;
    out.name = name;
    const brski::Objective text = brski::registrar_objective(value);
    out.value = text.value;
    out.source = *from_hex("fe800000000000000000000000000009");
    out.locator = brski::Locator{
        at.size() == 4 ? brski::Locator::Kind::ipv4 : brski::Locator::Kind::ipv6, at, {}, protocol, 8443};
    return out;
  };
  const auto texts = [&](const std::vector<brski::Heard>& floods, const std::vector<brski::Browser::Found>& services) {
    std::vector<std::string> out;
    for (const auto& one : registrars_in(floods, services, link, {*io::Address::parse("198.51.100.1", 0)})) {
      out.push_back(one.at.text());
    }
    return out;
  };
  using Texts = std::vector<std::string>;
  const auto good = flood(brski::kAnJoinRegistrar, "EST-TLS");
  EXPECT_EQ(texts({good, good}, {}), Texts{"[fd00::1]:8443"});
  const auto of_link = registrars_in(
      {flood(brski::kAnJoinRegistrar, "BRSKI EST-TLS", "fe800000000000000000000000000001")}, {}, link, {});
  ASSERT_EQ(of_link.size(), 1U);
  EXPECT_EQ(of_link[0].at.scope, 9U);
  EXPECT_EQ(of_link[0].source, "fe80::9%9");
  const auto mine = of_link[0].at;
  EXPECT_TRUE(
      registrars_in({flood(brski::kAnJoinRegistrar, "EST-TLS", "fe800000000000000000000000000001")}, {}, link, {mine})
          .empty());
  auto other_link = mine;
  other_link.scope = 8;
  EXPECT_EQ(registrars_in({flood(brski::kAnJoinRegistrar, "EST-TLS", "fe800000000000000000000000000001")}, {}, link,
                          {other_link})
                .size(),
            1U)
      << "of another link: somebody else has it here";
  auto routed = good;
  routed.source = *from_hex("c6336401");
  EXPECT_EQ(texts({routed}, {}), Texts{}) << "it was not said on this link";
  routed.source = *from_hex("c0000207");
  EXPECT_EQ(texts({routed}, {}), Texts{"[fd00::1]:8443"});
  EXPECT_EQ(texts({flood(brski::kAnProxy, "EST-TLS")}, {}), Texts{}) << "another proxy";
  EXPECT_EQ(texts({flood(brski::kAnJoinRegistrar, "CMP")}, {}), Texts{});
  EXPECT_EQ(texts({flood(brski::kAnJoinRegistrar, "EST-TLS", "c0000205", brski::kUdp)}, {}), Texts{});
  auto none = good;
  none.locator->port.reset();
  EXPECT_EQ(texts({none}, {}), Texts{});
  none.locator.reset();
  EXPECT_EQ(texts({none}, {}), Texts{});
  brski::Browser::Found service{"Hall",
                                std::string(brski::kRegistrarService),
                                "hall.local",
                                8443,
                                {},
                                {*from_hex("c0000205"), *from_hex("cb007105")},
                                {}};
  EXPECT_EQ(texts({good}, {service}), (Texts{"[fd00::1]:8443", "192.0.2.5:8443"})) << "by DNS-SD on this link alone";
  service.port = 0;
  EXPECT_EQ(texts({}, {service}), Texts{});
  service.port = 8443;
  service.type = brski::kProxyService;
  EXPECT_EQ(texts({}, {service}), Texts{});
}

// What is on the link must not make the proxy a way into its own machine.
TEST(JoinProxy, registrars_are_never_at_the_proxys_own_machine) {
  io::Interface link;
  link.addresses = {*io::Address::parse("192.0.2.1", 0)};
  link.prefixes = {24};
  const std::vector<io::Address> own{*io::Address::parse("192.0.2.1", 0), *io::Address::parse("198.51.100.1", 0),
                                     *io::Address::parse("2001:db8::1", 0)};
  const auto count = [&](const std::string& literal, const io::Interface& on) {
    const auto at = *io::Address::parse(literal, 0);
    brski::Heard flood;
    flood.name = brski::kAnJoinRegistrar;
    flood.value = brski::registrar_objective("EST-TLS").value;
    flood.source = *from_hex("c0000207");
    flood.locator = brski::Locator{
        at.v6 ? brski::Locator::Kind::ipv6 : brski::Locator::Kind::ipv4, address_bytes(at), {}, brski::kTcp, 8443};
    return registrars_in({flood}, {}, on, own).size();
  };
  for (const char* bad : {"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.0.0.7", "::", "224.0.0.1", "255.255.255.255",
                          "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1", "192.0.2.1", "198.51.100.1", "2001:db8::1"}) {
    EXPECT_EQ(count(bad, link), 0U) << bad;
  }
  for (const char* good : {"192.0.2.9", "10.1.2.3", "2001:db8::2", "fd00::1"}) {
    EXPECT_EQ(count(good, link), 1U) << good;
  }
  io::Interface machine = link;
  machine.loopback = true;
  EXPECT_EQ(count("127.0.0.1", machine), 1U);
  EXPECT_EQ(count("::1", machine), 1U);
  EXPECT_EQ(count("0.0.0.0", machine), 0U);
}

TEST(JoinProxy, who_failed_goes_behind_and_one_source_has_two_turns) {
  const auto at = [](int n) { return *io::Address::parse("192.0.2." + std::to_string(n), 8443); };
  std::vector<JoinProxy::Named> named;
  for (int n = 1; n <= 20; ++n) {
    named.push_back({at(n), "liar " + std::to_string(n)});
  }
  named.push_back({at(99), "registrar"});
  using List = std::vector<io::Address>;
  const List first = next_to_try(named, {}, {});
  ASSERT_EQ(first, (List{at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8)}));
  List failed = first;
  EXPECT_EQ(next_to_try(named, {}, failed), (List{at(9), at(1), at(10), at(2), at(11), at(3), at(12), at(4)}));
  EXPECT_EQ(next_to_try(named, at(99), failed).front(), at(99)) << "it was there the last time";
  EXPECT_EQ(std::ranges::count(next_to_try(named, at(99), {at(99)}), at(99)), 1);
  for (auto& one : named) {
    one.source = one.at == at(99) ? "registrar" : "one liar";
  }
  EXPECT_EQ(next_to_try(named, {}, {}), (List{at(1), at(2), at(99)}));
}

// All of one source here, and the registrar the last of them.
TEST(JoinProxy, many_false_floods_do_not_keep_the_registrar_out) {
  Rig rig(/*announce=*/false);
  rig.options.find = "lo";
  rig.options.registrar.clear();
  rig.options.probe_every = Duration(20);
  rig.start();
  std::vector<std::unique_ptr<DiscoveryPort>> voices;
  for (std::uint16_t i = 0; i < 6; ++i) {
    voices.push_back(*DiscoveryPort::open(
        rig.loop, rig.rng, {.interface = "lo", .mdns = false, .strict = false, .beyond = true}, nullptr));
    DiscoveryPort::Announcement what;
    what.objectives = {brski::registrar_objective()};
    what.port = i < 5 ? static_cast<std::uint16_t>(i + 1) : rig.port;
    what.at = *io::Address::parse("127.0.0.1", 0);
    ASSERT_TRUE(voices.back()->announce(what));
  }
  EXPECT_TRUE(rig.until([&] { return rig.proxy->registrar_there(); }));
}

TEST(JoinProxy, finds_the_registrar_that_announces_itself) {
  Rig rig(/*announce=*/false);
  rig.options.find = "lo";
  rig.options.registrar.clear();
  rig.options.probe_every = Duration(60000);  // it does not wait for that
  rig.start();
  rig.until([] { return false; }, Duration(50));
  EXPECT_FALSE(rig.proxy->registrar_there());
  const auto voice = *DiscoveryPort::open(rig.loop, rig.rng, {.interface = "lo"}, nullptr);
  ASSERT_TRUE(voice->announce({{},
                               std::string(brski::kRegistrarService),
                               "Found registrar",
                               {},
                               rig.port,
                               *io::Address::parse("127.0.0.1", 0)}));
  ASSERT_TRUE(rig.until([&] { return rig.proxy->registrar_there(); }));
  EXPECT_EQ(rig.events.at(0).who, "127.0.0.1:" + std::to_string(rig.port));
}

TEST(TcpProbe, says_whether_somebody_is_there) {
  Rig rig;
  std::optional<bool> there;
  {
    const io::TcpProbe dropped(rig.loop, *io::Address::parse("127.0.0.1", rig.port), Duration(1000),
                               [&](bool) { FAIL() << "nobody waits for it any more"; });
  }
  const io::TcpProbe good(rig.loop, *io::Address::parse("127.0.0.1", rig.port), Duration(1000),
                          [&](bool answer) { there = answer; });
  ASSERT_TRUE(rig.until([&] { return there.has_value(); }));
  EXPECT_TRUE(*there);
  there.reset();
  rig.registrar.reset();
  const io::TcpProbe bad(rig.loop, *io::Address::parse("127.0.0.1", rig.port), Duration(1000),
                         [&](bool answer) { there = answer; });
  ASSERT_TRUE(rig.until([&] { return there.has_value(); }));
  EXPECT_FALSE(*there);
}

}  // namespace
}  // namespace imprint
