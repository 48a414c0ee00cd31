#include "site/newcomer.h"
#include "site/policy_testing.h"
#include "site/rules.h"

namespace imprint::site {
namespace {

TEST_F(SitePolicy, a_registered_device_with_its_idevid_gets_its_profile) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-1");
  add_device("dev-1", Admission::approved, identity_of(idevid));
  const Decision d = decide(session_with(idevid, maker_), {}, request(key_, asking_for("CN=dev-1")));
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.names.subject.text, "CN=dev-1");
  EXPECT_EQ(d.grant.extended, std::vector<std::string>{std::string(eku::kClientAuth)});
}

TEST_F(SitePolicy, nobody_is_asked_for_credentials) {
  const Decision d = decide(std::make_shared<Session>(), {}, request(key_, asking_for("CN=dev-1")));
  EXPECT_EQ(d.verdict, Verdict::unauthenticated);
}

TEST_F(SitePolicy, an_unknown_device_waits_by_default_and_is_refused_when_only_registered_ones_are_wanted) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-2");
  const auto session = session_with(idevid, maker_);
  EXPECT_EQ(decide(session, {}, request(key_, asking_for("CN=dev-2"))).verdict, Verdict::pending);
  policy_.unknown = Unknown::refuse;
  const Decision d = decide(session, {}, request(key_, asking_for("CN=dev-2")));
  EXPECT_EQ(d.verdict, Verdict::refused);
  EXPECT_EQ(d.rule, &kUnknown);
}

TEST_F(SitePolicy, a_refused_or_retired_device_gets_nothing) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-3");
  add_device("dev-3", Admission::refused, identity_of(idevid));
  EXPECT_EQ(decide(session_with(idevid, maker_), {}, request(key_, asking_for("CN=dev-3"))).rule, &kUnwanted);
  const PrivateKey other = *PrivateKey::generate(KeyType::p256);
  const Certificate second = certify(maker_, other, "CN=dev-4");
  add_device("dev-4", Admission::retired, identity_of(second));
  EXPECT_EQ(decide(session_with(second, maker_), {}, request(key_, asking_for("CN=dev-4"))).rule, &kRetired);
}

TEST_F(SitePolicy, names_of_other_devices_are_refused) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-5");
  add_device("dev-5", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  EXPECT_EQ(decide(session, {}, request(key_, asking_for("CN=dev-6"))).rule, &kNames);
  EXPECT_EQ(decide(session, {}, request(key_, asking_for("CN=dev-5,O=Admins"))).rule, &kNames);
  RequestTemplate with_host = asking_for("CN=dev-5");
  with_host.alt_names = {*GeneralName::from_text("dns:router.example")};
  EXPECT_EQ(decide(session, {}, request(key_, with_host)).rule, &kNames);
  with_host.alt_names = {*GeneralName::from_text("dns:dev-5")};
  EXPECT_EQ(decide(session, {}, request(key_, with_host)).verdict, Verdict::issue);
}

TEST_F(SitePolicy, an_empty_subject_becomes_the_device_id) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-7");
  add_device("dev-7", Admission::approved, identity_of(idevid));
  RequestTemplate nothing;
  nothing.subject = *Name::parse(Bytes{0x30, 0x00});
  const Decision d = decide(session_with(idevid, maker_), {}, request(key_, nothing));
  ASSERT_EQ(d.verdict, Verdict::issue);
  EXPECT_EQ(d.grant.names.subject.text, "CN=dev-7");
}

TEST_F(SitePolicy, a_device_cannot_become_a_ca_or_a_server) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-8");
  add_device("dev-8", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  RequestTemplate ca = asking_for("CN=dev-8");
  ca.other_extensions = {{"2.5.29.19", true, Bytes{0x30, 0x03, 0x01, 0x01, 0xff}}};
  EXPECT_EQ(decide(session, {}, request(key_, ca)).rule, &kCaRequest);
  RequestTemplate server = asking_for("CN=dev-8");
  server.extended = {std::string(eku::kServerAuth)};
  EXPECT_EQ(decide(session, {}, request(key_, server)).rule, &kUsages);
}

