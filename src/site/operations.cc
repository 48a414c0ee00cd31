#include "site/operations.h"

#include <algorithm>
#include <array>
#include <functional>

#include "site/newcomer.h"
#include "site/operation_rules.h"
#include "site/policy.h"
#include "site/wrap_keys.h"

namespace imprint::site {
namespace {

constexpr std::size_t kMaxField = 128;

struct ReasonName {
  std::string_view name;
  RevocationReason reason;
};
constexpr std::array<ReasonName, 7> kReasons{{{"unspecified", RevocationReason::unspecified},
                                              {"key_compromise", RevocationReason::key_compromise},
                                              {"ca_compromise", RevocationReason::ca_compromise},
                                              {"affiliation_changed", RevocationReason::affiliation_changed},
                                              {"superseded", RevocationReason::superseded},
                                              {"cessation", RevocationReason::cessation},
                                              {"privilege_withdrawn", RevocationReason::privilege_withdrawn}}};

bool valid_field(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return text.size() <= kMaxField && std::ranges::none_of(text, control);
}

std::vector<std::string> identities_of(const ManifestEntry& entry) {
  return entry.idevid ? std::vector{identity_of(*entry.idevid)} : std::vector<std::string>{};
}

Status check_entry(const ManifestEntry& entry) {
  CHECK_OR(valid_device_id(entry.id), Error{Fault::malformed, kDeviceId});
  CHECK_OR(valid_field(entry.model) && valid_field(entry.serial) && valid_field(entry.label),
           Error{Fault::malformed, kDeviceField});
  CHECK_OR(entry.one_time.empty() || check_secret_strength(entry.one_time), Error{Fault::refused, kTokenWeak});
  return Ok{};
}

// Stores a one-time token under the device's id as its user name. One that the device has had before is
// DEVICE-TOKEN-TAKEN.
Status keep_one_time(store::Writer& store, const Secret& pepper, const std::string& device, const Secret& token,
                     const Act& act) {
  const Sha256 mac = secret_mac(pepper, device, token);
  TRY(const std::optional<DeviceSecret> known, store.secret(mac));
  CHECK_OR(!known, Error{Fault::conflict, kTokenTaken});
  TRY(const Bytes digest, sealed_digest(pepper, device, token));
  TRY(const Bytes srp, sealed_srp(pepper, device, token));
  TRY([[maybe_unused]] const Ok added,
      store.add_secret({device, device, /*one_time=*/true, mac, /*spent=*/false, digest, srp}));
  AuditEntry entry;
  entry.at = act.at;
  entry.actor = act.by;
  entry.action = "device.token";
  entry.subject = device;
  entry.detail = "{}";
  return store.append_audit(std::move(entry));
}

Status tell_wrap_key(store::Writer& store, const std::string& action, const std::string& device, BytesView id,
                     const Act& act) {
  AuditEntry entry;
  entry.at = act.at;
  entry.actor = act.by;
  entry.action = action;
  entry.subject = device;
  entry.detail = "{\"id\":\"" + hex(id) + "\"}";
  return store.append_audit(std::move(entry));
}

Status keep_wrap_key(store::Writer& store, const Secret& pepper, const std::string& device, const SharedKey& key,
                     const Act& act) {
  const Status good = check_shared_key(key);
  CHECK_OR(good || good.error().fault != Fault::malformed, Error{Fault::malformed, kWrapKeyForm});
  CHECK_OR(good, Error{Fault::refused, kWrapKeyWeak});
  TRY(const store::WrapKeyRow row, sealed_wrap_key(pepper, device, key));
  TRY(const auto known, store.wrap_key(row.mac));
  CHECK_OR(!known, Error{Fault::conflict, kWrapKeyTaken});
  TRY(const std::vector<store::WrapKeyRow> others, store.wrap_keys(device));
  CHECK_OR(std::ranges::find(others, key.id, &store::WrapKeyRow::id) == others.end(),
           Error{Fault::conflict, kWrapKeyId});
  CHECK_OR(others.size() < kMostWrapKeys, Error{Fault::refused, kWrapKeysMany});
  TRY([[maybe_unused]] const Ok added, store.add_wrap_key(row));
  return tell_wrap_key(store, "device.wrap_key", device, key.id, act);
}

// Whether the device has this very key under this identifier.
Result<bool> has_wrap_key(store::Reader& store, const Secret& pepper, const std::string& device, const SharedKey& key) {
  TRY(const store::WrapKeyRow wanted, sealed_wrap_key(pepper, device, key));
  TRY(const std::optional<store::WrapKeyRow> known, store.wrap_key(wanted.mac));
  return known && known->device == device && known->id == key.id;
}

// Whether the inventory says of this device just what the manifest says, so that an import may pass over it.
Result<bool> is_there(store::Writer& store, const Secret& pepper, const ManifestEntry& entry) {
  TRY(const std::optional<Device> device, store.device(entry.id));
  if (!device || device->admission == Admission::retired) {
    return false;
  }
  const std::vector<std::string> identities = identities_of(entry);
  const bool same_device = device->model == entry.model && device->serial == entry.serial &&
                           device->label == entry.label && device->identities == identities;
  if (same_device && entry.wrap_key) {
    TRY(const bool has_key, has_wrap_key(store, pepper, entry.id, *entry.wrap_key));
    if (!has_key) {
      return false;
    }
  }
  if (!same_device || entry.one_time.empty()) {
    return same_device;
  }
  TRY(const std::optional<DeviceSecret> known, store.secret(secret_mac(pepper, entry.id, entry.one_time)));
  return known.has_value();
}

Result<Device> read_device(store::Writer& store, const Word& word) {
  TRY(const std::optional<Device> device, store.device(word.id));
  CHECK_OR(device.has_value(), Error{Fault::refused, kDeviceUnknown});
  CHECK_OR(!word.version || *word.version == device->version, Error{Fault::conflict, kDeviceChanged});
  return *device;
}

// Whether the holder of an IDevID is nobody's word: it came before the inventory knew it, was named by its IDevID as
// take_unknown() does, waits, and has got nothing.
Result<bool> only_knocked(store::Writer& store, const Device& holder, const std::string& identity) {
  if (holder.admission != Admission::waiting || !is_newcomer_id(holder.id, holder.serial, identity)) {
    return false;
  }
  store::CertificateFilter filter;
  filter.device = holder.id;
  TRY(const std::vector<store::CertificateRow> certificates, store.certificates(filter));
  return certificates.empty();
}

// Decides every request of the device that waits.
Status decide_waiting(store::Writer& store, std::string_view device, Admission verdict, const Act& act) {
  TRY(const std::vector<store::PendingRow> waiting, store.waiting(device));
  for (const store::PendingRow& row : waiting) {
    TRY([[maybe_unused]] const Ok decided, store.decide(row.what.request_key, verdict, act.by, act.at));
  }
  return Ok{};
}

// Lets go of an IDevID that a retired device of before still has, or one that knocked and that its owner now calls by
// another name: that one is out of use then. Conflict if its holder is in use.
Status release_identity(store::Writer& store, const std::string& identity, const Act& act) {
  TRY(std::optional<Device> holder, store.device_by_identity(identity));
  if (!holder) {
    return Ok{};
  }
  TRY(const bool knocked, only_knocked(store, *holder, identity));
  CHECK_OR(knocked || holder->admission == Admission::retired, Error{Fault::conflict, kDeviceIdentity});
  TRY([[maybe_unused]] const Ok begun,
      store.forget_pledges(holder->id, "its IDevID is another device's from now on", act.at, act.by));
  std::erase(holder->identities, identity);
  holder->changed = act.at;
  if (!knocked) {
    return store.update_device(*holder, act.by, "device.identity_released");
  }
  holder->admission = Admission::retired;
  holder->lifecycle = Lifecycle::decommissioned;
  TRY([[maybe_unused]] const Ok gone, store.update_device(*holder, act.by, "device.adopted"));
  return decide_waiting(store, holder->id, Admission::refused, act);
}

Status set_admission(store::Writer& store, Device device, Admission admission, const Act& act) {
  if (device.admission == admission) {
    return Ok{};
  }
  device.admission = admission;
  device.changed = act.at;
  return store.update_device(device, act.by, "device." + std::string(name(admission)));
}

Status admit_or_refuse(store::Writer& store, const Word& word, Admission admission, const Act& act) {
  TRY(const Device device, read_device(store, word));
  CHECK_OR(device.admission != Admission::retired, Error{Fault::conflict, kDeviceRetired});
  TRY([[maybe_unused]] const Ok set, set_admission(store, device, admission, act));
  return decide_waiting(store, word.id, admission, act);
}

// Revokes the device's certificates that are meant and not revoked yet.
Status revoke_those(store::Writer& store, const std::string& device, RevocationReason reason, const Act& act,
                    const std::function<bool(const store::CertificateRow&)>& meant) {
  store::CertificateFilter filter;
  filter.device = device;
  while (true) {
    TRY(const std::vector<store::CertificateRow> page, store.certificates(filter));
    if (page.empty()) {
      return Ok{};
    }
    for (const store::CertificateRow& row : page) {
      if (!row.revoked && meant(row)) {
        TRY([[maybe_unused]] const Ok revoked, store.revoke(row.serial, reason, act.by, act.at));
      }
    }
    filter.after_serial = page.back().serial;
  }
}

}  // namespace

Secret new_one_time(Rng& rng) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  static constexpr std::size_t kBits = 256;
  std::array<std::uint8_t, kBits / 8> random{};
  rng.fill(random);
  std::array<std::uint8_t, (kBits + 5) / 6> text{};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t bit = 6 * i;  // RFC 4648 section 5: six bits a character, from the most significant on
    const unsigned high = random[bit / 8];
    const unsigned low = bit / 8 + 1 < random.size() ? random[bit / 8 + 1] : 0U;
    text[i] = static_cast<std::uint8_t>(kAlphabet[((high << 8U | low) >> (10U - bit % 8)) & 0x3fU]);
  }
  Secret out{BytesView(text)};
  wipe(random);
  wipe(text);
  return out;
}

