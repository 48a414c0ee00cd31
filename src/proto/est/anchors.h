// The owner's CA certificates: which of them are anchors, and what they verify (RFC 7030 section 4.1.3).
#pragma once

#include <vector>

#include "role/session.h"

namespace imprint::est {

// How a path is judged; without a time no certificate is too old or too young.
inline ChainRules chain_rules(Purpose purpose, std::optional<Instant> now) {
  return {purpose, now.value_or(Instant{}), now.has_value()};
}

// The parts of a set of CA certificates.
struct CaBag {
  Certificate root;                  // the self-signed one that ends last
  std::vector<Certificate> anchors;  // the root, and older roots that it vouches for
  std::vector<Certificate> issuers;  // all others that verify under the root
};
// EST-CACERTS-BAG if there is no root. Certificates that do not verify under the root are left out.
Result<CaBag> sort_ca_certificates(const std::vector<Certificate>& bag, std::optional<Instant> now);

// Whether a fresh set continues what is believed: the root is an anchor already, an anchor vouches for it by a CA's
// certificate (NewWithOld, RFC 4210 section 4.4), or it has signed an anchor itself. Stricter than RFC 7030, which
// trusts the server.
bool continues(const std::vector<Certificate>& anchors, const CaBag& bag, const std::vector<Certificate>& sent,
               std::optional<Instant> now);

// The certificates in a body, however it is announced: peers leave out smime-type or send a bare certificate.
Result<std::vector<Certificate>> certificates_in(const Response& response);

// The certificate of the answer that is for this key, with its path to the anchors. Chain certificates may come along
// in any order; none of them becomes an anchor (RFC 5272 section 4.1). EST-ANSWER-KEY, EST-ANSWER-CHAIN.
Result<Verified<CertificateChain>> verify_answer(const PublicKey& key, const std::vector<Certificate>& answer,
                                                 const std::vector<Certificate>& issuers,
                                                 const std::vector<Certificate>& anchors, std::optional<Instant> now);

}  // namespace imprint::est
