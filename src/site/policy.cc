#include "site/policy.h"

#include <algorithm>

#include "base/reader.h"
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

// Step 1: who is this device?
Result<Applicant> identify(const Policy& policy, store::Reader& store, const Admit& q, Decision& d) {
  Applicant out;
  if (q.session->proven) {
    const CertificateChain& chain = **q.session->proven;
    d.identity = "certificate " + chain.leaf.subject.text + " of " + chain.leaf.issuer.text;
    if (is_ours(policy, chain.anchor)) {
      TRY(out.current, store.certificate(chain.leaf.serial));
      if (out.current) {
        TRY(out.device, store.device(out.current->device));
      }
      return out;
    }
    d.device_identity = identity_of(chain.leaf);
    TRY(out.device, store.device_by_identity(d.device_identity));
    return out;
  }
  if (q.login) {
    const Sha256 mac = secret_mac(policy.pepper, q.login->user, q.login->password);
    TRY(const auto found, store.secret(mac));
    d.secret = Checker<KnownSecret>::check(found, q.login->user);
    if (d.secret) {
      d.identity = std::string((*d.secret)->one_time ? "one-time token of " : "password of ") + (*d.secret)->device;
      out.spent = found->spent;
      d.spent = found->one_time ? hex(mac) : std::string{};
      TRY(out.device, store.device(found->device));
    }
  }
  return out;
}

// '*' matches any run of characters but dots, at least one; {id} and {serial} match the device's own, letter by letter:
// a device whose serial number has a '*' in it gets nothing by that.
bool matches(std::string_view name, std::string_view pattern, const Device& device) {
  if (pattern.empty()) {
    return name.empty();
  }
  for (const auto& [word, value] : {std::pair<std::string_view, std::string_view>{"{id}", device.id},
                                    std::pair<std::string_view, std::string_view>{"{serial}", device.serial}}) {
    if (pattern.starts_with(word)) {
      return !value.empty() && name.starts_with(value) &&
             matches(name.substr(value.size()), pattern.substr(word.size()), device);
    }
  }
  if (pattern.front() != '*') {
    return !name.empty() && name.front() == pattern.front() && matches(name.substr(1), pattern.substr(1), device);
  }
  for (std::size_t n = 1; n <= name.size() && name[n - 1] != '.'; ++n) {
    if (matches(name.substr(n), pattern.substr(1), device)) {
      return true;
    }
  }
  return false;
}

bool fits_any(std::string_view name, const std::vector<std::string>& patterns, const Device& device) {
  return std::ranges::any_of(patterns, [&](const std::string& p) { return fits(name, p, device); });
}

// The names that the certificate will carry, or nothing if the profile does not allow what is asked.
std::optional<RequestedNames> grant_names(const Profile& profile, const Device& device, const Admit& q) {
  const CertificateRequest& request = *q.request;
  const bool presented = q.session->proven.has_value();
  const bool same_subject = presented && (*q.session->proven)->leaf.subject == request.subject;
  const bool same_alt_names = presented && (*q.session->proven)->leaf.alt_names == request.alt_names;
  RequestedNames asked{request.subject, request.alt_names};
  bool keeps_subject = same_subject;
  bool keeps_alt_names = same_alt_names;
  if (request.change_names && profile.change_names) {
    asked = {request.change_names->subject.value_or(Name{}),
             request.change_names->alt_names.value_or(std::vector<GeneralName>{})};
    keeps_subject = keeps_alt_names = false;
  } else if (request.change_names) {
    return std::nullopt;
  }
  if (asked.subject.empty() && asked.alt_names.empty()) {
    const auto own = Name::from_text("CN=" + device.id);
    return own ? std::optional(RequestedNames{*own, {}}) : std::nullopt;
  }
  const bool subject_ok = keeps_subject || asked.subject.empty() ||
                          (fits_any(asked.subject.first("CN"), profile.common_names, device) &&
                           asked.subject.text == "CN=" + asked.subject.first("CN"));
  const bool alt_names_ok = keeps_alt_names || std::ranges::all_of(asked.alt_names, [&](const GeneralName& n) {
                              return fits_any(n.text(), profile.alt_names, device);
                            });
  if (!subject_ok || !alt_names_ok) {
    return std::nullopt;
  }
  return asked;
}

bool usages_within(const Profile& profile, const CertificateRequest& request) {
  const bool key_usage_ok = !request.usage || (*request.usage & ~profile.usage) == 0;
  const bool extended_ok = std::ranges::all_of(request.extended, [&](const std::string& oid) {
    return std::ranges::find(profile.extended, oid) != profile.extended.end();
  });
  return key_usage_ok && extended_ok;
}

