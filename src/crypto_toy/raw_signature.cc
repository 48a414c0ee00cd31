// Signatures of COSE and JOSE in the toy's form: one size for all algorithms, and no DER to be taken apart.
#include "crypto/raw_signature.h"

#include <algorithm>
#include <array>

#include "crypto_toy/toy.h"

namespace imprint::raw {
namespace {

constexpr std::array<Algorithm, 4> kAlgorithms{{{-7, "ES256", KeyType::p256},
                                                {-35, "ES384", KeyType::p384},
                                                {-36, "ES512", KeyType::p521},
                                                {-8, "EdDSA", KeyType::ed25519}}};
const Error kUnsupported{Fault::unsupported, "signature: key"};

template <class T>
const Algorithm* find(T Algorithm::*member, T value) {
  const auto* const found = std::ranges::find(kAlgorithms, value, member);
  return found == kAlgorithms.end() ? nullptr : found;
}

// What the toy calls its one way to sign, whoever's key it is.
Bytes identifier(KeyType type) { return to_bytes(toy::key(type, "any").signature_algorithm()); }

}  // namespace

const Algorithm* algorithm(std::int64_t cose) { return find(&Algorithm::cose, cose); }

const Algorithm* algorithm(std::string_view jose) { return find(&Algorithm::jose, jose); }

Result<Algorithm> algorithm_of(const PrivateKey& key) {
  CHECK_OR(bool(key), Error{Fault::internal, "signature: no key"});
  const Algorithm* const found = find(&Algorithm::key, key.public_key().type);
  CHECK_OR(found != nullptr, kUnsupported);
  return *found;
}

Status verify(const Algorithm& by, const PublicKey& key, BytesView message, BytesView signature) {
  CHECK_OR(key.type == by.key, kUnsupported);
  static const Bytes kIdentifier = identifier(by.key);
  return verify_signature(key, kIdentifier, message, signature);
}

Result<Bytes> sign(const PrivateKey& key, BytesView message) { return key.sign(message); }

}  // namespace imprint::raw
