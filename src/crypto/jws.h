// JWS in its general JSON serialization (RFC 7515 section 7.2.1).
#pragma once

#include <string>
#include <vector>

#include "crypto/x509.h"

namespace imprint {

// One signature, with what its protected header says.
struct JwsSignature {
  std::string algorithm;           // ES256, ES384, ES512 or EdDSA; any if it is not understood
  bool understood = true;          // no: an algorithm or a critical member that is none of ours; it proves nothing
  std::string type;                // typ; empty if there is none, as key_id and created_on
  std::string key_id;              // kid
  std::string created_on;          // RFC 3339, as written (BRSKI-PRM)
  std::vector<Certificate> chain;  // x5c, leaf first
  Bytes signature;
  std::string signed_text;  // protected "." payload, as received
};

// What a message says. Nothing here is verified; verify_jws() does that.
struct Jws {
  Bytes payload;
  std::vector<JwsSignature> signatures;  // 1 to 4
};

// Unprotected headers are not read. Faults: limit (64 KiB; 4 signatures; 32 certificates), malformed (a member name
// twice, base64url that is not strict, a certificate that cannot be read, the flattened form), unsupported (no
// signature that is understood: no algorithm in the protected header or another than those four, a critical member
// other than created-on).
Result<Jws> parse_jws(std::string_view text);

// Whether this key made the signature. Faults: unsupported (a signature that is not understood; a key of another type
// than the algorithm's: P-256, P-384, P-521 and Ed25519), unauthentic.
Status verify_jws(const JwsSignature& signature, const PublicKey& key);

// Members of the protected header; what is empty is left out.
struct JwsOptions {
  std::string type;
  std::string key_id;
  std::vector<Certificate> chain;
};

// One signature, with the algorithm that belongs to the key. Faults: unsupported (RSA), limit (more than parse_jws()
// takes).
Result<std::string> sign_jws(BytesView payload, const PrivateKey& key, const JwsOptions& options = {});

}  // namespace imprint
