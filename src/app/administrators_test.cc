// Administrators by certificate: who counts, what the audit log calls them, and what is refused at the start.
#include "app/administrators.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "app/cli_rules.h"
#include "app/pem_file.h"
#include "app/rules.h"
#include "crypto/issue.h"
#include "io/file.h"
#include "store/store_testing.h"

namespace imprint::app {
namespace {

constexpr Instant kNow{1'700'000'000'000};
constexpr Duration kYear = std::chrono::hours(24 * 365);

struct Party {
  PrivateKey key = *PrivateKey::generate(KeyType::p256);
  Certificate certificate;
};

// Signed by `by`, or by itself; a CA, unless it is given uses.
Party made(const char* name, const Party* by, std::uint8_t serial, std::vector<std::string> extended = {}) {
  Party out;
  CertificateTemplate what;
  what.serial = {serial};
  what.subject = *Name::from_text(name);
  what.issuer = by == nullptr ? what.subject : by->certificate.subject;
  what.authority_key_id = by == nullptr ? Bytes() : by->certificate.key_id;  // two CAs have one name
  what.not_before = kNow - kYear;
  what.not_after = kNow + kYear;
  what.spki = out.key.public_key().spki;
  what.is_ca = extended.empty();
  if (what.is_ca) {
    what.usage = key_usage::kCertSign | key_usage::kCrlSign;
  }
  what.extended = std::move(extended);
  out.certificate = *Certificate::parse(*sign_certificate(by == nullptr ? out.key : by->key, what));
  return out;
}

class AdministratorsTest : public testing::Test {
 protected:
  std::string file(const std::string& name, BytesView bytes) const {
    std::string path = folder_.file() + "-" + name;
    EXPECT_TRUE(io::write_file(path, bytes));
    return path;
  }
  std::string list_file(std::vector<Revoked> revoked, Instant next_update, Duration age = kYear) const {
    RevocationListTemplate what;
    what.issuer = ca_.certificate.subject;
    what.this_update = kNow - age;
    what.next_update = next_update;
    what.revoked = std::move(revoked);
    return file("list" + std::to_string(age.count()) + ".crl", *sign_revocation_list(ca_.key, what));
  }
  const Rule* refusal(const Administrators& who, const Party& party, Instant now = kNow) const {
    const auto name = who.name_of({party.certificate}, now);
    return name ? nullptr : name.error().rule;
  }
  const Rule* start_refusal() const {
    const auto loaded = Administrators::load(config_, {});
    return loaded ? nullptr : loaded.error().rule;
  }

