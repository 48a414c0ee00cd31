// The questions that roles of several protocols ask. Who answers is the runtime's business: a file, a TPM, an HSM, a
// policy, a person or a test look alike.
#pragma once

#include "model/enrolment.h"
#include "role/turn.h"

namespace imprint {

// ---- of a device ----

struct KeyRef {
  std::string id;
  PublicKey key;
  bool operator==(const KeyRef&) const = default;
};

// Make a key. It is durable before the answer comes.
struct MakeKey {
  using Answer = KeyRef;
  KeyType type = KeyType::p256;
};

// What ties a Full PKI Request to its answer, and who signs it: a certificate's key, or the request's own.
struct FullPki {
  Bytes transaction, nonce;
  std::optional<Credential> by;
};

// Make and sign a certification request (PKCS#10, DER) with the named key; in a Full PKI Request if `full` is there.
struct SignRequest {
  using Answer = Bytes;
  std::string key_id;
  RequestTemplate what;
  std::optional<FullPki> full = std::nullopt;
};

// Show a CA certificate's fingerprint to a person, or hold it against the one given beforehand.
struct ConfirmFingerprint {
  using Answer = Confirmed<Fingerprint>;
  Fingerprint of;
  std::string server;  // where it came from
};

// Decrypt what a server has wrapped for us: EnvelopedData (RFC 5652 section 6), DER. The answer is what it held.
struct OpenEnvelope {
  using Answer = Secret;
  Bytes message;
  std::string key_id;
};

// Take a private key that somebody else has made: PKCS#8, DER. It is durable before the answer comes.
struct KeepKey {
  using Answer = KeyRef;
  Secret pkcs8;
};

// ---- of an owner ----

// Who is this, do I want it, may I have it, what does it get?
struct Admit {
  using Answer = Decision;
  SessionRef session;          // the proven certificate, if any
  std::optional<Login> login;  // what came in clear inside the protected channel
  std::string label;           // the profile asked for; empty: default
  bool renewal = false;
  Application request;
  Bytes request_key;
};

// A key made for a device, in the form in which it travels; its maker keeps nothing of it.
struct MadeKey {
  PublicKey key;
  bool wrapped = false;
  Secret body;  // PKCS#8, or EnvelopedData around it if wrapped; DER
};

// Make a key for a device.
struct MakeKeyFor {
  using Answer = MadeKey;
  KeyDelivery delivery;
};

// What a CA answers: the certificate, or that it takes its time.
struct Signed {
  Bytes certificate;       // DER; empty: not yet
  Duration retry_after{};  // without a certificate: when to ask again
  bool handed_on = false;  // another CA than the owner's signed it, behind an EST server upstream
  bool on_record = false;  // the same answer as before: nothing is to be recorded again
};

// Sign the certificate. Nobody else has it yet.
struct Issue {
  using Answer = Signed;
  Grant grant;
  Bytes request = {};  // PKCS#10 as the device has signed it, for whoever hands it on; empty without one
};

}  // namespace imprint