Status register_device(store::Writer& store, const Secret& pepper, const ManifestEntry& entry, const Act& act) {
  TRY([[maybe_unused]] const Ok good, check_entry(entry));
  TRY(const std::optional<Device> there, store.device(entry.id));
  CHECK_OR(!there || there->admission != Admission::retired, Error{Fault::conflict, kDeviceRetired});
  TRY(const std::optional<std::string> alike, store.other_called(entry.id, entry.id));  // names have no case
  CHECK_OR(!there && !alike, Error{Fault::conflict, kDeviceExists});
  Device device;
  device.id = entry.id;
  device.model = entry.model;
  device.serial = entry.serial;
  device.label = entry.label;
  device.identities = identities_of(entry);
  device.added = device.changed = act.at;
  for (const std::string& identity : device.identities) {
    TRY([[maybe_unused]] const Ok free, release_identity(store, identity, act));
  }
  TRY([[maybe_unused]] const Ok added, store.add_device(device, act.by));
  if (entry.wrap_key) {
    TRY([[maybe_unused]] const Ok kept, keep_wrap_key(store, pepper, entry.id, *entry.wrap_key, act));
  }
  return entry.one_time.empty() ? Status(Ok{}) : keep_one_time(store, pepper, entry.id, entry.one_time, act);
}

