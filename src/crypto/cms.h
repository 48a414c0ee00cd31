// CMS messages (RFC 5652).
#pragma once

#include <vector>

#include "crypto/x509.h"

namespace imprint {

// A certs-only message (RFC 5272 section 4.1): SignedData without content and signers. Certificates as DER.
Bytes encode_certs_only(const std::vector<Bytes>& certificates);

// The certificates of a certs-only message, in the order sent; also takes a message with CRLs (they are dropped).
// Bounded: 64 KiB, 32 certificates. A message with content or with signers is refused. DER, or BER of indefinite
// length, which OpenSSL reads.
Result<std::vector<Certificate>> parse_certs_only(BytesView message);

}  // namespace imprint
