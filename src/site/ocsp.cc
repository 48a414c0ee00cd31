#include "site/ocsp.h"

#include <algorithm>

namespace imprint::site {
namespace {

constexpr Duration kSignerLifetime = std::chrono::hours(24 * 7);
constexpr std::string_view kActor = "server";

bool is_rsa(KeyType type) { return type == KeyType::rsa2048 || type == KeyType::rsa3072 || type == KeyType::rsa4096; }

CertificateStatus status_in(const store::CertificateRow& row, const Certificate& ca) {
  CertificateStatus out;
  const Result<Certificate> certificate = Certificate::parse(row.der);
  if (!certificate || certificate->issuer != ca.subject) {
    return out;  // of a CA that was ours before this one
  }
  out.value = row.revoked ? CertificateStatus::Value::revoked : CertificateStatus::Value::good;
  out.revoked = row.revoked.value_or(Instant{});
  out.reason = row.revocation_reason;
  return out;
}

}  // namespace

Result<OcspSigner> make_ocsp_signer(const Ca& ca, store::Store& store, Instant now, Rng& rng) {
  CHECK_OR(ca.key, Error{Fault::unreachable, "ca: its key cannot be read"});
  OcspSigner out;
  const KeyType type = ca.key.public_key().type;
  TRY(out.key, PrivateKey::generate(is_rsa(type) ? KeyType::rsa2048 : type));
  TRY(out.certificate, issue_ocsp_signer(ca, out.key.public_key(), now, kSignerLifetime, rng));
  TRY(Ok{}, store.write([&](store::Writer& w) {
    return w.issued_to_server(out.certificate.der, "made to sign OCSP answers", now, kActor);
  }));
  return out;
}

bool may_sign(const OcspSigner& signer, const Ca& ca, store::Reader& store, Instant now) {
  const Certificate& own = signer.certificate;
  const auto row = store.certificate(own.serial);
  return verify_chain(own, {}, {ca.certificate}, {Purpose::any, now, true}) && row && *row && !(*row)->revoked;
}

bool is_due(const OcspSigner& signer, Instant now) {
  const Certificate& own = signer.certificate;
  return own.not_after - now <= (own.not_after - own.not_before) / 2;
}

Result<std::vector<CertificateStatus>> statuses_of(const Certificate& ca, store::Reader& store,
                                                   const OcspRequest& request) {
  std::vector<CertificateStatus> out;
  bool any_of_ours = false;
  for (const CertId& asked : request.asked) {
    CertificateStatus status;
    if (asked.names_issuer(ca)) {
      any_of_ours = true;
      TRY(const std::optional<store::CertificateRow> row, store.certificate(asked.serial));
      status = row ? status_in(*row, ca) : status;
    }
    status.cert_id = asked.der;
    out.push_back(std::move(status));
  }
  CHECK_OR(any_of_ours, Error{Fault::refused, "ocsp: another issuer's certificate"});
  return out;
}

Result<OcspAnswer> sign_statuses(const OcspSigner& signer, std::vector<CertificateStatus> statuses, BytesView nonce,
                                 Instant now) {
  OcspTemplate what;
  what.statuses = std::move(statuses);
  what.this_update = now;
  what.next_update = std::min(now + kOcspLifetime, signer.certificate.not_after);
  what.nonce = to_bytes(nonce);
  OcspAnswer out;
  TRY(out.der, sign_ocsp_response(signer.key, signer.certificate, what));
  out.since = what.this_update;
  out.until = what.next_update;
  return out;
}

}  // namespace imprint::site
