#include "runtime/coap_registrar_finder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/random.h"
#include "io/udp.h"
#include "runtime/coap_join_proxy.h"
#include "runtime/registrar_voice.h"

namespace imprint {
namespace {

using Texts = std::vector<std::string>;
using Way = brski::CoapFound::Way;

io::Interface cable() {
  io::Interface out;
  out.name = "eth1";
  out.index = 9;
  out.addresses = {*io::Address::parse("192.0.2.1", 0)};
  out.prefixes = {24};
  return out;
}
const std::vector<io::Address> kOwn{*io::Address::parse("192.0.2.1", 0), *io::Address::parse("198.51.100.1", 0)};

Texts texts(const std::vector<JoinProxy::Named>& all) {
  Texts out;
  for (const JoinProxy::Named& one : all) {
    out.push_back(one.at.text());
  }
  return out;
}

TEST(CoapRegistrarFinder, an_answer_by_coap_leads_to_coaps_or_to_the_port_for_join_proxies) {
  const io::Address from = *io::Address::parse("192.0.2.7", 5683);
  const auto found = [&](const std::string& links, Way way) {
    return texts(coaps_registrars_in({200, "application/link-format", to_bytes(links)}, from, way, cable(), kOwn));
  };
  const std::string both = "<coaps://[fd00::1]:5684/b>;rt=\"brski\",<jpy://[fd00::1]:5685>;rt=brski.rjp";
  EXPECT_EQ(found(both, Way::coaps), Texts{"[fd00::1]:5684"});
  EXPECT_EQ(found(both, Way::jpy), Texts{"[fd00::1]:5685"});
  EXPECT_EQ(found("<coaps://203.0.113.9/b>;rt=brski", Way::coaps), Texts{"203.0.113.9:5684"}) << "beyond the link, too";
  EXPECT_EQ(found("<coaps://[fe80::9]/b>;rt=brski,<coaps://[fe80::9]/c>;rt=brski", Way::coaps),
            Texts{"[fe80::9%9]:5684"});
  EXPECT_EQ(found("<coaps://registrar.example/b>;rt=brski", Way::coaps), Texts{}) << "a name leads anywhere";
  EXPECT_EQ(found("<coaps://198.51.100.1/b>;rt=brski", Way::coaps), Texts{}) << "our own machine";
  EXPECT_EQ(found("<coaps://127.0.0.1/b>;rt=brski", Way::coaps), Texts{});
  EXPECT_EQ(found("<coaps://192.0.2.9:0/b>;rt=brski", Way::coaps), Texts{});
  EXPECT_EQ(found("<>;brski-jp=5684", Way::coaps), Texts{}) << "another join proxy";
}

brski::Heard flood(std::uint8_t protocol, std::string_view name = brski::kAnJoinRegistrar) {
  brski::Heard out;
  out.name = name;
  out.source = *from_hex("fe800000000000000000000000000009");
  out.locator =
      brski::Locator{brski::Locator::Kind::ipv6, *from_hex("fd000000000000000000000000000002"), {}, protocol, 5684};
  return out;
}

TEST(CoapRegistrarFinder, a_flood_counts_if_it_is_of_a_registrar_and_of_udp) {
  const auto found = [](const brski::Heard& one) { return texts(coaps_registrars_in({one}, {}, cable(), kOwn)); };
  EXPECT_EQ(found(flood(brski::kUdp)), Texts{"[fd00::2]:5684"});
  EXPECT_EQ(found(flood(brski::kTcp)), Texts{});
  EXPECT_EQ(found(flood(brski::kUdp, brski::kAnProxy)), Texts{});
  brski::Heard other = flood(brski::kUdp);
  other.source = *from_hex("c0a80009");
  EXPECT_EQ(found(other), Texts{}) << "not from here";
  other = flood(brski::kUdp);
  other.locator->port.reset();
  EXPECT_EQ(found(other), Texts{});
  other.locator = brski::Locator{brski::Locator::Kind::fqdn, {}, "registrar.example", brski::kUdp, 5684};
  EXPECT_EQ(found(other), Texts{});
  other.locator.reset();
  EXPECT_EQ(found(other), Texts{});
}

TEST(CoapRegistrarFinder, a_service_counts_if_it_is_of_a_registrar_and_in_our_own_networks) {
  brski::Browser::Found service;
  service.type = brski::kRegistrarServiceUdp;
  service.instance = "Hall";
  service.port = 5684;
  service.addresses = {Bytes{192, 0, 2, 7}, Bytes{203, 0, 113, 9}, Bytes{192, 0, 2, 1}};
  const auto found = [&] { return texts(coaps_registrars_in({}, {service}, cable(), kOwn)); };
  EXPECT_EQ(found(), Texts{"192.0.2.7:5684"});
  service.port = 0;
  EXPECT_EQ(found(), Texts{});
  service.port = 5684;
  for (const auto type : {brski::kRegistrarService, brski::kProxyServiceUdp}) {
    service.type = type;
    EXPECT_EQ(found(), Texts{}) << type;
  }
}

// ---- on the loopback interface ----

struct Rig {
  Rig() {
    // A port that was free a moment ago stands for CoAP's.
    const auto socket = io::UdpSocket::bind(loop, {}, {[](const io::Address&, BytesView) {}, nullptr});
    coap_port = (*socket)->port();
  }
  void announce() {
    RegistrarVoice::Options options;
    options.interface = "lo";
    options.instance = "Found registrar";
    options.listen = options.coaps_listen = "127.0.0.1";
    options.port = 42001;
    options.coaps_port = 42002;
    options.jpy = 42003;
    options.coap_port = coap_port;
    voice = *RegistrarVoice::start(loop, rng, options, nullptr);
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
  std::uint16_t coap_port = 0;
  std::unique_ptr<RegistrarVoice> voice;
};

TEST(CoapRegistrarFinder, finds_the_port_that_the_proxy_wants) {
  for (const bool stateless : {false, true}) {
    Rig rig;
    CoapJoinProxy::Options options;
    options.find = "lo";
    options.find_port = rig.coap_port;
    options.stateless = stateless;
    options.look_every = Duration(20);
    std::vector<std::pair<bool, std::string>> told;
    options.told = [&](bool there, const io::Address& at) { told.emplace_back(there, at.text()); };
    const auto proxy = *CoapJoinProxy::start(rig.loop, rig.rng, options);
    rig.until([] { return false; }, Duration(50));
    EXPECT_FALSE(proxy->registrar_there());
    rig.announce();
    ASSERT_TRUE(rig.until([&] { return proxy->registrar_there(); })) << stateless;
    EXPECT_EQ(proxy->registrar().text(), stateless ? "127.0.0.1:42003" : "127.0.0.1:42002");
    rig.until([] { return false; }, Duration(50));
    ASSERT_EQ(told.size(), 1U) << "said once";
    EXPECT_EQ(told[0], (std::pair{true, proxy->registrar().text()}));
  }
}

TEST(CoapRegistrarFinder, an_interface_that_is_not_there_is_an_error) {
  Rig rig;
  EXPECT_FALSE(CoapRegistrarFinder::open(rig.loop, rig.rng, {.interface = "nothing0"}, [] {}));
}

}  // namespace
}  // namespace imprint
