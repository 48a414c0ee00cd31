#include "site/rollover.h"

#include <algorithm>

namespace imprint::site {
namespace {

// The key and the name of `of`, signed by this CA.
Result<Certificate> cross(const Ca& by, const Certificate& of, Rng& rng) {
  CertificateTemplate t;
  t.serial = random_serial(rng);
  t.issuer = by.certificate.subject;
  t.subject = of.subject;
  t.not_before = of.not_before;
  t.not_after = std::max(t.not_before, std::min(by.certificate.not_after, of.not_after));
  t.spki = of.key.spki;
  t.usage = key_usage::kCertSign | key_usage::kCrlSign;
  t.is_ca = true;
  t.authority_key_id = identifier_of(by.certificate);
  TRY(const Bytes der, sign_certificate(by.key, t));
  return Certificate::parse(der);
}

}  // namespace

Result<std::vector<Certificate>> make_links(const Ca& old, const Ca& next, Rng& rng) {
  std::vector<Certificate> out;
  if (old.root().key == next.root().key) {
    return out;
  }
  if (old.above.empty()) {
    TRY(Certificate new_with_old, cross(old, next.root(), rng));
    out.push_back(std::move(new_with_old));
  }
  if (next.above.empty()) {
    TRY(Certificate old_with_new, cross(next, old.root(), rng));
    out.push_back(std::move(old_with_new));
  }
  return out;
}

bool reaches(const Ca& old, const Ca& next, const std::vector<Certificate>& links, Instant now, Rng& rng) {
  const auto device = PrivateKey::generate(KeyType::p256);
  const auto name = Name::from_text("CN=trial");
  if (!device || !name) {
    return false;
  }
  Grant grant;
  grant.names.subject = *name;
  grant.spki = device->public_key().spki;
  grant.lifetime = std::chrono::minutes(1);
  const auto der = issue(next, grant, now, rng);
  const auto trial = der ? Certificate::parse(*der) : Result<Certificate>(der.error());
  std::vector<Certificate> sent = next.chain();
  std::erase_if(sent, [](const Certificate& c) { return self_signed(c); });  // nor does TLS send a root
  sent.insert(sent.end(), links.begin(), links.end());
  // Peers that are not ours do not go back from a dead end.
  return trial && verify_chain(*trial, sent, {old.root()}, {Purpose::any, now, true, /*goes_back=*/false});
}

}  // namespace imprint::site
