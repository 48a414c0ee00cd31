// What is kept of a device's secret, and how one that is presented is found by it.
#include <algorithm>

#include "base/reader.h"
#include "crypto/seal.h"
#include "crypto/srp.h"
#include "role/digest.h"
#include "site/applicant.h"

namespace imprint::site {
namespace {

Secret digest_key(const Secret& pepper) { return part_key(pepper, "imprint digest"); }

Secret srp_key(const Secret& pepper) { return part_key(pepper, "imprint srp"); }

// One byte with the salt's size, the salt, the verifier.
Secret packed(const SrpVerifier& verifier) {
  Bytes out{static_cast<std::uint8_t>(verifier.salt.size())};
  out.insert(out.end(), verifier.salt.begin(), verifier.salt.end());
  const BytesView proof = verifier.verifier.expose();
  out.insert(out.end(), proof.begin(), proof.end());
  Secret result{BytesView(out)};
  wipe(out);
  return result;
}

std::optional<SrpVerifier> unpacked(const Secret& sealed) {
  Reader r(sealed.expose());
  const BytesView salt = r.take(r.u8());
  SrpVerifier out{to_bytes(salt), Secret(r.take_rest())};
  return r.good() && !out.salt.empty() && !out.verifier.empty() ? std::optional(std::move(out)) : std::nullopt;
}

// Nobody's, the same for a name each time: who asks cannot tell it from somebody's.
Result<SrpVerifier> made_up(const Secret& pepper, const std::string& user) {
  const Secret key = part_key(srp_key(pepper), user);
  TRY(SrpVerifier out, srp_verifier(user, Secret(hex(key.expose()))));
  const Sha256 salt = hmac_sha256(key, view("salt"));
  out.salt.assign(salt.begin(), salt.begin() + static_cast<std::ptrdiff_t>(out.salt.size()));
  out.salt.front() |= 0x80U;
  return out;
}

// The secret that made this answer to a challenge. One that is right but for its nonce is stale.
Result<std::optional<DeviceSecret>> answering_secret(const Policy& policy, store::Reader& store, const Login& login,
                                                     Instant now, Decision& d) {
  const DigestAnswer& answer = *login.digest;
  if (!policy.nonces || !holds(answer.realm == kDeviceRealm && answer.uri == answer.target)) {
    return std::optional<DeviceSecret>();
  }
  TRY(const std::vector<DeviceSecret> secrets, store.secrets_of(login.user));
  for (const DeviceSecret& each : secrets) {
    const auto digest = open_sealed(digest_key(policy.pepper), each.digest, each.mac);
    if (!digest || !same(view(digest_response(*digest, answer)), view(answer.response))) {
      continue;
    }
    const Bytes octets = *from_hex(answer.nc);
    Reader count(octets);
    d.stale = !policy.nonces->take(answer.nonce, count.u32(), now);
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

Result<Bytes> sealed_srp(const Secret& pepper, std::string_view user, const Secret& secret) {
  TRY(const SrpVerifier verifier, srp_verifier(std::string(user), secret));
  return seal(srp_key(pepper), packed(verifier), secret_mac(pepper, user, secret));
}

Result<SrpSecret> find_srp(const Secret& pepper, store::Reader& store, const std::string& user) {
  TRY(const std::vector<DeviceSecret> secrets, store.secrets_of(user));
  for (const DeviceSecret& each : secrets) {
    const auto sealed = open_sealed(srp_key(pepper), each.srp, each.mac);
    const auto verifier = sealed ? unpacked(*sealed) : std::nullopt;
    if (verifier) {
      return SrpSecret{*verifier, {each.mac.begin(), each.mac.end()}};
    }
  }
  TRY(SrpVerifier nobody, made_up(pepper, user));
  return SrpSecret{std::move(nobody), {}};
}

Result<std::optional<DeviceSecret>> presented_secret(const Policy& policy, store::Reader& store, const Admit& q,
                                                     Instant now, Decision& d) {
  if (!q.session->srp_user.empty()) {
    Sha256 mac{};
    CHECK_OR(q.session->srp_record.size() == mac.size(), Error{Fault::internal, "srp: a session without its record"});
    std::ranges::copy(q.session->srp_record, mac.begin());
    return store.secret(mac);
  }
  const Login& login = *q.login;
  if (login.digest) {
    return answering_secret(policy, store, login, now, d);
  }
  if (!policy.basic) {
    return std::optional<DeviceSecret>();
  }
  return store.secret(secret_mac(policy.pepper, login.user, login.password));
}

}  // namespace imprint::site
