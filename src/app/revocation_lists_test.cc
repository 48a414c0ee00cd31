#include "app/revocation_lists.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/ca_folder.h"
#include "app/ca_former.h"
#include "crypto/random.h"
#include "crypto/revocation_list.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Instant kNow{1'800'000'000'000};
constexpr Duration kDay = std::chrono::hours(24);

class RevocationLists : public testing::Test {
 protected:
  void SetUp() override {
    config_ = std::get<Config>(load_config(""));
    config_.data = (fs::temp_directory_path() / ("imprint-lists-" + hex(random_secret(rng_, 6).expose()))).string();
    config_.ca_days = 100;
    config_.crl_uri = "http://status.example/crl/{issuer}";
    const auto made = open_data_folder(config_, kNow, rng_);
    ASSERT_TRUE(made) << made.error().what;
    first_ = made->ca;
    store_ = *open_store(config_);
  }
  void TearDown() override { fs::remove_all(config_.data); }

  // Another root takes the CA's place; its name tells its generation.
  site::Ca roll_over(const std::string& name) {
    const auto next = make_next_root(config_.data, {KeyType::p256, *Name::from_text(name), kDay * 200}, kNow, rng_);
    EXPECT_TRUE(next) << next.error().what;
    EXPECT_TRUE(install_ca(config_.data, *next, {}, kNow, rng_));
    return *next;
  }
  // Serial number of a certificate of this CA that is on record, and revoked.
  Bytes revoked_of(const site::Ca& ca) {
    const PublicKey key = PrivateKey::generate(KeyType::p256)->public_key();
    const Certificate one = *site::issue_server(ca, key, {}, kNow, kDay, rng_);
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.issued_to_server(one.der, "test", kNow, "test"); }));
    EXPECT_TRUE(store_->write(
        [&](store::Writer& w) { return w.revoke(one.serial, RevocationReason::superseded, "test", kNow); }));
    return one.serial;
  }
  std::shared_ptr<const EstSite> site(Instant now = kNow, std::shared_ptr<const EstSite> before = nullptr) {
    const auto folder = read_data_folder(config_);
    EXPECT_TRUE(folder);
    Lasting lasting;
    lasting.before = std::move(before);
    const auto out = make_site(config_, *folder, *store_, now, lasting);
    EXPECT_TRUE(out) << out.error().what;
    return *out;
  }
  std::string former_file(const Certificate& ca, std::string_view end) const {
    return config_.data + "/ca/former/" + hex(sha256(ca.key.spki)).substr(0, 16) + std::string(end);
  }

  SystemRng rng_;
  Config config_;
  site::Ca first_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(RevocationLists, each_CA_has_its_own_by_its_own_key_and_for_its_own_place) {
  const Bytes of_first = revoked_of(first_);
  const site::Ca second = roll_over("CN=Second");
  const Bytes of_second = revoked_of(second);
  const auto now = site();
  ASSERT_EQ(now->former.size(), 1U);
  const FormerCa& former = now->former.front();
  EXPECT_EQ(former.ca.certificate, first_.certificate);

  const auto old_list = read_revocation_list(former.revocation_list, {first_.certificate});
  ASSERT_TRUE(old_list) << old_list.error().what;
  EXPECT_EQ(old_list->serials, std::vector<Bytes>{of_first});
  const auto new_list = read_revocation_list(now->revocation_list, {second.certificate});
  ASSERT_TRUE(new_list) << new_list.error().what;
  EXPECT_EQ(new_list->serials, std::vector<Bytes>{of_second});

  const auto names = [](const Bytes& list, const Certificate& issuer) {
    return as_text(list).find("http://status.example/crl/" + site::issuer_id(issuer)) != std::string_view::npos;
  };
  EXPECT_TRUE(names(former.distributed_list, first_.certificate));
  EXPECT_TRUE(names(now->distributed_list, second.certificate));
  EXPECT_FALSE(names(former.revocation_list, first_.certificate));
  EXPECT_TRUE(
      names(site::issue_server(now->ca, second.certificate.key, {}, kNow, kDay, rng_)->der, second.certificate));
}

TEST_F(RevocationLists, every_generation_that_is_not_over_goes_on) {
  const site::Ca second = roll_over("CN=Second");
  const site::Ca third = roll_over("CN=Third");
  EXPECT_EQ(site()->former.size(), 2U);
  const auto later = site(kNow + kDay * 101);
  ASSERT_EQ(later->former.size(), 1U) << "the first one's time is over, and so is that of all it signed";
  EXPECT_EQ(later->former.front().ca.certificate, second.certificate);
  EXPECT_EQ(later->ca.certificate, third.certificate);
}

