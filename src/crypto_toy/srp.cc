#include "crypto/srp.h"

#include "crypto/hash.h"

namespace imprint {

// Tells one secret from another, and is no number.
Result<SrpVerifier> srp_verifier(const std::string& user, const Secret& password) {
  Bytes input = to_bytes(user);
  input.push_back(0);
  input.insert(input.end(), password.expose().begin(), password.expose().end());
  const Sha256 digest = sha256(input);
  wipe(input);
  return SrpVerifier{Bytes(20, 0x80), Secret(BytesView(digest))};
}

}  // namespace imprint
