// What a maker knows of its devices after they were made: to whom they were sold, who has claimed them, and which
// vouchers were given (RFC 8995 section 5.5, on the MASA's side).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/secret.h"
#include "crypto/x509.h"

namespace imprint {

// Where a device is, as its maker sees it. Claimed: a voucher was given for it. Released: its owner gave it up.
enum class Custody : std::uint8_t { made, sold, claimed, released, retired };
std::string_view name(Custody state);
std::optional<Custody> custody_named(std::string_view name);

// Where a device finds its owner, as the maker's default registrar tells it (draft-ietf-anima-brski-cloud).
struct OwnerAddress {
  enum class Kind : std::uint8_t {
    unsaid,     // nobody has said yet: the device is told to come again
    registrar,  // `url` is the owner's registrar
    est,        // `url` is the owner's EST server; the owner has no registrar
    nobody,     // it has no owner
  };
  Kind kind = Kind::unsaid;
  std::string url;
  std::optional<Certificate> pinned;  // with est: by which that server is known
  std::string configuration;          // with est: additional-configuration-url; empty: there is none
  bool operator==(const OwnerAddress&) const = default;
};
std::string_view name(OwnerAddress::Kind kind);
std::optional<OwnerAddress::Kind> owner_kind_named(std::string_view name);

// Serial numbers are unique below one CA only: devices are known by both.
struct MakerDevice {
  Bytes issuer;  // key identifier of the CA of its IDevID
  std::string serial;
  std::string model;
  std::optional<Certificate> idevid;
  std::string customer;  // owner by the sales data; empty: nobody
  Custody state = Custody::made;
  std::string claimant;  // account whose registrar has claimed it; empty: it has none, or nobody has claimed it
  Bytes claimed_key;     // SHA-256 of the key that its last voucher pins; empty: nobody has claimed it
  Instant added, changed;
  std::int64_t version = 0;  // counts changes; a change names the version that it read
  OwnerAddress owner = {};   // for devices that ask the maker where to go
  bool operator==(const MakerDevice&) const = default;
};

// [!-~]{1,64}: visible ASCII, as it is in certificates and on labels.
bool valid_maker_serial(std::string_view serial);

// An account of somebody who buys devices.
struct Customer {
  std::string id;                    // [A-Za-z0-9][A-Za-z0-9._:-]{0,63}; its user name as well
  std::string name;                  // for people
  std::vector<Certificate> anchors;  // domain CAs or registrars: below one of these a registrar is the customer's
  std::optional<Sha256> password;    // customer_mac(); none: it cannot log in
  Instant added;
  Bytes digest = {};           // of the password, sealed: for HTTP Digest; empty: none is kept
  bool base64_bodies = false;  // a quirk of its registrars: bodies of their requests, and of answers, are in base64
  bool operator==(const Customer&) const = default;
};
// Under which a password is kept: the store never sees it.
Sha256 customer_mac(const Secret& pepper, std::string_view id, const Secret& password);

// How a key is looked up: SHA-256 of its SubjectPublicKeyInfo.
Bytes key_digest(const Certificate& certificate);

// A voucher that was given: a line of the audit log (RFC 8995 section 5.8.1), and what tells the domain for certain.
struct VoucherEntry {
  std::int64_t sequence = 0;
  Bytes issuer;
  std::string serial;
  Instant at;
  Bytes domain_id;   // as devices and registrars are told: whoever makes a certificate chooses it
  Bytes pinned_key;  // SHA-256 of the pinned key
  std::optional<std::string> nonce;
  std::string assertion;       // name of brski::Assertion
  std::string customer;        // account of the registrar; empty: nobody known
  std::int64_t truncated = 0;  // earlier entries of this domain and kind that retention has taken
  bool operator==(const VoucherEntry&) const = default;
};

}  // namespace imprint
