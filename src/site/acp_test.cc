#include "site/acp.h"

#include "codec/der.h"
#include "site/names.h"
#include "site/policy_testing.h"
#include "site/rules.h"

namespace imprint::site {
namespace {

const AcpDomain kDomain{"acp.example.com", "area51.research"};

GeneralName dns(const std::string& host) { return *GeneralName::from_text("dns:" + host); }
GeneralName node(std::uint8_t last) {
  return acp_general_name({"fd89b714f3db000000000000000000" + hex(Bytes{last}), kDomain, {}});
}

class SiteAcp : public SitePolicy {
 protected:
  void SetUp() override {
    SitePolicy::SetUp();
    idevid_ = certify(maker_, idevid_key_, "CN=lamp,serialNumber=SN-1");
    add_device("dev-1", Admission::approved, identity_of(idevid_));
    MasaRule rule;
    rule.name = "lamps";
    rule.match.serials = {*SerialPattern::glob("SN-*")};
    rule.match.anchors = {maker_.certificate};
    rule.url = *Uri::parse("https://masa.example");
    book_.rules = {rule};
  }
  std::optional<GeneralName> name_for(const SessionRef& session) const {
    return acp_name_for(kDomain, book_, {owner_.certificate}, *session, kNow);
  }
  void with_acp() {
    policy_.acp_name = [this](const Session& session) {
      return acp_name_for(kDomain, book_, {owner_.certificate}, session, kNow);
    };
  }
  RequestTemplate asking(std::vector<GeneralName> names) {
    RequestTemplate out = asking_for("CN=dev-1");
    out.alt_names = std::move(names);
    return out;
  }
  Decision asks(const SessionRef& session, std::vector<GeneralName> names, bool renewal = false,
                const std::string& label = {}) {
    return decide(session, {}, request(key_, asking(std::move(names))), {++asked_}, renewal, label);
  }
  // A certificate of ours, with these names.
  Certificate issued(std::vector<GeneralName> names) {
    const Decision d = asks(session_with(idevid_, maker_), std::move(names));
    EXPECT_EQ(d.verdict, Verdict::issue) << d.reason;
    const Bytes der = *issue(owner_, d.grant, kNow, rng_);
    record(d, der, {asked_});
    return *Certificate::parse(der);
  }

  Certificate idevid_;
  MasaBook book_;
  std::uint8_t asked_ = 0;
};

TEST_F(SiteAcp, a_device_with_a_masa_gets_a_name_of_its_own_that_stays) {
  const auto name = name_for(session_with(idevid_, maker_));
  ASSERT_TRUE(name);
  const auto read = acp_name_in({*name});
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->domain, kDomain);
  EXPECT_EQ((*read)->address.substr(0, 16), "fd89b714f3db0000");
  EXPECT_EQ(name_for(session_with(certify(maker_, idevid_key_, "CN=other,serialNumber=SN-1"), maker_)), name)
      << "whatever else is in its IDevID";
  EXPECT_NE(name_for(session_with(certify(maker_, key_, "CN=lamp,serialNumber=SN-1"), maker_)), name)
      << "two devices that their maker called by one name";
  EXPECT_NE(name_for(session_with(certify(maker_, idevid_key_, "CN=lamp,serialNumber=SN-2"), maker_)), name);
}

TEST_F(SiteAcp, serial_numbers_count_within_their_maker) {
  const Ca other = *make_root(KeyType::p256, name_of("CN=Other"), kNow, kYear * 30, rng_);
  book_.rules.front().match.anchors.push_back(other.certificate);
  const auto theirs = name_for(session_with(certify(other, idevid_key_, "CN=lamp,serialNumber=SN-1"), other));
  ASSERT_TRUE(theirs);
  EXPECT_NE(theirs, name_for(session_with(idevid_, maker_)));
}

TEST_F(SiteAcp, nobody_else_gets_one) {
  EXPECT_FALSE(name_for(std::make_shared<Session>())) << "without a certificate";
  EXPECT_FALSE(name_for(session_with(certify(maker_, key_, "CN=lamp,serialNumber=XY-1"), maker_))) << "no MASA";
  EXPECT_FALSE(name_for(session_with(certify(owner_, key_, "CN=dev-1"), owner_))) << "ours, without one in it";
}

TEST_F(SiteAcp, the_request_has_to_have_it_and_the_certificate_gets_it) {
  const auto session = session_with(idevid_, maker_);
  EXPECT_EQ(asks(session, {}).verdict, Verdict::issue) << "without an ACP";
  with_acp();
  const GeneralName name = *name_for(session);
  for (const auto& names : {std::vector<GeneralName>{}, std::vector{dns("dev-1")}, std::vector{node(1)},
                            std::vector{name, node(1)}, std::vector{name, name}}) {
    const Decision d = asks(session, names);
    EXPECT_EQ(d.verdict, Verdict::refused);
    EXPECT_EQ(d.rule, &kAcpName);
  }
  EXPECT_EQ(asks(session, {name, dns("other")}).rule, &kNames) << "the patterns are for the others";
  const Decision d = asks(session, {name, dns("dev-1")});
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.names.alt_names, (std::vector{name, dns("dev-1")})) << "as they were asked for";
  EXPECT_EQ(Certificate::parse(*issue(owner_, d.grant, kNow, rng_))->alt_names, d.grant.names.alt_names);
}

