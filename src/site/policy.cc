#include "site/policy.h"

#include <algorithm>

#include "base/reader.h"
#include "codec/der.h"
#include "crypto/seal.h"
#include "role/digest.h"
#include "site/key_delivery.h"
#include "site/names.h"
#include "site/rules.h"

namespace imprint {

// The one place that turns a presented secret into a proof.
template <>
struct Checker<KnownSecret> {
  static std::optional<Verified<KnownSecret>> check(const std::optional<DeviceSecret>& found, std::string_view user) {
    if (!found || found->user != user) {
      return std::nullopt;
    }
    return Verified<KnownSecret>(KnownSecret{found->device, found->user, found->one_time});
  }
};

namespace site {
namespace {

constexpr std::string_view kBasicConstraints = "2.5.29.19";

// Who asks, as far as it is proven, with the inventory's entry if there is one.
struct Applicant {
  std::optional<Device> device;
  std::optional<store::CertificateRow> current;  // the presented certificate, if it is ours
  bool spent = false;                            // a one-time token that has been used
};

void refuse(Decision& d, const Rule& rule, std::string reason) {
  d.verdict = Verdict::refused;
  d.rule = &rule;
  d.reason = std::move(reason);
}

bool is_ours(const Policy& policy, const Certificate& anchor) {
  return std::ranges::find(policy.owner_anchors, anchor) != policy.owner_anchors.end();
}

// Whether the certificate presented leads to a device that may have something.
bool is_of_use(const Applicant& who) {
  const bool wanted =
      who.device && who.device->admission != Admission::refused && who.device->admission != Admission::retired;
  return wanted && !(who.current && who.current->revoked);
}

Secret part_key(const Secret& pepper, std::string_view part) {
  Sha256 mac = hmac_sha256(pepper, view(part));
  Secret out{BytesView(mac)};
  wipe(mac);
  return out;
}

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
    Reader count(*from_hex(answer.nc));
    d.stale = !policy.nonces->take(nonce_key(policy.pepper), answer.nonce, count.u32(), now);
    return d.stale ? std::nullopt : std::optional(each);
  }
  return std::optional<DeviceSecret>();
}

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

// Step 1: who is this device?
Result<Applicant> identify(const Policy& policy, store::Reader& store, const Admit& q, Instant now, Decision& d) {
  Applicant out;
  if (q.session->proven) {
    const CertificateChain& chain = **q.session->proven;
    d.identity = "certificate " + chain.leaf.subject.text + " of " + chain.leaf.issuer.text;
    if (is_ours(policy, chain.anchor)) {
      TRY(out.current, store.certificate(chain.leaf.serial));
      if (out.current && !holds(out.current->der == chain.leaf.der)) {
        out.current.reset();  // another CA's below the same root, of the same serial number
      }
      if (out.current) {
        TRY(out.device, store.device(out.current->device));
      }
      if (is_of_use(out) || !q.login) {
        return out;
      }
    } else {
      d.device_identity = identity_of(chain.leaf);
      TRY(out.device, store.device_by_identity(d.device_identity));
      if (is_of_use(out) || !q.login) {
        return out;
      }
    }
    // The certificate opens nothing here: the secret says which device it is.
    out = {};
    d.device_identity.clear();
  }
  if (q.login) {
    TRY(const auto found, presented_secret(policy, store, *q.login, now, d));
    d.secret = Checker<KnownSecret>::check(found, q.login->user);
    if (d.secret) {
      d.identity = std::string((*d.secret)->one_time ? "one-time token of " : "password of ") + (*d.secret)->device;
      out.spent = found->spent;
      d.spent = found->one_time ? hex(found->mac) : std::string{};
      TRY(out.device, store.device(found->device));
    }
  }
  return out;
}

bool usages_within(const Profile& profile, const CertificateRequest& request) {
  const bool key_usage_ok = !request.usage || (*request.usage & ~profile.usage) == 0;
  const bool extended_ok = std::ranges::all_of(request.extended, [&](const std::string& oid) {
    return std::ranges::find(profile.extended, oid) != profile.extended.end();
  });
  return key_usage_ok && extended_ok;
}

// Whether basicConstraints (RFC 5280 section 4.2.1.9) says anything but "no CA".
bool asks_for_ca(const Extension& extension) {
  if (extension.oid != kBasicConstraints) {
    return false;
  }
  der::Reader outer(extension.value);
  der::Reader fields(outer.next(der::kSequence).content);
  const auto ca = fields.maybe(der::kBoolean);
  const bool no = !ca || (ca->content.size() == 1 && ca->content[0] == 0);
  return !(no && fields.done() && outer.done());
}

// Ids of other devices among the names asked for.
Result<std::vector<std::string>> others_named(store::Reader& store, const CertificateRequest& request,
                                              const Device& device) {
  std::vector<std::string> out;
  for (const std::string& id : ids_named(request)) {
    TRY(const std::optional<Device> other, store.device(id));
    if (other && other->id != device.id) {
      out.push_back(id);
    }
  }
  return out;
}

// Step 4: what does it get? Fills the grant, or refuses.
Status grant(const Profile& profile, store::Reader& store, const Applicant& who, const Admit& q, Instant now,
             Decision& d) {
  const CertificateRequest& request = *q.request;
  const Device& device = *who.device;
  if (std::ranges::find(profile.keys, request.key.type) == profile.keys.end()) {
    refuse(d, kKeyType, "profile " + profile.name + ": key type " + std::string(name(request.key.type)));
    return Ok{};
  }
  if (std::ranges::any_of(request.other_extensions, asks_for_ca)) {
    refuse(d, kCaRequest, "the request's basicConstraints");
    return Ok{};
  }
  if (!usages_within(profile, request)) {
    refuse(d, kUsages, "profile " + profile.name + ": usages asked for");
    return Ok{};
  }
  TRY(const std::vector<std::string> others, others_named(store, request, device));
  const auto names = grant_names(profile, device, others, who.current.has_value(), q);
  if (!names) {
    refuse(d, kNames, "profile " + profile.name + ": " + request.subject.text + " for device " + device.id);
    return Ok{};
  }
  d.verdict = Verdict::issue;
  const bool held = q.request.possession() != nullptr;
  d.grant = {device.id,     profile.name,     *names,          held ? request.key.spki : Bytes{},
             profile.usage, profile.extended, profile.lifetime};
  if (!held) {
    TRY(Ok{}, choose_delivery(profile, store, device, q, now, d));
  }
  d.reason += "; profile " + profile.name;
  return Ok{};
}

// A retry takes the place of the answer before it. False if there were too many of them.
bool supersede(const LostAnswer& lost, const Applicant& who, Decision& d) {
  if (lost.retries >= kMostRetries) {
    refuse(d, kTooManyCertificates, std::to_string(lost.retries) + " keys in place of lost ones");
    return false;
  }
  if (who.current && lost.serial == who.current->serial) {
    return true;  // it arrived, and is renewed now
  }
  d.supersedes = lost.serial;
  const bool fresh_token = d.secret && !who.spent;
  if (!who.current && !fresh_token) {
    d.renews = lost.serial;  // so that the first of a row of retries is found
  }
  if (who.spent) {
    d.spent.clear();  // by the first of them
  }
  return true;
}

void wait_for_person(const Policy& policy, Decision& d, std::string reason) {
  d.verdict = Verdict::pending;
  d.rule = &kWaiting;
  d.retry_after = policy.retry_after;
  d.reason = std::move(reason);
}

// Step 2: do I want it? True to go on.
Result<bool> wanted(const Policy& policy, store::Reader& store, const Admit& q, const Applicant& who, Decision& d) {
  TRY(const auto asked_before, store.pending(q.request_key));
  const bool approved = asked_before && asked_before->state == Admission::approved;
  switch (who.device->admission) {
    case Admission::approved:
      d.reason = "device " + who.device->id + " is in the inventory";
      d.basis = d.newcomer ? Basis::newcomer : Basis::inventory;
      return true;
    case Admission::waiting:
      if (approved) {
        d.reason = "approved by " + asked_before->decided_by;
        d.basis = Basis::request;
        return true;
      }
      if (asked_before && asked_before->state == Admission::refused) {
        refuse(d, kUnwanted, "refused by " + asked_before->decided_by);
        return false;
      }
      wait_for_person(policy, d, "device " + who.device->id + " waits for approval");
      return false;
    case Admission::refused:
      refuse(d, kUnwanted, "device " + who.device->id + " is refused");
      return false;
    case Admission::retired:
      refuse(d, kRetired, "device " + who.device->id + " is retired");
      return false;
  }
  return false;
}

// "default" is a name of the profile that is served without a label.
std::string_view plain(std::string_view label) { return label == "default" ? std::string_view() : label; }

// A device with a maker's certificate that the inventory does not know.
bool take_unknown(const Policy& policy, const Admit& q, Applicant& who, Decision& d) {
  if (policy.unknown == Unknown::refuse) {
    refuse(d, kUnknown, "not in the inventory; policy: pre-registered only");
    return false;
  }
  Device device;
  const Certificate& leaf = (*q.session->proven)->leaf;
  device.serial = leaf.subject.first("serialNumber");
  // Not by a name that its maker chose: that may be the id of a device that the owner has yet to take in.
  device.id = "x509-" + d.device_identity.substr(d.device_identity.size() - 16);
  device.admission = policy.unknown == Unknown::admit ? Admission::approved : Admission::waiting;
  device.identities = {d.device_identity};
  device.label = plain(q.label);
  d.newcomer = device;
  who.device = std::move(device);
  return true;
}

// Step 3: may I have it? That is a voucher's question, and EST has none. What remains of it: the key is this device's
// alone and in nobody else's hands, and nobody makes certificates without end.
Result<bool> may_have(const Policy& policy, store::Reader& store, const Admit& q, const Applicant& who, Instant now,
                      Decision& d) {
  const Sha256 key_digest = sha256(q.request->key.spki);
  if (q.session->proven && !d.secret) {  // where a secret decides, the certificate beside it does not count
    const Sha256 presented = sha256((*q.session->proven)->leaf.key.spki);
    TRY(const bool compromised, store.is_compromised(presented));
    if (compromised) {
      refuse(d, kCompromised, "key " + hex(presented) + " of the certificate presented");
      return false;
    }
  }
  if (q.request.possession() != nullptr) {  // else the key is yet to be made
    TRY(const auto other, store.other_holder(key_digest, who.device->id));
    if (other) {
      refuse(d, kSharedKey, "device " + *other + " holds a certificate for this key");
      return false;
    }
    TRY(const bool compromised, store.is_compromised(key_digest));
    if (compromised) {
      refuse(d, kCompromised, "key " + hex(key_digest));
      return false;
    }
  }
  if (who.current) {  // by simpleenroll as well
    TRY(const auto successor, store.successor(who.current->serial));
    // Its answer may have been lost, and the key of the request that it answered with it: for a while it may ask again.
    if (successor && now - successor->issued > policy.renewed_grace) {
      refuse(d, kRenewedBefore,
             "serial " + hex(who.current->serial) + " was renewed on " + utc_text(successor->issued) + " by " +
                 hex(successor->serial));
      return false;
    }
  }
  TRY(const std::int64_t live, store.live_certificates(who.device->id, now));
  if (live >= policy.most_live) {
    refuse(d, kTooManyCertificates, "device " + who.device->id + " has " + std::to_string(live));
    return false;
  }
  return true;
}

}  // namespace

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

