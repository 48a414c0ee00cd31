// Signed content, by a certificate and by a bare key, and request messages of CRMF.
#include "crypto/signed_data.h"

#include <gtest/gtest.h>

#include <chrono>

#include "codec/der.h"
#include "crypto/crypto_test.h"
#include "crypto/csr.h"
#include "crypto/issue.h"

namespace imprint {
namespace {

constexpr Instant kNow{1'790'000'000'000};
constexpr std::string_view kType = "1.3.6.1.5.5.7.12.2";

Signer signer_of(KeyType type) {
  const PrivateKey key = *PrivateKey::generate(type);
  CertificateTemplate what;
  what.serial = {9};
  what.issuer = what.subject = *Name::from_text("CN=signer");
  what.not_before = kNow;
  what.not_after = kNow + std::chrono::hours(24);
  what.spki = key.public_key().spki;
  return {key, {*Certificate::parse(*sign_certificate(key, what))}};
}

Bytes signed_by(const Signer& by) { return to_bytes(sign_content(kType, view("what is said"), by)->expose()); }

TEST(SignedData, by_a_certificate) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::rsa2048}) {
    const Signer by = signer_of(type);
    const Bytes message = signed_by(by);
    const auto found = parse_signed(message);
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->type, kType);
    EXPECT_EQ(as_text(found->content.expose()), "what is said");
    EXPECT_EQ(found->signers, by.chain);
    EXPECT_EQ(*verified_signer(message, *found), by.chain.front());
    EXPECT_TRUE(verify_signed(message, by.key.public_key()));
    EXPECT_EQ(verify_signed(message, signer_of(type).key.public_key()).error().fault, Fault::unauthentic);
  }
}

// What was found signed is remembered: for that message and that certificate, and nothing like them.
TEST(SignedData, found_signed_once_is_found_so_of_the_same_alone) {
  const Signer by = signer_of(KeyType::p256);
  const Certificate other = signer_of(KeyType::p256).chain.front();
  const Bytes message = signed_by(by);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(verify_signed(message, by.chain.front()));
    EXPECT_EQ(verify_signed(message, other).error().fault, Fault::unauthentic);
    Bytes changed = message;
    changed.back() ^= 1;  // in the signature
    EXPECT_FALSE(verify_signed(changed, by.chain.front()));
  }
}

TEST(SignedData, says_when_it_was_signed) {
  const std::int64_t before =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()).time_since_epoch().count() * 1000;
  const auto found = parse_signed(signed_by(signer_of(KeyType::p256)));
  ASSERT_TRUE(found && found->signing_time);
  EXPECT_GE(found->signing_time->ms, before);
  EXPECT_LT(found->signing_time->ms, before + 60'000);
  Signer by = signer_of(KeyType::rsa2048);
  for (const std::int64_t at : {std::int64_t{1'790'000'000'000}, std::int64_t{4'102'444'800'000}}) {  // also 2100
    by.at = Instant{at};
    const Bytes message = signed_by(by);
    EXPECT_EQ(parse_signed(message)->signing_time, by.at);
    EXPECT_TRUE(verify_signed(message, by.key.public_key()));
  }
}

TEST(SignedData, by_a_key_that_has_no_certificate) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const Bytes message = signed_by({key, {}});
  const auto found = parse_signed(message);
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_TRUE(found->signers.empty());
  EXPECT_FALSE(verified_signer(message, *found));
  EXPECT_TRUE(found->along.empty());
  EXPECT_EQ(found->signer_key_id, key_identifier(key.public_key()));
  EXPECT_TRUE(verify_signed(message, key.public_key()));
}

// A key that was certified twice signs by its identifier, and both certificates are in the message.
TEST(SignedData, of_several_certificates_for_one_key_the_preferred_one_is_the_signer) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const auto certified = [&key](std::uint8_t serial) {
    CertificateTemplate what;
    what.serial = {serial};
    what.issuer = what.subject = *Name::from_text("CN=signer");
    what.not_before = kNow;
    what.not_after = kNow + std::chrono::hours(24);
    what.spki = key.public_key().spki;
    return *Certificate::parse(*sign_certificate(key, what));
  };
  const Certificate one = certified(1), other = certified(2);
  const Bytes message = signed_by({key, {one, other}});
  const auto found = parse_signed(message);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->along.size(), 2U);
  if (found->signers.size() == 2) {
    EXPECT_EQ(*verified_signer(message, *found, other), other);
  }
  EXPECT_EQ(*verified_signer(message, *found, one), one);
  EXPECT_EQ(*verified_signer(message, *found, signer_of(KeyType::p256).chain.front()), found->signers.front());
}

TEST(SignedData, a_certificate_that_is_given_twice_is_sent_once) {
  const Signer by = signer_of(KeyType::p256), other = signer_of(KeyType::p256);
  const std::vector<Certificate> more{other.chain.front(), by.chain.front(), other.chain.front()};
  const auto message = sign_content(kType, view("x"), by, more);
  ASSERT_TRUE(message);
  EXPECT_EQ(parse_signed(message->expose())->along.size(), 2U);
}

TEST(SignedData, ed25519_signs_none) {
  EXPECT_EQ(sign_content(kType, view("x"), signer_of(KeyType::ed25519)).error().fault, Fault::unsupported);
}

TEST(SignedData, what_was_changed_is_not_signed) {
  const Signer by = signer_of(KeyType::p256);
  const Bytes message = signed_by(by);
  const std::string text(as_text(message));
  for (const std::string_view part :
       {std::string_view("what is said"), std::string_view("\x2b\x06\x01\x05\x05\x07\x0c\x02", 8)}) {
    Bytes changed = message;
    const auto at = text.find(part);
    ASSERT_NE(at, std::string::npos);
    changed[at + part.size() - 1] ^= 1;  // another text; another type of content
    const auto found = parse_signed(changed);
    EXPECT_FALSE(found && verify_signed(changed, by.key.public_key())) << at;
  }
}

