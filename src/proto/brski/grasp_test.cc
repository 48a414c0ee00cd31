#include "proto/brski/grasp.h"

#include <gtest/gtest.h>

#include "codec/cbor.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/discovery_rules.h"

namespace imprint::brski {
namespace {

Bytes flood_of(std::string_view id) { return *from_hex(testing::vector_of(id)["cbor"].get<std::string>()); }

Bytes address_of(std::string_view text) { return *from_hex(text); }

const Bytes kFe80 = address_of("fe800000000000000000000000000001");

Flood proxys() {
  return {12340815, kFe80, 180000, {{proxy_objective(), Locator{Locator::Kind::ipv6, kFe80, {}, kTcp, 4443}}}};
}

const Rule* rule_of(BytesView bytes) {
  const auto read = Flood::parse(bytes);
  return read ? nullptr : read.error().rule;
}

// [9, 1, h'c0000201', 0, <what is given>...]
Bytes with(const std::vector<std::string>& offers) {
  cbor::Writer w;
  w.array(4 + offers.size());
  w.number(9);
  w.number(1);
  w.bytes(address_of("c0000201"));
  w.number(0);
  Bytes out = std::move(w).out();
  for (const std::string& one : offers) {
    const Bytes bytes = *from_hex(one);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

TEST(Grasp, proxys_example_of_the_rfc) {
  EXPECT_EQ(hex(proxys().encode()), hex(flood_of("grasp-an-proxy")));
  const auto read = Flood::parse(flood_of("grasp-an-proxy"));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, proxys());
  EXPECT_EQ(text_value(read->offers[0].objective), "");
  EXPECT_EQ(text_of(*read->offers[0].locator), "[fe80::1]:4443");
}

TEST(Grasp, registrars_example_of_the_rfc) {
  const auto read = Flood::parse(flood_of("grasp-an-join-registrar"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->offers[0].objective, registrar_objective());
  EXPECT_EQ(text_value(read->offers[0].objective), "EST-TLS");
  EXPECT_EQ(text_of(*read->offers[0].locator), "[fda3:79a6:f6ee:0:200:0:6400:1]:8443");
  EXPECT_EQ(read->encode(), flood_of("grasp-an-join-registrar"));
}

TEST(Grasp, every_locator_says_itself_again) {
  Flood flood{7, address_of("c0000201"), 0, {}};
  flood.offers = {
      {est_objective(), Locator{Locator::Kind::ipv4, address_of("a9fe0102"), {}, kUdp, 443}},
      {registrar_objective("EST-TLS,prm"), Locator{Locator::Kind::fqdn, {}, "r.example", kTcp, 8443}},
      {proxy_objective(), Locator{Locator::Kind::uri, {}, "https://r.example/", std::nullopt, std::nullopt}},
      {{"x", 1, 0, {}}, std::nullopt}};
  const auto read = Flood::parse(flood.encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, flood);
  EXPECT_EQ(text_of(*flood.offers[0].locator), "169.254.1.2:443");
  EXPECT_EQ(text_of(*flood.offers[1].locator), "r.example:8443");
  EXPECT_EQ(text_of(*flood.offers[2].locator), "https://r.example/");
  EXPECT_EQ(text_value(flood.offers[0].objective), std::nullopt);
}

TEST(Grasp, a_proxy_of_any_protocol_may_have_no_port) {  // RFC 8995 section 4.3, locator3
  Flood flood = proxys();
  flood.offers[0].locator->protocol = 41;
  flood.offers[0].locator->port.reset();
  const auto read = Flood::parse(flood.encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, flood);
}

TEST(Grasp, other_messages_are_told_apart_from_broken_ones) {
  EXPECT_EQ(rule_of(*from_hex("8100")), &kGraspType);        // M_NOOP
  EXPECT_EQ(rule_of(*from_hex("83011863f6")), &kGraspType);  // M_DISCOVERY
  EXPECT_EQ(rule_of(*from_hex("82186301")), &kGraspType);    // M_INVALID
  EXPECT_EQ(rule_of(*from_hex("8218c801")), &kGraspType);    // of the future
  EXPECT_EQ(Flood::parse(*from_hex("8100")).error().fault, Fault::unsupported);
  EXPECT_EQ(rule_of({}), &kGraspMessage);
  EXPECT_EQ(rule_of(*from_hex("80")), &kGraspMessage);
  EXPECT_EQ(rule_of(*from_hex("8160")), &kGraspMessage);
  EXPECT_EQ(rule_of(*from_hex("09")), &kGraspMessage);
}

TEST(Grasp, a_locator_of_a_new_kind_is_passed_over) {
  const auto read =
      Flood::parse(with({"828461610401f6841870816178f6f6", "82846162040160831870f6f6", "82836163040180"}));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->offers.size(), 1U);
  EXPECT_EQ(read->offers[0].objective.name, "c");
}

TEST(Grasp, what_is_not_as_written_is_refused) {
  for (const std::string_view bad : {
           "828361610401841867440102030406f6",                          // an IPv6 locator of 4 octets
           "82836161040184186850000102030405060708090a0b0c0d0e0f06f6",  // an IPv4 locator of 16
           "8283616104018418696006f6",                                  // no name
           "8283616104018318690106",                                    // too short
           "82836161040184186961611901001901bb",                        // protocol 256
           "828361610401841869616106 1a00010000",                       // port 65536
           "8283616104190100 80",                                       // loop count 256
           "828360040180",                                              // an objective without a name
           "8282616104 80",                                             // an objective of two
           "858361610401 80",                                           // an offer of five
           "8283f6040180",                                              // a name that is no text
           "82836161040181f6",                                          // a locator whose kind is no number
       }) {
    EXPECT_EQ(rule_of(with({std::string(bad)})), &kGraspMessage) << bad;
  }
  EXPECT_EQ(rule_of(with({})), &kGraspMessage);  // nothing is offered
  EXPECT_EQ(rule_of(with(std::vector<std::string>(17, "82836161040180"))), &kGraspMessage);
  EXPECT_TRUE(Flood::parse(with(std::vector<std::string>(16, "82836161040180"))));
  Flood flood = proxys();
  flood.initiator.pop_back();
  EXPECT_EQ(rule_of(flood.encode()), &kGraspMessage);
  Bytes longer = proxys().encode();
  longer.push_back(0);
  EXPECT_EQ(rule_of(longer), &kGraspMessage);
}

TEST(Grasp, every_cut_of_a_flood_is_refused) {
  const Bytes whole = proxys().encode();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(Flood::parse(BytesView(whole).first(n))) << n;
  }
}

TEST(Grasp, takes_no_more_than_its_size) {
  Flood flood = proxys();
  cbor::Writer value;
  value.bytes(Bytes(kMaxGraspBytes - flood.encode().size() - 2));  // with its head the value is 3 longer, "" was 1
  flood.offers[0].objective.value = std::move(value).out();
  ASSERT_EQ(flood.encode().size(), kMaxGraspBytes);
  EXPECT_TRUE(Flood::parse(flood.encode()));
  flood.offers.push_back({proxy_objective(), std::nullopt});
  EXPECT_EQ(rule_of(flood.encode()), &kGraspMessage);
}

TEST(Grasp, the_spelling_of_the_drafts_is_the_same_objective) {
  EXPECT_TRUE(same_objective("AN_join_registrar", "AN_Join_Registrar"));
  EXPECT_TRUE(same_objective("AN_Proxy", "AN_Proxy"));
  EXPECT_FALSE(same_objective("AN_Proxy", "AN_proxy"));
  EXPECT_FALSE(same_objective("AN_join_registrar", "an_join_registrar"));
}

TEST(Grasp, knows_addresses_of_the_link) {
  EXPECT_TRUE(is_link_local(kFe80));
  EXPECT_TRUE(is_link_local(address_of("febf0000000000000000000000000001")));
  EXPECT_FALSE(is_link_local(address_of("fec00000000000000000000000000001")));
  EXPECT_FALSE(is_link_local(address_of("ff800000000000000000000000000001")));
  EXPECT_TRUE(is_link_local(address_of("a9fe0001")));
  EXPECT_FALSE(is_link_local(address_of("a9ff0001")));
  EXPECT_FALSE(is_link_local(address_of("c0a80001")));
  EXPECT_FALSE(is_link_local({}));
  EXPECT_TRUE(is_loopback_address(address_of("7f000001")));
  EXPECT_TRUE(is_loopback_address(address_of("00000000000000000000000000000001")));
  EXPECT_FALSE(is_loopback_address(address_of("00000000000000000000000000000000")));
  EXPECT_FALSE(is_loopback_address(address_of("00000000000000000000000001000001")));
  EXPECT_FALSE(is_loopback_address(address_of("08000001")));
}

TEST(Grasp, writes_addresses_as_people_do) {
  const auto text = [](std::string_view address) {
    return text_of({Locator::Kind::ipv6, address_of(address), {}, kTcp, std::nullopt});
  };
  EXPECT_EQ(text("00000000000000000000000000000000"), "[::]");
  EXPECT_EQ(text("00000000000000000000000000000001"), "[::1]");
  EXPECT_EQ(text("fe800000000000000000000000000000"), "[fe80::]");
  EXPECT_EQ(text("20010db8000000000001000000000001"), "[2001:db8::1:0:0:1]");
  EXPECT_EQ(text("20010db8000100010001000100010001"), "[2001:db8:1:1:1:1:1:1]");
  EXPECT_EQ(text("20010db8000000010001000100010001"), "[2001:db8:0:1:1:1:1:1]");
}

}  // namespace
}  // namespace imprint::brski
