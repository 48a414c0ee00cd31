#include "site/ca.h"

#include <algorithm>

#include "site/root.h"

namespace imprint::site {
namespace {

constexpr Duration kClockSkew = std::chrono::minutes(5);

// Signs what was granted, with these extensions besides.
Result<Bytes> issue_with(const Ca& ca, const Grant& grant, std::vector<Extension> extensions, Instant now, Rng& rng) {
  CHECK_OR(now < ca.certificate.not_after, Error{Fault::expired, "ca: its own certificate is over"});
  CHECK_OR(now >= ca.certificate.not_before, Error{Fault::expired, "ca: the clock is before its own certificate"});
  CertificateTemplate t;
  t.serial = random_serial(rng);
  t.issuer = ca.certificate.subject;
  t.subject = grant.names.subject;
  t.not_before = now - kClockSkew;
  t.not_after = std::min(now + grant.lifetime, ca.certificate.not_after);
  t.spki = grant.spki;
  t.alt_names = grant.names.alt_names;
  t.usage = grant.usage;
  t.extended = grant.extended;
  t.authority_key_id = identifier_of(ca.certificate);
  t.other_extensions = std::move(extensions);
  return sign_certificate(ca.key, t);
}

}  // namespace

// Whoever made the CA's certificate may have chosen another identifier than ours (RFC 5280 section 4.2.1.1).
Bytes identifier_of(const Certificate& ca) { return ca.key_id.empty() ? key_identifier(ca.key) : ca.key_id; }

std::string issuer_id(const Certificate& ca) {
  Bytes both = ca.subject.der;
  both.insert(both.end(), ca.key.spki.begin(), ca.key.spki.end());
  constexpr std::size_t kOctets = 8;
  return hex(BytesView(sha256(both)).first(kOctets));
}

std::string uri_of_issuer(std::string uri, const Certificate& ca) {
  constexpr std::string_view kHere = "{issuer}";
  const std::string id = issuer_id(ca);
  for (std::size_t at = uri.find(kHere); at != std::string::npos; at = uri.find(kHere, at + id.size())) {
    uri.replace(at, kHere.size(), id);
  }
  return uri;
}

std::vector<Certificate> Ca::chain() const {
  std::vector<Certificate> out{certificate};
  out.insert(out.end(), above.begin(), above.end());
  return out;
}

Bytes random_serial(Rng& rng) {
  Bytes out(16);
  rng.fill(out);
  out[0] = static_cast<std::uint8_t>((out[0] & 0x7fU) | 0x40U);
  return out;
}

Result<Ca> make_root(KeyType type, const Name& name, Instant now, Duration lifetime, Rng& rng) {
  TRY(PrivateKey key, PrivateKey::generate(type));
  return make_root(std::move(key), name, now, lifetime, rng);
}

Result<Ca> make_root(PrivateKey key, const Name& name, Instant now, Duration lifetime, Rng& rng) {
  Ca out;
  out.key = std::move(key);
  CertificateTemplate t;
  t.serial = random_serial(rng);
  t.issuer = t.subject = name;
  t.not_before = now - std::chrono::hours(1);
  t.not_after = now + lifetime;
  t.spki = out.key.public_key().spki;
  t.usage = key_usage::kCertSign | key_usage::kCrlSign;
  t.is_ca = true;
  TRY(const Bytes der, sign_certificate(out.key, t));
  TRY(out.certificate, Certificate::parse(der));
  return out;
}

Result<Bytes> issue(const Ca& ca, const Grant& grant, Instant now, Rng& rng) {
  std::vector<Extension> where;
  if (!ca.ocsp_uri.empty()) {
    where.push_back(ocsp_access(ca.ocsp_uri));
  }
  if (!ca.crl_uri.empty()) {
    where.push_back(list_distribution(ca.crl_uri));
  }
  return issue_with(ca, grant, std::move(where), now, rng);
}

Result<Certificate> issue_server(const Ca& ca, const PublicKey& key, const std::vector<GeneralName>& names, Instant now,
                                 Duration lifetime, Rng& rng) {
  Grant grant;
  TRY(grant.names.subject, Name::from_text("CN=Imprint EST server"));
  grant.names.alt_names = names;
  grant.spki = key.spki;
  grant.usage = key_usage::kDigitalSignature;
  grant.extended = {std::string(eku::kServerAuth), std::string(eku::kCmcRa), std::string(eku::kClientAuth)};
  grant.lifetime = lifetime;
  TRY(const Bytes der, issue(ca, grant, now, rng));
  return Certificate::parse(der);
}

Result<Certificate> issue_ocsp_signer(const Ca& ca, const PublicKey& key, Instant now, Duration lifetime, Rng& rng) {
  Grant grant;
  TRY(grant.names.subject, Name::from_text("CN=Imprint OCSP responder"));
  grant.spki = key.spki;
  grant.usage = key_usage::kDigitalSignature;
  grant.extended = {std::string(eku::kOcspSigning)};
  grant.lifetime = lifetime;
  TRY(const Bytes der, issue_with(ca, grant, {ocsp_no_check()}, now, rng));
  return Certificate::parse(der);
}

Result<Bytes> sign_list(const Ca& ca, std::vector<Revoked> revoked, const ListTimes& times, bool distribution) {
  RevocationListTemplate list;
  list.issuer = ca.certificate.subject;
  list.number = times.number;
  list.this_update = times.now;
  list.next_update = times.now + times.lifetime;
  list.authority_key_id = identifier_of(ca.certificate);
  list.revoked = std::move(revoked);
  list.distribution_uri = distribution ? ca.crl_uri : std::string();
  return sign_revocation_list(ca.key, list);
}

}  // namespace imprint::site