// Step 4: what does it get? Fills the grant, or refuses.
void grant(const Profile& profile, const Device& device, const Admit& q, Decision& d) {
  const CertificateRequest& request = *q.request;
  if (std::ranges::find(profile.keys, request.key.type) == profile.keys.end()) {
    return refuse(d, kKeyType,
                  std::string("profile ") + profile.name + ": key type " + std::string(name(request.key.type)));
  }
  if (std::ranges::find(request.other_extensions, kBasicConstraints, &Extension::oid) !=
      request.other_extensions.end()) {
    return refuse(d, kCaRequest, "the request carries basicConstraints");
  }
  if (!usages_within(profile, request)) {
    return refuse(d, kUsages, "profile " + profile.name + ": usages asked for");
  }
  const auto names = grant_names(profile, device, q);
  if (!names) {
    return refuse(d, kNames, "profile " + profile.name + ": " + request.subject.text + " for device " + device.id);
  }
  d.verdict = Verdict::issue;
  d.grant = {device.id, profile.name, *names, request.key.spki, profile.usage, profile.extended, profile.lifetime};
  d.reason += "; profile " + profile.name;
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
      return true;
    case Admission::waiting:
      if (approved) {
        d.reason = "approved by " + asked_before->decided_by;
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

// The certificate's common name, unless it is no id or another device has it.
Result<std::string> id_for(store::Reader& store, const Certificate& leaf, const std::string& identity) {
  const std::string name = leaf.subject.first("CN");
  if (valid_device_id(name)) {
    TRY(const std::optional<Device> taken, store.device(name));
    if (!taken) {
      return name;
    }
  }
  return "x509-" + identity.substr(identity.size() - 16);
}

// A device with a maker's certificate that the inventory does not know.
Result<bool> take_unknown(const Policy& policy, store::Reader& store, const Admit& q, Applicant& who, Decision& d) {
  if (policy.unknown == Unknown::refuse) {
    refuse(d, kUnknown, "not in the inventory; policy: pre-registered only");
    return false;
  }
  Device device;
  const Certificate& leaf = (*q.session->proven)->leaf;
  device.serial = leaf.subject.first("serialNumber");
  TRY(device.id, id_for(store, leaf, d.device_identity));
  device.admission = policy.unknown == Unknown::admit ? Admission::approved : Admission::waiting;
  device.identities = {d.device_identity};
  device.label = plain(q.label);
  d.newcomer = device;
  who.device = std::move(device);
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

bool fits(std::string_view name, std::string_view pattern, const Device& device) {
  return name.size() <= 255 && matches(name, pattern, device);
}

Result<Decision> admit(const Policy& policy, store::Reader& store, const Admit& q, Instant now) {
  Decision d;
  d.verdict = Verdict::unauthenticated;
  d.rule = &kUnknown;
  TRY(Applicant who, identify(policy, store, q, d));
  const bool maker_proven = !d.device_identity.empty();
  if (!who.device && !maker_proven) {
    if (q.session->proven) {
      refuse(d, kUnknown, "a certificate of ours that is not on record");
    } else if (q.login) {
      d.reason = "the secret presented is nobody's";
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
  const bool given_again = answered && store::is_fresh(*answered, now);
  if (who.spent && !given_again) {
    d.verdict = Verdict::unauthenticated;
    d.rule = &kSpent;
    d.reason = "the one-time token of " + (*d.secret)->device + " is spent";
    return d;
  }
  if (!who.device) {
    TRY(const bool go_on, take_unknown(policy, store, q, who, d));
    if (!go_on) {
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
  const bool renewal = q.renewal && who.current.has_value();
  if (given_again && answered->device == who.device->id && !(renewal && answered->serial == who.current->serial)) {
    d.verdict = Verdict::already;  // the answer was lost on its way: the same one again
    d.certificate = answered->der;
    return d;
  }
  // Step 3, "may I have it?", is a voucher's question; EST has none. What remains of it: the key is this device's
  // alone.
  const Sha256 key_digest = sha256(q.request->key.spki);
  TRY(const auto other, store.other_holder(key_digest, who.device->id));
  if (other) {
    refuse(d, kSharedKey, "device " + *other + " holds a certificate for this key");
    return d;
  }
  if (renewal) {
    d.renews = who.current->serial;
  }
  const auto profile = policy.profiles.find(q.label);
  grant(profile == policy.profiles.end() ? policy.profiles.at("") : profile->second, *who.device, q, d);
  return d;
}

}  // namespace site
}  // namespace imprint
