// Questions and answers about certificates, held against OpenSSL's own reader and writer of OCSP.
#include "crypto/ocsp.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "codec/der.h"
#include "crypto/crypto_test.h"
#include "crypto/openssl_bridge.h"

namespace imprint {
namespace {

using namespace imprint::testing;

using AskPtr = std::unique_ptr<OCSP_REQUEST, Free<OCSP_REQUEST_free>>;
using AnswerPtr = std::unique_ptr<OCSP_RESPONSE, Free<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, Free<OCSP_BASICRESP_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using IdPtr = std::unique_ptr<OCSP_CERTID, Free<OCSP_CERTID_free>>;

template <class T, class Encode>
Bytes encoded(T* what, Encode encode) {
  unsigned char* out = nullptr;
  const int length = encode(what, &out);
  EXPECT_GT(length, 0);
  Bytes bytes(out, out + std::max(length, 0));
  OPENSSL_free(out);
  return bytes;
}

// A CA, a delegate that signs in its stead, and a certificate that somebody asks about.
struct Site {
  explicit Site(KeyType type = KeyType::p256) : ca(make_root(type, "CN=Owner")), delegate_key(key_of(type)) {
    CertificateTemplate t = ca.below(delegate_key.public_key(), "CN=OCSP");
    t.extended = {std::string(eku::kOcspSigning)};
    t.other_extensions = {ocsp_no_check()};
    delegate = ca.issue(t);
    CertificateTemplate leaf_template = ca.below(key_of(KeyType::p256).public_key(), "CN=dev-1");
    leaf_template.serial = {0x91, 0x02};
    leaf = ca.issue(leaf_template);
  }

  IdPtr id(const EVP_MD* hash = EVP_sha1()) const {
    const X509Ptr subject = openssl_certificate(leaf);
    const X509Ptr issuer = openssl_certificate(ca.certificate);
    return IdPtr(OCSP_cert_to_id(hash, subject.get(), issuer.get()));
  }

  Party ca;
  PrivateKey delegate_key;
  Certificate delegate, leaf;
};

Bytes question(const Site& site, const EVP_MD* hash, int certificates = 1, BytesView nonce = {}) {
  const AskPtr ask(OCSP_REQUEST_new());
  for (int i = 0; i < certificates; ++i) {
    OCSP_request_add0_id(ask.get(), site.id(hash).release());
  }
  if (!nonce.empty()) {
    Bytes copy = to_bytes(nonce);
    OCSP_request_add1_nonce(ask.get(), copy.data(), static_cast<int>(copy.size()));
  }
  return encoded(ask.get(), i2d_OCSP_REQUEST);
}

TEST(Ocsp, a_question_of_openssl_is_read) {
  const Site site;
  const Bytes nonce(16, 7);
  for (const EVP_MD* hash : {EVP_sha1(), EVP_sha256()}) {
    const Result<OcspRequest> request = OcspRequest::parse(question(site, hash, 2, nonce));
    ASSERT_TRUE(request) << request.error().what;
    ASSERT_EQ(request->asked.size(), 2U);
    EXPECT_EQ(request->asked[1].serial, site.leaf.serial);
    EXPECT_TRUE(request->asked[1].names_issuer(site.ca.certificate));
    EXPECT_FALSE(request->asked[1].names_issuer(site.leaf));
    EXPECT_FALSE(request->asked[1].names_issuer(make_root(KeyType::p256, "CN=Owner").certificate)) << "another key";
    EXPECT_EQ(request->nonce, nonce);
  }
  const auto other = OcspRequest::parse(question(site, EVP_sha384()));
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->asked[0].names_issuer(site.ca.certificate)) << "a hash that we do not take";
}

TEST(Ocsp, nonces_are_one_to_thirty_two_octets) {
  const Site site;
  EXPECT_TRUE(OcspRequest::parse(question(site, EVP_sha1(), 1, Bytes(1, 1))));
  EXPECT_TRUE(OcspRequest::parse(question(site, EVP_sha1(), 1, Bytes(32, 1))));
  EXPECT_EQ(fault(OcspRequest::parse(question(site, EVP_sha1(), 1, Bytes(33, 1)))), Fault::malformed);
}

TEST(Ocsp, questions_are_bounded_and_whole) {
  const Site site;
  EXPECT_TRUE(OcspRequest::parse(question(site, EVP_sha1(), 32)));
  EXPECT_EQ(fault(OcspRequest::parse(question(site, EVP_sha1(), 33))), Fault::limit);
  EXPECT_EQ(fault(OcspRequest::parse(Bytes(OcspRequest::kMaxBytes + 1, 0x30))), Fault::limit);
  const Bytes good = question(site, EVP_sha256(), 1, Bytes(16, 7));
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(OcspRequest::parse(BytesView(good).first(n))) << n;
  }
  Bytes more = good;
  more.push_back(0);
  EXPECT_EQ(fault(OcspRequest::parse(more)), Fault::malformed);
  EXPECT_EQ(fault(OcspRequest::parse(der::sequence({der::sequence({der::sequence({})})}))), Fault::malformed) << "none";
}

