// A MASA's folder: what is in it, what it takes for its settings, and what a rollover leaves good.
#include "app/masa_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "app/pem_file.h"
#include "crypto/cose.h"
#include "crypto/random.h"
#include "io/file.h"
#include "io/loop.h"
#include "proto/brski/judge.h"
#include "site/masa_catalogue.h"

namespace imprint::app {
namespace {

class MasaFolders : public ::testing::Test {
 protected:
  void SetUp() override {
    at_ = (std::filesystem::temp_directory_path() / ("imprint-masa-" + hex(random_secret(rng_, 8).expose()))).string();
    std::filesystem::create_directories(at_ + "/maker");
    ca_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Acme Root"), now_, std::chrono::hours(24 * 3650), rng_);
    const Secret key = *ca_.key.to_pem();
    ASSERT_TRUE(io::write_file(at_ + "/maker/key.pem", key.expose()));
    ASSERT_TRUE(io::write_file(at_ + "/maker/root.pem", view(to_pem(ca_.certificate))));
    MasaSettings settings;
    settings.name = "Acme";
    settings.authority = "localhost:9443";
    ASSERT_TRUE(make_masa(masa(), at_ + "/maker", settings, {}, now_, rng_));
  }
  void TearDown() override { std::filesystem::remove_all(at_); }

  std::string masa() const { return at_ + "/masa"; }
  MasaFolder opened() const { return *open_masa(masa()); }
  // How a folder with this masa.json is read; "" if well.
  std::string with(std::string_view json) {
    std::ofstream(masa() + "/masa.json", std::ios::trunc) << json;
    const auto read = open_masa(masa());
    return read ? std::string() : read.error().state;
  }
  // A voucher for a constrained device as its registrar hands it on.
  brski::Artifact voucher() {
    const MasaFolder folder = opened();
    brski::Voucher v;
    v.serial_number = "lamp-1";
    v.assertion = brski::Assertion::logged;
    v.created_on = brski::DateTime::of(now_);
    v.pinned_domain_cert = ca_.certificate.der;
    const Signer signer{folder.signer.key, folder.signer.chain};
    return *brski::parse_artifact(*without_unprotected(*brski::sign_voucher(v, brski::Form::cose, signer)));
  }

  SystemRng rng_;
  Instant now_ = io::wall_clock();
  std::string at_;
  site::Ca ca_;
};

TEST_F(MasaFolders, settings_that_it_does_not_know_are_told_and_not_passed_over) {
  EXPECT_EQ(with(R"({"name": "Acme", "authority": "localhost:9443", "first_claim": false, "nonceless_days": 7})"), "");
  EXPECT_FALSE(opened().settings.first_claim);
  EXPECT_EQ(opened().settings.nonceless_days, 7);
  EXPECT_FALSE(opened().settings.digest);
  EXPECT_EQ(with(R"({"name": "Acme", "authority": "localhost:9443", "basic": false, "digest": true,
                     "base64_bodies": true})"),
            "");
  auto site = masa_site(opened(), now_);
  ASSERT_TRUE(site);
  EXPECT_FALSE((*site)->policy.basic);
  EXPECT_TRUE((*site)->policy.digest);
  EXPECT_TRUE((*site)->base64_bodies);
  EXPECT_EQ(with(R"({"digest": "yes"})"), "\"digest\" is no setting, or of another type");
  EXPECT_EQ(with(R"({"name": "Acme", "first_clame": false})"), "\"first_clame\" is no setting, or of another type");
  EXPECT_EQ(with(R"({"first_claim": "false"})"), "\"first_claim\" is no setting, or of another type");
  EXPECT_EQ(with(R"({"nonceless_days": 1.5})"), "\"nonceless_days\" is no setting, or of another type");
  EXPECT_EQ(with(R"({"name": 1})"), "\"name\" is no setting, or of another type");
}

TEST_F(MasaFolders, a_constrained_device_with_the_root_takes_vouchers_before_and_after_a_rollover) {
  brski::Device device;
  device.anchors = {ca_.certificate};
  device.serial = "lamp-1";
  device.now = now_;
  EXPECT_TRUE(brski::judge_voucher(voucher(), device));
  const Certificate before = opened().signer.chain.front();
  ASSERT_TRUE(roll_over_masa(masa(), at_ + "/maker", MasaKey::signer, {}, now_, rng_));
  EXPECT_NE(opened().signer.chain.front(), before);
  EXPECT_TRUE(brski::judge_voucher(voucher(), device));
  // One that knows but the signer of before does not: the root has to be there as well.
  device.anchors = {before};
  EXPECT_FALSE(brski::judge_voucher(voucher(), device));
  device.anchors = {before, ca_.certificate};
  EXPECT_TRUE(brski::judge_voucher(voucher(), device));
}

TEST_F(MasaFolders, of_two_catalogues_of_one_second_the_later_is_newer) {
  const MasaFolder folder = opened();
  const site::CatalogueTrust trust{"acme", {ca_.certificate}, now_ + std::chrono::seconds(1)};
  const auto first = site::verify_catalogue(*masa_catalogue(folder, now_), trust);
  const auto second = site::verify_catalogue(*masa_catalogue(folder, now_ + Duration(1)), trust);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(site::may_replace(**second, **first));
  EXPECT_FALSE(site::may_replace(**first, **second));
}

// RFC 8995 section 5.5.3: a registrar whose certificate its domain has revoked is refused; the list is a file.
TEST_F(MasaFolders, lists_of_domains_are_taken_whole_or_told) {
  ASSERT_TRUE(masa_site(opened(), now_)) << "without a folder there are none";
  const site::Ca domain =
      *site::make_root(KeyType::p256, *Name::from_text("CN=North"), now_, std::chrono::hours(24 * 365), rng_);
  RevocationListTemplate list{
      domain.certificate.subject, 1, now_, now_ + std::chrono::hours(24), key_identifier(domain.certificate.key),
      {{Bytes{7}, now_}}};
  std::filesystem::create_directories(masa() + "/lists");
  ASSERT_TRUE(io::write_file(masa() + "/lists/north.crl", *sign_revocation_list(domain.key, list)));
  const auto nobodys = masa_site(opened(), now_);
  ASSERT_FALSE(nobodys);
  EXPECT_EQ(nobodys.error().rule, "MASA-LIST") << "nobody known has signed it";
  ASSERT_TRUE(io::write_file(masa() + "/lists/north.pem", view(to_pem(domain.certificate))));
  auto site = masa_site(opened(), now_);
  ASSERT_TRUE(site);
  ASSERT_EQ((*site)->config.lists.size(), 1U);
  EXPECT_TRUE((*site)->config.lists[0].has(Bytes{7}));
  EXPECT_FALSE((*site)->config.needs_status);
  std::filesystem::remove(masa() + "/lists/north.pem");
  MasaFolder folder = opened();
  const Customer north{"north", "North", {domain.certificate}, {}, now_};
  ASSERT_TRUE(folder.store->write([&](store::MakerWriter& w) { return w.put_customer(north, "t"); }));
  EXPECT_TRUE(masa_site(folder, now_)) << "a customer's certificate is known";
  ASSERT_TRUE(io::write_file(masa() + "/lists/south.crl", view("no list")));
  EXPECT_FALSE(masa_site(folder, now_));
  std::filesystem::remove_all(masa() + "/lists");
  ASSERT_TRUE(io::write_file(masa() + "/lists", view("no folder")));
  EXPECT_FALSE(masa_site(folder, now_)) << "what cannot be listed is not none";
}

}  // namespace
}  // namespace imprint::app
