// What the owner decides about a request for a certificate, and the facts that remain of it.
#pragma once

#include <string>
#include <variant>

#include "base/result.h"
#include "base/verified.h"
#include "crypto/issue.h"
#include "model/device.h"

namespace imprint {

// A request whose key the owner makes: what it says of a key, and its signature, prove nothing (RFC 7030
// section 4.4.1).
struct KeylessRequest {
  CertificateRequest request;
  bool operator==(const KeylessRequest&) const = default;
};

// What somebody asks a certificate for: a key that it has shown to hold, or one to be made for it.
class Application {
 public:
  Application(Verified<CertificateRequest> held)  // NOLINT(google-explicit-constructor): a request is one
      : what_(std::move(held)) {}
  Application(KeylessRequest keyless)  // NOLINT(google-explicit-constructor): likewise
      : what_(std::move(keyless)) {}
  const CertificateRequest& operator*() const {
    const auto* const held = possession();
    return held != nullptr ? **held : std::get<KeylessRequest>(what_).request;
  }
  const CertificateRequest* operator->() const { return &**this; }
  // The proof that the applicant holds the key; null where the owner makes it.
  const Verified<CertificateRequest>* possession() const { return std::get_if<Verified<CertificateRequest>>(&what_); }
  bool operator==(const Application&) const = default;

 private:
  std::variant<Verified<CertificateRequest>, KeylessRequest> what_;
};

// How a key that the owner makes gets to its device (RFC 7030 section 4.4.2). In clear only where somebody says so:
// what nobody has filled in is wrapped under a shared key that nobody holds.
struct KeyDelivery {
  struct SharedKeyId {  // wrapped under the symmetric key of this identifier that the device has
    Bytes id;
    std::string device;  // inventory id
    Bytes sealed;        // the key, as the owner keeps it
    bool operator==(const SharedKeyId&) const = default;
  };
  struct InClear {  // under TLS alone
    bool operator==(const InClear&) const = default;
  };
  KeyType type = KeyType::p256;
  std::variant<SharedKeyId, Certificate, InClear> form;  // Certificate: for whoever has the private key of it
  std::vector<std::string> capabilities;                 // algorithms that the device takes, as OIDs
  bool wrapped() const { return !std::holds_alternative<InClear>(form); }
  bool operator==(const KeyDelivery&) const = default;
};

// What the CA is told to sign: the decision's outcome, complete but for serial number and time.
struct Grant {
  std::string device;   // inventory id
  std::string profile;  // name of the certificate profile
  RequestedNames names;
  Bytes spki;
  std::optional<std::uint16_t> usage;
  std::vector<std::string> extended;
  Duration lifetime{};
  bool sole = false;  // one of several credentials: no other profile of the device's may have its key
  bool operator==(const Grant&) const = default;
};

// Whose secret somebody presented. Only the owner's check of the secret makes a Verified one.
struct KnownSecret {
  std::string device, user;
  bool one_time = true;
  bool operator==(const KnownSecret&) const = default;
};

enum class Verdict : std::uint8_t {
  issue,            // `grant` says what
  already,          // the same request was answered before: `certificate` is that answer
  pending,          // a person has to decide: come again after `retry_after`
  refused,          // `rule` and `reason` say why
  unauthenticated,  // nobody known: ask for credentials
};

// Whose word a grant stands on.
enum class Basis : std::uint8_t {
  none,       // nothing was granted, or it was before this was kept
  inventory,  // the device is in the inventory, approved
  request,    // a person approved this very request
  newcomer,   // the policy takes in whom it does not know: only `demo`
};
std::string_view name(Basis basis);
std::optional<Basis> basis_named(std::string_view name);

// The owner's answer: who is it, do I want it, may I have it, what does it get.
struct Decision {
  Verdict verdict = Verdict::refused;
  Grant grant;
  Bytes certificate;
  Duration retry_after{};
  const Rule* rule = nullptr;   // with refused and unauthenticated
  std::string reason;           // for the operator: which step decided, and on what
  std::string identity;         // the proven identity in words: "IDevID CN=… of CN=…", "one-time token of dev-7"
  std::string device_identity;  // identity_of() text of the certificate presented; empty without one
  std::optional<Verified<KnownSecret>> secret;  // what was presented in place of a certificate
  std::string spent;                    // with issue: the one-time secret that this uses up, as the hex text of its MAC
  Bytes renews;                         // with issue: serial number of the certificate that is renewed
  std::optional<Device> newcomer;       // the inventory entry that comes to be with this decision
  std::optional<KeyDelivery> delivery;  // with issue, and without a key in the grant: the owner makes the key
  Bytes supersedes;                     // with issue: serial of an answer that was lost, to be revoked
  Basis basis = Basis::none;            // with issue
  bool stale = false;  // with unauthenticated: the nonce of HTTP Digest is too old or was used; another one serves
  bool noted = false;  // with pending: what it waits for is on record already, and nothing is written
  bool operator==(const Decision&) const = default;
};

// Facts, each written with its audit entry in one transaction.

// A certificate was signed. Written before anybody gets it.
struct Issued {
  Grant grant;
  Bytes certificate;
  Bytes request_key;               // finds the answer again when the same request comes once more
  std::string identity;            // who asked, how proven
  std::string reason;              // why it was granted
  std::string spent;               // the one-time secret that this uses up, as the hex text of its MAC; empty if none
  Bytes renews;                    // serial of the certificate that this one renews; empty if none
  std::optional<Device> newcomer;  // joins the inventory with this fact
  Bytes supersedes = {};           // serial of a certificate that is revoked with this fact: nobody holds its key
  Basis basis = Basis::none;       // whose word it stands on
  std::string evidence = {};  // what proved the asker: "certificate:" and its SHA-256, "token:" or "password:" of whom
  std::string run = {};       // id of the run in which it was asked for; empty if none is on record
  bool operator==(const Issued&) const = default;
};

// A request waits for a person.
struct Pended {
  Bytes request_key;
  std::string device;  // inventory id
  std::string identity;
  std::string device_identity;  // identity_of() text; empty if it came with a password
  std::string label;
  std::string subject;  // as asked for
  Bytes csr;
  std::string reason;
  std::optional<Device> newcomer;  // joins the inventory, waiting, with this fact
  bool operator==(const Pended&) const = default;
};

// A request was refused by policy.
struct Denied {
  Bytes request_key;
  std::string identity, label, subject, rule, reason;
  bool operator==(const Denied&) const = default;
};

}  // namespace imprint
