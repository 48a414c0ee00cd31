#include "site/ocsp.h"

#include <gtest/gtest.h>

#include "codec/der.h"
#include "crypto/ocsp_testing.h"
#include "store/store_testing.h"

namespace imprint::site {
namespace {

constexpr Instant kNow{1'790'000'000'000};
constexpr Duration kYear = std::chrono::hours(24 * 365);

Ca root(KeyType type, std::string_view name, Rng& rng) {
  return *make_root(type, *Name::from_text(name), kNow, kYear * 10, rng);
}

CertId id_of(const Certificate& issuer, const Bytes& serial) {
  return OcspRequest::parse(ocsp_question(issuer, {serial}))->asked.front();
}

class OcspTest : public store::StoreTest {
 protected:
  // A certificate of this CA, on record for dev-1.
  Bytes issued(const Ca& ca) {
    Grant grant;
    grant.device = "dev-1";
    grant.names.subject = *Name::from_text("CN=dev-1");
    grant.spki = PrivateKey::generate(KeyType::p256)->public_key().spki;
    grant.lifetime = kYear;
    Issued fact;
    fact.grant = grant;
    fact.certificate = *site::issue(ca, grant, kNow, rng_);
    Bytes serial = Certificate::parse(fact.certificate)->serial;
    fact.request_key = serial;
    EXPECT_TRUE(issue(fact, kNow));
    return serial;
  }
  Result<std::vector<CertificateStatus>> ask(std::vector<CertId> ids) {
    OcspRequest request;
    request.asked = std::move(ids);
    return statuses_of(ca_.certificate, *read(), request);
  }

  SeededRng rng_{3};
  Ca ca_ = root(KeyType::p256, "CN=Owner", rng_);
};

TEST_F(OcspTest, answers_are_what_is_on_record) {
  using Value = CertificateStatus::Value;
  ASSERT_TRUE(add(store::device_named("dev-1")));
  const Bytes good = issued(ca_);
  const Bytes bad = issued(ca_);
  ASSERT_TRUE(write([&](store::Writer& w) { return w.revoke(bad, RevocationReason::key_compromise, "cli", kNow); }));
  const auto found = ask({id_of(ca_.certificate, good), id_of(ca_.certificate, bad), id_of(ca_.certificate, {1, 2})});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].value, Value::good);
  EXPECT_EQ((*found)[1].value, Value::revoked);
  EXPECT_EQ((*found)[1].revoked, kNow);
  EXPECT_EQ((*found)[1].reason, RevocationReason::key_compromise);
  EXPECT_EQ((*found)[2].value, Value::unknown);
  EXPECT_EQ((*found)[2].cert_id, id_of(ca_.certificate, {1, 2}).der);
}

