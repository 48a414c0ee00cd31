// What an administrator can do. The command line and the admin API both call these; nothing else changes the inventory
// by a person's word.
//
// Each function is a part of one transaction: call it inside Store::write() or Store::submit(), and all of it happens
// or nothing does. Each writes its audit entry.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/device.h"
#include "store/store.h"

namespace imprint::site {

// Who does it ("admin", "cli"), and when.
struct Act {
  std::string by;
  Instant at;
};

// A one-time token: 256 bits from `rng`, 43 characters of base64url without padding.
Secret new_one_time(Rng& rng);

// Takes a device into the inventory, approved, with its IDevID and its one-time token as far as it has them; the
// token's user name is the device's id. An IDevID of a retired device, or of one that came by itself and waits, goes
// over to the new one; the old id does not come back. Rules: DEVICE-ID, DEVICE-EXISTS, DEVICE-RETIRED,
// DEVICE-IDENTITY-TAKEN, DEVICE-TOKEN-WEAK, and those of add_wrap_key().
Status register_device(store::Writer& store, const Secret& pepper, const ManifestEntry& entry, const Act& act);

// What became of one entry of a manifest.
struct Imported {
  std::string id;
  bool added = false;            // else: it was there already, just so
  std::optional<Error> problem;  // then nothing of the manifest is taken
};

// Takes a whole manifest, or nothing: with a problem in any entry the answer is MANIFEST-REFUSED and the change rolls
// back. Importing the same manifest again changes nothing. `results` gets one element for each entry.
Status import_manifest(store::Writer& store, const Secret& pepper, const std::vector<ManifestEntry>& entries,
                       const Act& act, std::vector<Imported>& results);

// The owner's word on a device. `version`, if given, is the one that the administrator has seen: DEVICE-CHANGED if the
// device has moved on. All: DEVICE-UNKNOWN. Saying the same twice changes nothing.
struct Word {
  std::string id;
  std::optional<std::int64_t> version;
};
// Wanted; requests of it that wait are approved with it. DEVICE-RETIRED if it is retired.
Status approve_device(store::Writer& store, const Word& word, const Act& act);
// Not wanted; requests of it that wait are refused with it. DEVICE-RETIRED.
Status refuse_device(store::Writer& store, const Word& word, const Act& act);
// Out of use for good: decommissioned, its certificates are revoked (cessation of operation), and its shared keys
// forgotten.
Status retire_device(store::Writer& store, const Word& word, const Act& act);
// A fresh one-time token for a device that is there; tokens of it that are not used yet are of no use any more.
// DEVICE-RETIRED, DEVICE-TOKEN-WEAK, DEVICE-TOKEN-TAKEN.
Status add_one_time(store::Writer& store, const Secret& pepper, const Word& word, const Secret& token, const Act& act);

// A shared key of the device's, under which keys that are made for it may be wrapped; at most kMostWrapKeys.
// DEVICE-RETIRED, DEVICE-WRAP-KEY-FORM, -WEAK, -TAKEN and -ID, DEVICE-WRAP-KEYS-MANY.
inline constexpr std::size_t kMostWrapKeys = 16;
Status add_wrap_key(store::Writer& store, const Secret& pepper, const Word& word, const SharedKey& key, const Act& act);
// DEVICE-WRAP-KEY-UNKNOWN.
Status forget_wrap_key(store::Writer& store, const Word& word, BytesView id, const Act& act);

// A person's word on one request that waits; a device that waits for it is approved or refused with it.
// REQUEST-UNKNOWN, REQUEST-DECIDED. `verdict` is approved or refused.
Status decide_request(store::Writer& store, BytesView request_key, Admission verdict, const Act& act);

// With key_compromise every other certificate of the device for the same key goes as well. CERTIFICATE-UNKNOWN,
// CERTIFICATE-REVOKED.
Status revoke_certificate(store::Writer& store, BytesView serial, RevocationReason reason, const Act& act);

// "key_compromise", …: the names of RFC 5280 section 5.3.1 in our case style.
std::string_view name(RevocationReason reason);
std::optional<RevocationReason> revocation_reason_named(std::string_view name);

}  // namespace imprint::site
