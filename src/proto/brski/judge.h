// What the receiver of an artefact checks before it acts on it: the device its voucher (RFC 8995 section 5.6.1), the
// MASA a registrar's request with the device's own in it (section 5.5), and everybody a device's request (section 5.2).
#pragma once

#include "base/verified.h"
#include "crypto/revocation_list.h"
#include "proto/brski/artifact.h"

namespace imprint::brski {

// One check, in the order in which they are made.
struct Check {
  enum class Outcome : std::uint8_t {
    passed,
    failed,
    skipped,  // it does not apply, or policy does without
    unknown,  // it does, and what it needs was not given
  };
  const Rule* rule;
  Fault fault;            // if it is not passed
  std::string_view what;  // what is checked: "the serial number is the device's"
  Outcome outcome = Outcome::unknown;
  std::string detail;  // what was compared; may be empty
};
std::string_view name(Check::Outcome outcome);

// The first check that failed or could not be made. Without one the artefact holds.
std::optional<Error> first_failure(const std::vector<Check>& checks);

// ---- identifiers ----

// The key identifier in an idevid-issuer: peers send the extension's whole OCTET STRING, what is in it, or the bare key
// identifier. What is none of these is given back as it is.
Bytes issuer_key_id(BytesView idevid_issuer);
// The one that belongs to an IDevID: its authority key identifier; without one SHA-1 of its own key
// (draft-ietf-anima-rfc8366bis section 7.3).
Bytes issuer_key_id(const Certificate& idevid);
// idevid-issuer as it is sent: OCTET STRING { SEQUENCE { [0] key identifier } }.
Bytes encode_idevid_issuer(BytesView key_id);
// serialNumber of the subject (RFC 8995 section 2.3.1); empty if there is none.
std::string serial_of(const Certificate& idevid);
// Whether the certificate says where its maker's MASA is: only those of devices do (RFC 8995 section 2.3.2).
bool names_masa(const Certificate& certificate);
// Whether it says that it is a device's: by a MASA's address, a serialNumber in its subject (RFC 8995 section 2.3.1,
// IEEE 802.1AR) or a hardwareModuleName (RFC 4108 section 5).
bool names_device(const Certificate& certificate);
// Whether it says where its revocation can be looked up: CRLDistributionPoints or authorityInfoAccess (RFC 5280).
bool names_status(const Certificate& certificate);

// ---- a voucher ----

// Whom a voucher makes the device trust: a certificate, a key, or the SHA-256 of a key (32 octets).
using Pin = std::variant<Certificate, PublicKey, Bytes>;

// The way from the registrar's certificate to what is pinned; a pinned key needs its certificate among those `sent`. Of
// a registrar whose own key is pinned: its certificate alone. BRSKI-REGISTRAR-PIN: unauthentic, or expired. Without
// `now` validity in time is not looked at.
Result<Verified<CertificateChain>> verify_pin(const Pin& pin, const Certificate& registrar,
                                              const std::vector<Certificate>& sent, std::optional<Instant> now);

// Which extended key usages a registrar has to have that leads to a pinned CA. RFC 8995 section 5.6.2 wants no more
// than the way to the pin, but EST goes on over the same connection, and its client wants id-kp-cmcRA of a server that
// it has not been told the name of (RFC 7030 section 3.6.1): or every device of the domain would pass for its
// registrar.
enum class RegistrarRole : std::uint8_t {
  any,         // the way to the pin is enough
  cmc_ra,      // id-kp-cmcRA
  cmc_server,  // and id-kp-serverAuth (draft-ietf-anima-constrained-voucher)
};

// The registrar as a device sees it on its connection.
struct SeenRegistrar {
  Certificate certificate;
  std::vector<Certificate> sent;
  std::optional<Instant> now;  // none: the device's clock does not count
  RegistrarRole role = RegistrarRole::cmc_ra;
};

// verify_pin(), and the role: BRSKI-REGISTRAR-CMCRA. The maker vouches for a pinned key itself, whatever its role.
std::vector<Check> check_registrar(const Pin& pin, const SeenRegistrar& seen);
Result<Verified<CertificateChain>> verify_registrar(const Pin& pin, const SeenRegistrar& seen);

// What a device knows. What is not given cannot be checked, and the voucher is not taken then.
struct Device {
  std::vector<Certificate> anchors;        // of the maker's MASA
  std::optional<std::string> serial;       // of its IDevID
  std::optional<Bytes> issuer;             // issuer_key_id() of its IDevID; needed if the voucher names one
  std::optional<Nonce> nonce;              // that it asked with; needed if the voucher has one
  bool takes_nonceless = true;             // RFC 8995 section 7.2
  std::optional<Instant> now;              // none: its clock does not count (section 2.6.1)
  std::vector<Assertion> assertions;       // that it accepts; empty: all, and none at all
  bool asked_with_key = false;             // its request named the registrar's key and not its certificate
  std::vector<Name> signers = {};          // subjects that sign vouchers below the anchors; empty: whoever is no device
  std::vector<RevocationList> lists = {};  // for what is pinned; needed if the voucher wants that checked
  // Its own IDevID does not say that it is a device's, so neither do its siblings': who signs has to be an anchor
  // itself, or to be called by name.
  bool unmarked = false;
};

struct VoucherFacts {
  Voucher voucher;
  CertificateChain signer;  // to the maker's anchor
  Pin pin;
  bool operator==(const VoucherFacts&) const = default;
};

std::vector<Check> check_voucher(const Artifact& artifact, const Device& device);
Result<Verified<VoucherFacts>> judge_voucher(const Artifact& artifact, const Device& device);

// ---- requests ----

// What a MASA knows, and a registrar that looks at a device's request.
struct Maker {
  std::vector<Certificate> anchors;        // of the IDevIDs
  std::vector<Certificate> registrars;     // anchors of registrars that are known; empty: every domain may ask
  std::vector<Certificate> idevids;        // of devices, for requests that come without: in COSE nothing comes along
  bool knows_registrar = false;            // TLS or HTTP said who asks: wanted without a nonce (RFC 8995 section 5.5.4)
  std::optional<Instant> now;              // none: validity in time is not looked at
  bool needs_prior = false;                // the device's own request has to be in it, and to hold (section 5.5.5: MAY)
  std::vector<RevocationList> lists = {};  // of domains, for registrars
  bool needs_status = false;               // a registrar that says where its revocation is looked up needs a list
};

struct RequestFacts {
  Voucher request;
  CertificateChain registrar;               // from who signed to the farthest that it sent along: what may be pinned
  std::optional<Certificate> account;       // of Maker::registrars the one that it leads to
  std::optional<CertificateChain> device;   // the IDevID of the device's own request, if it is at hand
  Assertion assertion = Assertion::logged;  // what can be said: proximity if the device saw this registrar
  bool operator==(const RequestFacts&) const = default;
};

// A registrar's request, and the device's in it.
std::vector<Check> check_registrar_request(const Artifact& artifact, const Maker& maker);
Result<Verified<RequestFacts>> judge_registrar_request(const Artifact& artifact, const Maker& maker);

// A device's request. `along`: certificates that came in other ways, as the device's in TLS.
std::vector<Check> check_pledge_request(const Artifact& artifact, const Maker& maker,
                                        const std::vector<Certificate>& along = {});

}  // namespace imprint::brski