Status import_manifest(store::Writer& store, const Secret& pepper, const std::vector<ManifestEntry>& entries,
                       const Act& act, std::vector<Imported>& results) {
  results.clear();
  bool good = true;
  for (const ManifestEntry& entry : entries) {
    TRY(const bool there, is_there(store, pepper, entry));
    Imported& result = results.emplace_back(Imported{entry.id, !there, std::nullopt});
    if (there) {
      continue;
    }
    const Status added = register_device(store, pepper, entry, act);
    if (!added && added.error().rule == nullptr) {
      return added;  // the store's trouble, not this entry's
    }
    if (!added) {
      result.added = good = false;
      result.problem = added.error();
    }
  }
  return good ? Status(Ok{}) : Status(Error{Fault::refused, kManifestRefused});
}

Status approve_device(store::Writer& store, const Word& word, const Act& act) {
  return admit_or_refuse(store, word, Admission::approved, act);
}

Status refuse_device(store::Writer& store, const Word& word, const Act& act) {
  return admit_or_refuse(store, word, Admission::refused, act);
}

Status retire_device(store::Writer& store, const Word& word, const Act& act) {
  TRY(Device device, read_device(store, word));
  device.lifecycle = Lifecycle::decommissioned;
  TRY([[maybe_unused]] const Ok retired, set_admission(store, std::move(device), Admission::retired, act));
  TRY([[maybe_unused]] const Ok decided, decide_waiting(store, word.id, Admission::refused, act));
  TRY([[maybe_unused]] const Ok forgotten, store.forget_wrap_keys(word.id, {}));
  TRY([[maybe_unused]] const Ok begun, store.forget_pledges(word.id, "the device is retired", act.at, act.by));
  return revoke_those(store, word.id, RevocationReason::cessation, act,
                      [](const store::CertificateRow&) { return true; });
}

