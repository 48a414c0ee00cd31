// What is kept of a device's secret, and how one that is presented is found by it.
#include "base/reader.h"
#include "crypto/seal.h"
#include "role/digest.h"
#include "site/applicant.h"

namespace imprint::site {
namespace {

Secret digest_key(const Secret& pepper) { return part_key(pepper, "imprint digest"); }

// The secret that made this answer to a challenge. One that is right but for its nonce is stale.
Result<std::optional<DeviceSecret>> answering_secret(const Policy& policy, store::Reader& store, const Login& login,
                                                     Instant now, Decision& d) {
  const DigestAnswer& answer = *login.digest;
  if (!policy.nonces || !holds(answer.realm == kDeviceRealm && answer.uri == answer.target)) {
    return std::optional<DeviceSecret>();
  }
  TRY(const std::vector<DeviceSecret> secrets, store.digests(login.user));
  for (const DeviceSecret& each : secrets) {
    const auto digest = open_sealed(digest_key(policy.pepper), each.digest, each.mac);
    if (!digest || !same(view(digest_response(*digest, answer)), view(answer.response))) {
      continue;
    }
    const Bytes octets = *from_hex(answer.nc);
    Reader count(octets);
    d.stale = !policy.nonces->take(nonce_key(policy.pepper), answer.nonce, count.u32(), now);
    return d.stale ? std::nullopt : std::optional(each);
  }
  return std::optional<DeviceSecret>();
}

}  // namespace

Secret part_key(const Secret& pepper, std::string_view part) {
  Sha256 mac = hmac_sha256(pepper, view(part));
  Secret out{BytesView(mac)};
  wipe(mac);
  return out;
}

Sha256 secret_mac(const Secret& pepper, std::string_view user, const Secret& secret) {
  Bytes input = to_bytes(user);
  input.push_back(0);
  input.insert(input.end(), secret.expose().begin(), secret.expose().end());
  const Sha256 out = hmac_sha256(pepper, input);
  wipe(input);
  return out;
}

Result<Bytes> sealed_digest(const Secret& pepper, std::string_view user, const Secret& secret) {
  return seal(digest_key(pepper), digest_secret(user, kDeviceRealm, secret), secret_mac(pepper, user, secret));
}

Secret nonce_key(const Secret& pepper) { return part_key(pepper, "imprint nonce"); }

Result<std::optional<DeviceSecret>> presented_secret(const Policy& policy, store::Reader& store, const Login& login,
                                                     Instant now, Decision& d) {
  if (login.digest) {
    return answering_secret(policy, store, login, now, d);
  }
  if (!policy.basic) {
    return std::optional<DeviceSecret>();
  }
  return store.secret(secret_mac(policy.pepper, login.user, login.password));
}

}  // namespace imprint::site