TEST_F(RevocationLists, without_its_key_a_CA_of_before_says_nothing_and_stops_nobody) {
  const Bytes of_first = revoked_of(first_);
  roll_over("CN=Second");
  const std::string key = former_file(first_.certificate, "-key.pem");
  ASSERT_TRUE(fs::exists(key));
  const auto before = site();
  ASSERT_TRUE(io::write_file(key, view("no key")));
  ASSERT_EQ(site()->former.size(), 1U);
  EXPECT_TRUE(site()->former.front().revocation_list.empty());
  const auto after = site(kNow + kDay, before);
  EXPECT_EQ(after->former.front().revocation_list, before->former.front().revocation_list) << "it still holds";
  EXPECT_EQ(after->former.front().distributed_list, before->former.front().distributed_list);
  EXPECT_EQ(after->former.front().list_ends, before->list_ends);
  EXPECT_LT(after->former.front().list_ends, after->list_ends);
  EXPECT_TRUE(site(kNow + kDay * 8, after)->former.front().revocation_list.empty()) << "carried on, it lasts no longer";
  EXPECT_TRUE(site(kNow + kDay * 8, before)->former.front().revocation_list.empty()) << "now it is over";
  ASSERT_TRUE(fs::remove(key));
  EXPECT_TRUE(site()->former.empty());
  EXPECT_FALSE(site()->revocation_list.empty());
}

// Its files are found by their names, which say nothing of time.
TEST_F(RevocationLists, a_CA_of_before_that_was_renewed_stands_by_the_certificate_that_lasts_longest) {
  roll_over("CN=Second");
  CertificateTemplate t;
  t.issuer = t.subject = first_.certificate.subject;
  t.not_before = kNow;
  t.not_after = kNow + kDay * 300;
  t.spki = first_.certificate.key.spki;
  t.is_ca = true;
  for (const char* const name : {"0", "z"}) {
    t.serial = site::random_serial(rng_);
    const Certificate longer = *Certificate::parse(*sign_certificate(first_.key, t));
    const std::string file = config_.data + "/ca/former/" + name + ".pem";
    ASSERT_TRUE(io::write_file(file, view(to_pem(longer))));
    const auto later = site(kNow + kDay * 101);
    ASSERT_EQ(later->former.size(), 1U) << name;
    EXPECT_EQ(later->former.front().ca.certificate, longer);
    EXPECT_FALSE(later->former.front().revocation_list.empty());
    fs::remove(file);
  }
}

TEST_F(RevocationLists, the_key_of_another_CA_does_not_do) {
  roll_over("CN=Second");
  const PrivateKey other = *PrivateKey::generate(KeyType::p256);
  ASSERT_TRUE(io::write_file(former_file(first_.certificate, "-key.pem"), other.to_pem()->expose()));
  EXPECT_TRUE(site()->former.empty());
}

TEST_F(RevocationLists, a_token_that_is_away_costs_the_CA_of_before_its_list_alone) {
  roll_over("CN=Second");
  ASSERT_TRUE(fs::remove(former_file(first_.certificate, "-key.pem")));
  const std::string uri = "pkcs11:token=away;object=ca?module-path=/nowhere/token.so";
  ASSERT_TRUE(io::write_file(former_file(first_.certificate, "-key.uri"),
                             view(uri + "\n" + hex(sha256(first_.certificate.key.spki)) + "\n")));
  const auto now = site();
  ASSERT_EQ(now->former.size(), 1U);
  EXPECT_TRUE(now->former.front().revocation_list.empty());
  EXPECT_FALSE(now->revocation_list.empty());
}

// The way back: what was now is before, and what was before is now.
TEST_F(RevocationLists, two_that_change_places_both_go_on) {
  const site::Ca second = roll_over("CN=Second");
  ASSERT_TRUE(install_ca(config_.data, first_, {}, kNow, rng_));
  const auto now = site();
  EXPECT_EQ(now->ca.certificate, first_.certificate);
  ASSERT_EQ(now->former.size(), 1U);
  EXPECT_EQ(now->former.front().ca.certificate, second.certificate);
}

TEST(IssuerId, tells_issuers_apart_by_name_and_key_and_stays_when_a_certificate_is_renewed) {
  SystemRng rng;
  const site::Ca one = *site::make_root(KeyType::p256, *Name::from_text("CN=One"), kNow, kDay, rng);
  const auto id_of = [&](const site::Ca& ca, std::string_view name) {
    CertificateTemplate t;
    t.serial = site::random_serial(rng);
    t.issuer = t.subject = *Name::from_text(name);
    t.not_before = kNow;
    t.not_after = kNow + kDay * 2;
    t.spki = ca.certificate.key.spki;
    t.is_ca = true;
    return site::issuer_id(*Certificate::parse(*sign_certificate(ca.key, t)));
  };
  const std::string id = site::issuer_id(one.certificate);
  EXPECT_EQ(id.size(), 16U);
  EXPECT_EQ(id_of(one, "CN=One"), id);
  EXPECT_NE(id_of(one, "CN=Two"), id);
  EXPECT_NE(id_of(*site::make_root(KeyType::p256, *Name::from_text("CN=One"), kNow, kDay, rng), "CN=One"), id);
  EXPECT_EQ(site::uri_of_issuer("http://x/{issuer}/{issuer}.crl", one.certificate),
            "http://x/" + id + "/" + id + ".crl");
  EXPECT_EQ(site::uri_of_issuer("http://x/crl", one.certificate), "http://x/crl");
}

}  // namespace
}  // namespace imprint::app
