// Private keys as opaque handles, public keys as the DER that certificates carry.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"

namespace imprint {

enum class KeyType : std::uint8_t { p256, p384, p521, ed25519, rsa2048, rsa3072, rsa4096, other };

std::string_view name(KeyType type);                           // "p256", "rsa2048", …
std::optional<KeyType> key_type_named(std::string_view name);  // nothing for unknown names and for "other"

// A SubjectPublicKeyInfo (RFC 5280 section 4.1), kept as received.
struct PublicKey {
  Bytes spki;
  KeyType type = KeyType::other;
  bool operator==(const PublicKey&) const = default;

  // Refuses what is not a SubjectPublicKeyInfo, points off the curve, and RSA outside 2048..8192 bits.
  static Result<PublicKey> parse(BytesView spki);
};

// Whether `signature` over `message` was made by this key. `algorithm` is the AlgorithmIdentifier (DER) that came with
// it: ECDSA, RSA (PKCS#1 v1.5 and PSS) with SHA-256, SHA-384 or SHA-512, and Ed25519. Faults: unsupported (any other,
// so MD5 and SHA-1), malformed (an algorithm of another key type), unauthentic.
Status verify_signature(const PublicKey& key, BytesView algorithm, BytesView message, BytesView signature);

// A private key somewhere: in memory now, behind a provider later. Copies share the key.
class PrivateKey {
 public:
  struct Handle;  // the library's own form
  PrivateKey() = default;
  explicit PrivateKey(std::shared_ptr<const Handle> handle);

  static Result<PrivateKey> generate(KeyType type);
  // PKCS#8 or traditional PEM; encrypted keys are refused with Fault::unsupported.
  static Result<PrivateKey> parse_pem(const Secret& pem);
  Result<Secret> to_pem() const;  // PKCS#8, unencrypted: the caller keeps the file 0600

  const PublicKey& public_key() const;
  // A signature over the message with the hash that suits the key (SHA-256 for P-256 and RSA, SHA-384 for P-384,
  // SHA-512 for P-521, none for Ed25519), DER for ECDSA, PKCS#1 v1.5 for RSA.
  Result<Bytes> sign(BytesView message) const;
  // The AlgorithmIdentifier (DER) that belongs to sign().
  BytesView signature_algorithm() const;

  const std::shared_ptr<const Handle>& handle() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  std::shared_ptr<const Handle> handle_;
};

}  // namespace imprint
