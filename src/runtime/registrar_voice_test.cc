#include "runtime/registrar_voice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/random.h"
#include "io/coap_search.h"
#include "io/udp.h"
#include "proto/brski/coap.h"

namespace imprint {
namespace {

using Kind = RegistrarVoice::Event::Kind;

io::Interface cable() {
  io::Interface out;
  out.name = "eth0";
  out.addresses = {*io::Address::parse("192.0.2.1", 0), *io::Address::parse("2001:db8::1", 0)};
  out.prefixes = {24, 64};
  return out;
}

TEST(RegistrarVoice, only_what_leads_to_the_listener_is_told) {
  const io::Interface link = cable();
  const auto all = reach_of("::", link);
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->any);
  const auto v4 = reach_of("0.0.0.0", link);
  ASSERT_TRUE(v4);
  EXPECT_FALSE(v4->any);
  EXPECT_EQ(v4->one->literal(), "192.0.2.1") << "IPv6 does not lead there";
  EXPECT_EQ(reach_of("2001:db8::1", link)->one->literal(), "2001:db8::1");
  EXPECT_FALSE(reach_of("127.0.0.1", link));
  EXPECT_FALSE(reach_of("192.0.2.2", link));
  EXPECT_FALSE(reach_of("registrar", link));
}

struct Rig {
  Rig() {
    options.interface = "lo";
    options.instance = "Voice registrar";
    options.listen = "127.0.0.1";
    options.port = 42001;
  }
  bool start() {
    auto made =
        RegistrarVoice::start(loop, rng, options, [this](const RegistrarVoice::Event& e) { events.push_back(e); });
    voice = made ? *std::move(made) : nullptr;
    return voice != nullptr;
  }
  bool until(const std::function<bool()>& condition) {
    for (const Instant end = loop.now() + Duration(10000); !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }

  io::Loop loop;
  SystemRng rng;
  RegistrarVoice::Options options;
  std::vector<RegistrarVoice::Event> events;
  std::unique_ptr<RegistrarVoice> voice;
};

TEST(RegistrarVoice, is_heard_as_a_join_proxy_by_devices_and_as_a_registrar_by_dns_sd_and_leaves_with_a_good_bye) {
  Rig rig;
  const auto device = *DiscoveryPort::open(
      rig.loop, rig.rng, {.interface = "lo", .browse = {std::string(brski::kRegistrarService)}}, nullptr);
  ASSERT_TRUE(rig.start());
  EXPECT_TRUE(rig.voice->announces());
  ASSERT_EQ(rig.events.size(), 1U);
  EXPECT_EQ(rig.events[0].kind, Kind::announced);
  const auto flooded = [&] {
    return std::ranges::any_of(device->floods(), [](const brski::Heard& one) {
      return one.name == brski::kAnProxy && one.locator->port == 42001;
    });
  };
  const auto service = [&] {
    return std::ranges::any_of(device->services(), [](const auto& one) {
      return one.port == 42001 && one.text == std::vector<std::string>{"est-tls"};
    });
  };
  EXPECT_TRUE(rig.until(flooded));
  EXPECT_TRUE(rig.until(service));
  rig.voice.reset();
  EXPECT_EQ(rig.events.back().kind, Kind::withdrawn);
  EXPECT_TRUE(rig.until([&] { return !service(); })) << "long before its time is over";
}

TEST(RegistrarVoice, a_listener_elsewhere_is_not_announced) {
  Rig rig;
  rig.options.listen = "192.0.2.200";
  rig.options.look_again = Duration(5);
  ASSERT_TRUE(rig.start());
  EXPECT_FALSE(rig.voice->announces());
  int looks = 0;
  rig.until([&] { return ++looks > 30; });
  ASSERT_EQ(rig.events.size(), 1U) << "said once, however often it looks";
  EXPECT_EQ(rig.events[0].kind, Kind::not_announced);
}

TEST(RegistrarVoice, an_interface_that_is_not_there_is_an_error) {
  Rig rig;
  rig.options.interface = "nothing0";
  EXPECT_FALSE(rig.start());
}

// Another program has CoAP's port for a while.
TEST(RegistrarVoice, coap_fails_alone_and_is_tried_again) {
  Rig rig;
  auto taken = *io::UdpSocket::bind(rig.loop, {}, {[](const io::Address&, BytesView) {}, nullptr});
  rig.options.coaps_listen = "127.0.0.1";
  rig.options.coaps_port = 42002;
  rig.options.coap_port = taken->port();
  rig.options.look_again = Duration(5);
  ASSERT_TRUE(rig.start());
  EXPECT_TRUE(rig.voice->announces()) << "HTTPS is told all the same";
  ASSERT_EQ(rig.events.size(), 2U);
  EXPECT_EQ(rig.events[0].kind, Kind::announced);
  EXPECT_EQ(rig.events[1].kind, Kind::not_announced);
  EXPECT_TRUE(rig.events[1].detail.starts_with("CoAP: "));
  taken.reset();
  std::vector<brski::CoapFound> registrars;
  const auto search = *io::CoapSearch::open(
      rig.loop, rig.rng, *io::Interface::find("lo"), {.group = "224.0.1.187", .port = rig.options.coap_port},
      [&](const io::Address&, const Response& answer) { registrars = brski::registrars_in(answer); });
  // An answer to a group takes its time (RFC 7252 section 8.2), and belongs to the latest question.
  Instant asked{};
  EXPECT_TRUE(rig.until([&] {
    if (rig.loop.now() - asked >= std::chrono::seconds(1)) {
      asked = rig.loop.now();
      static_cast<void>(search->ask(brski::find_by_coap(brski::CoapWanted::registrars)));
    }
    return !registrars.empty();
  }));
  EXPECT_EQ(rig.events.size(), 2U) << "and said once";
}

TEST(RegistrarVoice, who_asks_the_group_by_coap_hears_of_its_ways) {
  Rig rig;
  rig.options.coaps_listen = "127.0.0.1";
  rig.options.coaps_port = 42002;
  rig.options.jpy = 42003;
  rig.options.coap_port = (*io::UdpSocket::bind(rig.loop, {}, {[](const io::Address&, BytesView) {}, nullptr}))->port();
  ASSERT_TRUE(rig.start());
  ASSERT_TRUE(rig.voice->announces());
  std::vector<brski::CoapFound> registrars, proxies;
  const auto search = *io::CoapSearch::open(rig.loop, rig.rng, *io::Interface::find("lo"),
                                            {.group = "224.0.1.187", .port = rig.options.coap_port},
                                            [&](const io::Address& from, const Response& answer) {
                                              registrars = brski::registrars_in(answer);
                                              proxies = brski::join_proxies_in(answer, from.literal());
                                            });
  ASSERT_TRUE(search->ask(brski::find_by_coap(brski::CoapWanted::registrars)));
  ASSERT_TRUE(rig.until([&] { return !registrars.empty(); }));
  using Way = brski::CoapFound::Way;
  EXPECT_NE(std::ranges::find(registrars, brski::CoapFound{Way::coaps, "127.0.0.1", 42002}), registrars.end());
  EXPECT_NE(std::ranges::find(registrars, brski::CoapFound{Way::jpy, "127.0.0.1", 42003}), registrars.end());
  ASSERT_TRUE(search->ask(brski::find_by_coap(brski::CoapWanted::join_proxies)));
  EXPECT_TRUE(rig.until([&] { return !proxies.empty() && proxies[0].port == 42002; })) << "it is its own join proxy";
}

}  // namespace
}  // namespace imprint