// A question with this serial number's content and these extensions, made by hand.
Bytes question_by_hand(BytesView serial, BytesView extensions, BytesView version = {}) {
  const Bytes algorithm = der::sequence({der::oid("1.3.14.3.2.26")});
  const Bytes id = der::sequence({algorithm, der::item(der::kOctetString, Bytes(20, 1)),
                                  der::item(der::kOctetString, Bytes(20, 2)), der::item(der::kInteger, serial)});
  const Bytes list = der::sequence({der::sequence({id})});
  const Bytes tail = extensions.empty() ? Bytes() : der::item(der::context(2), extensions);
  return der::sequence({der::sequence({version, list, tail})});
}

TEST(Ocsp, what_cannot_be_a_serial_number_is_nobodys) {
  const auto serial_of = [](BytesView content) {
    const Result<OcspRequest> request = OcspRequest::parse(question_by_hand(content, {}));
    return request ? std::optional(request->asked[0].serial) : std::nullopt;
  };
  EXPECT_EQ(serial_of(Bytes{0x00, 0x91}), Bytes{0x91});
  EXPECT_EQ(serial_of(Bytes{0x91}), Bytes()) << "negative";
  EXPECT_EQ(serial_of(Bytes{0x00}), Bytes()) << "zero";
  EXPECT_EQ(serial_of(Bytes(21, 0x11)), Bytes()) << "longer than a certificate may have";
  EXPECT_EQ(serial_of(Bytes(22, 0x11)), std::nullopt);
  EXPECT_EQ(serial_of({}), std::nullopt);
}

TEST(Ocsp, critical_extensions_and_later_versions_are_refused) {
  const auto one = [](bool critical) {
    const std::uint8_t yes = 0xff;
    return der::sequence({der::sequence({der::oid("1.2.3.4"), critical ? der::item(der::kBoolean, {&yes, 1}) : Bytes(),
                                         der::item(der::kOctetString, Bytes{5, 0})})});
  };
  const Bytes serial{0x11};
  EXPECT_TRUE(OcspRequest::parse(question_by_hand(serial, one(false))));
  EXPECT_EQ(fault(OcspRequest::parse(question_by_hand(serial, one(true)))), Fault::unsupported);
  const auto version = [](std::uint64_t n) { return der::item(der::context(0), der::integer(n)); };
  EXPECT_TRUE(OcspRequest::parse(question_by_hand(serial, {}, version(0))));
  EXPECT_EQ(fault(OcspRequest::parse(question_by_hand(serial, {}, version(1)))), Fault::unsupported);
  const Bytes empty_nonce = der::sequence({der::sequence(
      {der::oid("1.3.6.1.5.5.7.48.1.2"), der::item(der::kOctetString, der::item(der::kOctetString, {}))})});
  EXPECT_EQ(fault(OcspRequest::parse(question_by_hand(serial, empty_nonce))), Fault::malformed);
}

// What OpenSSL makes of an answer: the status of the first certificate, or nothing if it does not believe it.
struct Found {
  int status = -1, reason = -1;
  bool good_times = false;
};
std::optional<Found> understood(const Site& site, BytesView der, BytesView asked) {
  const unsigned char* in = der.data();
  const AnswerPtr answer(d2i_OCSP_RESPONSE(nullptr, &in, static_cast<long>(der.size())));
  if (!answer || OCSP_response_status(answer.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return std::nullopt;
  }
  const BasicPtr basic(OCSP_response_get1_basic(answer.get()));
  in = asked.data();
  const AskPtr ask(d2i_OCSP_REQUEST(nullptr, &in, static_cast<long>(asked.size())));
  const StorePtr anchors(X509_STORE_new());
  const X509Ptr ca = openssl_certificate(site.ca.certificate);
  X509_STORE_add_cert(anchors.get(), ca.get());
  X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(anchors.get()), kNow.ms / 1000);
  if (!basic || OCSP_check_nonce(ask.get(), basic.get()) <= 0 ||
      OCSP_basic_verify(basic.get(), nullptr, anchors.get(), 0) != 1) {
    return std::nullopt;
  }
  Found out;
  ASN1_GENERALIZEDTIME *revoked = nullptr, *since = nullptr, *until = nullptr;
  const IdPtr id(OCSP_CERTID_dup(OCSP_onereq_get0_id(OCSP_request_onereq_get0(ask.get(), 0))));
  if (OCSP_resp_find_status(basic.get(), id.get(), &out.status, &out.reason, &revoked, &since, &until) != 1) {
    return std::nullopt;
  }
  std::time_t now = kNow.ms / 1000;
  out.good_times =
      since != nullptr && until != nullptr && X509_cmp_time(since, &now) < 0 && X509_cmp_time(until, &now) > 0;
  return out;
}