TEST_F(SitePolicy, a_token_works_once_and_the_same_request_gets_the_same_answer) {
  add_device("dev-9", Admission::approved, "");
  const Secret token("9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA");
  DeviceSecret secret{"dev-9", "dev-9", true, secret_mac(policy_.pepper, "dev-9", token), false};
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret(secret); }));
  const auto nobody = std::make_shared<Session>();
  const auto first = request(key_, asking_for("CN=dev-9"));
  const Decision d = decide(nobody, Login{"dev-9", token}, first);
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  ASSERT_TRUE(d.secret);
  const Bytes certificate = *issue(owner_, d.grant, kNow, rng_);
  record(d, certificate, {1, 2, 3});

  const Decision again = decide(nobody, Login{"dev-9", token}, first);
  EXPECT_EQ(again.verdict, Verdict::already);
  EXPECT_EQ(again.certificate, certificate);
  const Decision another = decide(nobody, Login{"dev-9", token}, first, {9, 9, 9});
  EXPECT_EQ(another.verdict, Verdict::unauthenticated);
  EXPECT_EQ(another.rule, &kSpent);
  EXPECT_EQ(decide(nobody, Login{"dev-8", token}, first).verdict, Verdict::unauthenticated);
  EXPECT_EQ(decide(nobody, Login{"dev-9", Secret("wrong")}, first).verdict, Verdict::unauthenticated);
}

TEST_F(SitePolicy, two_devices_never_share_a_key) {
  const Certificate first = certify(maker_, idevid_key_, "CN=dev-10");
  add_device("dev-10", Admission::approved, identity_of(first));
  const Decision d = decide(session_with(first, maker_), {}, request(key_, asking_for("CN=dev-10")));
  record(d, *issue(owner_, d.grant, kNow, rng_), {1});
  const PrivateKey other = *PrivateKey::generate(KeyType::p256);
  const Certificate second = certify(maker_, other, "CN=dev-11");
  add_device("dev-11", Admission::approved, identity_of(second));
  EXPECT_EQ(decide(session_with(second, maker_), {}, request(key_, asking_for("CN=dev-11")), {2}).rule, &kSharedKey);
}

TEST_F(SitePolicy, renewal_wants_a_certificate_of_ours_that_is_not_revoked) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-12");
  add_device("dev-12", Admission::approved, identity_of(idevid));
  const auto maker_session = session_with(idevid, maker_);
  EXPECT_EQ(decide(maker_session, {}, request(key_, asking_for("CN=dev-12")), {1}, true).rule, &kNotOurs);

  const Decision d = decide(maker_session, {}, request(key_, asking_for("CN=dev-12")), {1});
  const Bytes certificate = *issue(owner_, d.grant, kNow, rng_);
  record(d, certificate, {1});
  const auto own_session = session_with(*Certificate::parse(certificate), owner_);
  const PrivateKey fresh = *PrivateKey::generate(KeyType::p256);
  const Decision renewed = decide(own_session, {}, request(fresh, asking_for("CN=dev-12")), {2}, true);
  ASSERT_EQ(renewed.verdict, Verdict::issue) << renewed.reason;
  EXPECT_EQ(renewed.renews, Certificate::parse(certificate)->serial);

  ASSERT_TRUE(store_->write([&](store::Writer& w) {
    return w.revoke(Certificate::parse(certificate)->serial, RevocationReason::key_compromise, "test", kNow);
  }));
  EXPECT_EQ(decide(own_session, {}, request(fresh, asking_for("CN=dev-12")), {2}, true).rule, &kRevoked);
}

TEST_F(SitePolicy, change_of_names_only_where_the_profile_lets_it) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-13");
  add_device("dev-13", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  RequestTemplate change = asking_for("CN=dev-13");
  change.change_names = ChangeSubjectName{name_of("CN=dev-13"), std::vector{*GeneralName::from_text("dns:dev-13")}};
  EXPECT_EQ(decide(session, {}, request(key_, change)).rule, &kNames);
  policy_.profiles[""].change_names = true;
  const Decision d = decide(session, {}, request(key_, change));
  ASSERT_EQ(d.verdict, Verdict::issue);
  EXPECT_EQ(d.grant.names.alt_names, change.change_names->alt_names);
  change.change_names->subject = name_of("CN=admin");
  EXPECT_EQ(decide(session, {}, request(key_, change)).rule, &kNames);
}

