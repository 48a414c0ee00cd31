#include "factory/masa_offline.h"

#include <algorithm>

#include "proto/brski/masa_rules.h"

namespace imprint::factory {

Result<Bytes> make_offline_voucher(store::MakerStore& store, const Signer& signer, const OfflineVoucher& what,
                                   Instant now, std::string_view actor) {
  CHECK_OR(what.device.state != Custody::retired, Error{Fault::refused, brski::masa::kRetired});
  CHECK_OR(!what.customer.empty() && what.device.customer == what.customer,
           Error{Fault::refused, brski::masa::kNonceless});
  brski::Voucher v;
  v.assertion = brski::Assertion::verified;
  v.created_on = brski::DateTime::of(now);
  v.serial_number = what.device.serial;
  v.pinned_domain_cert = what.pinned.der;
  v.domain_cert_revocation_checks = false;
  v.idevid_issuer = brski::encode_idevid_issuer(what.device.issuer);
  if (what.lifetime > Duration{}) {
    v.expires_on = brski::DateTime::of(std::min(now + what.lifetime, what.pinned.not_after));
  }
  TRY(Bytes voucher, brski::sign_voucher(v, what.form, signer));
  brski::Vouched fact;
  fact.device = {what.device.issuer, what.device.serial};
  fact.version = what.device.version;
  fact.customer = what.customer;
  const Sha256 digest = sha256(voucher);  // nobody asked: it stands for itself
  fact.request = {digest.begin(), digest.end()};
  fact.form = what.form;
  fact.voucher = voucher;
  fact.domain_id = brski::domain_id(what.pinned);
  fact.pinned_key = key_digest(what.pinned);
  fact.assertion = brski::Assertion::verified;
  TRY(Ok{}, store.write([&](store::MakerWriter& writer) { return writer.vouched(given_voucher(fact, now), actor); }));
  return voucher;
}

}  // namespace imprint::factory
