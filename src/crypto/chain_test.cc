#include <openssl/x509v3.h>

#include <algorithm>

#include "codec/der.h"
#include "crypto/cms.h"
#include "crypto/crypto_test.h"
#include "crypto/openssl_bridge.h"

namespace imprint {
namespace {

using testing::as_ca;
using testing::der_of;
using testing::fault;
using testing::general;
using testing::kDay;
using testing::key_of;
using testing::kNow;
using testing::make_ca_below;
using testing::make_root;
using testing::name_of;
using testing::Party;

const Party& root() {
  static const Party made = make_root(KeyType::p384);
  return made;
}

const Party& intermediate() {
  static const Party made = make_ca_below(root(), "CN=Intermediate");
  return made;
}

CertificateTemplate device_template() {
  CertificateTemplate out = intermediate().below(key_of(KeyType::p256).public_key(), "CN=dev-1");
  out.usage = key_usage::kDigitalSignature;
  out.extended = {std::string(eku::kClientAuth)};
  out.alt_names = {general("dns:dev-1.example"), general("ip:127.0.0.1")};
  return out;
}

Result<Verified<CertificateChain>> verify(const Certificate& leaf, Purpose purpose = Purpose::any, Instant at = kNow,
                                          bool check_time = true) {
  return verify_chain(leaf, {intermediate().certificate}, {root().certificate}, {purpose, at, check_time});
}

Bytes extension_value(std::string_view hex_text) { return *from_hex(hex_text); }

TEST(Issue, openssl_reads_what_was_asked_for) {
  CertificateTemplate what = device_template();
  what.serial = {0xff, 0x01};
  what.not_after = kNoEnd;
  const Result<Bytes> der = sign_certificate(intermediate().key, what);
  ASSERT_TRUE(der);
  const Certificate parsed = *Certificate::parse(*der);
  const X509Ptr x509 = openssl_certificate(parsed);
  ASSERT_TRUE(x509);
  EXPECT_EQ(X509_get_version(x509.get()), 2);
  EXPECT_EQ(X509_get_key_usage(x509.get()), std::uint32_t{KU_DIGITAL_SIGNATURE});
  EXPECT_EQ(X509_get_extended_key_usage(x509.get()), std::uint32_t{XKU_SSL_CLIENT});
  EXPECT_EQ(X509_check_ca(x509.get()), 0);
  EXPECT_EQ(X509_check_host(x509.get(), "dev-1.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(x509.get(), "127.0.0.1", 0), 1);
  const EvpKey issuer = openssl_key(intermediate().key);
  EXPECT_EQ(X509_verify(x509.get(), issuer.get()), 1);
  const ASN1_OCTET_STRING* ski = X509_get0_subject_key_id(x509.get());
  ASSERT_NE(ski, nullptr);
  EXPECT_EQ(Bytes(ski->data, ski->data + ski->length), key_identifier(parsed.key));
  const ASN1_OCTET_STRING* aki = X509_get0_authority_key_id(x509.get());
  ASSERT_NE(aki, nullptr);
  EXPECT_EQ(Bytes(aki->data, aki->data + aki->length), intermediate().certificate.key_id);
  EXPECT_EQ(from_openssl(x509.get())->der, *der);
  EXPECT_EQ(parsed.serial, what.serial);
  EXPECT_EQ(parsed.not_before, what.not_before);
  EXPECT_EQ(parsed.not_after, kNoEnd);
  EXPECT_EQ(parsed.alt_names, what.alt_names);
}

TEST(Chain, only_a_root_is_self_signed) {
  EXPECT_TRUE(self_signed(root().certificate));
  EXPECT_FALSE(self_signed(intermediate().certificate));
  Party liar = make_root(KeyType::p256);
  liar.key = key_of(KeyType::p256);  // its certificate now names itself with a key that it does not have
  CertificateTemplate what = liar.below(liar.certificate.key, liar.certificate.subject.text);
  what.is_ca = true;
  const Certificate pretender = *Certificate::parse(*sign_certificate(liar.key, what));
  EXPECT_TRUE(pretender.self_issued());
  EXPECT_FALSE(self_signed(pretender));
}

TEST(Issue, each_issuer_key_type_makes_a_chain_that_verifies) {
  for (const KeyType type : {KeyType::p256, KeyType::p521, KeyType::ed25519, KeyType::rsa2048}) {
    const Party ca = make_root(type);
    const Certificate leaf = ca.issue(ca.below(key_of(KeyType::ed25519).public_key(), "CN=x"));
    EXPECT_TRUE(verify_chain(leaf, {}, {ca.certificate}, {Purpose::any, kNow})) << name(type);
  }
}

TEST(Issue, refuses_templates_that_make_no_certificate) {
  const auto refused = [](auto&& change) {
    CertificateTemplate what = device_template();
    change(what);
    return fault(sign_certificate(intermediate().key, what)) == Fault::malformed;
  };
  EXPECT_TRUE(refused([](auto& t) { t.serial = {}; }));
  EXPECT_TRUE(refused([](auto& t) { t.serial = {0, 1}; }));
  EXPECT_TRUE(refused([](auto& t) { t.serial = Bytes(21, 1); }));
  EXPECT_TRUE(refused([](auto& t) { t.not_after = t.not_before - kDay; }));
  EXPECT_TRUE(refused([](auto& t) { t.spki = {0x30, 0}; }));
  EXPECT_TRUE(refused([](auto& t) { t.path_length = 1; }));
  EXPECT_TRUE(refused([](auto& t) { t.extended = {"nonsense"}; }));
  EXPECT_TRUE(refused([](auto& t) { t.other_extensions = {{"2.5.29.17", false, {5, 0}}}; }));
  EXPECT_TRUE(refused([](auto& t) {
    t.subject = name_of("");
    t.alt_names.clear();
  }));
}

TEST(Issue, alt_names_are_critical_when_the_subject_is_empty) {
  CertificateTemplate what = device_template();
  what.subject = name_of("");
  const X509Ptr x509 = openssl_certificate(intermediate().issue(what));
  const int at = X509_get_ext_by_NID(x509.get(), NID_subject_alt_name, -1);
  EXPECT_EQ(X509_EXTENSION_get_critical(X509_get_ext(x509.get(), at)), 1);
}

TEST(Issue, revocation_lists_are_read_by_openssl) {
  RevocationListTemplate what{root().certificate.subject, 300, kNow, kNow + kDay, root().certificate.key_id, {}};
  what.revoked = {{{0x11}, kNow, RevocationReason::key_compromise},
                  {{0xff, 0x22}, kNow, RevocationReason::unspecified}};
  const Bytes der = *sign_revocation_list(root().key, what);
  const std::uint8_t* in = der.data();
  const std::unique_ptr<X509_CRL, Free<X509_CRL_free>> crl(d2i_X509_CRL(nullptr, &in, static_cast<long>(der.size())));
  ASSERT_TRUE(crl);
  EXPECT_EQ(X509_CRL_get_version(crl.get()), 1);
  EXPECT_EQ(X509_CRL_verify(crl.get(), openssl_key(root().key).get()), 1);
  const STACK_OF(X509_REVOKED)* list = X509_CRL_get_REVOKED(crl.get());
  ASSERT_EQ(sk_X509_REVOKED_num(list), 2);
  EXPECT_EQ(ASN1_INTEGER_get(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(list, 0))), 0x11);
  EXPECT_EQ(ASN1_INTEGER_get(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(list, 1))), 0xff22);
  EXPECT_EQ(X509_REVOKED_get_ext_count(sk_X509_REVOKED_value(list, 0)), 1);
  what.revoked.clear();
  EXPECT_TRUE(sign_revocation_list(root().key, what));
  what.revoked = {{{0x00}, kNow, RevocationReason::unspecified}};
  EXPECT_EQ(fault(sign_revocation_list(root().key, what)), Fault::malformed);
}

TEST(CertificateParse, refuses_every_cut) {
  const Bytes good = intermediate().issue(device_template()).der;
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(Certificate::parse(BytesView(good).first(n)));
  }
  EXPECT_EQ(fault(Certificate::parse(Bytes(16385, 0x30))), Fault::limit);
}

TEST(CertificateParse, refuses_extensions_that_mislead) {
  const auto parses = [](std::string_view oid, std::string_view value) {
    CertificateTemplate what = intermediate().below(key_of(KeyType::p256).public_key(), "CN=x");
    what.other_extensions = {{std::string(oid), false, extension_value(value)}};
    return bool(Certificate::parse(*sign_certificate(intermediate().key, what)));
  };
  EXPECT_FALSE(parses("2.5.29.37", "3000"));    // no extended key usage at all
  EXPECT_FALSE(parses("2.5.29.15", "030100"));  // no key usage at all
  EXPECT_FALSE(parses("2.5.29.15", "03020701ff"));
  EXPECT_TRUE(parses("2.5.29.15", "03020780"));
  EXPECT_FALSE(parses("2.5.29.17", "3000"));  // no names
  EXPECT_FALSE(parses("2.5.29.17", "300382016100"));
  EXPECT_FALSE(parses("2.5.29.17", "300482026100"));  // NUL in a dNSName
  EXPECT_FALSE(parses("2.5.29.17", "30058703010203"));
  EXPECT_FALSE(parses("2.5.29.19", "3003010101"));
  EXPECT_TRUE(parses("2.5.29.19", "30030101ff"));
}

TEST(CertificateParse, pem_round_trip_and_damage) {
  const std::string one = to_pem(root().certificate);
  const std::string both = "text\n" + one + "between\n" + to_pem(intermediate().certificate);
  EXPECT_EQ(*parse_pem_certificates(both), (std::vector<Certificate>{root().certificate, intermediate().certificate}));
  EXPECT_TRUE(parse_pem_certificates("")->empty());
  EXPECT_FALSE(parse_pem_certificates(one.substr(0, one.size() - 10)));
  std::string damaged = both;
  damaged[60] = '!';
  EXPECT_FALSE(parse_pem_certificates(damaged));
}

TEST(Chain, leads_from_leaf_to_anchor) {
  const Certificate leaf = intermediate().issue(device_template());
  const Result<Verified<CertificateChain>> chain = verify(leaf, Purpose::tls_client);
  ASSERT_TRUE(chain);
  EXPECT_EQ((*chain)->leaf, leaf);
  EXPECT_EQ((*chain)->via, std::vector<Certificate>{intermediate().certificate});
  EXPECT_EQ((*chain)->anchor, root().certificate);
}

TEST(Chain, an_intermediate_or_the_leaf_itself_may_be_the_anchor) {
  const Certificate leaf = intermediate().issue(device_template());
  const auto chain = verify_chain(leaf, {}, {intermediate().certificate}, {Purpose::tls_client, kNow});
  ASSERT_TRUE(chain);
  EXPECT_EQ((*chain)->anchor, intermediate().certificate);
  EXPECT_TRUE((*chain)->via.empty());
  EXPECT_EQ((*verify_chain(leaf, {}, {leaf}, {Purpose::any, kNow}))->anchor, leaf);
}

// What is above an anchor is trusted by nobody, and ends no path.
TEST(Chain, a_leaf_that_is_an_anchor_is_the_whole_path) {
  const Certificate leaf = intermediate().issue(device_template());
  const auto path = verify_chain(leaf, {intermediate().certificate, root().certificate}, {leaf}, {Purpose::any, kNow});
  ASSERT_TRUE(path);
  EXPECT_EQ((*path)->leaf, leaf);
  EXPECT_EQ((*path)->anchor, leaf);
  EXPECT_TRUE((*path)->via.empty());
  const auto below = verify_chain(leaf, {intermediate().certificate, root().certificate}, {intermediate().certificate},
                                  {Purpose::any, kNow});
  ASSERT_TRUE(below);
  EXPECT_EQ((*below)->anchor, intermediate().certificate);
}

TEST(Chain, without_a_path_or_with_a_forged_link_is_unauthentic) {
  const Certificate leaf = intermediate().issue(device_template());
  EXPECT_EQ(fault(verify_chain(leaf, {}, {root().certificate}, {Purpose::any, kNow})), Fault::unauthentic);
  EXPECT_EQ(fault(verify_chain(leaf, {root().certificate}, {}, {Purpose::any, kNow})), Fault::unauthentic);
  const Party impostor = make_root(KeyType::p384);  // the same name, another key
  EXPECT_EQ(fault(verify_chain(leaf, {intermediate().certificate}, {impostor.certificate}, {Purpose::any, kNow})),
            Fault::unauthentic);
  Bytes bad = leaf.der;
  bad.back() ^= 1U;
  EXPECT_EQ(fault(verify(*Certificate::parse(bad))), Fault::unauthentic);
}

TEST(Chain, outside_its_time_is_expired_unless_time_is_not_checked) {
  const Certificate leaf = intermediate().issue(device_template());
  EXPECT_TRUE(verify(leaf, Purpose::any, leaf.not_before));
  EXPECT_TRUE(verify(leaf, Purpose::any, leaf.not_after - std::chrono::seconds(1)));
  EXPECT_EQ(fault(verify(leaf, Purpose::any, kNow + 2 * kDay)), Fault::expired);
  EXPECT_EQ(fault(verify(leaf, Purpose::any, kNow - 2 * kDay)), Fault::expired);
  EXPECT_TRUE(verify(leaf, Purpose::any, kNow + 2 * kDay, false));
}

TEST(Chain, a_forged_leaf_under_an_expired_anchor_is_not_called_expired) {
  Bytes bad = intermediate().issue(device_template()).der;
  bad.back() ^= 1U;
  EXPECT_EQ(fault(verify(*Certificate::parse(bad), Purpose::any, kNow + 2 * kDay)), Fault::unauthentic);
}

// Paths that were found are kept for a while; a certificate's beginning and end count all the same, back and forth.
TEST(Chain, what_was_found_before_does_not_outlive_its_certificates) {
  CertificateTemplate what = device_template();
  what.not_before = kNow;
  what.not_after = kNow + std::chrono::hours(2);
  const Certificate leaf = intermediate().issue(what);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(verify(leaf));
    EXPECT_TRUE(verify(leaf, Purpose::tls_client, kNow + std::chrono::hours(1)));
    EXPECT_EQ(fault(verify(leaf, Purpose::any, what.not_after)), Fault::expired);
    EXPECT_EQ(fault(verify(leaf, Purpose::any, what.not_before - Duration{1})), Fault::expired);
    EXPECT_EQ(fault(verify(leaf, Purpose::tls_server)), Fault::refused);
    EXPECT_TRUE(verify(leaf, Purpose::any, what.not_after, false));
    EXPECT_EQ(fault(verify_chain(leaf, {}, {root().certificate}, {Purpose::any, kNow})), Fault::unauthentic);
    EXPECT_EQ(fault(verify_chain(leaf, {intermediate().certificate}, {}, {Purpose::any, kNow})), Fault::unauthentic);
  }
}