TEST_F(SitePolicy, a_device_gets_the_profile_of_its_own_label_and_no_other) {
  policy_.profiles["strict"] = policy_.profiles["servers"] = Profile{};
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-20");
  add_device("dev-20", Admission::approved, identity_of(idevid), "strict");
  const auto session = session_with(idevid, maker_);
  const auto asked = request(key_, asking_for("CN=dev-20"));
  EXPECT_EQ(decide(session, {}, asked).rule, &kLabel) << "not the default one";
  EXPECT_EQ(decide(session, {}, asked, {1}, false, "servers").rule, &kLabel);
  EXPECT_EQ(decide(session, {}, asked, {1}, false, "strict").verdict, Verdict::issue);

  const PrivateKey other = *PrivateKey::generate(KeyType::p256);
  const Certificate plain = certify(maker_, other, "CN=dev-21");
  add_device("dev-21", Admission::approved, identity_of(plain));
  const auto asked_too = request(other, asking_for("CN=dev-21"));
  EXPECT_EQ(decide(session_with(plain, maker_), {}, asked_too, {2}, false, "servers").rule, &kLabel);
  EXPECT_EQ(decide(session_with(plain, maker_), {}, asked_too, {2}, false, "default").verdict, Verdict::issue);
}

TEST_F(SitePolicy, a_renewal_stays_within_the_label) {
  policy_.profiles["servers"] = Profile{};
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-22");
  add_device("dev-22", Admission::approved, identity_of(idevid));
  const Decision d = decide(session_with(idevid, maker_), {}, request(key_, asking_for("CN=dev-22")), {1});
  const Bytes certificate = *issue(owner_, d.grant, kNow, rng_);
  record(d, certificate, {1});
  const auto own = session_with(*Certificate::parse(certificate), owner_);
  const auto renewal = request(*PrivateKey::generate(KeyType::p256), asking_for("CN=dev-22"));
  EXPECT_EQ(decide(own, {}, renewal, {2}, true, "servers").rule, &kLabel);
  EXPECT_EQ(decide(own, {}, renewal, {2}, true).verdict, Verdict::issue);
}

TEST_F(SitePolicy, a_maker_cannot_stand_for_another_s_device) {
  const Ca twin = *make_root(KeyType::p256, name_of("CN=Maker"), kNow, kYear * 30, rng_);
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-23");
  add_device("dev-23", Admission::approved, identity_of(idevid));
  const PrivateKey thief = *PrivateKey::generate(KeyType::p256);
  const auto session = session_with(certify(twin, thief, "CN=dev-23"), twin);
  const Decision d = decide(session, {}, request(thief, asking_for("CN=dev-23")));
  EXPECT_EQ(d.verdict, Verdict::pending) << "another device, which nobody knows";
  EXPECT_NE(d.grant.device, "dev-23") << "under an id of its own, though its name is taken";
}

// Two names of a maker's choosing: another device's id, and a host of the owner's.
TEST_F(SitePolicy, a_maker_s_names_are_no_names_of_the_owner_s) {
  add_device("acme-1", Admission::approved, "");
  RequestTemplate wish;
  wish.subject = name_of("CN=acme-1");
  wish.alt_names = {*GeneralName::from_text("dns:gateway.owner.example"),
                    *GeneralName::from_text("dns:*.owner.example"), *GeneralName::from_text("dns:dev-30")};
  CertificateTemplate what;
  what.serial = {7};
  what.issuer = maker_.certificate.subject;
  what.subject = wish.subject;
  what.alt_names = wish.alt_names;
  what.not_before = kNow - std::chrono::hours(1);
  what.not_after = kNow + kYear;
  what.spki = idevid_key_.public_key().spki;
  const Certificate idevid = *Certificate::parse(*sign_certificate(maker_.key, what));
  add_device("dev-30", Admission::approved, identity_of(idevid));
  const Decision d = decide(session_with(idevid, maker_), {}, request(key_, wish));
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.names.subject.text, "CN=dev-30");
  EXPECT_EQ(d.grant.names.alt_names, std::vector{*GeneralName::from_text("dns:dev-30")});
  wish.alt_names.pop_back();  // not what the maker's certificate says: the device's own wish, which does not fit
  EXPECT_EQ(decide(session_with(idevid, maker_), {}, request(key_, wish)).rule, &kNames);
}

