// Signatures as COSE and JOSE carry them: what they call an algorithm, and ECDSA's two numbers side by side
// (RFC 7518 section 3.4, RFC 9053 section 2.1) where X.509 has DER. Private to src/crypto.
#pragma once

#include "crypto/keys.h"

namespace imprint::raw {

// An algorithm, and the one type of key that makes its signatures. RFC 9053 would let any curve serve with any hash;
// JOSE would not, and nobody does.
struct Algorithm {
  std::int64_t cose;      // RFC 9053 section 2
  std::string_view jose;  // RFC 7518 section 3.1, RFC 8037 section 3.1
  KeyType key;
};

// Null for any other.
const Algorithm* algorithm(std::int64_t cose);
const Algorithm* algorithm(std::string_view jose);

// What such a key signs by; unsupported if it is none of them.
Result<Algorithm> algorithm_of(const PrivateKey& key);

// Whether this key made the signature. Of the two values of s that ECDSA knows, either is taken: a signature is no name
// of a message. Faults: unsupported (a key of another type), unauthentic.
Status verify(const Algorithm& by, const PublicKey& key, BytesView message, BytesView signature);

// By a key that has one of the algorithms.
Result<Bytes> sign(const PrivateKey& key, BytesView message);

// The two numbers of an ECDSA signature in DER, each in so many octets; internal if it is none, or takes more.
Result<Bytes> side_by_side(BytesView signature, std::size_t octets);

}  // namespace imprint::raw
