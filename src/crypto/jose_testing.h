// Keys for tests of COSE and JWS.
#pragma once

#include "codec/base64.h"
#include "codec/der.h"
#include "crypto/crypto_test.h"

namespace imprint::testing {

inline Bytes hex_in(const Json& vector, const char* name) { return *from_hex(vector[name].get<std::string>()); }

// The key of a vector in tests/data/jose.json, from its coordinates.
inline PublicKey key_in(const Json& vector) {
  const KeyType type = *key_type_named(vector["key"].get<std::string>());
  const std::uint8_t no_unused_bits = 0, uncompressed = 4;
  const Bytes x = hex_in(vector, "x");
  if (type == KeyType::ed25519) {
    return *PublicKey::parse(der::sequence({der::sequence({der::oid("1.3.101.112")}),
                                            der::item(der::kBitString, der::concat({{&no_unused_bits, 1}, x}))}));
  }
  const std::string_view curve = type == KeyType::p256   ? "1.2.840.10045.3.1.7"
                                 : type == KeyType::p384 ? "1.3.132.0.34"
                                                         : "1.3.132.0.35";
  const Bytes point = der::concat({{&no_unused_bits, 1}, {&uncompressed, 1}, x, hex_in(vector, "y")});
  return *PublicKey::parse(der::sequence(
      {der::sequence({der::oid("1.2.840.10045.2.1"), der::oid(curve)}), der::item(der::kBitString, point)}));
}

// RFC 8410 section 7.
inline PrivateKey ed25519_from(BytesView seed) {
  const Bytes key = der::item(der::kOctetString, der::item(der::kOctetString, seed));
  const Bytes der = der::sequence({der::integer(0), der::sequence({der::oid("1.3.101.112")}), key});
  return *PrivateKey::parse_pem(
      Secret("-----BEGIN PRIVATE KEY-----\n" + base64(der) + "\n-----END PRIVATE KEY-----\n"));
}

// A certificate of its own for this key.
inline Certificate certificate_for(const PrivateKey& key, std::string_view name = "CN=signer") {
  Party self{key, {}};
  self.certificate.subject = name_of(name);
  return self.issue(self.below(key.public_key(), name));
}

}  // namespace imprint::testing