// Certificates that OpenSSL has read are found again by their last octets, and these are the same here.
TEST(Chain, another_certificate_with_the_same_signature_is_another) {
  const Certificate leaf = intermediate().issue(device_template());
  EXPECT_TRUE(verify(leaf));
  Bytes changed = leaf.der;
  const std::string_view name = "dev-1";
  const auto at = std::search(changed.begin(), changed.end(), name.begin(), name.end());
  ASSERT_NE(at, changed.end());
  *at = 'x';
  const auto forged = Certificate::parse(changed);
  ASSERT_TRUE(forged);
  EXPECT_EQ(fault(verify(*forged)), Fault::unauthentic);
  EXPECT_EQ(from_openssl(openssl_certificate(*forged).get())->der, changed);
  EXPECT_TRUE(verify(leaf));
  EXPECT_EQ(from_openssl(openssl_certificate(leaf).get())->der, leaf.der);
}

TEST(Chain, the_purpose_must_be_allowed) {
  CertificateTemplate what = device_template();
  EXPECT_EQ(fault(verify(intermediate().issue(what), Purpose::tls_server)), Fault::refused);
  what.extended.clear();
  EXPECT_TRUE(verify(intermediate().issue(what), Purpose::tls_server));
  EXPECT_TRUE(verify(intermediate().issue(what), Purpose::tls_client));
}

