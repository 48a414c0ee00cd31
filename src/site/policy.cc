#include "site/policy.h"

#include <algorithm>

#include "base/reader.h"
#include "codec/der.h"
#include "site/applicant.h"
#include "site/est_gate.h"
#include "site/key_delivery.h"
#include "site/names.h"
#include "site/newcomer.h"
#include "site/rules.h"

namespace imprint::site {
namespace {

constexpr std::string_view kBasicConstraints = "2.5.29.19";

void refuse(Decision& d, const Rule& rule, std::string reason) {
  d.verdict = Verdict::refused;
  d.rule = &rule;
  d.reason = std::move(reason);
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

// "dev-1." is the host dev-1.
std::string_view without_dot(std::string_view id) { return id.ends_with('.') ? id.substr(0, id.size() - 1) : id; }

// Ids of other devices among the names asked for.
Result<std::vector<std::string>> others_named(store::Reader& store, const CertificateRequest& request,
                                              const Device& device) {
  std::vector<std::string> out;
  for (const std::string& id : ids_named(request)) {
    if (id == device.id) {
      continue;
    }
    TRY(const std::optional<std::string> as_it_is, store.other_called(id, device.id));
    TRY(const std::optional<std::string> as_host, store.other_called(without_dot(id), device.id));
    if (as_it_is || as_host) {
      out.push_back(id);
    }
  }
  return out;
}

// RFC 8995 section 5.9.2: the registrar confirms that the request is as csrattrs wanted it. A device's further
// credentials may leave the name out.
bool acp_name_confirmed(const Policy& policy, const Profile& profile, const Admit& q) {
  if (!policy.acp_name) {
    return true;
  }
  const CertificateRequest& request = *q.request;
  const bool needed = profile.group.empty() || profile.identity;
  const std::vector<GeneralName> asked =
      request.change_names ? request.change_names->alt_names.value_or(std::vector<GeneralName>{}) : request.alt_names;
  return holds(has_acp_name_given(asked, policy.acp_name(*q.session), needed));
}

// Step 4: what does it get? Fills the grant, or refuses.
Status grant(const Policy& policy, const Profile& profile, store::Reader& store, const Applicant& who, const Admit& q,
             Instant now, Decision& d) {
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
  if (!acp_name_confirmed(policy, profile, q)) {
    refuse(d, kAcpName, "profile " + profile.name + ": the names of " + request.subject.text);
    return Ok{};
  }
  TRY(const std::vector<std::string> others, others_named(store, request, device));
  const auto names = grant_names(profile, device, others, who.renewal, q, policy.acp_name != nullptr);
  if (!names) {
    refuse(d, kNames, "profile " + profile.name + ": " + request.subject.text + " for device " + device.id);
    return Ok{};
  }
  d.verdict = Verdict::issue;
  const bool held = q.request.possession() != nullptr;
  const std::string recorded = profile.name + std::string(who.for_another ? kHandedOnMark : "");
  d.grant = {device.id,     recorded,         *names,           held ? request.key.spki : Bytes{},
             profile.usage, profile.extended, profile.lifetime, !profile.group.empty()};
  if (!held) {
    TRY(Ok{}, choose_delivery(profile, store, device, q, now, d));
  }
  d.reason += "; profile " + profile.name + (who.for_another ? "; handed on by a registration authority" : "");
  return Ok{};
}

// A retry takes the place of the answer before it. False if there were too many of them.
bool supersede(const LostAnswer& lost, const Applicant& who, Decision& d) {
  if (lost.retries >= kMostRetries) {
    refuse(d, kTooManyCertificates, std::to_string(lost.retries) + " keys in place of lost ones");
    return false;
  }
  if (who.renewal && lost.serial == who.current->serial) {
    return true;  // it arrived, and is renewed now
  }
  d.supersedes = lost.serial;
  const bool fresh_token = d.secret && !who.spent;
  if (!who.renewal && !fresh_token) {
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

const Profile& profile_of(const Policy& policy, std::string_view label) {
  const auto at = policy.profiles.find(label);
  return at == policy.profiles.end() ? policy.profiles.at("") : at->second;
}

bool names_authority(const std::vector<std::string>& uses) {
  return std::ranges::find(uses, eku::kCmcRa) != uses.end();
}

// Whether the certificate presented is one of ours for a registration authority.
bool speaks_for_others(const Applicant& who, const Admit& q) {
  return who.current && names_authority((*q.session->proven)->leaf.extended);
}

// RFC 7030 section 3.7: the owner's registration authority asks, under a label that is there for that. What it hands on
// is recorded as its own; it knows its devices, and we do not. It makes no further authorities.
bool is_for_another(const Profile& profile, const Applicant& who, const Admit& q) {
  const bool meant = profile.handed_on && profile.group.empty() && !profile.extended.empty();
  return meant && !names_authority(profile.extended) && speaks_for_others(who, q) && !q.renewal &&
         q.request.possession() != nullptr;
}

// The label in the inventory of the devices that may ask under this one.
std::string_view label_of_devices(const Profile& profile, std::string_view label) {
  return profile.group.empty() ? plain(label) : std::string_view(profile.group);
}

// Whether the certificate presented renews itself or obtains another credential of the device's. A device that comes
// from another profile begins with the credential that identifies it. False if it may do neither.
bool take_current(const Policy& policy, const Profile& profile, Applicant& who, Decision& d) {
  if (!who.current) {
    return true;
  }
  const std::string& held = who.current->profile;
  const auto at = std::ranges::find(policy.profiles, held, [](const auto& each) { return each.second.name; });
  const bool known = at != policy.profiles.end();
  const bool same_group = known && at->second.group == profile.group;
  // One of several that is not in force any more stands for nothing but itself: it may have been taken out for a
  // reason.
  const bool stands_for_device = held.find('/') == std::string::npos || (known && at->second.identity);
  const bool comes_over = stands_for_device && (profile.group.empty() || (profile.identity && !same_group));
  who.renewal = held == profile.name || comes_over;
  const bool obtains = same_group && at->second.identity;
  if (!holds(who.renewal || obtains)) {
    refuse(d, kOtherCredential, "certificate of profile " + held + ", asking for " + profile.name);
    return false;
  }
  return true;
}

// Each credential has a key of its own, so that losing one is not losing all.
Result<bool> has_key_of_other(const Profile& profile, store::Reader& store, const Device& device, const Bytes& spki,
                              Instant now) {
  if (profile.group.empty()) {
    return false;
  }
  store::CertificateFilter live;
  live.device = device.id;
  live.state = store::CertificateState::good;
  live.now = now;
  TRY(const std::vector<store::CertificateRow> rows, store.certificates(live));
  for (const store::CertificateRow& row : rows) {
    TRY(const Certificate certificate, Certificate::parse(row.der));
    if (row.profile != profile.name && certificate.key.spki == spki) {
      return true;
    }
  }
  return false;
}

// A device with a maker's certificate that the inventory does not know.
bool take_unknown(const Policy& policy, const Admit& q, Applicant& who, Decision& d) {
  if (policy.unknown == Unknown::refuse) {
    refuse(d, kUnknown, "not in the inventory; policy: pre-registered only");
    return false;
  }
  Device device;
  const Certificate& leaf = (*q.session->proven)->leaf;
  device.serial = leaf.subject.first("serialNumber");
  // Not by a name that its maker chose alone: that may be the id of a device that the owner has yet to take in.
  device.id = newcomer_id(device.serial, d.device_identity);
  device.admission = policy.unknown == Unknown::admit ? Admission::approved : Admission::waiting;
  device.identities = {d.device_identity};
  device.label = label_of_devices(profile_of(policy, q.label), q.label);
  d.newcomer = device;
  who.device = std::move(device);
  return true;
}

// Step 3: may I have it? That is a voucher's question, and EST has none. What remains of it: the key is this device's
// alone and in nobody else's hands, and nobody makes certificates without end.
Result<bool> may_have(const Policy& policy, const Profile& profile, store::Reader& store, const Admit& q,
                      const Applicant& who, Instant now, Decision& d) {
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
    TRY(const bool of_other, has_key_of_other(profile, store, *who.device, q.request->key.spki, now));
    if (of_other) {
      refuse(d, kKeyOfOther, "profile " + profile.name);
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
  if (speaks_for_others(who, q)) {
    return true;  // of those there are as many as it has devices
  }
  TRY(const std::int64_t live, store.live_certificates(who.device->id, now));
  if (live >= policy.most_live) {
    refuse(d, kTooManyCertificates, "device " + who.device->id + " has " + std::to_string(live));
    return false;
  }
  return true;
}

}  // namespace

Result<Decision> admit(const Policy& policy, store::Reader& store, const Admit& q, Instant now) {
  Decision d;
  d.verdict = Verdict::unauthenticated;
  d.rule = &kUnknown;
  TRY(Applicant who, identify(policy, store, q, now, d));
  who.for_another = is_for_another(profile_of(policy, q.label), who, q);
  const bool maker_proven = !d.device_identity.empty();
  if (!who.device && !maker_proven) {
    if (d.stale) {
      d.reason = "the nonce is too old, or was used";
    } else if (q.login && !q.login->digest && !policy.basic) {
      d.reason = "a password in HTTP Basic is not taken here";
    } else if (q.login) {
      d.reason = "the secret presented is nobody's";
    } else if (q.session->proven) {
      refuse(d, who.only_handed_on ? kHandedOn : kUnknown,
             who.only_handed_on ? "a certificate of a device that only a gateway knows"
                                : "a certificate of ours that is not on record");
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
  if (maker_proven) {
    TRY(const bool past_gate, is_past_gate(policy, store, *q.session, who, d));
    if (!past_gate) {
      return d;
    }
  }
  if (!who.device) {
    if (!take_unknown(policy, q, who, d)) {
      return d;
    }
  }
  d.grant.device = who.device->id;
  // Its label is the owner's word on what it may get; the one in the request is only the device's wish.
  const Profile& profile = profile_of(policy, q.label);
  if (!holds(who.for_another || label_of_devices(profile, q.label) == plain(who.device->label))) {
    refuse(d, kLabel, "device " + who.device->id + " belongs to label '" + who.device->label + "'");
    return d;
  }
  if (!who.for_another && !take_current(policy, profile, who, d)) {
    return d;
  }
  TRY(const bool go_on, wanted(policy, store, q, who, d));
  if (!go_on) {
    return d;
  }
  // With simpleenroll a certificate renews itself, too: its successor is the new one.
  if (!keyless && given_again && answered->device == who.device->id &&
      !(who.renewal && answered->serial == who.current->serial)) {
    d.verdict = Verdict::already;  // the answer was lost on its way: the same one again
    d.certificate = answered->der;
    return d;
  }
  TRY(const bool allowed, may_have(policy, profile, store, q, who, now, d));
  if (!allowed) {
    return d;
  }
  if (who.renewal) {
    d.renews = who.current->serial;
  }
  if (lost && !supersede(*lost, who, d)) {
    return d;
  }
  TRY(Ok{}, grant(policy, profile, store, who, q, now, d));
  return d;
}

}  // namespace imprint::site
