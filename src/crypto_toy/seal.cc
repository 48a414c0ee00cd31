#include "crypto/seal.h"

#include "crypto/hash.h"

namespace imprint {

// A MAC before the bytes as they are.
Result<Bytes> seal(const Secret& key, const Secret& plain, BytesView bound) {
  Bytes all = to_bytes(bound);
  all.insert(all.end(), plain.expose().begin(), plain.expose().end());
  Bytes out = to_bytes(hmac_sha256(key, all));
  out.insert(out.end(), plain.expose().begin(), plain.expose().end());
  return out;
}

Result<Secret> open_sealed(const Secret& key, BytesView sealed, BytesView bound) {
  CHECK_OR(sealed.size() >= Sha256{}.size(), Error{Fault::unauthentic, "seal: size"});
  const Secret plain(sealed.subspan(Sha256{}.size()));
  TRY(const Bytes again, seal(key, plain, bound));
  CHECK_OR(same(again, sealed), Error{Fault::unauthentic, "seal: not ours, or changed"});
  return plain;
}

}  // namespace imprint
