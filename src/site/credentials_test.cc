// Profiles with several credentials: who obtains which.
#include "site/pledge_rules.h"
#include "site/pledges.h"
#include "site/policy_testing.h"
#include "site/rules.h"

namespace imprint::site {
namespace {

// A lamp has two credentials: the one for the network identifies it, the other is for the broker.
class SiteCredentials : public SitePolicy {
 protected:
  void SetUp() override {
    SitePolicy::SetUp();
    Profile network;
    network.name = "lamp/network";
    network.group = "lamp";
    network.identity = true;
    Profile broker = network;
    broker.name = "lamp/broker";
    broker.identity = false;
    broker.lifetime = kYear / 12;
    policy_.profiles["lamp"] = network;
    policy_.profiles["lamp-broker"] = broker;
    idevid_ = certify(maker_, idevid_key_, "CN=dev-1");
    add_device("dev-1", Admission::approved, identity_of(idevid_), "lamp");
  }

  Decision ask(SessionRef session, const PrivateKey& key, const std::string& label, bool renewal = false) {
    return decide(std::move(session), {}, request(key, asking_for("CN=dev-1")), request_key(key, label), renewal,
                  label);
  }
  static Bytes request_key(const PrivateKey& key, const std::string& label) {
    Bytes out = key.public_key().spki;
    out.insert(out.end(), label.begin(), label.end());
    return out;
  }

  // Asked for, granted, signed and on record.
  Certificate obtain(SessionRef session, const PrivateKey& key, const std::string& label, bool renewal = false) {
    const Decision d = ask(std::move(session), key, label, renewal);
    EXPECT_EQ(d.verdict, Verdict::issue) << d.reason;
    const Bytes der = *issue(owner_, d.grant, kNow, rng_);
    record(d, der, request_key(key, label));
    return *Certificate::parse(der);
  }

  SessionRef with(const Certificate& own) { return session_with(own, owner_); }
  SessionRef with_idevid() { return session_with(idevid_, maker_); }