// DER is read without its certificates, which are then read one by one; with an open length (X.690 section 8.1.3.6), as
// some write it, OpenSSL reads all of it.
TEST(SignedData, certificates_are_the_same_in_der_and_in_ber) {
  const Signer by = signer_of(KeyType::p256);
  const std::vector<Certificate> more{signer_of(KeyType::rsa2048).chain.front(),
                                      signer_of(KeyType::p384).chain.front()};
  const Bytes message = to_bytes(sign_content(kType, view("what is said"), by, more)->expose());
  const Bytes open_ended = der::concat({Bytes{der::kSequence, 0x80}, der::Reader(message).next().content, Bytes{0, 0}});
  const auto found = parse_signed(message), same = parse_signed(open_ended);
  ASSERT_TRUE(found && same);
  EXPECT_EQ(found->along.size(), 3U);
  EXPECT_EQ(found->along, same->along);
  EXPECT_EQ(found->signers, same->signers) << "all three go by one name and number";
  for (const Bytes& one : {message, open_ended}) {
    EXPECT_TRUE(verify_signed(one, by.key.public_key()));
    EXPECT_EQ(verify_signed(one, more.front().key).error().fault, Fault::unauthentic);
  }
}

TEST(SignedData, a_certificate_that_nobody_can_read_spoils_the_whole) {
  const Signer by = signer_of(KeyType::p256);
  Bytes message = signed_by(by);
  const auto at = as_text(message).find(as_text(by.chain.front().der));
  ASSERT_NE(at, std::string::npos);
  message[at + 4] ^= 1;  // the tag of what is signed in it
  EXPECT_EQ(parse_signed(message).error().fault, Fault::malformed);
}

TEST(SignedData, cut_short_is_malformed) {
  const Bytes message = signed_by(signer_of(KeyType::p256));
  for (std::size_t n = 0; n < message.size(); ++n) {
    EXPECT_FALSE(parse_signed(BytesView(message).first(n))) << n;
  }
  Bytes longer = message;
  longer.push_back(0);
  EXPECT_FALSE(parse_signed(longer));
}

// ---- CRMF ----

Bytes crmf(const PrivateKey& key, BytesView more_fields = {}, BytesView controls = {}) {
  const Bytes spki = key.public_key().spki;
  der::Reader whole(spki);
  const bool first = !more_fields.empty() && (more_fields[0] & 0x1fU) < 5;  // in the order of their tags
  const Bytes fields =
      der::concat({first ? more_fields : BytesView(), der::item(der::context(5), Name::from_text("CN=dev-1")->der),
                   der::item(der::context(6), whole.next(der::kSequence).content), first ? BytesView() : more_fields});
  const Bytes request = der::sequence({der::integer(7), der::item(der::kSequence, fields), controls});
  const std::uint8_t unused_bits = 0;
  const Bytes bits = der::item(der::kBitString, der::concat({{&unused_bits, 1}, *key.sign(request)}));
  return der::sequence({request, der::item(der::context(1), der::concat({key.signature_algorithm(), bits}))});
}

TEST(Crmf, a_request_message_is_read_and_its_possession_verified) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const auto request = CertificateRequest::parse_crmf(crmf(key));
  ASSERT_TRUE(request) << request.error().what;
  EXPECT_EQ(request->subject.text, "CN=dev-1");
  EXPECT_EQ(request->key, key.public_key());
  EXPECT_TRUE(verify_possession(*request));
  Bytes changed = crmf(key);
  changed[BytesView(changed).size() - 1] ^= 1;
  const auto bad = CertificateRequest::parse_crmf(changed);
  EXPECT_FALSE(bad && verify_possession(*bad));
  EXPECT_FALSE(CertificateRequest::parse(crmf(key))) << "it is no PKCS#10";
}

TEST(Crmf, what_a_requester_must_leave_out_is_refused) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const auto fault = [](const Bytes& der) { return CertificateRequest::parse_crmf(der).error().fault; };
  EXPECT_EQ(fault(crmf(key, der::item(der::context_primitive(1), Bytes{5}))), Fault::unsupported) << "a serial number";
  EXPECT_EQ(fault(crmf(key, {}, der::sequence({}))), Fault::unsupported) << "controls";
  EXPECT_TRUE(CertificateRequest::parse_crmf(crmf(key, der::item(der::context(4), Bytes{})))) << "validity: a wish";
  EXPECT_EQ(fault(crmf(key, der::item(der::context(5), Name::from_text("CN=other")->der))), Fault::malformed)
      << "twice";
  const Bytes no_proof = der::sequence({der::sequence({der::integer(7), der::sequence({})})});
  EXPECT_EQ(fault(no_proof), Fault::unsupported);
  const Bytes whole = crmf(key);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(CertificateRequest::parse_crmf(BytesView(whole).first(n))) << n;
  }
}

// OpenSSL alone takes both: the type of the content would be under no signature (RFC 5652 section 5.3).
TEST(SignedData, says_whether_the_attributes_are_missing_or_name_another_type) {
  using testing::vector_in;
  for (const auto& [id, why] :
       {std::pair("own-voucher-no-signed-attrs", "signed data: no signed attributes"),
        std::pair("own-voucher-ctype-mismatch", "signed data: the attribute names another content type")}) {
    const auto found = parse_signed(*from_hex(vector_in("brski.json", id)["der"].get<std::string>()));
    ASSERT_FALSE(found) << id;
    EXPECT_EQ(found.error().fault, Fault::unsupported) << id;
    EXPECT_EQ(found.error().what, why) << id;
  }
}

}  // namespace
}  // namespace imprint