TEST_F(SitePolicy, no_pattern_gives_the_id_of_another_device) {
  policy_.profiles[""].common_names = {"*"};
  add_device("dev-31", Admission::approved, "");
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-32");
  add_device("dev-32", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  EXPECT_EQ(decide(session, {}, request(key_, asking_for("CN=dev-31"))).rule, &kNames);
  EXPECT_EQ(decide(session, {}, request(key_, asking_for("CN=anything"))).verdict, Verdict::issue);
}

TEST_F(SitePolicy, a_newcomer_is_not_known_by_a_name_that_its_maker_chose) {
  const Decision d = decide(session_with(certify(maker_, idevid_key_, "CN=dev-33"), maker_), {},
                            request(key_, asking_for("CN=dev-33")));
  ASSERT_TRUE(d.newcomer);
  EXPECT_TRUE(d.newcomer->id.starts_with("x509-")) << d.newcomer->id;
}

TEST_F(SitePolicy, a_newcomer_is_called_by_its_serial_number_and_its_identity_in_its_certificate_too) {
  add_device("dev-33", Admission::approved, "");  // the id that its maker would like to have for it
  const Certificate idevid = certify(maker_, idevid_key_, "serialNumber=dev-33,CN=lamp");
  const auto session = session_with(idevid, maker_);
  const Decision waits = decide(session, {}, request(key_, RequestTemplate{}));
  ASSERT_TRUE(waits.newcomer);
  EXPECT_EQ(waits.newcomer->id, newcomer_id("dev-33", identity_of(idevid)));
  policy_.unknown = Unknown::admit;
  const Decision d = decide(session, {}, request(key_, RequestTemplate{}));
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.names.subject.text, "CN=" + waits.newcomer->id);
}

TEST_F(SitePolicy, a_certificate_of_a_sibling_ca_with_a_serial_of_ours_renews_nothing) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-34");
  add_device("dev-34", Admission::approved, identity_of(idevid));
  const Decision d = decide(session_with(idevid, maker_), {}, request(key_, asking_for("CN=dev-34")));
  const Bytes certificate = *issue(owner_, d.grant, kNow, rng_);
  record(d, certificate, {1});
  CertificateTemplate twin;
  twin.serial = Certificate::parse(certificate)->serial;
  twin.issuer = owner_.certificate.subject;
  twin.subject = name_of("CN=dev-34");
  twin.not_before = kNow - std::chrono::hours(1);
  twin.not_after = kNow + kYear;
  const PrivateKey thief = *PrivateKey::generate(KeyType::p256);
  twin.spki = thief.public_key().spki;
  const Certificate forged = *Certificate::parse(*sign_certificate(owner_.key, twin));
  const Decision renewal = decide(session_with(forged, owner_), {}, request(thief, asking_for("CN=dev-34")), {2}, true);
  EXPECT_EQ(renewal.verdict, Verdict::refused);
  EXPECT_EQ(renewal.rule, &kUnknown);
}

TEST_F(SitePolicy, a_compromised_key_is_nobody_s_any_more) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-35");
  add_device("dev-35", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  const Decision d = decide(session, {}, request(key_, asking_for("CN=dev-35")));
  const Bytes certificate = *issue(owner_, d.grant, kNow, rng_);
  record(d, certificate, {1});
  ASSERT_TRUE(store_->write([&](store::Writer& w) {
    return w.revoke(Certificate::parse(certificate)->serial, RevocationReason::key_compromise, "test", kNow);
  }));
  EXPECT_EQ(decide(session, {}, request(key_, asking_for("CN=dev-35")), {2}).rule, &kCompromised);
  const PrivateKey fresh = *PrivateKey::generate(KeyType::p256);
  EXPECT_EQ(decide(session, {}, request(fresh, asking_for("CN=dev-35")), {3}).verdict, Verdict::issue);
}

