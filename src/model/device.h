// Devices as an owner's inventory knows them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/secret.h"
#include "crypto/x509.h"
#include "model/shared_key.h"

namespace imprint {

// Where a device is in its life (the survey's lifecycle); moved by runs and by evidence.
enum class Lifecycle : std::uint8_t {
  manufactured,
  installed,
  commissioned,
  operational,
  maintenance,
  decommissioned,
  replaced,
  re_owned
};
std::string_view name(Lifecycle state);
std::optional<Lifecycle> lifecycle_named(std::string_view name);

// The owner's word on a device: waiting for a person, wanted, or not.
enum class Admission : std::uint8_t { waiting, approved, refused, retired };
std::string_view name(Admission admission);
std::optional<Admission> admission_named(std::string_view name);

// A device of the inventory.
struct Device {
  std::string id;  // the owner's name for it, unique: [A-Za-z0-9][A-Za-z0-9._:-]{0,63}
  std::string model;
  std::string serial;  // the maker's serial number; empty if unknown
  std::string label;   // the EST label (profile) that it belongs to; empty: the default profile
  Lifecycle lifecycle = Lifecycle::manufactured;
  Admission admission = Admission::approved;
  std::vector<std::string> identities;  // identity_of(…) texts by which it is recognised
  Instant added, changed;
  std::int64_t version = 0;  // counts changes; an update names the version that it read
  bool operator==(const Device&) const = default;
};
bool valid_device_id(std::string_view id);

// The text by which a proven certificate identity is looked up: "x509:" + hex SHA-256 over issuer name, subject name
// and public key (SubjectPublicKeyInfo). The key is in it because a name is free to take: one maker that a site trusts
// must not stand for another's devices. An IDevID issued anew for the same key and names is the same device.
std::string identity_of(const Certificate& certificate);

// A secret that a device presents: one-time token (user name may be empty) or password.
struct DeviceSecret {
  std::string device;
  std::string user;
  bool one_time = true;
  Sha256 mac{};        // HMAC-SHA256(the site's pepper, user NUL secret): the store never sees the secret
  bool spent = false;  // a one-time secret that a certificate has used up
  Bytes digest = {};   // what HTTP Digest needs of it, sealed; empty: it is good for HTTP Basic alone
  Bytes srp = {};      // what TLS-SRP needs of it, sealed; empty: kept by a version that knew no TLS-SRP
};

// One line of a factory manifest: the initial beliefs of a device that its owner is told. Public values, but for the
// secrets.
struct ManifestEntry {
  std::string id, model, serial, label, server_uri;
  std::optional<Certificate> idevid;
  Secret one_time;                         // empty if the device has an IDevID
  std::optional<SharedKey> wrap_key = {};  // unwraps keys that are made for it (RFC 7030 section 4.4.1.1)
};

// Refuses secrets that somebody could guess: under 128 bits by length and alphabet, repeated patterns, known defaults.
// Source: docs/threats.md; RFC 7030 section 6 wants passwords used once at most.
Status check_secret_strength(const Secret& secret);

}  // namespace imprint
