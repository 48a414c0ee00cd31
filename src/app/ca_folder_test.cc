#include "app/ca_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/ca_former.h"
#include "app/ca_links.h"
#include "app/ca_rules.h"
#include "app/pem_file.h"
#include "crypto/random.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Instant kNow{1'800'000'000'000};
constexpr Duration kDay = std::chrono::hours(24);
constexpr std::uint16_t kCaUsage = key_usage::kCertSign | key_usage::kCrlSign;

class CaFolder : public testing::Test {
 protected:
  void SetUp() override {
    data_ = (fs::temp_directory_path() / ("imprint-ca-" + hex(random_secret(rng_, 6).expose()))).string();
    first_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), kNow, kDay * 100, rng_);
    root_ = *site::make_root(KeyType::p384, *Name::from_text("CN=Offline Root"), kNow, kDay * 1000, rng_);
    ASSERT_TRUE(io::make_folder(data_ + "/ca"));
    ASSERT_TRUE(io::write_file(data_ + "/ca/key.pem", first_.key.to_pem()->expose()));
    ASSERT_TRUE(io::write_file(data_ + "/ca/chain.pem", view(pem_of(first_.chain()))));
  }
  void TearDown() override { fs::remove_all(data_); }

  // What the root says of a key; a test changes what it is to get wrong.
  CertificateTemplate words_for(const PublicKey& key) {
    CertificateTemplate t;
    t.serial = site::random_serial(rng_);
    t.issuer = root_.certificate.subject;
    t.subject = *Name::from_text("CN=Owner");
    t.not_before = kNow - kDay;
    t.not_after = kNow + kDay * 500;
    t.spki = key.spki;
    t.usage = kCaUsage;
    t.is_ca = true;
    t.path_length = 0;
    t.authority_key_id = root_.certificate.key_id;
    return t;
  }
  Certificate signed_by_root(const CertificateTemplate& t) {
    return *Certificate::parse(*sign_certificate(root_.key, t));
  }
  Result<site::Ca> check(const std::vector<Certificate>& given) { return check_ca(data_, given, kNow, rng_); }
  const Rule* rule_for(const CertificateTemplate& t) {
    const auto checked = check({signed_by_root(t), root_.certificate});
    return checked ? nullptr : checked.error().rule;
  }

  SystemRng rng_;
  std::string data_;
  site::Ca first_, root_;
};

TEST_F(CaFolder, the_same_key_comes_under_a_root) {
  const Certificate issuing = signed_by_root(words_for(first_.key.public_key()));
  const auto checked = check({issuing, root_.certificate});
  ASSERT_TRUE(checked) << checked.error().what;
  ASSERT_TRUE(install_ca(data_, *checked, {}, kNow, rng_));
  const auto now = read_ca(data_);
  ASSERT_TRUE(now);
  EXPECT_EQ(now->certificate, issuing);
  EXPECT_EQ(now->above, std::vector<Certificate>{root_.certificate});
  EXPECT_EQ(now->key.public_key(), first_.key.public_key());
  EXPECT_EQ(former_cas(data_), std::vector<Certificate>{first_.certificate});
  ASSERT_TRUE(install_ca(data_, *checked, {}, kNow, rng_));  // once more changes nothing
  EXPECT_EQ(former_cas(data_), std::vector<Certificate>{first_.certificate});
}

TEST_F(CaFolder, another_key_waits_and_then_takes_its_place) {
  const auto next = make_next_key(data_, KeyType::ed25519);
  ASSERT_TRUE(next);
  EXPECT_EQ(read_ca(data_)->certificate, first_.certificate);  // nothing has changed yet
  const auto again = make_next_key(data_, KeyType::p256);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().rule, &kCaPending);
  const auto checked = check({signed_by_root(words_for(next->public_key())), root_.certificate});
  ASSERT_TRUE(checked) << checked.error().what;
  ASSERT_TRUE(install_ca(data_, *checked, {}, kNow, rng_));
  EXPECT_EQ(read_ca(data_)->key.public_key(), next->public_key());
  EXPECT_FALSE(fs::exists(data_ + "/ca/next"));
  EXPECT_FALSE(*next_key(data_));
  EXPECT_EQ(former_cas(data_), std::vector<Certificate>{first_.certificate});
}