  store::TestFolder folder_;
  const Party ca_ = made("CN=Administrators", nullptr, 1);
  const Party alice_ = made("CN=Alice,O=Site", &ca_, 2, {std::string(eku::kClientAuth)});
  const Party other_ca_ = made("CN=Administrators", nullptr, 1);
  const Party mallory_ = made("CN=Alice,O=Site", &other_ca_, 2, {std::string(eku::kClientAuth)});
  const Party pinned_ = made("CN=Bob", nullptr, 3, {std::string(eku::kClientAuth)});
  Config config_;
  void SetUp() override { config_.administrators = {file("ca.pem", view(pem_of({ca_.certificate})))}; }
};

TEST_F(AdministratorsTest, who_is_below_their_ca_is_one) {
  const auto who = Administrators::load(config_, {});
  ASSERT_TRUE(who);
  EXPECT_TRUE(who->any());
  EXPECT_EQ(*who->name_of({alice_.certificate}, kNow),
            "admin " + alice_.certificate.subject.text + " sha256:" + hex(alice_.certificate.fingerprint()));
  EXPECT_EQ(refusal(*who, mallory_), &kApiCertificate);
  EXPECT_EQ(refusal(*who, pinned_), &kApiCertificate);
  EXPECT_EQ(who->name_of({}, kNow).error().rule, &kApiCertificate);
  const Party server = made("CN=server", &ca_, 4, {std::string(eku::kServerAuth)});
  EXPECT_EQ(refusal(*who, server), &kApiCertificate);
  EXPECT_FALSE(Administrators().any());
  EXPECT_EQ(refusal(Administrators(), alice_), &kApiCertificate);
}

TEST_F(AdministratorsTest, only_while_the_certificate_is_good) {
  const auto who = Administrators::load(config_, {});
  ASSERT_TRUE(who);
  EXPECT_EQ(refusal(*who, alice_, kNow + kYear + kYear), &kApiCertificateTime);
  EXPECT_EQ(refusal(*who, alice_, kNow - kYear - kYear), &kApiCertificateTime);
}

TEST_F(AdministratorsTest, one_that_is_pinned_needs_no_ca) {
  config_.administrators.clear();
  config_.administrator_pins = {hex(pinned_.certificate.fingerprint())};
  const auto who = Administrators::load(config_, {});
  ASSERT_TRUE(who);
  EXPECT_TRUE(who->any());
  EXPECT_EQ(refusal(*who, pinned_), nullptr);
  EXPECT_EQ(refusal(*who, pinned_, kNow + kYear + kYear), &kApiCertificateTime);
  EXPECT_EQ(refusal(*who, pinned_, kNow - kYear - kYear), &kApiCertificateTime);
  EXPECT_EQ(refusal(*who, alice_), &kApiCertificate);
}

TEST_F(AdministratorsTest, one_that_is_revoked_is_none) {
  config_.administrator_lists = {list_file({{{2}, kNow}}, kNow + kYear)};
  config_.administrator_pins = {hex(alice_.certificate.fingerprint())};
  const auto who = Administrators::load(config_, {});
  ASSERT_TRUE(who);
  EXPECT_EQ(refusal(*who, alice_), &kApiCertificateRevoked);
  const Party carol = made("CN=Carol", &ca_, 5, {std::string(eku::kClientAuth)});
  EXPECT_EQ(refusal(*who, carol), nullptr);
}

TEST_F(AdministratorsTest, a_list_that_is_too_old_could_have_revoked_anybody) {
  config_.administrator_lists = {list_file({}, kNow)};
  const auto who = Administrators::load(config_, {});
  ASSERT_TRUE(who);
  EXPECT_EQ(refusal(*who, alice_), &kApiCertificateStatus);
  EXPECT_EQ(refusal(*who, alice_, kNow - Duration(1)), nullptr);
}

TEST_F(AdministratorsTest, of_several_lists_of_a_ca_the_newest_counts) {
  const Duration day = std::chrono::hours(24);
  const std::string old = list_file({{{2}, kNow}}, kNow - day), fresh = list_file({}, kNow + day, day);
  for (const auto& files : {std::vector{old, fresh}, std::vector{fresh, old}}) {
    config_.administrator_lists = files;
    const auto who = Administrators::load(config_, {});
    ASSERT_TRUE(who);
    EXPECT_EQ(refusal(*who, alice_), nullptr);
    EXPECT_EQ(refusal(*who, alice_, kNow + day), &kApiCertificateStatus);
  }
}

// The same name in another type of string: a path is found all the same.
TEST_F(AdministratorsTest, a_ca_that_writes_its_name_in_two_ways_has_one_list) {
  Party other_spelling = ca_;
  Bytes& name = other_spelling.certificate.subject.der;
  const auto type = std::ranges::find_if(name, [](std::uint8_t b) { return b == 0x0c || b == 0x13; });
  ASSERT_NE(type, name.end());
  *type = *type == 0x0c ? 0x13 : 0x0c;  // UTF8String, PrintableString
  const Party bob = made("CN=Bob", &other_spelling, 5, {std::string(eku::kClientAuth)});
  ASSERT_FALSE(bob.certificate.issuer == ca_.certificate.subject);
  config_.administrator_lists = {list_file({{{5}, kNow}}, kNow + kYear)};
  const auto who = Administrators::load(config_, {});
  ASSERT_TRUE(who);
  EXPECT_EQ(refusal(*who, alice_), nullptr);
  EXPECT_EQ(refusal(*who, bob), &kApiCertificateRevoked);
}

// Whose certificates of before are on the list of now.
TEST_F(AdministratorsTest, a_ca_with_a_new_key_lists_for_the_old_one) {
  config_.administrators.push_back(file("next.pem", view(pem_of({other_ca_.certificate}))));
  config_.administrator_lists = {list_file({{{2}, kNow}}, kNow + kYear)};
  const auto who = Administrators::load(config_, {});
  ASSERT_TRUE(who);
  EXPECT_EQ(refusal(*who, mallory_), &kApiCertificateRevoked);
}

TEST_F(AdministratorsTest, what_cannot_be_used_is_refused_at_the_start) {
  EXPECT_EQ(start_refusal(), nullptr);
  const Config good = config_;
  for (const std::string& bad : {folder_.file() + "-none", file("empty.pem", view("")), file("text", view("text")),
                                 file("leaf.pem", view(pem_of({alice_.certificate})))}) {
    config_.administrators = {bad};
    EXPECT_EQ(start_refusal(), &kAdministrators) << bad;
  }
  config_ = good;
  config_.administrator_lists = {file("text", view("text"))};
  EXPECT_EQ(start_refusal(), &kAdministrators);
  EXPECT_EQ(Administrators::load(good, {ca_.certificate}).error().rule, &kAdministrators);  // a CA of devices
}

// ---- devices below the administrators' CA ----

// What the owner had for devices once, or has for them now, below the root that all of a company trusts.
class HierarchyTest : public AdministratorsTest {
 protected:
  Result<std::string> name_of(const std::vector<Certificate>& devices, const std::vector<Certificate>& presented) {
    const auto who = Administrators::load(config_, devices);
    EXPECT_TRUE(who);
    return who ? who->name_of(presented, kNow) : Result<std::string>(who.error());
  }