TEST(Chain, an_end_entity_cannot_issue) {
  CertificateTemplate what = intermediate().below(key_of(KeyType::p256).public_key(), "CN=no-ca");
  what.usage = key_usage::kCertSign;  // without basicConstraints: OpenSSL alone would let it pass
  const Party no_ca{key_of(KeyType::p256), intermediate().issue(what)};
  const Certificate below = no_ca.issue(no_ca.below(key_of(KeyType::p384).public_key(), "CN=x"));
  EXPECT_EQ(fault(verify_chain(below, {no_ca.certificate, intermediate().certificate}, {root().certificate},
                               {Purpose::any, kNow})),
            Fault::unauthentic);
}

TEST(Chain, path_length_and_unknown_critical_extensions_count) {
  CertificateTemplate what = as_ca(root().below(key_of(KeyType::p256).public_key(), "CN=Short"));
  what.path_length = 0;
  const Party short_ca{key_of(KeyType::p256), root().issue(what)};
  const Party too_deep = make_ca_below(short_ca, "CN=Deep");
  const Certificate leaf = too_deep.issue(too_deep.below(key_of(KeyType::p384).public_key(), "CN=x"));
  EXPECT_EQ(fault(verify_chain(leaf, {short_ca.certificate, too_deep.certificate}, {root().certificate},
                               {Purpose::any, kNow})),
            Fault::unauthentic);
  CertificateTemplate strange = device_template();
  strange.other_extensions = {{"1.2.3.4", true, {5, 0}}};
  EXPECT_EQ(fault(verify(intermediate().issue(strange))), Fault::unauthentic);
  strange.other_extensions[0].critical = false;
  EXPECT_TRUE(verify(intermediate().issue(strange)));
}