Result<Decision> admit(const Policy& policy, store::Reader& store, const Admit& q, Instant now) {
  Decision d;
  d.verdict = Verdict::unauthenticated;
  d.rule = &kUnknown;
  TRY(Applicant who, identify(policy, store, q, now, d));
  const bool maker_proven = !d.device_identity.empty();
  if (!who.device && !maker_proven) {
    if (d.stale) {
      d.reason = "the nonce is too old, or was used";
    } else if (q.login && !q.login->digest && !policy.basic) {
      d.reason = "a password in HTTP Basic is not taken here";
    } else if (q.login) {
      d.reason = "the secret presented is nobody's";
    } else if (q.session->proven) {
      refuse(d, kUnknown, "a certificate of ours that is not on record");
    }
    return d;  // 401: nobody known
  }
  if (who.current && who.current->revoked) {
    refuse(d, kRevoked, "serial " + hex(who.current->serial));
    return d;
  }
  if (q.renewal && !who.current) {
    refuse(d, kNotOurs, "renewal with a certificate of another CA");
    return d;
  }
  TRY(const auto answered, store.certificate_for(q.request_key));
  const bool keyless = q.request.possession() == nullptr;
  std::optional<LostAnswer> lost;
  if (keyless) {
    TRY(lost, lost_answer(policy, store, q, now));
  }
  // A key that the owner made is given once: who asks again gets another one.
  const bool given_again = keyless ? lost && lost->in_time : answered && store::is_fresh(*answered, now);
  if (who.spent && !given_again) {
    d.verdict = Verdict::unauthenticated;
    d.rule = &kSpent;
    d.reason = "the one-time token of " + (*d.secret)->device + " is spent";
    return d;
  }
  if (!who.device) {
    if (!take_unknown(policy, q, who, d)) {
      return d;
    }
  }
  d.grant.device = who.device->id;
  // Its label is the owner's word on what it may get; the one in the request is only the device's wish.
  if (!holds(plain(q.label) == plain(who.device->label))) {
    refuse(d, kLabel, "device " + who.device->id + " belongs to label '" + who.device->label + "'");
    return d;
  }
  TRY(const bool go_on, wanted(policy, store, q, who, d));
  if (!go_on) {
    return d;
  }
  const bool renewal = who.current.has_value();  // with simpleenroll, too: its successor is the new one
  if (!keyless && given_again && answered->device == who.device->id &&
      !(renewal && answered->serial == who.current->serial)) {
    d.verdict = Verdict::already;  // the answer was lost on its way: the same one again
    d.certificate = answered->der;
    return d;
  }
  TRY(const bool allowed, may_have(policy, store, q, who, now, d));
  if (!allowed) {
    return d;
  }
  if (renewal) {
    d.renews = who.current->serial;
  }
  if (lost && !supersede(*lost, who, d)) {
    return d;
  }
  const auto profile = policy.profiles.find(q.label);
  TRY(Ok{}, grant(profile == policy.profiles.end() ? policy.profiles.at("") : profile->second, store, who, q, now, d));
  return d;
}

}  // namespace site
}  // namespace imprint
