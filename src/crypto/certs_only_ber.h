// Certs-only messages in BER. Private to this folder; src/crypto_toy has none.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace imprint {

// The same certificates, in their order, as a certs-only message in DER: OpenSSL reads the BER (RFC 5652 section 5.1
// allows it around what is signed) and writes each certificate. An empty content is passed over, as some peers send one
// where RFC 5272 section 4.1 has none: nothing is in it. Errors: limit (64 KiB), malformed (no SignedData, content,
// signers, no certificate).
Result<Bytes> certs_only_in_der(BytesView ber);

}  // namespace imprint
