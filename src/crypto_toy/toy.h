// What the toy library offers beyond the headers of src/crypto: keys by name.
//
// The toy stands behind the same headers as src/crypto and is chosen at link time. It shares the real parsers and
// encoders; only keys, signatures, digests and path validation are replaced, by something fast and reproducible that
// protects nothing: whoever knows a public key can sign with it. For the explorer and the fuzzers only.
#pragma once

#include <string_view>

#include "crypto/keys.h"

namespace imprint::toy {

// The key of this type and name: the same arguments give the same key in every process.
PrivateKey key(KeyType type, std::string_view name);

// 64 bits over the bytes: quick, well mixed, not cryptographic.
std::uint64_t hash64(BytesView data, std::uint64_t seed = 0);

}  // namespace imprint::toy
