#include "crypto/enveloped.h"

#include <gtest/gtest.h>

#include "crypto/issue.h"

namespace imprint {
namespace {

constexpr Instant kNow{1'790'000'000'000};

Certificate certificate_for(const PrivateKey& key) {
  CertificateTemplate what;
  what.serial = {0x42};
  what.issuer = what.subject = *Name::from_text("CN=recipient");
  what.not_before = kNow;
  what.not_after = kNow + std::chrono::hours(24);
  what.spki = key.public_key().spki;
  return *Certificate::parse(*sign_certificate(key, what));
}

Signer signer() {
  static const PrivateKey kKey = *PrivateKey::generate(KeyType::p256);
  static const Certificate kCertificate = certificate_for(kKey);
  return {kKey, {kCertificate}};
}

SharedKey shared(std::size_t octets) { return {to_bytes("k-1"), Secret(BytesView(Bytes(octets, 7)))}; }

void expect_inside(const Result<Secret>& opened, const PrivateKey& key) {
  ASSERT_TRUE(opened) << opened.error().what;
  const auto found = open_signed_key(*opened);
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->key.public_key(), key.public_key());
  EXPECT_EQ(found->signer, signer().chain.front());
}

TEST(KeyPackage, every_type_of_key_survives) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::ed25519, KeyType::rsa2048}) {
    const PrivateKey key = *PrivateKey::generate(type);
    const auto plain = parse_pkcs8(*encode_pkcs8(key));
    const auto packed = parse_key_package(*encode_key_package(key));
    ASSERT_TRUE(plain && packed) << name(type);
    EXPECT_EQ(plain->public_key(), key.public_key());
    EXPECT_EQ(packed->public_key(), key.public_key());
  }
}

TEST(KeyPackage, several_keys_and_cut_keys_are_refused) {
  const Secret one = *encode_pkcs8(*PrivateKey::generate(KeyType::p256));
  Bytes two = to_bytes(one.expose());
  two.insert(two.end(), one.expose().begin(), one.expose().end());
  Bytes list{0x30, 0x82, static_cast<std::uint8_t>(two.size() >> 8U), static_cast<std::uint8_t>(two.size())};
  list.insert(list.end(), two.begin(), two.end());
  EXPECT_FALSE(parse_key_package(Secret(BytesView(list))));
  for (std::size_t n = 0; n < one.size(); ++n) {
    EXPECT_FALSE(parse_pkcs8(Secret(one.expose().first(n)))) << n;
  }
}

TEST(Enveloped, a_shared_key_opens_it) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  for (const std::size_t octets : {16U, 24U, 32U}) {
    const auto sealed = seal_key(key, shared(octets), cms_capabilities(), signer());
    ASSERT_TRUE(sealed) << sealed.error().what;
    expect_inside(open_envelope(*sealed, shared(octets)), key);
    SharedKey wrong = shared(octets);
    wrong.key = Secret(BytesView(Bytes(octets, 8)));
    EXPECT_FALSE(open_envelope(*sealed, wrong));
    wrong = shared(octets);
    wrong.id = to_bytes("k-2");
    EXPECT_FALSE(open_envelope(*sealed, wrong));
  }
}

TEST(Enveloped, the_key_of_a_certificate_opens_it) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  for (const KeyType type : {KeyType::rsa2048, KeyType::p256, KeyType::p384}) {
    const PrivateKey own = *PrivateKey::generate(type);
    for (const std::vector<std::string>& capabilities :
         {cms_capabilities(), std::vector<std::string>{std::string(cms_algorithm::kAes128Cbc)}}) {
      const auto sealed = seal_key(key, certificate_for(own), capabilities, signer());
      ASSERT_TRUE(sealed) << name(type) << sealed.error().what;
      expect_inside(open_envelope(*sealed, own), key);
      EXPECT_FALSE(open_envelope(*sealed, *PrivateKey::generate(type)));
    }
  }
  const PrivateKey signs_only = *PrivateKey::generate(KeyType::ed25519);
  EXPECT_EQ(seal_key(key, certificate_for(signs_only), cms_capabilities(), signer()).error().fault, Fault::unsupported);
}

TEST(Enveloped, the_algorithms_are_the_requesters) {
  using namespace cms_algorithm;
  const auto chosen = [](const std::vector<std::string>& listed, const Recipient& to, KeyType wrapped) {
    const auto out = choose_algorithms(listed, to, strength_bits(wrapped));
    return out ? out->content + " " + out->key : std::string();
  };
  const auto words = [](std::string_view content, std::string_view key) {
    return std::string(content) + " " + std::string(key);
  };
  const std::string a128(kAes128Cbc), a256(kAes256Cbc), w128(kAes128Wrap), w256(kAes256Wrap);
  EXPECT_EQ(chosen({a128, a256}, shared(16), KeyType::p256), words(kAes128Cbc, kAes128Wrap));
  EXPECT_EQ(chosen({a128, a256}, shared(32), KeyType::p384), words(kAes256Cbc, kAes256Wrap));
  EXPECT_EQ(chosen({w256}, shared(32), KeyType::p256), words(kAes256Cbc, kAes256Wrap));
  EXPECT_EQ(chosen({a256, w128}, shared(32), KeyType::p256), "");  // it takes no 256-bit key wrap
  EXPECT_EQ(chosen({a128}, shared(32), KeyType::p384), "");        // too weak for what is inside
  EXPECT_EQ(chosen({a256}, shared(16), KeyType::p384), "");        // so is the key around it
  EXPECT_EQ(chosen({}, shared(16), KeyType::p256), "");            // nothing in common
  EXPECT_EQ(chosen({"1.2.840.113549.3.7"}, shared(16), KeyType::p256), "");
  const Certificate rsa = certificate_for(*PrivateKey::generate(KeyType::rsa2048));
  EXPECT_EQ(chosen({a128}, rsa, KeyType::p256), words(kAes128Cbc, kRsa));
  EXPECT_EQ(chosen({a128, std::string(kRsaOaep)}, rsa, KeyType::p256), words(kAes128Cbc, kRsaOaep));
}

TEST(Enveloped, what_was_changed_on_the_way_is_refused) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const Bytes sealed = *seal_key(key, shared(16), cms_capabilities(), signer());
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 1U;
    const auto opened = open_envelope(changed, shared(16));
    const auto found = opened ? open_signed_key(*opened) : Result<SignedKey>(opened.error());
    if (found) {  // CBC lets some through; the signature covers the key, and not the certificates beside it
      EXPECT_EQ(found->key.public_key(), key.public_key()) << i;
    }
  }
  EXPECT_EQ(open_envelope({}, shared(16)).error().fault, Fault::limit);
  EXPECT_EQ(open_envelope(Bytes(70'000, 0x30), shared(16)).error().fault, Fault::limit);
  EXPECT_EQ(open_signed_key(*encode_key_package(key)).error().fault, Fault::malformed);
}

}  // namespace
}  // namespace imprint