  const Party issuing_ = made("CN=Devices", &ca_, 6);
  const Party device_ = made("CN=dev-1", &issuing_, 7, {std::string(eku::kClientAuth)});
};

TEST_F(HierarchyTest, a_path_by_way_of_a_ca_of_devices_counts_for_nothing) {
  const std::vector<Certificate> presented{device_.certificate, issuing_.certificate};
  EXPECT_TRUE(name_of({}, presented)) << "the path is good";
  const auto refused = name_of({issuing_.certificate}, presented);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, &kApiCertificate);
  EXPECT_TRUE(name_of({issuing_.certificate}, {alice_.certificate})) << "beside it there are administrators";
}

TEST_F(HierarchyTest, nor_by_way_of_another_certificate_of_that_ca) {
  Party under_another_name = made("CN=Somebody", &ca_, 9);
  under_another_name.key = issuing_.key;
  CertificateTemplate what;
  what.serial = {10};
  what.subject = under_another_name.certificate.subject;
  what.issuer = ca_.certificate.subject;
  what.not_before = kNow - kYear;
  what.not_after = kNow + kYear;
  what.spki = issuing_.key.public_key().spki;
  what.is_ca = true;
  what.usage = key_usage::kCertSign;
  under_another_name.certificate = *Certificate::parse(*sign_certificate(ca_.key, what));
  const Party device = made("CN=dev-2", &under_another_name, 11, {std::string(eku::kClientAuth)});
  const std::vector<Certificate> presented{device.certificate, under_another_name.certificate};
  EXPECT_TRUE(name_of({}, presented));
  EXPECT_FALSE(name_of({issuing_.certificate}, presented));
}

TEST_F(HierarchyTest, a_device_whose_own_certificate_is_pinned_is_meant) {
  config_.administrator_pins = {hex(device_.certificate.fingerprint())};
  EXPECT_TRUE(name_of({issuing_.certificate}, {device_.certificate, issuing_.certificate}));
}

TEST_F(HierarchyTest, what_becomes_a_ca_of_devices_is_no_administrators_ca_any_more) {
  config_.administrator_pins = {hex(pinned_.certificate.fingerprint())};
  const auto before = Administrators::load(config_, {});
  ASSERT_TRUE(before);
  EXPECT_EQ(refusal(before->beside({other_ca_.certificate}), alice_), nullptr);
  const Administrators after = before->beside({issuing_.certificate, ca_.certificate});
  EXPECT_EQ(refusal(after, alice_), &kApiCertificate);
  EXPECT_FALSE(after.name_of({device_.certificate, issuing_.certificate}, kNow));
  EXPECT_EQ(refusal(after, pinned_), nullptr);
  EXPECT_FALSE(after == *before);
  const Administrators below = before->beside({issuing_.certificate});
  EXPECT_EQ(refusal(below, alice_), nullptr);
  EXPECT_FALSE(below.name_of({device_.certificate, issuing_.certificate}, kNow));
}

}  // namespace
}  // namespace imprint::app
