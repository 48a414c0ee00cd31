#include "proto/est/anchors.h"

#include <algorithm>

#include "crypto/cms.h"
#include "proto/est/messages.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

// Whether this is a certificate for that root, name and key, which another CA has signed (RFC 4210 section 4.4). A
// server's own certificate verifies as well, and its key is no root's.
bool introduces(const Certificate& link, const Certificate& root) {
  const bool signs = link.is_ca && (!link.usage || (*link.usage & key_usage::kCertSign) != 0);
  return holds(signs) && link.key == root.key && link.subject == root.subject && !(link == root);
}

}  // namespace

Result<CaBag> sort_ca_certificates(const std::vector<Certificate>& bag, std::optional<Instant> now) {
  CaBag out;
  const Certificate* newest = nullptr;
  for (const Certificate& c : bag) {
    // A root vouches for itself or is none: whoever is taken as an anchor here is believed from now on.
    if (c.is_ca && holds(self_signed(c)) && (newest == nullptr || newest->not_after < c.not_after)) {
      newest = &c;
    }
  }
  CHECK_OR(newest != nullptr, Error{Fault::unauthentic, kCaBag});
  out.root = *newest;
  out.anchors.push_back(*newest);
  for (const Certificate& c : bag) {
    if (c == *newest) {
      CHECK_OR(verify_chain(c, {}, {c}, chain_rules(Purpose::any, now)), Error{Fault::unauthentic, kCaBag});
      continue;
    }
    if (self_signed(c)) {
      // An older root (OldWithOld) stays an anchor only while the new one vouches for its key (OldWithNew).
      const bool vouched = std::ranges::any_of(bag, [&](const Certificate& link) {
        return introduces(link, c) && verify_chain(link, bag, {*newest}, chain_rules(Purpose::any, now));
      });
      if (holds(vouched)) {
        out.anchors.push_back(c);
      }
      continue;
    }
    if (holds(static_cast<bool>(verify_chain(c, bag, {*newest}, chain_rules(Purpose::any, now))))) {
      out.issuers.push_back(c);
    }
  }
  return out;
}

bool continues(const std::vector<Certificate>& anchors, const CaBag& bag, const std::vector<Certificate>& sent,
               std::optional<Instant> now) {
  if (anchors.empty() || std::ranges::find(anchors, bag.root) != anchors.end()) {
    return true;
  }
  const ChainRules rules = chain_rules(Purpose::any, now);
  // Nothing that came along leads from the anchor up to the root: anybody can sign the key between the two.
  return std::ranges::any_of(sent,
                             [&](const Certificate& c) {
                               return introduces(c, bag.root) &&
                                      holds(static_cast<bool>(verify_chain(c, sent, anchors, rules)));
                             }) ||
         std::ranges::any_of(anchors, [&](const Certificate& c) {
           return holds(static_cast<bool>(verify_chain(c, {}, {bag.root}, rules)));
         });
}

Result<std::vector<Certificate>> certificates_in(const Response& response) {
  TRY(const Bytes der, decode_body(response.body));
  auto bag = parse_certs_only(der);
  if (!bag) {
    TRY(Certificate single, Certificate::parse(der));  // application/pkix-cert, as some servers answer
    return std::vector<Certificate>{std::move(single)};
  }
  return bag;
}

Result<Verified<CertificateChain>> verify_answer(const PublicKey& key, const std::vector<Certificate>& answer,
                                                 const std::vector<Certificate>& issuers,
                                                 const std::vector<Certificate>& anchors, std::optional<Instant> now) {
  const auto mine = std::ranges::find(answer, key, &Certificate::key);
  CHECK_OR(mine != answer.end(), Error{Fault::unauthentic, kNotMyKey});
  std::vector<Certificate> pool = issuers;
  pool.insert(pool.end(), answer.begin(), answer.end());
  const auto chain = verify_chain(*mine, pool, anchors, chain_rules(Purpose::any, now));
  CHECK_OR(chain, Error{chain.error().fault, kNotMyAnchors});
  return *chain;
}

}  // namespace imprint::est
