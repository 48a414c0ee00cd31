#include "crypto/crypto_test.h"

#include <openssl/pem.h>

#include "codec/der.h"
#include "crypto/openssl_bridge.h"
#include "crypto/random.h"

namespace imprint {
namespace {

using testing::fault;
using testing::general;
using testing::key_of;
using testing::name_of;

constexpr KeyType kTypes[] = {KeyType::p256,    KeyType::p384,    KeyType::p521,   KeyType::ed25519,
                              KeyType::rsa2048, KeyType::rsa3072, KeyType::rsa4096};

// FIPS 180-4 examples and RFC 4231 test case 2.
TEST(Hash, gives_the_published_digests) {
  EXPECT_EQ(hex(sha256(view("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha384(view("abc"))).substr(0, 16), "cb00753f45a35e8b");
  EXPECT_EQ(hex(sha512(view("abc"))).substr(0, 16), "ddaf35a193617aba");
  EXPECT_EQ(hex(sha1_identifier(view("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(hmac_sha256(Secret("Jefe"), view("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256(Secret(), {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Random, fills_all_and_never_the_same) {
  SystemRng rng;
  const Secret a = random_secret(rng, 32);
  EXPECT_EQ(a.size(), 32U);
  EXPECT_FALSE(same(a, random_secret(rng, 32)));
}

TEST(Keys, sign_and_verify_for_each_type) {
  for (const KeyType type : kTypes) {
    const PrivateKey& key = key_of(type);
    EXPECT_EQ(key.public_key().type, type);
    EXPECT_EQ(key_type_named(name(type)), type);
    const Result<Bytes> signature = key.sign(view("message"));
    ASSERT_TRUE(signature);
    const auto verify = [&](std::string_view message, BytesView sig) {
      return verify_signature(key.public_key(), key.signature_algorithm(), view(message), sig);
    };
    EXPECT_TRUE(verify("message", *signature)) << name(type);
    EXPECT_EQ(fault(verify("massage", *signature)), Fault::unauthentic);
    EXPECT_EQ(fault(verify("message", {})), Fault::unauthentic);
  }
  EXPECT_FALSE(key_type_named("other"));
  EXPECT_FALSE(key_type_named("rsa1024"));
}

TEST(Keys, an_algorithm_of_another_family_or_an_old_digest_is_refused) {
  const PrivateKey& ec = key_of(KeyType::p256);
  const PrivateKey& rsa = key_of(KeyType::rsa2048);
  const Bytes signature = *ec.sign(view("m"));
  EXPECT_EQ(fault(verify_signature(ec.public_key(), rsa.signature_algorithm(), view("m"), signature)),
            Fault::malformed);
  for (const char* old : {"1.2.840.10045.4.1", "1.2.840.113549.1.1.5", "1.2.840.113549.1.1.4"}) {
    EXPECT_EQ(fault(verify_signature(ec.public_key(), der::sequence({der::oid(old)}), view("m"), signature)),
              Fault::unsupported);
  }
}

TEST(Keys, pem_round_trip_keeps_the_key) {
  for (const KeyType type : kTypes) {
    const Result<Secret> pem = key_of(type).to_pem();
    ASSERT_TRUE(pem);
    const Result<PrivateKey> again = PrivateKey::parse_pem(*pem);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->public_key(), key_of(type).public_key());
  }
}

TEST(Keys, damaged_and_encrypted_pem_is_refused) {
  EXPECT_EQ(fault(PrivateKey::parse_pem(Secret("no pem"))), Fault::malformed);
  EXPECT_EQ(fault(PrivateKey::parse_pem(Secret())), Fault::malformed);
  const EvpKey key = openssl_key(key_of(KeyType::p256));
  BIO* out = BIO_new(BIO_s_mem());
  char password[] = "pw";
  PEM_write_bio_PKCS8PrivateKey(out, key.get(), EVP_aes_128_cbc(), password, 2, nullptr, nullptr);
  char* text = nullptr;
  const long length = BIO_get_mem_data(out, &text);
  EXPECT_EQ(fault(PrivateKey::parse_pem(Secret(std::string_view(text, static_cast<std::size_t>(length))))),
            Fault::unsupported);
  BIO_free(out);
}

TEST(Keys, points_off_the_curve_are_refused) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::p521}) {
    Bytes spki = key_of(type).public_key().spki;
    ASSERT_TRUE(PublicKey::parse(spki));
    spki.back() ^= 1U;
    EXPECT_EQ(fault(PublicKey::parse(spki)), Fault::malformed) << name(type);
  }
}

TEST(Keys, other_forms_of_a_point_are_refused) {
  const Bytes spki = key_of(KeyType::p256).public_key().spki;
  const Bytes algorithm(spki.begin() + 2, spki.begin() + 2 + 21);
  const auto with = [&algorithm](BytesView point) {
    return der::sequence({algorithm, der::item(der::kBitString, der::concat({Bytes{0}, point}))});
  };
  const BytesView point = BytesView(spki).last(65);
  EXPECT_TRUE(PublicKey::parse(with(point)));
  EXPECT_FALSE(PublicKey::parse(with(Bytes{0})));  // the point at infinity
  EXPECT_FALSE(PublicKey::parse(with(point.first(64))));
  Bytes zeros(65, 0);
  zeros[0] = 4;
  EXPECT_FALSE(PublicKey::parse(with(zeros)));
  Bytes compressed = to_bytes(point.first(33));
  compressed[0] = static_cast<std::uint8_t>(2U + (point[64] & 1U));
  EXPECT_FALSE(PublicKey::parse(with(compressed)));
}

TEST(Keys, rsa_outside_the_sizes_is_refused) {
  const auto spki = [](std::size_t octets, std::uint8_t last) {
    Bytes modulus(octets, 0xff);
    modulus.back() = last;
    const Bytes key = der::sequence({der::integer(BytesView(modulus)), der::integer(65537)});
    return der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::item(der::kNull, {})}),
                          der::item(der::kBitString, der::concat({Bytes{0}, key}))});
  };
  EXPECT_EQ(PublicKey::parse(spki(256, 0xff))->type, KeyType::rsa2048);
  EXPECT_EQ(PublicKey::parse(spki(1024, 0xff))->type, KeyType::other);
  EXPECT_EQ(fault(PublicKey::parse(spki(128, 0xff))), Fault::unsupported);
  EXPECT_EQ(fault(PublicKey::parse(spki(255, 0xff))), Fault::unsupported);
  EXPECT_EQ(fault(PublicKey::parse(spki(1025, 0xff))), Fault::unsupported);
  EXPECT_EQ(fault(PublicKey::parse(spki(256, 0xfe))), Fault::malformed);
}

TEST(Names, text_is_rfc_4514_and_order_is_kept) {
  const Name name = name_of("C=DE,O=Example,serialNumber=17,CN=dev-1");
  EXPECT_EQ(name.text, "CN=dev-1,serialNumber=17,O=Example,C=DE");
  EXPECT_EQ(name.first("CN"), "dev-1");
  EXPECT_EQ(name.first("serialNumber"), "17");
  EXPECT_EQ(name.first("OU"), "");
  EXPECT_TRUE(name_of("").empty());
  EXPECT_EQ(hex(name_of("").der), "3000");
  EXPECT_EQ(name_of("OU=b+CN=a").text, "CN=a+OU=b");
  EXPECT_EQ(name_of("CN=\xc3\xa4").text, "CN=\xc3\xa4");
}

TEST(Names, text_escapes_what_could_mislead) {
  const auto with = [](std::uint8_t tag, std::string_view value) {
    return Name::parse(der::sequence({der::set_of({der::sequence({der::oid("2.5.4.3"), der::text(tag, value)})})}))
        ->text;
  };
  EXPECT_EQ(with(der::kUtf8, "a,CN=b"), "CN=a\\,CN=b");
  EXPECT_EQ(with(der::kUtf8, " #a+\"\\<>; "), "CN=\\ #a\\+\\\"\\\\\\<\\>\\;\\ ");
  EXPECT_EQ(with(der::kUtf8, "#x"), "CN=\\#x");
  EXPECT_EQ(with(der::kUtf8, std::string_view("a\nb\0\x1b\x7f", 6)), "CN=a\\0Ab\\00\\1B\\7F");
  EXPECT_EQ(with(der::kUtf8, "\xc2\x9b"), "CN=\\C2\\9B");
  EXPECT_EQ(with(der::kUtf8, "\xff"), "2.5.4.3=#0c01ff");
  EXPECT_EQ(with(der::kTeletex, "\xe4"), "CN=\xc3\xa4");
  EXPECT_EQ(with(0x1e, std::string_view("\0a\x20\xac", 4)), "CN=a\xe2\x82\xac");
  const Name back = name_of("CN=a\\,CN\\3Db");
  EXPECT_EQ(back.first("CN"), "a,CN=b");
}

TEST(Names, malformed_text_is_refused) {
  for (const char* text : {"CN", "CN=", "X=1", "CN=a,", "C=\xc3\xa4", "CN=\xff", "CN=a\\", "CN=a;b", ",CN=a", "=a"}) {
    EXPECT_FALSE(Name::from_text(text)) << text;
  }
  EXPECT_FALSE(Name::from_text("CN=" + std::string(256, 'a')));
}

TEST(Names, general_names_round_trip_as_text) {
  for (const char* text : {"dns:a.example", "ip:127.0.0.1", "ip:2001:db8::1", "email:a@b.example", "uri:urn:x:1",
                           "rid:1.2.3", "dirname:CN=a", "other:06022a03a0030c0161"}) {
    EXPECT_EQ(general(text).text(), text);
  }
  for (const char* text : {"", "dns:", "dns:a b", "ip:1.2.3", "ip:x", "rid:9", "what:x", "other:00", "email:\n"}) {
    EXPECT_FALSE(GeneralName::from_text(text)) << text;
  }
}

}  // namespace
}  // namespace imprint