TEST_F(SitePolicy, a_certificate_that_was_renewed_renews_for_a_while_and_no_longer) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-36");
  add_device("dev-36", Admission::approved, identity_of(idevid));
  const Decision first = decide(session_with(idevid, maker_), {}, request(key_, asking_for("CN=dev-36")));
  const Bytes certificate = *issue(owner_, first.grant, kNow, rng_);
  record(first, certificate, {1});
  const auto old = session_with(*Certificate::parse(certificate), owner_);
  const PrivateKey fresh = *PrivateKey::generate(KeyType::p256);
  const Decision renewed = decide(old, {}, request(fresh, asking_for("CN=dev-36")), {2}, true);
  record(renewed, *issue(owner_, renewed.grant, kNow, rng_), {2});
  const auto again = request(*PrivateKey::generate(KeyType::p256), asking_for("CN=dev-36"));
  EXPECT_EQ(decide(old, {}, again, {3}, true).verdict, Verdict::issue) << "its answer may have been lost";
  policy_.renewed_grace = Duration(-1);
  EXPECT_EQ(decide(old, {}, again, {3}, true).rule, &kRenewedBefore);
  EXPECT_EQ(decide(old, {}, again, {3}, false).rule, &kRenewedBefore) << "nor by simpleenroll";
}

TEST_F(SitePolicy, the_day_of_grace_begins_with_the_first_renewal) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-40");
  add_device("dev-40", Admission::approved, identity_of(idevid));
  const Decision first = decide(session_with(idevid, maker_), {}, request(key_, asking_for("CN=dev-40")));
  const Bytes certificate = *issue(owner_, first.grant, kNow, rng_);
  record(first, certificate, {1});
  const auto old = session_with(*Certificate::parse(certificate), owner_);
  for (std::uint8_t n = 2; n <= 3; ++n) {
    Decision d = decide(old, {}, request(*PrivateKey::generate(KeyType::p256), asking_for("CN=dev-40")), {n}, true);
    ASSERT_EQ(d.verdict, Verdict::issue);
    const Issued fact{d.grant,   *issue(owner_, d.grant, kNow, rng_), {n}, d.identity, d.reason, d.spent, d.renews,
                      d.newcomer};
    const Instant at = n == 2 ? kNow - std::chrono::hours(25) : kNow;  // a day and an hour ago, and now
    ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.issued(fact, at, "test"); }));
    if (n == 2) {
      EXPECT_EQ(decide(old, {}, request(key_, asking_for("CN=dev-40")), {9}, true).rule, &kRenewedBefore);
      policy_.renewed_grace = std::chrono::hours(26);
    }
  }
  policy_.renewed_grace = std::chrono::hours(24);
  EXPECT_EQ(decide(old, {}, request(key_, asking_for("CN=dev-40")), {9}, true).rule, &kRenewedBefore);
}

TEST_F(SitePolicy, a_compromised_key_proves_nobody) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-41");
  add_device("dev-41", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  const Decision d = decide(session, {}, request(idevid_key_, asking_for("CN=dev-41")));  // the IDevID's own key
  const Bytes certificate = *issue(owner_, d.grant, kNow, rng_);
  record(d, certificate, {1});
  ASSERT_TRUE(store_->write([&](store::Writer& w) {
    return w.revoke(Certificate::parse(certificate)->serial, RevocationReason::key_compromise, "test", kNow);
  }));
  EXPECT_EQ(decide(session, {}, request(key_, asking_for("CN=dev-41")), {2}).rule, &kCompromised);
  const auto revoked = session_with(*Certificate::parse(certificate), owner_);
  const Secret token("9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA");
  DeviceSecret secret{"dev-41", "dev-41", true, secret_mac(policy_.pepper, "dev-41", token), false};
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret(secret); }));
  EXPECT_EQ(decide(revoked, Login{"dev-41", token}, request(key_, asking_for("CN=dev-41")), {3}).verdict,
            Verdict::issue)
      << "a fresh key by a token, whatever the handshake still shows";
}

