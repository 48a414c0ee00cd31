#include "runtime/registrar_ears.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/random.h"
#include "io/coap_responder.h"

namespace imprint {
namespace {

using brski::Announced;
using brski::Browser;
using brski::Heard;
using brski::Locator;

const Bytes kNear = *from_hex("fe800000000000000000000000000007");
const Bytes kOwnNet = *from_hex("c0000207");  // 192.0.2.7
const Bytes kOwnNet6 = *from_hex("20010db8000000000000000000000007");
const Bytes kFar = *from_hex("cb007107");  // 203.0.113.7
const Bytes kLoopback = *from_hex("7f000001");
constexpr Instant kSteady{5'000}, kWall{1'790'000'000'000};

io::Interface cable() {
  io::Interface out;
  out.name = "Eth0";
  out.index = 7;
  out.addresses = {*io::Address::parse("192.0.2.1", 0), *io::Address::parse("2001:db8::1", 0)};
  out.prefixes = {24, 64};
  return out;
}
const io::Interface kLink = cable();

HeardOn on(bool https = true, bool coaps = true) { return {kLink, https, coaps, kSteady, kWall}; }

Heard flood_of(const Bytes& address, std::uint8_t protocol = brski::kTcp) {
  Heard out;
  out.name = brski::kAnProxy;
  out.locator = Locator{address.size() == 4 ? Locator::Kind::ipv4 : Locator::Kind::ipv6, address, {}, protocol, 4443};
  out.ends = kSteady + Duration(180000);
  return out;
}

Browser::Found service_of(std::string_view type, std::vector<Bytes> addresses, std::vector<std::string> text = {}) {
  return {
      "Hall", std::string(type), "hall.local", 8443, std::move(text), std::move(addresses), kSteady + Duration(1000)};
}

std::vector<std::string> texts(const std::vector<Announced>& all) {
  std::vector<std::string> out;
  for (const Announced& one : all) {
    out.push_back(one.at.text());
  }
  return out;
}
using Texts = std::vector<std::string>;

TEST(RegistrarEars, a_flood_leads_to_its_link_local_address_on_this_interface) {
  const auto heard = announced_by(flood_of(kNear), on());
  ASSERT_EQ(texts(heard), Texts{"https://[fe80::7%25Eth0]:4443/"});
  EXPECT_EQ(heard[0].by, "a flood of AN_Proxy");
  EXPECT_EQ(heard[0].until, kWall + Duration(180000));
  EXPECT_EQ(texts(announced_by(flood_of(kNear, brski::kUdp), on())), Texts{"coaps://[fe80::7%25Eth0]:4443/"});
  Heard lasting = flood_of(kNear);
  lasting.ends.reset();
  EXPECT_EQ(announced_by(lasting, on()).at(0).until, kNoEnd);
}

TEST(RegistrarEars, a_flood_that_leads_elsewhere_or_to_what_the_device_does_not_speak_is_passed_over) {
  EXPECT_TRUE(announced_by(flood_of(kFar), on()).empty());
  EXPECT_TRUE(announced_by(flood_of(kLoopback), on()).empty()) << "the device itself";
  EXPECT_TRUE(announced_by(flood_of(kNear), on(false, true)).empty());
  EXPECT_TRUE(announced_by(flood_of(kNear, brski::kUdp), on(true, false)).empty());
  EXPECT_TRUE(announced_by(flood_of(kNear, 41), on()).empty()) << "IP in IP";
  Heard other = flood_of(kNear);
  other.name = brski::kSrvEst;
  EXPECT_TRUE(announced_by(other, on()).empty());
  other = flood_of(kNear);
  other.locator->port.reset();
  EXPECT_TRUE(announced_by(other, on()).empty());
  other.locator.reset();
  EXPECT_TRUE(announced_by(other, on()).empty());
  other.locator = Locator{Locator::Kind::fqdn, {}, "registrar.example", brski::kTcp, 443};
  EXPECT_TRUE(announced_by(other, on()).empty()) << "a name leads anywhere";
}

TEST(RegistrarEars, a_service_has_two_addresses_at_most_those_of_the_link_first) {
  const std::vector<Bytes> all{kFar, kOwnNet6, kOwnNet, kLoopback, kNear};
  const auto heard = announced_by(service_of(brski::kProxyService, all), on());
  EXPECT_EQ(texts(heard), (Texts{"https://[fe80::7%25Eth0]:8443/", "https://192.0.2.7:8443/"}));
  EXPECT_EQ(heard.at(0).by, "DNS-SD's _brski-proxy._tcp");
  EXPECT_EQ(heard.at(0).until, kWall + Duration(1000));
  EXPECT_TRUE(announced_by(service_of(brski::kRegistrarService, {kFar, kLoopback}), on()).empty());
  EXPECT_EQ(texts(announced_by(service_of(brski::kRegistrarServiceUdp, {kOwnNet}), on())),
            Texts{"coaps://192.0.2.7:8443/"});
}

TEST(RegistrarEars, a_service_of_another_kind_is_passed_over) {
  EXPECT_TRUE(announced_by(service_of(brski::kPledgeService, {kNear}), on()).empty());
  EXPECT_TRUE(announced_by(service_of(brski::kProxyService, {kNear}), on(false, true)).empty());
  EXPECT_TRUE(announced_by(service_of(brski::kProxyServiceUdp, {kNear}), on(true, false)).empty());
  EXPECT_TRUE(announced_by(service_of(brski::kRegistrarService, {kNear}, {"prm-jose"}), on()).empty());
  EXPECT_EQ(announced_by(service_of(brski::kRegistrarService, {kNear}, {"prm-jose", "est-tls"}), on()).size(), 1U);
  EXPECT_EQ(announced_by(service_of(brski::kRegistrarService, {kNear}, {"floor=2"}), on()).size(), 1U);
  Browser::Found nowhere = service_of(brski::kProxyService, {kNear});
  nowhere.port = 0;
  EXPECT_TRUE(announced_by(nowhere, on()).empty());
}

Response links(const std::string& text) { return {200, "application/link-format", to_bytes(text)}; }

TEST(RegistrarEars, an_answer_by_coap_leads_to_who_gave_it_or_to_the_registrar_that_it_names_on_the_link) {
  io::Address from = *io::Address::parse("fe80::7", 5683);
  from.scope = 7;
  const auto text_of = [&](const std::string& body, const HeardOn& here = on()) {
    return texts(announced_by(links(body), from, here, kWall + Duration(1)));
  };
  EXPECT_EQ(text_of("<>;brski-jp=8485"), Texts{"coaps://[fe80::7%25Eth0]:8485/"});
  EXPECT_EQ(text_of("<coaps://[fe80::9]:5684/b>;rt=\"brski\""), Texts{"coaps://[fe80::9%25Eth0]/"});
  EXPECT_EQ(text_of("<coaps://192.0.2.9:5684/b>;rt=\"brski.rs\",<>;brski-jp=1"),
            (Texts{"coaps://[fe80::7%25Eth0]:1/", "coaps://192.0.2.9/"}));
  EXPECT_EQ(text_of("<coaps://203.0.113.9/b>;rt=brski"), Texts{}) << "not of this link";
  EXPECT_EQ(text_of("<coaps://127.0.0.1/b>;rt=brski"), Texts{});
  EXPECT_EQ(text_of("<coaps://registrar.example/b>;rt=brski"), Texts{}) << "a name leads anywhere";
  EXPECT_EQ(text_of("<jpy://[fe80::9]:5685>;rt=brski.rjp"), Texts{}) << "for join proxies";
  EXPECT_EQ(text_of("<>;brski-jp=8485", on(true, false)), Texts{});
  const io::Address far = *io::Address::parse("203.0.113.7", 5683);
  EXPECT_TRUE(announced_by(links("<>;brski-jp=8485"), far, on(), kWall).empty());
}

// ---- on the loopback interface ----

struct Rig {
  bool until(const std::function<bool()>& condition) {
    for (const Instant end = loop.now() + Duration(10000); !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }
  bool hears(const std::string& at) {
    return std::ranges::any_of(ears->announced(), [&](const Announced& one) { return one.at.text() == at; });
  }

  io::Loop loop;
  SystemRng rng;
  int changes = 0;
  std::unique_ptr<RegistrarEars> ears;
};

TEST(RegistrarEars, hears_what_is_announced_join_proxies_before_registrars) {
  Rig rig;
  rig.ears = *RegistrarEars::open(rig.loop, rig.rng, {.interface = "lo"}, [&rig] { rig.changes += 1; });
  const auto registrar = *DiscoveryPort::open(rig.loop, rig.rng, {.interface = "lo"}, nullptr);
  ASSERT_TRUE(registrar->announce(
      {{}, std::string(brski::kRegistrarService), "Ears registrar", {}, 41001, *io::Address::parse("127.0.0.1", 0)}));
  ASSERT_TRUE(rig.until([&] { return rig.hears("https://127.0.0.1:41001/"); }));
  const auto proxy = *DiscoveryPort::open(rig.loop, rig.rng, {.interface = "lo"}, nullptr);
  ASSERT_TRUE(proxy->announce({{brski::proxy_objective()},
                               std::string(brski::kProxyService),
                               "Ears proxy",
                               {},
                               41002,
                               *io::Address::parse("127.0.0.1", 0)}));
  ASSERT_TRUE(rig.until([&] { return rig.hears("https://127.0.0.1:41002/"); }));
  EXPECT_GE(rig.changes, 2);
  const auto all = rig.ears->announced();
  const auto place = [&](const std::string& at) {
    return std::ranges::find_if(all, [&](const Announced& one) { return one.at.text() == at; }) - all.begin();
  };
  EXPECT_LT(place("https://127.0.0.1:41002/"), place("https://127.0.0.1:41001/"));
}

TEST(RegistrarEars, asks_by_coap_only_who_speaks_it) {
  Rig rig;
  const auto link = *io::Interface::find("lo");
  int asked = 0;
  const auto answer = [&](const Request&, bool) {
    asked += 1;
    return std::optional(links("<>;brski-jp=41003"));
  };
  const auto join = [&] {
    return io::CoapResponder::join(rig.loop, rig.rng, link, {"224.0.1.187", io::kCoapPort}, {.leisure = Duration(20)},
                                   answer);
  };
  auto proxy = join();
  // Another program may have CoAP's port for a moment.
  ASSERT_TRUE(rig.until([&] { return proxy || (proxy = join()); })) << proxy.error().what;
  rig.ears = *RegistrarEars::open(rig.loop, rig.rng, {.interface = "lo", .coaps = true}, [] {});
  EXPECT_TRUE(rig.until([&] { return rig.hears("coaps://127.0.0.1:41003/"); }));
  EXPECT_GE(asked, 1);
}

TEST(RegistrarEars, an_interface_that_is_not_there_is_an_error) {
  Rig rig;
  const auto none = RegistrarEars::open(rig.loop, rig.rng, {.interface = "nothing0"}, [] {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::malformed);
}

}  // namespace
}  // namespace imprint
