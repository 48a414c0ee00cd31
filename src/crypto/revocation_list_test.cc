// Lists of other CAs: ours are the examples, as sign_revocation_list() makes them.
#include "crypto/revocation_list.h"

#include <gtest/gtest.h>

#include "codec/base64.h"
#include "crypto/issue.h"

namespace imprint {
namespace {

constexpr Instant kNow{1'700'000'000'000};

struct Authority {
  PrivateKey key = *PrivateKey::generate(KeyType::p256);
  Certificate certificate;

  explicit Authority(const char* name, std::uint16_t usage = key_usage::kCrlSign | key_usage::kCertSign) {
    CertificateTemplate what;
    what.serial = {1};
    what.issuer = what.subject = *Name::from_text(name);
    what.not_before = kNow;
    what.not_after = kNoEnd;
    what.spki = key.public_key().spki;
    what.is_ca = true;
    what.usage = usage;
    certificate = *Certificate::parse(*sign_certificate(key, what));
  }
  Bytes list(std::vector<Revoked> revoked, const std::string& uri = {}) const {
    RevocationListTemplate what;
    what.issuer = certificate.subject;
    what.this_update = kNow;
    what.next_update = kNow + Duration(60'000);
    what.revoked = std::move(revoked);
    what.distribution_uri = uri;
    return *sign_revocation_list(key, what);
  }
};

std::string pem_of(BytesView der) { return "-----BEGIN X509 CRL-----\n" + base64(der) + "\n-----END X509 CRL-----\n"; }

TEST(RevocationList, says_who_is_revoked_and_until_when_it_holds) {
  const Authority ca("CN=A");
  const Bytes der = ca.list({{{0x7f, 1}, kNow}, {{2}, kNow}});
  for (const Bytes& file : {der, to_bytes(pem_of(der))}) {
    const auto list = read_revocation_list(file, {ca.certificate});
    ASSERT_TRUE(list) << list.error().what;
    EXPECT_TRUE(list->has(Bytes{0x7f, 1}));
    EXPECT_TRUE(list->has(Bytes{2}));
    EXPECT_FALSE(list->has(Bytes{1}));
    EXPECT_EQ(list->issuer, ca.certificate.subject);
    EXPECT_EQ(list->signer, ca.certificate.key.spki);
    EXPECT_EQ(list->this_update, kNow);
    EXPECT_EQ(list->next_update, kNow + Duration(60'000));
  }
  EXPECT_TRUE(read_revocation_list(ca.list({}), {ca.certificate})->serials.empty());
  EXPECT_TRUE(read_revocation_list(ca.list({}, "http://a/crl"), {ca.certificate}));  // a place of all certificates
}

TEST(RevocationList, counts_only_if_its_issuer_signed_it) {
  const Authority ca("CN=A"), other("CN=B"), namesake("CN=A");
  const Bytes der = ca.list({{{2}, kNow}});
  EXPECT_EQ(read_revocation_list(der, {other.certificate}).error().fault, Fault::unauthentic);
  EXPECT_EQ(read_revocation_list(der, {namesake.certificate}).error().fault, Fault::unauthentic);
  EXPECT_EQ(read_revocation_list(der, {}).error().fault, Fault::unauthentic);
  EXPECT_TRUE(read_revocation_list(der, {other.certificate, namesake.certificate, ca.certificate}));
  Bytes changed = der;
  changed.back() ^= 1U;
  EXPECT_FALSE(read_revocation_list(changed, {ca.certificate}));
  const Authority no_lists("CN=C", key_usage::kCertSign);
  EXPECT_EQ(read_revocation_list(no_lists.list({}), {no_lists.certificate}).error().fault, Fault::unauthentic);
}

TEST(RevocationList, what_is_no_list_is_malformed) {
  const Authority ca("CN=A");
  for (const Bytes& bad : {Bytes{}, Bytes{0x30, 0x00}, to_bytes("text"), ca.certificate.der}) {
    EXPECT_EQ(read_revocation_list(bad, {ca.certificate}).error().fault, Fault::malformed);
  }
}

}  // namespace
}  // namespace imprint
