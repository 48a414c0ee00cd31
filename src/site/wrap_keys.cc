#include "site/wrap_keys.h"

#include "crypto/seal.h"
#include "site/policy.h"

namespace imprint::site {
namespace {

Secret seal_key_of(const Secret& pepper) { return part_key(pepper, "imprint wrap key"); }

// A device's id has no NUL: the parts cannot run into each other.
Bytes bound_to(std::string_view device, BytesView id) {
  Bytes out = to_bytes(device);
  out.push_back(0);
  out.insert(out.end(), id.begin(), id.end());
  return out;
}

}  // namespace

Result<store::WrapKeyRow> sealed_wrap_key(const Secret& pepper, std::string_view device, const SharedKey& key) {
  store::WrapKeyRow out;
  out.device = device;
  out.id = key.id;
  out.mac = hmac_sha256(part_key(pepper, "imprint wrap key mac"), key.key.expose());
  TRY(out.sealed, seal(seal_key_of(pepper), key.key, bound_to(device, key.id)));
  return out;
}

Result<SharedKey> open_wrap_key(const Secret& pepper, std::string_view device, BytesView id, BytesView sealed) {
  TRY(Secret key, open_sealed(seal_key_of(pepper), sealed, bound_to(device, id)));
  return SharedKey{to_bytes(id), std::move(key)};
}

}  // namespace imprint::site
