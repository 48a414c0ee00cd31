#include "crypto/raw_signature.h"

#include <algorithm>
#include <array>

#include "codec/der.h"
#include "crypto/parts.h"

namespace imprint::raw {
namespace {

constexpr std::array<Algorithm, 4> kAlgorithms{{{-7, "ES256", KeyType::p256},
                                                {-35, "ES384", KeyType::p384},
                                                {-36, "ES512", KeyType::p521},
                                                {-8, "EdDSA", KeyType::ed25519}}};
const Error kUnauthentic{Fault::unauthentic, "signature"};
const Error kUnsupported{Fault::unsupported, "signature: key"};

template <class T>
const Algorithm* find(T Algorithm::*member, T value) {
  const auto* const found = std::ranges::find(kAlgorithms, value, member);
  return found == kAlgorithms.end() ? nullptr : found;
}

// Octets of each of the two numbers; 0 for Ed25519, whose signature is as it is everywhere.
std::size_t width(KeyType key) {
  return key == KeyType::p256 ? 32 : (key == KeyType::p384 ? 48 : (key == KeyType::p521 ? 66 : 0));
}

Bytes identifier(KeyType key) {
  const std::string_view oid = key == KeyType::p256   ? "1.2.840.10045.4.3.2"
                               : key == KeyType::p384 ? "1.2.840.10045.4.3.3"
                               : key == KeyType::p521 ? "1.2.840.10045.4.3.4"
                                                      : "1.3.101.112";
  return der::sequence({der::oid(oid)});
}

// The number with leading zeros, so many octets; empty if it takes more, or is none.
Bytes padded(BytesView number, std::size_t octets) {
  if (number.empty() || number.size() > octets) {
    return {};
  }
  Bytes out(octets - number.size());
  out.insert(out.end(), number.begin(), number.end());
  return out;
}

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
  const std::size_t octets = width(key.type);
  if (octets == 0) {
    return verify_signature(key, identifier(key.type), message, signature);
  }
  CHECK_OR(signature.size() == 2 * octets, kUnauthentic);
  // Zero, and what is beyond the order, are OpenSSL's to refuse.
  const BytesView r = signature.first(octets), s = signature.last(octets);
  return verify_signature(key, identifier(key.type), message, der::sequence({der::integer(r), der::integer(s)}));
}

Result<Bytes> sign(const PrivateKey& key, BytesView message) {
  TRY(Bytes made, key.sign(message));
  const std::size_t octets = width(key.public_key().type);
  if (octets == 0) {
    return made;
  }
  return side_by_side(made, octets);  // what a token answers is not ours
}

Result<Bytes> side_by_side(BytesView signature, std::size_t octets) {
  der::Reader outer(signature);
  der::Reader numbers(outer.next(der::kSequence).content);
  Bytes out = padded(parts::positive(numbers.next(der::kInteger).content), octets);
  const Bytes s = padded(parts::positive(numbers.next(der::kInteger).content), octets);
  const bool whole = outer.done() && numbers.done();
  CHECK_OR(whole && !out.empty() && !s.empty(), Error{Fault::internal, "signature: form"});
  out.insert(out.end(), s.begin(), s.end());
  return out;
}

}  // namespace imprint::raw
