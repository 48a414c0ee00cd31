// Which types count as proof of a belief, and what each is worth.
#pragma once

#include <string>
#include <utility>

#include "base/verified.h"
#include "crypto/csr.h"
#include "model/belief.h"
#include "model/enrolment.h"

namespace imprint {

// The SHA-256 fingerprint of a CA certificate that a person compares (RFC 7030 section 4.1.1).
struct Fingerprint {
  Sha256 sha256{};
  Certificate of;
  bool operator==(const Fingerprint&) const = default;
};

// A person compared and said yes, or had said beforehand which value to expect. Only the runtime's door to the person
// (and its twin in tests) makes one, through PersonsWord.
template <class T>
class Confirmed {
 public:
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }
  bool operator==(const Confirmed&) const = default;

 private:
  friend class PersonsWord;
  explicit Confirmed(T value) : value_(std::move(value)) {}
  T value_;
};
class PersonsWord {
 public:
  template <class T>
  static Confirmed<T> yes(T value) {
    return Confirmed<T>(std::move(value));
  }
};

// What Confirmed<T> holds, where the value to expect was given before the run: nobody was asked, nobody looked.
template <class T>
struct Expected {
  Confirmed<T> value;
};

// Somebody answered and nobody checked who. Anybody can make one; it is worth little.
template <class T>
struct FirstContact {
  T value;
};

// Put into the device before it left the factory.
template <class T>
struct FactoryGiven {
  T value;
};

// What a proof type is worth. A type without a specialisation proves nothing: learn() does not compile with it.
template <class P>
struct ProofTraits;

template <>
struct ProofTraits<Verified<CertificateChain>> {
  static constexpr Strength kStrength = Strength::proved;
  static constexpr Ground kGround = Ground::check;
  static constexpr std::string_view kCheck = "certificate path to an anchor (RFC 5280 section 6)";
  static Bytes bytes(const Verified<CertificateChain>& p) { return p->leaf.der; }
};
template <>
struct ProofTraits<Verified<CertificateRequest>> {
  static constexpr Strength kStrength = Strength::proved;
  static constexpr Ground kGround = Ground::check;
  static constexpr std::string_view kCheck = "the request's own signature (RFC 2986 section 4.2)";
  static Bytes bytes(const Verified<CertificateRequest>& p) { return p->der; }
};
template <>
struct ProofTraits<Confirmed<Fingerprint>> {
  static constexpr Strength kStrength = Strength::confirmed;
  static constexpr Ground kGround = Ground::person;
  static constexpr std::string_view kCheck = "a person compared the fingerprint (RFC 7030 section 4.1.1)";
  static Bytes bytes(const Confirmed<Fingerprint>& p) { return p->of.der; }
};
template <>
struct ProofTraits<Expected<Fingerprint>> {
  static constexpr Strength kStrength = Strength::confirmed;
  static constexpr Ground kGround = Ground::person;
  static constexpr std::string_view kCheck = "the fingerprint was given on the command line (RFC 7030 section 4.1.1)";
  static Bytes bytes(const Expected<Fingerprint>& p) { return p.value->of.der; }
};
template <>
struct ProofTraits<FirstContact<Certificate>> {
  static constexpr Strength kStrength = Strength::first_contact;
  static constexpr Ground kGround = Ground::contact;
  static constexpr std::string_view kCheck = "whoever answered at the address; nobody checked";
  static Bytes bytes(const FirstContact<Certificate>& p) { return p.value.der; }
};
template <>
struct ProofTraits<FactoryGiven<Certificate>> {
  static constexpr Strength kStrength = Strength::proved;
  static constexpr Ground kGround = Ground::factory;
  static constexpr std::string_view kCheck = "put in by the factory";
  static Bytes bytes(const FactoryGiven<Certificate>& p) { return p.value.der; }
};
template <>
struct ProofTraits<FactoryGiven<std::string>> {
  static constexpr Strength kStrength = Strength::proved;
  static constexpr Ground kGround = Ground::factory;
  static constexpr std::string_view kCheck = "put in by the factory";
  static Bytes bytes(const FactoryGiven<std::string>& p) { return to_bytes(p.value); }
};

template <>
struct ProofTraits<Verified<KnownSecret>> {
  static constexpr Strength kStrength = Strength::label;  // whoever holds the secret: it can be copied
  static constexpr Ground kGround = Ground::claim;
  static constexpr std::string_view kCheck = "the secret made for this device (RFC 7030 section 3.2.3)";
  static Bytes bytes(const Verified<KnownSecret>& p) { return to_bytes(p->user); }
};

// Whoever proved our secret to us while we proved it to them (TLS-SRP, RFC 5054).
struct SecretPeer {
  std::string user;
};
template <>
struct ProofTraits<Verified<SecretPeer>> {
  static constexpr Strength kStrength = Strength::label;
  static constexpr Ground kGround = Ground::check;
  static constexpr std::string_view kCheck = "the other side knows the secret, too (TLS-SRP, RFC 7030 section 3.3.3)";
  static Bytes bytes(const Verified<SecretPeer>& p) { return to_bytes(p->user); }
};

// Configured by the operator of the device, by hand.
template <class T>
struct Configured {
  T value;
};
template <>
struct ProofTraits<Configured<Certificate>> {
  static constexpr Strength kStrength = Strength::confirmed;
  static constexpr Ground kGround = Ground::person;
  static constexpr std::string_view kCheck = "configured by the operator";
  static Bytes bytes(const Configured<Certificate>& p) { return p.value.der; }
};
template <>
struct ProofTraits<Configured<std::string>> {
  static constexpr Strength kStrength = Strength::confirmed;
  static constexpr Ground kGround = Ground::person;
  static constexpr std::string_view kCheck = "configured by the operator";
  static Bytes bytes(const Configured<std::string>& p) { return to_bytes(p.value); }
};

// Confirmed by a person or by an expected value before a restart, and read back from the device's own record.
template <class T>
struct Recalled {
  T value;
};
template <>
struct ProofTraits<Recalled<Certificate>> {
  static constexpr Strength kStrength = Strength::confirmed;
  static constexpr Ground kGround = Ground::person;
  static constexpr std::string_view kCheck = "its fingerprint was compared before the restart (own record)";
  static Bytes bytes(const Recalled<Certificate>& p) { return p.value.der; }
};

// Kept by the device from an earlier run, with the certificate that is now to be renewed. How strong it was then is not
// kept.
template <class T>
struct FromRecord {
  T value;
};
template <>
struct ProofTraits<FromRecord<Certificate>> {
  static constexpr Strength kStrength = Strength::confirmed;
  static constexpr Ground kGround = Ground::person;
  static constexpr std::string_view kCheck = "kept from an earlier run (own record)";
  static Bytes bytes(const FromRecord<Certificate>& p) { return p.value.der; }
};

// Sent to somebody who has not said that it arrived.
template <class T>
struct Sent {
  T value;
};
template <>
struct ProofTraits<Sent<PublicKey>> {
  static constexpr Strength kStrength = Strength::asserted;
  static constexpr Ground kGround = Ground::claim;
  static constexpr std::string_view kCheck = "we made it and sent it; nothing shows that it arrived";
  static Bytes bytes(const Sent<PublicKey>& p) { return p.value.spki; }
};

template <class P>
concept Proof = requires(const P& p) {
  { ProofTraits<P>::kStrength } -> std::convertible_to<Strength>;
  { ProofTraits<P>::bytes(p) } -> std::same_as<Bytes>;
};

}  // namespace imprint
