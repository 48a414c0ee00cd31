// Private keys on their way from one machine to another: PKCS#8 (RFC 5208) and AsymmetricKeyPackage (RFC 5958).
#pragma once

#include "crypto/keys.h"

namespace imprint {

// The security strength of a key in bits (NIST SP 800-57 part 1, table 2): 112 for RSA-2048, 128 for P-256 and Ed25519,
// 192 for P-384. 0 for keys of other types.
constexpr std::size_t strength_bits(KeyType type) {
  switch (type) {
    case KeyType::rsa2048:
      return 112;
    case KeyType::p256:
    case KeyType::ed25519:
    case KeyType::rsa3072:
      return 128;
    case KeyType::rsa4096:
      return 152;
    case KeyType::p384:
      return 192;
    case KeyType::p521:
      return 256;
    case KeyType::other:
      break;
  }
  return 0;
}

// PrivateKeyInfo, DER, not encrypted.
Result<Secret> encode_pkcs8(const PrivateKey& key);
// Takes OneAsymmetricKey (version 2, with its public key) as well; the public key is made anew from the private one.
// Bounded: 16 KiB. Faults: limit, malformed, unsupported (a type of key that we do not have).
Result<PrivateKey> parse_pkcs8(const Secret& der);

// A package of exactly one key.
Result<Secret> encode_key_package(const PrivateKey& key);
// A package of one key; also a bare PrivateKeyInfo, which some servers put in its place. Refuses packages of several.
Result<PrivateKey> parse_key_package(const Secret& der);

}  // namespace imprint
