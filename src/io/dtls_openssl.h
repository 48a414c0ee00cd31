// DTLS 1.2 by OpenSSL: certificates and pre-shared keys. No Connection ID, no raw public keys, no EC-JPAKE.
#pragma once

#include "io/dtls.h"

namespace imprint::io {

// For both: extended master secret, P-256, X25519 and P-384 (certificates on P-256 and P-384), no renegotiation, no
// compression, no resumption (a resumed session would have a path that cannot be verified again). Suites with AES in
// GCM, CCM and CCM8 (RFC 9148 section 3 demands the last). A CCM8 tag is 8 bytes: whoever can do better gets the 16
// bytes of GCM or CCM, whoever cannot (CCM8 is all that a constrained client offers) gets CCM8; so it comes last though
// it is mandatory. AES-CCM for pre-shared keys likewise. Errors: internal (neither certificate nor pre-shared keys;
// OpenSSL refuses the key or the certificates), limit (MTU, size of the pre-shared key or its identity).
Result<std::shared_ptr<DtlsContext>> openssl_dtls_server(const DtlsServerOptions& options);
Result<std::shared_ptr<DtlsContext>> openssl_dtls_client(const DtlsClientOptions& options);

}  // namespace imprint::io
