#include "site/masa_catalogue.h"

#include <algorithm>

#include "proto/brski/maker_signer.h"

namespace imprint {

// The only maker of Verified<MasaCatalogue>.
template <>
struct Checker<site::MasaCatalogue> {
  static Verified<site::MasaCatalogue> made(site::MasaCatalogue catalogue) {
    return Verified<site::MasaCatalogue>(std::move(catalogue));
  }
};

namespace site {
namespace {

// The one signature, by the first of the certificates along, or by one that was given for it.
Result<Certificate> signer_of(const JwsSignature& signature, const std::vector<Certificate>& given) {
  std::vector<Certificate> candidates = given;
  if (!signature.chain.empty()) {
    candidates = {signature.chain.front()};
  }
  for (const Certificate& one : candidates) {
    if (holds(bool(verify_jws(signature, one.key)))) {
      return one;
    }
  }
  return Error{Fault::unauthentic, kCatalogueSigner};
}

Status check_signer(const JwsSignature& signature, const CatalogueTrust& trust) {
  TRY(const Certificate signer, signer_of(signature, trust.signers));
  const ChainRules rules{Purpose::any, trust.now.value_or(Instant{}), trust.now.has_value()};
  const auto path = verify_chain(signer, signature.chain, trust.signers, rules);
  CHECK_OR(path, Error{path.error().fault, kCatalogueSigner});
  // One that was given by itself is meant, whatever is in it.
  const bool pinned = std::ranges::find(trust.signers, signer) != trust.signers.end();
  CHECK_OR(pinned || brski::may_sign_for_maker(signer, false, trust.unmarked),
           Error{Fault::unauthentic, kCatalogueSigner});
  return Ok{};
}

Status check_content(const MasaCatalogue& catalogue, const CatalogueTrust& trust) {
  CHECK_OR(catalogue.maker == trust.maker, Error{Fault::unauthentic, kCatalogueMaker});
  if (!trust.now) {
    return Ok{};
  }
  CHECK_OR(catalogue.issued <= *trust.now, Error{Fault::expired, kCatalogueEarly});
  CHECK_OR(*trust.now < catalogue.expires, Error{Fault::expired, kCatalogueExpired});
  return Ok{};
}

Error unreadable(const Error& why) {
  Error out{why.fault, kCatalogueSyntax};
  out.what = why.what;
  return out;
}

}  // namespace

Result<std::string> make_catalogue(const MasaCatalogue& catalogue, const PrivateKey& key,
                                   const std::vector<Certificate>& chain) {
  const Bytes payload = encode_catalogue(catalogue);
  TRY([[maybe_unused]] const MasaCatalogue readable, parse_catalogue(payload));
  JwsOptions options;
  options.type = kCatalogueType;
  options.chain = chain;
  return sign_jws(payload, key, options);
}

Result<Verified<MasaCatalogue>> verify_catalogue(std::string_view text, const CatalogueTrust& trust) {
  const auto jws = parse_jws(text);
  CHECK_OR(jws, unreadable(jws.error()));
  // A MASA signs vouchers in JWS too: what is signed has to say what it is.
  const bool meant = jws->signatures.size() == 1 && jws->signatures.front().type == kCatalogueType;
  CHECK_OR(meant, unreadable({Fault::unsupported, "catalogue: one signature with typ imprint-masa-map+json"}));
  TRY(Ok{}, check_signer(jws->signatures.front(), trust));
  TRY(MasaCatalogue catalogue, parse_catalogue(jws->payload));
  TRY(Ok{}, check_content(catalogue, trust));
  return Checker<MasaCatalogue>::made(std::move(catalogue));
}

Status may_replace(const MasaCatalogue& fresh, const MasaCatalogue& held) {
  const bool same = fresh.version == held.version && fresh.payload == held.payload;
  CHECK_OR(fresh.version > held.version || same, Error{Fault::stale, kCatalogueOld});
  return Ok{};
}

std::vector<MasaRule> rules_of(const Verified<MasaCatalogue>& catalogue,
                               const std::vector<Certificate>& maker_anchors) {
  std::vector<MasaRule> out;
  if (maker_anchors.empty()) {
    return out;
  }
  const std::string from = "catalogue of " + catalogue->maker + ", version " + std::to_string(catalogue->version);
  for (std::size_t i = 0; i < catalogue->pools.size(); ++i) {
    const MovedPool& pool = catalogue->pools[i];
    MasaRule rule;
    rule.name = catalogue->maker + "/pool " + std::to_string(i + 1);
    rule.match.key_ids = {pool.issuer};
    rule.match.serials = {pool.serials};
    rule.url = pool.moved_to;
    rule.over_own = true;
    out.push_back(std::move(rule));
  }
  for (const MasaRule& one : catalogue->rules) {
    out.push_back(one);
    out.back().name = catalogue->maker + "/" + one.name;
  }
  for (MasaRule& rule : out) {
    rule.from = from;
    rule.outside = true;
    rule.orphan = false;
    rule.match.anchors = maker_anchors;
  }
  return out;
}

}  // namespace site
}  // namespace imprint