Status add_one_time(store::Writer& store, const Secret& pepper, const Word& word, const Secret& token, const Act& act) {
  TRY(const Device device, read_device(store, word));
  CHECK_OR(device.admission != Admission::retired, Error{Fault::conflict, kDeviceRetired});
  CHECK_OR(check_secret_strength(token), Error{Fault::refused, kTokenWeak});
  TRY([[maybe_unused]] const Ok replaced, store.spend_one_time(word.id, act.at));
  return keep_one_time(store, pepper, word.id, token, act);
}

Status add_wrap_key(store::Writer& store, const Secret& pepper, const Word& word, const SharedKey& key,
                    const Act& act) {
  TRY(const Device device, read_device(store, word));
  CHECK_OR(device.admission != Admission::retired, Error{Fault::conflict, kDeviceRetired});
  return keep_wrap_key(store, pepper, word.id, key, act);
}

Status forget_wrap_key(store::Writer& store, const Word& word, BytesView id, const Act& act) {
  TRY([[maybe_unused]] const Device device, read_device(store, word));
  TRY(const std::vector<store::WrapKeyRow> held, store.wrap_keys(word.id));
  const bool known = std::ranges::any_of(held, [&](const store::WrapKeyRow& row) { return equal(row.id, id); });
  CHECK_OR(known, Error{Fault::refused, kWrapKeyUnknown});
  TRY([[maybe_unused]] const Ok forgotten, store.forget_wrap_keys(word.id, id));
  return tell_wrap_key(store, "device.wrap_key_forgotten", word.id, id, act);
}

Status decide_request(store::Writer& store, BytesView request_key, Admission verdict, const Act& act) {
  TRY(const std::optional<store::PendingRow> row, store.pending(request_key));
  CHECK_OR(row.has_value(), Error{Fault::refused, kRequestUnknown});
  CHECK_OR(row->state == Admission::waiting, Error{Fault::conflict, kRequestDecided});
  TRY([[maybe_unused]] const Ok decided, store.decide(request_key, verdict, act.by, act.at));
  TRY(const std::optional<Device> device, store.device(row->what.device));
  if (!device || device->admission != Admission::waiting) {
    return Ok{};
  }
  return set_admission(store, *device, verdict, act);
}

Status revoke_certificate(store::Writer& store, BytesView serial, RevocationReason reason, const Act& act) {
  TRY(const std::optional<store::CertificateRow> row, store.certificate(serial));
  CHECK_OR(row.has_value(), Error{Fault::refused, kCertificateUnknown});
  CHECK_OR(!row->revoked, Error{Fault::conflict, kCertificateRevoked});
  TRY([[maybe_unused]] const Ok revoked, store.revoke(serial, reason, act.by, act.at));
  if (reason != RevocationReason::key_compromise) {
    return Ok{};
  }
  return revoke_those(store, row->device, reason, act,
                      [&](const store::CertificateRow& other) { return other.spki_sha256 == row->spki_sha256; });
}

std::string_view name(RevocationReason reason) {
  const auto* it = std::ranges::find(kReasons, reason, &ReasonName::reason);
  return it == kReasons.end() ? kReasons.front().name : it->name;
}

std::optional<RevocationReason> revocation_reason_named(std::string_view name) {
  const auto* it = std::ranges::find(kReasons, name, &ReasonName::name);
  return it == kReasons.end() ? std::nullopt : std::optional(it->reason);
}

}  // namespace imprint::site
