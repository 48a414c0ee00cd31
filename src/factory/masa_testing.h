// A maker, its devices and a domain with its registrar, whose requests are made by hand: for tests.
#pragma once

#include <gtest/gtest.h>

#include "crypto/issue.h"
#include "factory/masa_policy.h"
#include "proto/brski/artifact.h"

namespace imprint::factory::testing {

struct Party {
  PrivateKey key;
  Certificate certificate;
};

inline Party make_party(Instant now, std::string_view subject, const Party* above, bool is_ca,
                        std::vector<std::string> uses = {}, std::vector<std::string> names = {}) {
  static std::uint8_t serial = 0;
  Party out{*PrivateKey::generate(KeyType::p256), {}};
  CertificateTemplate t;
  t.serial = {1, ++serial};
  t.subject = *Name::from_text(subject);
  t.issuer = above == nullptr ? t.subject : above->certificate.subject;
  t.not_before = now - std::chrono::hours(24);
  t.not_after = now + std::chrono::hours(24 * 30);
  t.spki = out.key.public_key().spki;
  t.usage = is_ca ? key_usage::kCertSign : key_usage::kDigitalSignature;
  t.extended = std::move(uses);
  t.is_ca = is_ca;
  for (const std::string& one : names) {
    t.alt_names.push_back(*GeneralName::from_text(one));
  }
  const PrivateKey& signer = above == nullptr ? out.key : above->key;
  t.authority_key_id = key_identifier(signer.public_key());
  out.certificate = *Certificate::parse(*sign_certificate(signer, t));
  return out;
}

inline Signer signer_of(const Party& leaf, const Party& above) {
  return {leaf.key, {leaf.certificate, above.certificate}};
}

// A domain: its CA, and a registrar below it.
struct Domain {
  explicit Domain(Instant now, const std::string& name)
      : ca(make_party(now, "CN=" + name + " CA", nullptr, true)),
        registrar(make_party(now, "CN=" + name + " registrar", &ca, false,
                             {std::string(eku::kCmcRa), std::string(eku::kClientAuth)})) {}
  Party ca, registrar;
};

struct World {
  explicit World(Instant at) : now(at) {}
  Instant now;
  Party maker = make_party(now, "CN=Maker Root", nullptr, true);
  Party masa = make_party(now, "CN=Maker MASA", &maker, false);
  Domain first{now, "First"}, second{now, "Second"};

  Party device(const std::string& serial) const {
    return make_party(now, "serialNumber=" + serial + ",CN=lamp", &maker, false);
  }

  // A device's own request, that names this registrar.
  static Bytes device_request(const Party& device, const std::string& serial, const std::string& nonce,
                              const Party& registrar, brski::Form form = brski::Form::cms) {
    brski::Voucher v;
    v.kind = brski::Voucher::Kind::request;
    v.assertion = brski::Assertion::proximity;
    v.serial_number = serial;
    v.nonce = form == brski::Form::cose ? brski::Nonce(to_bytes(nonce)) : brski::Nonce(nonce);
    v.proximity_registrar_cert = registrar.certificate.der;
    return *brski::sign_voucher(v, form, {device.key, {device.certificate}});
  }

  // The registrar's around it; without one, it is a request without a nonce if that is empty.
  static Bytes request(const Domain& domain, const Party& device, const std::string& serial, const std::string& nonce,
                       const std::optional<Bytes>& prior, brski::Form form = brski::Form::cms) {
    brski::Voucher v;
    v.kind = brski::Voucher::Kind::request;
    v.serial_number = serial;
    v.idevid_issuer = brski::encode_idevid_issuer(brski::issuer_key_id(device.certificate));
    if (!nonce.empty()) {
      v.nonce = form == brski::Form::cose ? brski::Nonce(to_bytes(nonce)) : brski::Nonce(nonce);
    }
    v.prior_signed_voucher_request = prior;
    if (prior) {
      v.assertion = brski::Assertion::proximity;
    }
    Signer by = signer_of(domain.registrar, domain.ca);
    if (form == brski::Form::cose) {
      by.chain.push_back(device.certificate);
    }
    return *brski::sign_voucher(v, form, by);
  }
  // Both, one in the other.
  static Bytes full_request(const Domain& domain, const Party& device, const std::string& serial,
                            const std::string& nonce, brski::Form form = brski::Form::cms) {
    return request(domain, device, serial, nonce, device_request(device, serial, nonce, domain.registrar, form), form);
  }

  MakerDevice record(const Party& device, const std::string& serial, const std::string& customer = {}) const {
    MakerDevice out;
    out.issuer = brski::issuer_key_id(device.certificate);
    out.serial = serial;
    out.customer = customer;
    out.state = customer.empty() ? Custody::made : Custody::sold;
    out.idevid = device.certificate;
    out.added = now;
    return out;
  }
  Customer account(const std::string& id, std::vector<Certificate> anchors) const {
    Customer out;
    out.id = id;
    out.anchors = std::move(anchors);
    out.added = now;
    return out;
  }
};

}  // namespace imprint::factory::testing