std::optional<Found> asked_and_answered(const Site& site, CertificateStatus status, BytesView nonce) {
  const Bytes asked = question(site, EVP_sha256(), 1, nonce);
  const OcspRequest request = *OcspRequest::parse(asked);
  status.cert_id = request.asked[0].der;
  OcspTemplate what;
  what.statuses = {status};
  what.this_update = kNow - Duration(60'000);
  what.next_update = kNow + Duration(3'600'000);
  what.nonce = request.nonce;
  const Result<Bytes> der = sign_ocsp_response(site.delegate_key, site.delegate, what);
  return der ? understood(site, *der, asked) : std::nullopt;
}

TEST(Ocsp, openssl_believes_our_answers) {
  using Value = CertificateStatus::Value;
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::rsa2048, KeyType::ed25519}) {
    const Site site(type);
    for (const Bytes& nonce : {Bytes(), Bytes(1, 9), Bytes(32, 9)}) {
      const auto good = asked_and_answered(site, {{}, Value::good, {}, {}}, nonce);
      ASSERT_TRUE(good) << name(type);
      EXPECT_EQ(good->status, V_OCSP_CERTSTATUS_GOOD);
      EXPECT_TRUE(good->good_times);
      const auto revoked =
          asked_and_answered(site, {{}, Value::revoked, kNow, RevocationReason::key_compromise}, nonce);
      ASSERT_TRUE(revoked);
      EXPECT_EQ(revoked->status, V_OCSP_CERTSTATUS_REVOKED);
      EXPECT_EQ(revoked->reason, OCSP_REVOKED_STATUS_KEYCOMPROMISE);
      const auto unsaid = asked_and_answered(site, {{}, Value::revoked, kNow, RevocationReason::unspecified}, nonce);
      ASSERT_TRUE(unsaid);
      EXPECT_EQ(unsaid->reason, -1);
      const auto unknown = asked_and_answered(site, {{}, Value::unknown, {}, {}}, nonce);
      ASSERT_TRUE(unknown);
      EXPECT_EQ(unknown->status, V_OCSP_CERTSTATUS_UNKNOWN);
    }
  }
}

TEST(Ocsp, only_a_delegate_of_the_ca_is_believed) {
  Site site;
  ASSERT_TRUE(asked_and_answered(site, {{}, CertificateStatus::Value::good, {}, {}}, {}));
  site.delegate = site.ca.issue(site.ca.below(site.delegate_key.public_key(), "CN=no delegate"));
  EXPECT_FALSE(asked_and_answered(site, {{}, CertificateStatus::Value::good, {}, {}}, {}))
      << "without id-kp-OCSPSigning";
}

TEST(Ocsp, failures_carry_a_status_alone) {
  const Bytes der = encode_ocsp_failure(OcspFailure::try_later);
  EXPECT_EQ(der, (Bytes{0x30, 0x03, 0x0a, 0x01, 0x03}));
  EXPECT_EQ(encode_ocsp_failure(OcspFailure::unauthorized).back(), 6);
}

TEST(Ocsp, a_list_says_where_it_is_to_be_had) {
  const Site site;
  RevocationListTemplate list;
  list.issuer = site.ca.certificate.subject;
  list.this_update = kNow;
  list.next_update = kNow + kDay;
  list.distribution_uri = "http://crl.example/crl";
  const Bytes der = *sign_revocation_list(site.ca.key, list);
  const unsigned char* in = der.data();
  X509_CRL* crl = d2i_X509_CRL(nullptr, &in, static_cast<long>(der.size()));
  ASSERT_NE(crl, nullptr);
  int critical = -1;
  auto* point =
      static_cast<ISSUING_DIST_POINT*>(X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, nullptr));
  ASSERT_NE(point, nullptr);
  EXPECT_EQ(critical, 1);
  const GENERAL_NAME* const where = sk_GENERAL_NAME_value(point->distpoint->name.fullname, 0);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(where->d.uniformResourceIdentifier))),
            list.distribution_uri);
  ISSUING_DIST_POINT_free(point);
  X509_CRL_free(crl);
}

}  // namespace
}  // namespace imprint