TEST_F(SitePolicy, a_token_counts_beside_a_certificate_that_is_revoked) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-42");
  add_device("dev-42", Admission::approved, identity_of(idevid));
  const Decision d = decide(session_with(idevid, maker_), {}, request(key_, asking_for("CN=dev-42")));
  const Bytes certificate = *issue(owner_, d.grant, kNow, rng_);
  record(d, certificate, {1});
  ASSERT_TRUE(store_->write([&](store::Writer& w) {
    return w.revoke(Certificate::parse(certificate)->serial, RevocationReason::superseded, "test", kNow);
  }));
  const Secret token("9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA");
  DeviceSecret secret{"dev-42", "dev-42", true, secret_mac(policy_.pepper, "dev-42", token), false};
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret(secret); }));
  const auto revoked = session_with(*Certificate::parse(certificate), owner_);
  const auto asked = request(*PrivateKey::generate(KeyType::p256), asking_for("CN=dev-42"));
  EXPECT_EQ(decide(revoked, {}, asked, {2}).rule, &kRevoked);
  EXPECT_EQ(decide(revoked, Login{"dev-42", token}, asked, {2}).verdict, Verdict::issue);
}

TEST_F(SitePolicy, another_device_s_id_gives_way_in_a_maker_s_name_and_not_in_a_name_of_ours) {
  policy_.profiles[""].common_names = {"*"};
  policy_.profiles[""].alt_names = {"dns:*"};
  const Certificate idevid = certify(maker_, idevid_key_, "CN=foo");
  add_device("dev-43", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  const Decision before = decide(session, {}, request(key_, asking_for("CN=foo")));
  ASSERT_EQ(before.grant.names.subject.text, "CN=foo");
  const Bytes certificate = *issue(owner_, before.grant, kNow, rng_);
  record(before, certificate, {1});
  add_device("foo", Admission::approved, "");
  const PrivateKey fresh = *PrivateKey::generate(KeyType::p256);
  EXPECT_EQ(decide(session, {}, request(fresh, asking_for("CN=foo")), {2}).grant.names.subject.text, "CN=dev-43");
  const auto own = session_with(*Certificate::parse(certificate), owner_);
  EXPECT_EQ(decide(own, {}, request(fresh, asking_for("CN=foo")), {3}, true).grant.names.subject.text, "CN=foo");
  RequestTemplate host = asking_for("CN=dev-43");
  host.alt_names = {*GeneralName::from_text("dns:foo")};
  EXPECT_EQ(decide(session, {}, request(fresh, host), {4}).rule, &kNames);
}

TEST_F(SitePolicy, a_device_has_a_bounded_number_of_good_certificates) {
  policy_.most_live = 2;
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-37");
  add_device("dev-37", Admission::approved, identity_of(idevid));
  const auto session = session_with(idevid, maker_);
  for (std::uint8_t n = 1; n <= 3; ++n) {
    const Decision d = decide(session, {}, request(*PrivateKey::generate(KeyType::p256), asking_for("CN=dev-37")), {n});
    if (n == 3) {
      EXPECT_EQ(d.rule, &kTooManyCertificates);
    } else {
      record(d, *issue(owner_, d.grant, kNow, rng_), {n});
    }
  }
}

TEST_F(SitePolicy, a_token_counts_although_an_unknown_certificate_is_shown) {
  add_device("dev-38", Admission::approved, "");
  const Secret token("9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA");
  DeviceSecret secret{"dev-38", "dev-38", true, secret_mac(policy_.pepper, "dev-38", token), false};
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret(secret); }));
  const auto session = session_with(certify(maker_, idevid_key_, "CN=elsewhere"), maker_);
  const auto asked = request(key_, asking_for("CN=dev-38"));
  const Decision d = decide(session, Login{"dev-38", token}, asked);
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.device, "dev-38");
  EXPECT_FALSE(d.newcomer);
  EXPECT_EQ(decide(session, Login{"dev-38", Secret("wrong")}, asked).verdict, Verdict::unauthenticated);
}

TEST_F(SitePolicy, who_says_that_it_is_no_ca_may_say_so) {
  const Certificate idevid = certify(maker_, idevid_key_, "CN=dev-39");
  add_device("dev-39", Admission::approved, identity_of(idevid));
  const auto ask = [&](Bytes value) {
    RequestTemplate what = asking_for("CN=dev-39");
    what.other_extensions = {{"2.5.29.19", true, std::move(value)}};
    return decide(session_with(idevid, maker_), {}, request(key_, what));
  };
  EXPECT_EQ(ask({0x30, 0x00}).verdict, Verdict::issue);
  EXPECT_EQ(ask({0x30, 0x03, 0x01, 0x01, 0x00}).verdict, Verdict::issue);
  EXPECT_EQ(ask({0x30, 0x03, 0x02, 0x01, 0x00}).rule, &kCaRequest) << "a path length belongs to a CA";
  EXPECT_EQ(ask({0x05, 0x00}).rule, &kCaRequest);
}