// RFC 4210 section 4.4: whoever holds the CA of before as anchor reaches the new root, and what is below it.
TEST_F(CaFolder, the_CA_of_before_vouches_for_the_root) {
  const auto next = make_next_key(data_, KeyType::p384);
  ASSERT_TRUE(next);
  const auto checked = check({signed_by_root(words_for(next->public_key())), root_.certificate});
  ASSERT_TRUE(checked);
  EXPECT_TRUE(ca_links(data_, *checked).empty());
  ASSERT_TRUE(install_ca(data_, *checked, {}, kNow, rng_));
  const auto links = ca_links(data_, *checked);
  ASSERT_EQ(links.size(), 1U);
  EXPECT_TRUE(ca_links(data_, first_).empty());
  Grant grant;
  grant.names.subject = *Name::from_text("CN=dev-1");
  grant.spki = PrivateKey::generate(KeyType::p256)->public_key().spki;
  grant.lifetime = kDay;
  const auto below = Certificate::parse(*site::issue(*checked, grant, kNow, rng_));
  const std::vector<Certificate> sent{checked->certificate, links[0]};
  EXPECT_TRUE(verify_chain(*below, sent, {first_.certificate}, {Purpose::any, kNow, true}));
  EXPECT_TRUE(verify_chain(*below, sent, {root_.certificate}, {Purpose::any, kNow, true}));
  EXPECT_FALSE(verify_chain(*below, {checked->certificate}, {first_.certificate}, {Purpose::any, kNow, true}));
}

// A root below nobody makes the next one itself; both vouch for each other.
TEST_F(CaFolder, one_root_follows_another) {
  const NextRoot wanted{KeyType::p384, *Name::from_text("CN=Owner G2"), kDay * 200};
  const auto second = make_next_root(data_, wanted, kNow, rng_);
  ASSERT_TRUE(second) << second.error().what;
  EXPECT_EQ(read_ca(data_)->certificate, first_.certificate) << "not yet";
  EXPECT_FALSE(*next_key(data_)) << "nor does a key wait";
  ASSERT_TRUE(install_ca(data_, *second, {}, kNow, rng_));
  EXPECT_EQ(read_ca(data_)->certificate, second->certificate);
  EXPECT_EQ(former_cas(data_), std::vector<Certificate>{first_.certificate});
  const auto sent = ca_links(data_, *second);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(verify_chain(sent[0], {}, {first_.certificate}, {Purpose::any, kNow, true})) << "NewWithOld";
  const auto shown = ca_history(data_, *second);
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_TRUE(verify_chain(shown[0], {}, {second->certificate}, {Purpose::any, kNow, true})) << "OldWithNew";
  EXPECT_EQ(shown[1], first_.certificate) << "OldWithOld";
}

TEST_F(CaFolder, who_slept_through_a_root_finds_the_one_after_it) {
  site::Ca now = first_;
  for (const char* const name : {"CN=Owner G2", "CN=Owner G3"}) {
    now = *make_next_root(data_, {KeyType::p256, *Name::from_text(name), kDay * 300}, kNow, rng_);
    ASSERT_TRUE(install_ca(data_, now, {}, kNow, rng_));
  }
  EXPECT_EQ(ca_links(data_, now).size(), 2U);
  EXPECT_TRUE(site::reaches(first_, now, ca_links(data_, now), kNow, rng_));
}

// What a plain OpenSSL takes first leads nowhere, and it does not go back.
TEST_F(CaFolder, a_link_behind_a_dead_end_leads_nobody) {
  const site::Ca stranger = *site::make_root(KeyType::p256, *Name::from_text("CN=Stranger"), kNow, kDay * 300, rng_);
  const site::Ca next = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner G2"), kNow, kDay * 300, rng_);
  const Certificate good = site::make_links(first_, next, rng_)->front(),
                    dead_end = site::make_links(stranger, next, rng_)->front();
  EXPECT_TRUE(site::reaches(first_, next, {good, dead_end}, kNow, rng_));
  EXPECT_FALSE(site::reaches(first_, next, {dead_end, good}, kNow, rng_));
}

TEST_F(CaFolder, many_roots_later_the_latest_links_are_what_is_sent) {
  std::vector<site::Ca> roots{first_};
  for (int n = 2; n <= 12; ++n) {
    const Name name = *Name::from_text("CN=Owner G" + std::to_string(n));
    roots.push_back(*make_next_root(data_, {KeyType::p256, name, kDay * 300}, kNow, rng_));
    ASSERT_TRUE(install_ca(data_, roots.back(), {}, kNow, rng_)) << n;
  }
  const auto sent = ca_links(data_, roots.back());
  EXPECT_EQ(sent.size(), kMostLinks);
  EXPECT_TRUE(site::reaches(roots[11 - kMostLinks], roots.back(), sent, kNow, rng_));
  EXPECT_FALSE(site::reaches(roots[10 - kMostLinks], roots.back(), sent, kNow, rng_));
}