TEST(Chain, name_constraints_bind_the_names_below) {
  CertificateTemplate what = as_ca(root().below(key_of(KeyType::p256).public_key(), "CN=Constrained"));
  // permittedSubtrees: dNSName "a.example".
  const Bytes tree = der::sequence({der::text(der::context_primitive(2), "a.example")});
  what.other_extensions = {{"2.5.29.30", true, der::sequence({der::item(der::context(0), tree)})}};
  const Party ca{key_of(KeyType::p256), root().issue(what)};
  const auto check = [&ca](std::string_view dns) {
    CertificateTemplate leaf = ca.below(key_of(KeyType::p384).public_key(), "CN=x");
    leaf.alt_names = {general(dns)};
    return verify_chain(ca.issue(leaf), {ca.certificate}, {root().certificate}, {Purpose::any, kNow});
  };
  EXPECT_TRUE(check("dns:dev.a.example"));
  EXPECT_EQ(fault(check("dns:dev.b.example")), Fault::unauthentic);
}

TEST(Chain, sha1_chains_are_refused) {
  const std::vector<Certificate> all = *parse_certs_only(der_of("rfc7030-a1-cacerts"));
  const Certificate leaf = parse_certs_only(der_of("rfc7030-a3-simpleenroll-response"))->front();
  EXPECT_EQ(fault(verify_chain(leaf, {}, all, {Purpose::any, leaf.not_before})), Fault::unauthentic);
}

TEST(Host, is_matched_by_alt_names_only) {
  Certificate c;
  c.subject = name_of("CN=cn.example");
  c.alt_names = {general("dns:A.example"),    general("dns:*.w.example"), general("dns:*.top"),
                 general("dns:x*.p.example"), general("ip:10.0.0.1"),     general("ip:2001:db8::1"),
                 general("dns:10.0.0.2")};
  for (const char* host :
       {"a.example", "A.EXAMPLE", "a.example.", "h.w.example", "10.0.0.1", "2001:db8::1", "2001:DB8:0::1"}) {
    EXPECT_TRUE(speaks_for_host(c, host)) << host;
  }
  for (const char* host : {"cn.example", "w.example", ".w.example", "a.b.w.example", "h.top", "xy.p.example",
                           "10.0.0.2", "10.0.0.3", "2001:db8::2", "", ".", "*.w.example.evil", "a.example.evil"}) {
    EXPECT_FALSE(speaks_for_host(c, host)) << host;
  }
}

}  // namespace
}  // namespace imprint