TEST(OwnerCa, signs_for_no_longer_than_it_lives_itself) {
  SystemRng rng;
  const Ca ca = *make_root(KeyType::ed25519, name_of("CN=Short"), kNow, std::chrono::hours(1), rng);
  Grant grant;
  grant.names.subject = name_of("CN=x");
  grant.spki = PrivateKey::generate(KeyType::p384)->public_key().spki;
  grant.lifetime = kYear;
  const auto certificate = Certificate::parse(*issue(ca, grant, kNow, rng));
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->not_after, ca.certificate.not_after);
  EXPECT_TRUE(verify_chain(*certificate, {}, {ca.certificate}, {Purpose::any, kNow, true}));
  EXPECT_EQ(issue(ca, grant, kNow + kYear, rng).error().fault, Fault::expired);
  EXPECT_EQ(issue(ca, grant, kNow - kYear, rng).error().fault, Fault::expired);
}

// ---- a registration authority hands on what its devices ask (RFC 7030 section 3.7) ----

class RegistrationAuthority : public SitePolicy {
 protected:
  void SetUp() override {
    SitePolicy::SetUp();
    policy_.profiles["gateways"].extended.emplace_back(eku::kCmcRa);
    policy_.profiles["devices"].common_names = {"*"};
    policy_.profiles["devices"].handed_on = true;
    add_device("gateway-1", Admission::approved, {}, "gateways");
    session_ = with_uses({std::string(eku::kClientAuth), std::string(eku::kCmcRa)});
  }
  // The session of the gateway, whose certificate is on record and has these uses.
  SessionRef with_uses(std::vector<std::string> uses) {
    Decision d;
    d.grant.device = "gateway-1";
    d.grant.names.subject = name_of("CN=gateway-1");
    d.grant.spki = own_key_.public_key().spki;
    d.grant.extended = std::move(uses);
    d.grant.lifetime = kYear;
    const Bytes der = *issue(owner_, d.grant, kNow, rng_);
    own_ = *Certificate::parse(der);
    record(d, der, own_.serial);
    return session_with(own_, owner_);
  }
  Decision hand_on(const std::string& subject, const std::string& label = "devices", Bytes key = {7}) {
    return decide(session_, {}, request(key_, asking_for(subject)), std::move(key), false, label);
  }

  PrivateKey own_key_ = *PrivateKey::generate(KeyType::p256);
  Certificate own_;
  SessionRef session_;
};

TEST_F(RegistrationAuthority, gets_certificates_for_devices_that_only_it_knows) {
  const Decision d = hand_on("CN=sensor-1");
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.names.subject.text, "CN=sensor-1");
  EXPECT_EQ(d.grant.device, "gateway-1");
  EXPECT_EQ(d.grant.extended, std::vector<std::string>{std::string(eku::kClientAuth)}) << "no authority of its own";
  EXPECT_TRUE(d.renews.empty()) << "the authority's own certificate is not renewed by it";
  EXPECT_NE(d.reason.find("handed on"), std::string::npos);
}

TEST_F(RegistrationAuthority, is_answered_again_when_the_answer_was_lost) {
  const Decision d = hand_on("CN=sensor-1");
  const Bytes der = *issue(owner_, d.grant, kNow, rng_);
  record(d, der, {7});
  const Decision again = hand_on("CN=sensor-1");
  EXPECT_EQ(again.verdict, Verdict::already);
  EXPECT_EQ(again.certificate, der);
}