  Certificate idevid_;
  PrivateKey broker_key_ = *PrivateKey::generate(KeyType::p256);
  PrivateKey new_key_ = *PrivateKey::generate(KeyType::p256);
};

TEST_F(SiteCredentials, a_device_obtains_each_under_its_own_label) {
  const Decision network = ask(with_idevid(), key_, "lamp");
  ASSERT_EQ(network.verdict, Verdict::issue) << network.reason;
  EXPECT_EQ(network.grant.profile, "lamp/network");
  const Decision broker = ask(with_idevid(), broker_key_, "lamp-broker");
  ASSERT_EQ(broker.verdict, Verdict::issue) << broker.reason;
  EXPECT_EQ(broker.grant.profile, "lamp/broker");
  EXPECT_EQ(broker.grant.lifetime, kYear / 12);
}

TEST_F(SiteCredentials, the_one_that_identifies_obtains_the_others_and_stays_what_it_is) {
  const Certificate network = obtain(with_idevid(), key_, "lamp");
  const Decision broker = ask(with(network), broker_key_, "lamp-broker");
  ASSERT_EQ(broker.verdict, Verdict::issue) << broker.reason;
  EXPECT_EQ(broker.renews, Bytes{}) << "nothing takes the place of the network's";
  EXPECT_EQ(ask(with(network), new_key_, "lamp", true).renews, network.serial);
}

TEST_F(SiteCredentials, another_one_obtains_nothing_but_its_own_successor) {
  const Certificate broker = obtain(with_idevid(), broker_key_, "lamp-broker");
  const Decision network = ask(with(broker), key_, "lamp");
  EXPECT_EQ(network.verdict, Verdict::refused);
  EXPECT_EQ(network.rule, &kOtherCredential);
  const Decision again = ask(with(broker), new_key_, "lamp-broker", true);
  ASSERT_EQ(again.verdict, Verdict::issue) << again.reason;
  EXPECT_EQ(again.renews, broker.serial);
}

// fullcmc says of every request with the names of the certificate presented that it is a renewal.
TEST_F(SiteCredentials, none_is_renewed_by_another) {
  const Certificate network = obtain(with_idevid(), key_, "lamp");
  const Decision d = ask(with(network), broker_key_, "lamp-broker", true);
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.renews, Bytes{});
}

// An owner takes a credential out because its keys are no longer trusted: that must not make them worth more.
TEST_F(SiteCredentials, what_was_taken_out_of_the_profile_opens_nothing) {
  const Certificate broker = obtain(with_idevid(), broker_key_, "lamp-broker");
  policy_.profiles.erase("lamp-broker");
  EXPECT_EQ(ask(with(broker), new_key_, "lamp").rule, &kOtherCredential);
  EXPECT_EQ(ask(with(broker), new_key_, "lamp", true).rule, &kOtherCredential);
}

TEST_F(SiteCredentials, another_one_does_not_lead_to_another_profile) {
  const Certificate network = obtain(with_idevid(), key_, "lamp");
  const Certificate broker = obtain(with_idevid(), broker_key_, "lamp-broker");
  ASSERT_TRUE(store_->write([&](store::Writer& w) -> Status {
    TRY(std::optional<Device> device, w.device("dev-1"));
    device->label = "";
    return w.update_device(*device, "test", "device.changed");
  }));
  EXPECT_EQ(ask(with(broker), new_key_, "").rule, &kOtherCredential);
  EXPECT_EQ(ask(with(network), new_key_, "").verdict, Verdict::issue);
}

TEST_F(SiteCredentials, one_is_revoked_without_the_others) {
  const Certificate network = obtain(with_idevid(), key_, "lamp");
  const Certificate broker = obtain(with(network), broker_key_, "lamp-broker");
  ASSERT_TRUE(store_->write(
      [&](store::Writer& w) { return w.revoke(broker.serial, RevocationReason::key_compromise, "test", kNow); }));
  EXPECT_EQ(ask(with(broker), new_key_, "lamp-broker", true).rule, &kRevoked);
  EXPECT_EQ(ask(with(network), broker_key_, "lamp-broker").rule, &kCompromised) << "its key is never certified again";
  EXPECT_EQ(ask(with(network), new_key_, "lamp", true).verdict, Verdict::issue);
  EXPECT_EQ(ask(with(network), new_key_, "lamp-broker").verdict, Verdict::issue) << "a new one for a new key";
}

TEST_F(SiteCredentials, each_has_a_key_of_its_own) {
  const Certificate network = obtain(with_idevid(), key_, "lamp");
  const Decision d = ask(with_idevid(), key_, "lamp-broker");
  EXPECT_EQ(d.verdict, Verdict::refused);
  EXPECT_EQ(d.rule, &kKeyOfOther);
  EXPECT_EQ(ask(with(network), key_, "lamp", true).verdict, Verdict::issue) << "a renewal may keep its key";
}

TEST_F(SiteCredentials, a_device_of_another_label_gets_none) {
  const PrivateKey other_key = *PrivateKey::generate(KeyType::p256);
  const Certificate other = certify(maker_, other_key, "CN=dev-2");
  add_device("dev-2", Admission::approved, identity_of(other), "pump");
  for (const char* label : {"lamp", "lamp-broker"}) {
    EXPECT_EQ(ask(session_with(other, maker_), key_, label).rule, &kLabel) << label;
  }
  EXPECT_EQ(ask(with_idevid(), key_, "").rule, &kLabel) << "nor does a lamp get the default";
}

TEST_F(SiteCredentials, a_device_that_comes_from_another_profile_begins_with_its_identity) {
  const PrivateKey own = *PrivateKey::generate(KeyType::p256);
  add_device("dev-3", Admission::approved, "", "");
  Decision before;
  before.grant.device = "dev-3";
  before.grant.profile = "default";
  before.grant.spki = own.public_key().spki;
  before.grant.names.subject = name_of("CN=dev-3");
  before.grant.lifetime = kYear;
  const Bytes der = *issue(owner_, before.grant, kNow, rng_);
  record(before, der, {7});
  const Certificate plain = *Certificate::parse(der);
  ASSERT_TRUE(store_->write([&](store::Writer& w) -> Status {
    TRY(std::optional<Device> device, w.device("dev-3"));
    device->label = "lamp";
    return w.update_device(*device, "test", "device.changed");
  }));
  const auto asks = [&](const std::string& label) {
    return decide(with(plain), {}, request(key_, asking_for("CN=dev-3")), {8}, false, label);
  };
  EXPECT_EQ(asks("lamp-broker").rule, &kOtherCredential);
  const Decision moved = asks("lamp");
  ASSERT_EQ(moved.verdict, Verdict::issue) << moved.reason;
  EXPECT_EQ(moved.renews, plain.serial);
}

// RFC 8995 section 5.8.3 is about certificates, whatever label they are asked for under.
TEST_F(SiteCredentials, no_label_opens_to_an_idevid_before_its_voucher_is_cleared) {
  idevid_ = certify(maker_, idevid_key_, "CN=dev-4,serialNumber=SN-4");
  add_device("dev-4", Admission::approved, identity_of(idevid_), "lamp");
  policy_.needs_voucher = [](const Certificate& c, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(pledge_id(c, {}));
  };
  const auto asks = [&](const std::string& label, const PrivateKey& key) {
    return decide(with_idevid(), {}, request(key, asking_for("CN=dev-4")), request_key(key, label), false, label);
  };
  EXPECT_EQ(asks("lamp", key_).rule, &kEstEarly);
  EXPECT_EQ(asks("lamp-broker", broker_key_).rule, &kEstEarly);
  const PledgeId id = pledge_id(idevid_, {});
  ASSERT_TRUE(store_->write([&](store::Writer& w) -> Status {
    TRY(Ok{}, w.voucher_obtained({id, "dev-4", {1}, {2}, "cms", "n", {3}, "masa", "run"}, kNow, "test"));
    return w.voucher_reported({id, "dev-4", {true, {}, {}}, true, {}, "why", "log"}, kNow, "test");
  }));
  EXPECT_EQ(asks("lamp", key_).verdict, Verdict::issue);
  EXPECT_EQ(asks("lamp-broker", broker_key_).verdict, Verdict::issue);
  EXPECT_EQ(asks("", new_key_).rule, &kLabel) << "nor does the voucher open another's";
}

TEST_F(SiteCredentials, an_unknown_device_waits_as_one_of_the_profile_whichever_it_asks_for) {
  const PrivateKey other_key = *PrivateKey::generate(KeyType::p256);
  const Certificate other = certify(maker_, other_key, "CN=stranger");
  const Decision d = ask(session_with(other, maker_), key_, "lamp-broker");
  EXPECT_EQ(d.verdict, Verdict::pending);
  ASSERT_TRUE(d.newcomer);
  EXPECT_EQ(d.newcomer->label, "lamp");
}

}  // namespace
}  // namespace imprint::site