TEST_F(SiteAcp, who_is_to_have_none_gets_none) {
  with_acp();
  const Certificate other = certify(maker_, idevid_key_, "CN=lamp,serialNumber=XY-1");
  add_device("dev-2", Admission::approved, identity_of(other));
  RequestTemplate what = asking_for("CN=dev-2");
  EXPECT_EQ(decide(session_with(other, maker_), {}, request(key_, what)).verdict, Verdict::issue);
  what.alt_names = {node(1)};
  EXPECT_EQ(decide(session_with(other, maker_), {}, request(key_, what), {9}).rule, &kAcpName);
}

TEST_F(SiteAcp, a_makers_names_still_give_way_beside_it) {
  with_acp();
  const auto session = session_with(idevid_, maker_);
  RequestTemplate what = asking_for("CN=lamp,serialNumber=SN-1");
  what.alt_names = {*name_for(session)};
  const Decision d = decide(session, {}, request(key_, what));
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.names.subject.text, "CN=dev-1");
  EXPECT_EQ(d.grant.names.alt_names, what.alt_names);
  what.subject = *Name::parse(Bytes{0x30, 0x00});
  const Decision nameless = decide(session, {}, request(key_, what), {9});
  ASSERT_EQ(nameless.verdict, Verdict::issue) << nameless.reason;
  EXPECT_EQ(nameless.grant.names.subject.text, "CN=dev-1");
  EXPECT_EQ(nameless.grant.names.alt_names, what.alt_names);
}

TEST_F(SiteAcp, a_renewal_keeps_it_whatever_the_domain_is_by_then) {
  with_acp();
  const GeneralName name = *name_for(session_with(idevid_, maker_));
  const auto own = session_with(issued({name}), owner_);
  policy_.acp_name = [this](const Session& session) {
    return acp_name_for({"other.example", ""}, book_, {owner_.certificate}, session, kNow);
  };
  EXPECT_EQ(asks(own, {name}, true).verdict, Verdict::issue);
  EXPECT_EQ(asks(own, {}, true).rule, &kAcpName);
  EXPECT_EQ(asks(own, {node(1)}, true).rule, &kAcpName);
  policy_.profiles[""].change_names = true;
  RequestTemplate change = asking({name});
  change.change_names = ChangeSubjectName{name_of("CN=dev-1"), std::vector{dns("dev-1")}};
  EXPECT_EQ(decide(own, {}, request(key_, change), {99}, true).rule, &kAcpName) << "it is not changed away";
  change.change_names->alt_names->push_back(name);
  EXPECT_EQ(decide(own, {}, request(key_, change), {99}, true).verdict, Verdict::issue);
}

TEST_F(SiteAcp, a_certificate_of_before_the_acp_is_renewed_without_it) {
  const auto own = session_with(issued({}), owner_);
  with_acp();
  EXPECT_EQ(asks(own, {}, true).verdict, Verdict::issue);
  EXPECT_EQ(asks(own, {node(1)}, true).rule, &kAcpName);
}

TEST_F(SiteAcp, a_further_credential_of_a_device_may_do_without) {
  const GeneralName name = node(1);
  EXPECT_TRUE(has_acp_name_given({}, name, false));
  EXPECT_TRUE(has_acp_name_given({name}, name, false));
  EXPECT_FALSE(has_acp_name_given({node(2)}, name, false));
  EXPECT_FALSE(has_acp_name_given({}, name, true));
  with_acp();
  Profile mqtt;
  mqtt.name = "lamp/mqtt";
  mqtt.group = "lamp";
  policy_.profiles["mqtt"] = mqtt;
  const Certificate third = certify(maker_, idevid_key_, "CN=l,serialNumber=SN-3");
  add_device("dev-3", Admission::approved, identity_of(third), "lamp");
  const auto session = session_with(third, maker_);
  const Decision d = decide(session, {}, request(key_, asking_for("CN=dev-3")), {7}, false, "mqtt");
  EXPECT_NE(d.rule, &kAcpName) << d.reason;
  policy_.profiles["mqtt"].identity = true;
  const Decision first = decide(session, {}, request(key_, asking_for("CN=dev-3")), {8}, false, "mqtt");
  EXPECT_EQ(first.rule, &kAcpName) << first.reason;
}

}  // namespace
}  // namespace imprint::site