TEST_F(CaFolder, a_new_root_has_a_name_of_its_own_and_no_root_above) {
  const auto rule = [&](KeyType type, const char* name, Duration lifetime) {
    const auto out = make_next_root(data_, {type, *Name::from_text(name), lifetime}, kNow, rng_);
    return out ? nullptr : out.error().rule;
  };
  EXPECT_EQ(rule(KeyType::p256, "CN=Owner", kDay * 300), &kCaCertificate);
  EXPECT_EQ(rule(KeyType::p256, "CN=Brief", kDay * 99), &kCaCertificate)
      << "clients would take the old one for the newer";
  EXPECT_EQ(rule(KeyType::p256, "CN=Lasting", kDay * 101), nullptr);
  const PrivateKey waiting = *make_next_key(data_, KeyType::p384);
  EXPECT_EQ(rule(KeyType::p256, "CN=Lasting", kDay * 101), &kCaPending) << "one of another type waits";
  EXPECT_EQ(
      make_next_root(data_, {KeyType::p384, *Name::from_text("CN=Lasting"), kDay * 101}, kNow, rng_)->key.public_key(),
      waiting.public_key());
  fs::remove_all(data_ + "/ca/next");
  const auto under = check({signed_by_root(words_for(first_.key.public_key())), root_.certificate});
  ASSERT_TRUE(install_ca(data_, *under, {}, kNow, rng_));
  EXPECT_EQ(make_next_root(data_, {KeyType::p256, *Name::from_text("CN=X"), kDay}, kNow, rng_).error().rule, &kCaBelow);
}

TEST_F(CaFolder, a_root_that_is_left_behind_is_not_shown_any_more) {
  const auto next = make_next_root(data_, {KeyType::p256, *Name::from_text("CN=Owner G2"), kDay * 300}, kNow, rng_);
  ASSERT_TRUE(install_ca(data_, *next, {{}, true}, kNow, rng_));
  EXPECT_TRUE(ca_links(data_, *next).empty());
  EXPECT_TRUE(ca_history(data_, *next).empty());
  EXPECT_EQ(make_next_root(data_, {KeyType::p256, first_.certificate.subject, kDay * 400}, kNow, rng_).error().rule,
            &kCaCertificate)
      << "nor is its name given again";
}

// From one offline root to another: only the first can vouch for the second.
TEST_F(CaFolder, devices_are_not_cut_off_by_accident) {
  const auto under = check({signed_by_root(words_for(first_.key.public_key())), root_.certificate});
  ASSERT_TRUE(install_ca(data_, *under, {}, kNow, rng_));
  const site::Ca other = *site::make_root(KeyType::p256, *Name::from_text("CN=Other Root"), kNow, kDay * 900, rng_);
  CertificateTemplate t = words_for(make_next_key(data_, KeyType::p256)->public_key());
  t.issuer = other.certificate.subject;
  t.authority_key_id = other.certificate.key_id;
  const Certificate issuing = *Certificate::parse(*sign_certificate(other.key, t));
  const auto next = check({issuing, other.certificate});
  ASSERT_TRUE(next) << next.error().what;
  const Status refused = install_ca(data_, *next, {}, kNow, rng_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, &kCaCutOff);
  EXPECT_EQ(read_ca(data_)->certificate, under->certificate) << "nothing has changed";
  CertificateTemplate link = words_for(other.key.public_key());
  link.subject = other.certificate.subject;
  link.path_length.reset();
  const Certificate new_with_old = signed_by_root(link);
  ASSERT_TRUE(install_ca(data_, *next, {{new_with_old}, false}, kNow, rng_));
  const std::vector<Certificate> sent = ca_links(data_, *read_ca(data_));
  ASSERT_EQ(sent.size(), 2U) << "and the one from before that root";
  EXPECT_EQ(sent.front(), new_with_old);
  // And back, with the key of before.
  EXPECT_EQ(install_ca(data_, *check({under->certificate, root_.certificate}), {}, kNow, rng_).error().rule,
            &kCaCutOff);
  ASSERT_TRUE(install_ca(data_, *check({under->certificate, root_.certificate}), {{}, true}, kNow, rng_));
  EXPECT_EQ(read_ca(data_)->certificate, under->certificate);
  EXPECT_EQ(read_ca(data_)->key.public_key(), first_.key.public_key());
}

