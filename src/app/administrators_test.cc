// Administrators by certificate: who counts, what the audit log calls them, and what is refused at the start.
#include "app/administrators.h"

#include <gtest/gtest.h>

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

// Signed by `by`, or by itself.
Party made(const char* name, const Party* by, std::uint8_t serial, std::vector<std::string> extended = {}) {
  Party out;
  CertificateTemplate what;
  what.serial = {serial};
  what.subject = *Name::from_text(name);
  what.issuer = by == nullptr ? what.subject : by->certificate.subject;
  what.not_before = kNow - kYear;
  what.not_after = kNow + kYear;
  what.spki = out.key.public_key().spki;
  what.is_ca = by == nullptr && extended.empty();
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
  std::string list_file(std::vector<Revoked> revoked, Instant next_update) const {
    RevocationListTemplate what;
    what.issuer = ca_.certificate.subject;
    what.this_update = kNow - kYear;
    what.next_update = next_update;
    what.revoked = std::move(revoked);
    return file("list.crl", *sign_revocation_list(ca_.key, what));
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

}  // namespace
}  // namespace imprint::app
