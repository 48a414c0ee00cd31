// Keeping a secret in a place that others may read or copy: sealed under a key that is elsewhere.
#pragma once

#include "base/result.h"
#include "base/secret.h"

namespace imprint {

// AES-256-GCM (NIST SP 800-38D) under SHA-256 of the key, with a random nonce of 96 bits: nonce, sealed bytes, tag of
// 16 bytes. `bound` is authenticated with it and has to be the same to open it. Fault::internal if OpenSSL fails.
Result<Bytes> seal(const Secret& key, const Secret& plain, BytesView bound);
// Fault::unauthentic if key, `bound` or a bit of it is another one.
Result<Secret> open_sealed(const Secret& key, BytesView sealed, BytesView bound);

}  // namespace imprint
