// How this folder holds OpenSSL's objects. Private: nothing outside src/crypto includes it.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/keys.h"
#include "crypto/openssl_bridge.h"

namespace imprint {

class TokenKey;

// A private key, with what every signature needs beside it.
struct PrivateKey::Handle {
  EvpKey key;                       // null if it is in a token and of a kind that OpenSSL cannot be given from there
  std::shared_ptr<TokenKey> token;  // null if it is in memory
  PublicKey public_key;
  Bytes algorithm;             // AlgorithmIdentifier that belongs to sign()
  const char* hash = nullptr;  // OpenSSL's name; null where the algorithm hashes by itself
};

namespace ossl {

using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;

// What every signature needs, without the key itself; `rsa` says that it is an RSA key, of whatever size.
// Fault::unsupported for kinds of keys that we do not sign with.
Result<std::shared_ptr<PrivateKey::Handle>> make_handle(PublicKey key, bool rsa);

// An error after a call of OpenSSL failed: its queue is emptied, so that it cannot be blamed on a later call.
Error failed(Fault fault, std::string_view what);

// The key as OpenSSL wants it, null on failure. Avoids OpenSSL's generic decoder for elliptic curves and Ed25519: it
// takes longer than the verification that follows. The point must have been checked (PublicKey::parse does).
EvpKey public_key(const PublicKey& key);

// Whether an uncompressed point lies on this curve and is not the point at infinity. The type must be a NIST curve.
bool on_curve(KeyType type, BytesView point);

}  // namespace ossl
}  // namespace imprint