// Its device holds the key of a certificate that is on record as the authority's.
TEST_F(RegistrationAuthority, is_not_whoever_holds_what_was_handed_on) {
  const Decision d = hand_on("CN=sensor-1");
  const Bytes der = *issue(owner_, d.grant, kNow, rng_);
  record(d, der, {7});
  const SessionRef device = session_with(*Certificate::parse(der), owner_);
  const PrivateKey other = *PrivateKey::generate(KeyType::p256);
  for (const auto& [name, label] : std::vector<std::pair<std::string, std::string>>{
           {"CN=gateway-1", "gateways"}, {"CN=sensor-1", "devices"}, {"CN=sensor-2", "devices"}}) {
    for (const bool renewal : {false, true}) {
      const Decision got = decide(device, {}, request(other, asking_for(name)), {9}, renewal, label);
      EXPECT_EQ(got.verdict, Verdict::refused) << name;
      EXPECT_EQ(got.rule, &kHandedOn) << name;
    }
  }
  // Nor when nothing is handed on any more.
  policy_.profiles.erase("devices");
  EXPECT_EQ(decide(device, {}, request(other, asking_for("CN=gateway-1")), {9}, false, "gateways").rule, &kHandedOn);
}

TEST_F(RegistrationAuthority, asks_under_the_label_that_is_there_for_it_alone) {
  policy_.profiles["others"].common_names = {"*"};
  const Decision d = hand_on("CN=sensor-1", "others");
  EXPECT_EQ(d.verdict, Verdict::refused);
  EXPECT_EQ(d.rule, &kLabel);
}

// Whoever reads names in certificates reads upper and lower case alike, and a dot at the end as none.
TEST_F(RegistrationAuthority, names_no_device_of_the_inventory_in_whatever_case) {
  add_device("lamp-7", Admission::approved, {});
  policy_.profiles["devices"].common_names = {"*", "*."};
  EXPECT_EQ(hand_on("CN=lamp-8").verdict, Verdict::issue);
  EXPECT_EQ(hand_on("CN=lamp-8.").verdict, Verdict::issue);
  for (const char* const name : {"CN=lamp-7", "CN=LAMP-7", "CN=Lamp-7.", "CN=lamp-7."}) {
    EXPECT_EQ(hand_on(name).rule, &kNames) << name;
  }
}

TEST_F(RegistrationAuthority, is_none_without_the_use) {
  session_ = with_uses({std::string(eku::kClientAuth)});
  const Decision d = hand_on("CN=sensor-1");
  EXPECT_EQ(d.verdict, Verdict::refused);
  EXPECT_EQ(d.rule, &kLabel);
}

TEST_F(RegistrationAuthority, of_a_makers_is_none) {
  Grant grant;
  grant.names.subject = name_of("CN=gateway-2");
  grant.spki = own_key_.public_key().spki;
  grant.extended = {std::string(eku::kClientAuth), std::string(eku::kCmcRa)};
  grant.lifetime = kYear;
  const Certificate maker = *Certificate::parse(*issue(maker_, grant, kNow, rng_));
  add_device("gateway-2", Admission::approved, identity_of(maker), "gateways");
  session_ = session_with(maker, maker_);
  EXPECT_EQ(hand_on("CN=sensor-1").rule, &kLabel);
}

TEST_F(RegistrationAuthority, gets_no_name_of_a_device_that_we_know_ourselves) {
  add_device("dev-1", Admission::approved, {});
  EXPECT_EQ(hand_on("CN=dev-1").rule, &kNames);
}

TEST_F(RegistrationAuthority, that_is_revoked_or_retired_gets_nothing) {
  EXPECT_TRUE(store_->write(
      [&](store::Writer& w) { return w.revoke(own_.serial, RevocationReason::superseded, "test", kNow); }));
  EXPECT_EQ(hand_on("CN=sensor-1").rule, &kRevoked);
}

TEST_F(RegistrationAuthority, has_as_many_certificates_as_it_has_devices) {
  policy_.most_live = 1;
  EXPECT_EQ(hand_on("CN=sensor-1").verdict, Verdict::issue);
  // Its own renewal goes on as that of any other device.
  RequestTemplate own = asking_for("CN=gateway-1");
  const Decision renewal = decide(session_, {}, request(key_, own), {8}, true, "gateways");
  ASSERT_EQ(renewal.verdict, Verdict::issue) << renewal.reason;
  EXPECT_EQ(renewal.renews, own_.serial);
}

}  // namespace
}  // namespace imprint::site
