// COSE_Sign1: content with one signature, in CBOR (RFC 9052 section 4.2), with certificates (RFC 9360).
#pragma once

#include <vector>

#include "crypto/x509.h"

namespace imprint {

// What such a message says. Nothing here is verified; verify_sign1() does that.
struct Sign1 {
  std::int64_t algorithm = 0;  // RFC 9053: -7 ES256, -35 ES384, -36 ES512, -8 EdDSA
  Bytes protected_header;      // as received: it is signed as it is
  // Of x5bag and x5chain, wherever they stand, those under the signature first; those that cannot be read are left out,
  // as nobody stands on them.
  std::vector<Certificate> bag;
  bool bag_is_protected = false;  // there are some, and none of them came outside of the signature
  Bytes key_id;                   // empty if there is none
  Bytes payload;
  Bytes signature;
};

// Tagged 18 or bare. Faults: limit (64 KiB; 32 certificates; 32 labels a header), malformed (a label twice, in one
// header or in both, among others), unsupported (no algorithm in the protected header or another than those four,
// critical labels, a payload that is elsewhere).
Result<Sign1> parse_sign1(BytesView message);

// Whether this key made the signature. Faults: unsupported (a key of another type than the algorithm's: P-256, P-384,
// P-521 and Ed25519), unauthentic.
Status verify_sign1(const Sign1& message, const PublicKey& key);

struct Sign1Options {
  std::vector<Certificate> bag;  // sent along as x5bag
  bool protect_bag = false;      // under the signature
  Bytes key_id;
  std::vector<Certificate> chain = {};  // sent along as x5chain under the signature, the signer's first
};

// Tagged, with the algorithm that belongs to the key. Faults: unsupported (RSA), limit (more than parse_sign1() takes).
Result<Bytes> sign_sign1(BytesView payload, const PrivateKey& key, const Sign1Options& options = {});

// The same message with nothing in its unprotected header; its signature stays good.
Result<Bytes> without_unprotected(BytesView message);

}  // namespace imprint