TEST_F(OcspTest, nothing_is_said_of_another_issuers_certificates) {
  using Value = CertificateStatus::Value;
  ASSERT_TRUE(add(store::device_named("dev-1")));
  const Ca former = root(KeyType::p256, "CN=Former", rng_);
  const Bytes of_former = issued(former);
  const Bytes good = issued(ca_);
  const auto refused = ask({id_of(former.certificate, of_former)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
  const auto mixed = ask({id_of(former.certificate, good), id_of(ca_.certificate, good)});
  ASSERT_TRUE(mixed);
  EXPECT_EQ((*mixed)[0].value, Value::unknown);
  EXPECT_EQ((*mixed)[1].value, Value::good);
  // On record, and asked for under our name: but another CA has issued it.
  const auto claimed = ask({id_of(ca_.certificate, of_former)});
  ASSERT_TRUE(claimed);
  EXPECT_EQ((*claimed)[0].value, Value::unknown);
}

TEST_F(OcspTest, the_signer_is_a_delegate_on_record) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::ed25519, KeyType::rsa3072}) {
    const Ca ca = root(type, "CN=Owner", rng_);
    const Result<OcspSigner> signer = make_ocsp_signer(ca, *store_, kNow, rng_);
    ASSERT_TRUE(signer) << name(type) << signer.error().what;
    const Certificate& own = signer->certificate;
    EXPECT_EQ(own.extended, std::vector<std::string>{std::string(eku::kOcspSigning)});
    EXPECT_FALSE(own.is_ca);
    EXPECT_EQ(own.key.type, type == KeyType::rsa3072 ? KeyType::rsa2048 : type);
    EXPECT_LE(own.not_after - kNow, Duration(std::chrono::hours(24 * 7)));
    const auto row = *read()->certificate(own.serial);
    ASSERT_TRUE(row);
    EXPECT_EQ(row->device, store::kServer);
    EXPECT_TRUE(may_sign(*signer, ca, *read(), kNow));
    EXPECT_FALSE(is_due(*signer, kNow));
    EXPECT_TRUE(is_due(*signer, kNow + std::chrono::hours(24 * 4))) << "half of its time is over";
    EXPECT_TRUE(may_sign(*signer, ca, *read(), kNow + std::chrono::hours(24 * 4))) << "but it is good";
    EXPECT_FALSE(may_sign(*signer, ca, *read(), kNow + std::chrono::hours(24 * 8))) << "its time is over";
    EXPECT_FALSE(may_sign(*signer, root(type, "CN=Owner", rng_), *read(), kNow)) << "another CA's";
    ASSERT_TRUE(
        write([&](store::Writer& w) { return w.revoke(own.serial, RevocationReason::key_compromise, "cli", kNow); }));
    EXPECT_FALSE(may_sign(*signer, ca, *read(), kNow)) << "revoked";
  }
}

TEST_F(OcspTest, a_ca_that_is_over_makes_no_signer) {
  EXPECT_FALSE(make_ocsp_signer(ca_, *store_, kNow + kYear * 11, rng_));
  EXPECT_EQ(*read()->count("certificates"), 0);
}

TEST_F(OcspTest, an_answer_ends_with_its_signer) {
  const OcspSigner signer = *make_ocsp_signer(ca_, *store_, kNow, rng_);
  const std::vector<CertificateStatus> statuses{{der::sequence({}), CertificateStatus::Value::good, {}, {}}};
  EXPECT_EQ(sign_statuses(signer, statuses, {}, kNow)->until, kNow + kOcspLifetime);
  const Instant late = signer.certificate.not_after - std::chrono::minutes(5);
  EXPECT_EQ(sign_statuses(signer, statuses, {}, late)->until, signer.certificate.not_after);
}

TEST_F(OcspTest, certificates_name_the_places_only_if_there_are_any) {
  const auto has = [&](std::string_view text) {
    Grant grant;
    grant.names.subject = *Name::from_text("CN=dev-1");
    grant.spki = ca_.certificate.key.spki;
    grant.lifetime = kYear;
    const Bytes der = *site::issue(ca_, grant, kNow, rng_);
    return as_text(der).find(text) != std::string_view::npos;
  };
  EXPECT_FALSE(has("http://"));
  ca_.ocsp_uri = "http://status.example/ocsp";
  EXPECT_TRUE(has("http://status.example/ocsp"));
  EXPECT_FALSE(has("/crl"));
  ca_.crl_uri = "http://status.example/crl";
  EXPECT_TRUE(has("http://status.example/crl"));
}

TEST_F(OcspTest, only_the_list_for_that_place_names_it) {
  ca_.crl_uri = "http://status.example/crl";
  const ListTimes times{7, kNow, kYear};
  const auto names = [&](bool distribution) {
    const Bytes der = *sign_list(ca_, {}, times, distribution);
    return as_text(der).find(ca_.crl_uri) != std::string_view::npos;
  };
  EXPECT_TRUE(names(true));
  EXPECT_FALSE(names(false));
}

}  // namespace
}  // namespace imprint::site
