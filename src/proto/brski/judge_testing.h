// Judges of vouchers and requests, their makers, and what they have to judge. For tests.
#pragma once

#include <algorithm>

#include "codec/der.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/judge.h"
#include "proto/brski/rules.h"

namespace imprint::brski::testing {

using Outcome = Check::Outcome;

// The rule that is broken; "" if none is.
template <class T>
std::string broken(const Result<T>& result) {
  return result ? std::string() : std::string(result.error().rule == nullptr ? "?" : result.error().rule->id);
}

inline const Check* find(const std::vector<Check>& checks, const Rule& rule) {
  const auto at = std::ranges::find(checks, &rule, &Check::rule);
  return at == checks.end() ? nullptr : &*at;
}

// One of our own, in each form, with one thing wrong at a time.
struct World {
  Party maker = make_root(KeyType::p256, "CN=Maker");
  Party domain = make_root(KeyType::p256, "CN=Domain");
  Signer masa = signer(maker, "CN=MASA", {});
  Signer registrar = signer(domain, "CN=Registrar", {std::string(eku::kCmcRa)});
  Signer idevid = signer(maker, "serialNumber=dev-1,CN=lamp", {}, true);
  Form form = Form::cms;

  static Signer signer(const Party& by, std::string_view subject, std::vector<std::string> usages,
                       bool device = false) {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    CertificateTemplate what = by.below(key.public_key(), subject);
    what.extended = std::move(usages);
    if (device) {
      what.other_extensions.push_back({"1.3.6.1.5.5.7.1.32", false, der::text(der::kIa5, "masa.example")});
    }
    return {key, {by.issue(what), by.certificate}};
  }
  Nonce nonce(std::uint8_t fill) const {
    return form == Form::cose ? Nonce(Bytes(16, fill)) : Nonce(std::string(22, static_cast<char>('A' + fill)));
  }
  Voucher voucher() const {
    Voucher out;
    out.serial_number = "dev-1";
    out.assertion = Assertion::logged;
    out.created_on = DateTime::of(kNow);
    out.nonce = nonce(1);
    out.pinned_domain_cert = domain.certificate.der;
    return out;
  }
  Device device() const {
    return {{maker.certificate}, "dev-1", issuer_key_id(idevid.chain.front()), nonce(1), true, kNow, {}, false};
  }
  Voucher pledge_request() const {
    Voucher out;
    out.kind = Voucher::Kind::request;
    out.serial_number = "dev-1";
    out.assertion = Assertion::proximity;
    out.nonce = nonce(1);
    out.proximity_registrar_cert = registrar.chain.front().der;
    return out;
  }
  Voucher registrar_request(const Voucher& prior) const {
    Voucher out;
    out.kind = Voucher::Kind::request;
    out.serial_number = "dev-1";
    out.nonce = prior.nonce;
    out.prior_signed_voucher_request = *sign_voucher(prior, form, idevid);
    return out;
  }
  Maker makers() const { return {{maker.certificate}, {}, {}, false, kNow}; }
  Artifact signed_as(const Voucher& what, const Signer& by) const {
    return *parse_artifact(*sign_voucher(what, form, by));
  }
  std::string verdict(const Voucher& what, const Device& of) const {
    return broken(judge_voucher(signed_as(what, masa), of));
  }
  std::string verdict(const Voucher& what) const { return verdict(what, device()); }
  std::string asked(const Voucher& prior) const {
    return broken(judge_registrar_request(signed_as(registrar_request(prior), registrar), makers()));
  }
};

// One world for the whole run, in each form.
class Worlds : public ::testing::TestWithParam<Form> {
 protected:
  static World world() {
    static const World made;
    World out = made;
    out.form = GetParam();
    return out;
  }
};
inline CertificateTemplate below(const Party& by, const PrivateKey& key, std::string_view subject,
                                 std::vector<std::string> usages = {}) {
  CertificateTemplate out = by.below(key.public_key(), subject);
  out.extended = std::move(usages);
  return out;
}

inline RevocationList list_of(const Party& by, std::vector<Bytes> revoked, Instant until = kNow + kDay) {
  return {by.certificate.subject, by.key.public_key().spki, kNow - kDay, until, std::move(revoked)};
}

}  // namespace imprint::brski::testing