// The steps of install_ca(), each cut short: before chain.pem is renamed the old pair is read, afterwards the new one.
TEST_F(CaFolder, a_power_cut_leaves_the_old_pair_or_the_new_one) {
  const auto next = make_next_key(data_, KeyType::p384);
  ASSERT_TRUE(next);
  const auto checked = check({signed_by_root(words_for(next->public_key())), root_.certificate});
  ASSERT_TRUE(checked);
  fs::create_directories(data_ + "/ca/former");
  ASSERT_TRUE(io::write_file(data_ + "/ca/former/0011223344556677.pem", view(pem_of(first_.chain()))));
  EXPECT_EQ(read_ca(data_)->certificate, first_.certificate);
  EXPECT_TRUE(former_cas(data_).empty());  // it is the CA of now
  ASSERT_TRUE(io::write_file(data_ + "/ca/chain.pem", view(pem_of(checked->chain()))));
  EXPECT_EQ(read_ca(data_)->key.public_key(), next->public_key());
  EXPECT_EQ(former_cas(data_), std::vector<Certificate>{first_.certificate});
  fs::create_hard_link(data_ + "/ca/key.pem", data_ + "/ca/former/8899aabbccddeeff-key.pem");
  EXPECT_EQ(read_ca(data_)->key.public_key(), next->public_key());
  ASSERT_TRUE(settle_ca(data_));
  EXPECT_EQ(read_ca(data_)->key.public_key(), next->public_key());
  EXPECT_FALSE(fs::exists(data_ + "/ca/next"));
  ASSERT_TRUE(settle_ca(data_));
}

TEST_F(CaFolder, a_certificate_that_cannot_be_the_CAs_is_refused) {
  const PublicKey& key = first_.key.public_key();
  EXPECT_EQ(rule_for(words_for(key)), nullptr);
  EXPECT_EQ(rule_for(words_for(root_.key.public_key())), &kCaCertificate);  // another key
  CertificateTemplate t = words_for(key);
  t.is_ca = false;
  t.path_length.reset();
  EXPECT_EQ(rule_for(t), &kCaCertificate);
  t = words_for(key);
  t.usage = key_usage::kCertSign;
  EXPECT_EQ(rule_for(t), &kCaCertificate);
  t.usage = key_usage::kCrlSign;
  EXPECT_EQ(rule_for(t), &kCaCertificate);
  t.usage.reset();
  EXPECT_EQ(rule_for(t), &kCaCertificate);
  t = words_for(key);
  t.not_after = kNow - std::chrono::hours(1);
  EXPECT_EQ(rule_for(t), &kCaCertificate);
  t = words_for(key);
  t.not_before = kNow + std::chrono::hours(1);
  EXPECT_EQ(rule_for(t), &kCaCertificate);
  EXPECT_EQ(check({root_.certificate}).error().rule, &kCaCertificate);   // for another key
  EXPECT_EQ(check({first_.certificate}).error().rule, &kCaCertificate);  // a root itself
}

TEST_F(CaFolder, a_path_that_does_not_hold_is_refused) {
  const Certificate issuing = signed_by_root(words_for(first_.key.public_key()));
  EXPECT_EQ(check({issuing}).error().rule, &kCaPath);  // no root
  const auto other = site::make_root(KeyType::p384, *Name::from_text("CN=Offline Root"), kNow, kDay * 1000, rng_);
  EXPECT_EQ(check({issuing, other->certificate}).error().rule, &kCaPath);  // the same name, another key
  // A root that allows no CA below it.
  CertificateTemplate strict = words_for(root_.key.public_key());
  strict.subject = strict.issuer;
  strict.not_before = kNow - kDay;
  const Certificate narrow = signed_by_root(strict);
  EXPECT_EQ(check({issuing, narrow}).error().rule, &kCaPath);
}

TEST_F(CaFolder, certificates_between_are_put_in_order) {
  const auto middle_key = PrivateKey::generate(KeyType::p256);
  CertificateTemplate t = words_for(middle_key->public_key());
  t.subject = *Name::from_text("CN=Middle");
  t.path_length = 1;
  const Certificate middle = signed_by_root(t);
  t = words_for(first_.key.public_key());
  t.issuer = middle.subject;
  t.authority_key_id = middle.key_id;
  const Certificate issuing = *Certificate::parse(*sign_certificate(*middle_key, t));
  const auto checked = check({issuing, root_.certificate, middle});
  ASSERT_TRUE(checked) << checked.error().what;
  EXPECT_EQ(checked->above, (std::vector<Certificate>{middle, root_.certificate}));
  EXPECT_EQ(check({issuing, root_.certificate}).error().rule, &kCaPath);
}

}  // namespace
}  // namespace imprint::app
