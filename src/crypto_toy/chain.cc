#include <algorithm>

#include "crypto/parts.h"
#include "crypto/x509.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxDepth = 8;

// Whether `issuer` signed the certificate.
bool signed_by(const Certificate& certificate, const Certificate& issuer) {
  der::Reader outer(certificate.der);
  der::Reader in(outer.next(der::kSequence).content);
  const BytesView body = in.next(der::kSequence).whole;
  const BytesView algorithm = in.next(der::kSequence).whole;
  const BytesView signature = parts::octets_of_bits(in.next(der::kBitString).content);
  return certificate.issuer == issuer.subject && verify_signature(issuer.key, algorithm, body, signature);
}

bool may_issue(const Certificate& c) { return c.is_ca && (!c.usage || (*c.usage & key_usage::kCertSign) != 0); }

bool valid_at(const Certificate& c, const ChainRules& rules) {
  return !rules.check_time || (c.not_before <= rules.at && rules.at <= c.not_after);
}

bool allows(const Certificate& c, Purpose purpose) {
  if (purpose == Purpose::any || c.extended.empty()) {
    return true;
  }
  const std::string_view wanted = purpose == Purpose::tls_client ? eku::kClientAuth : eku::kServerAuth;
  return std::ranges::find(c.extended, wanted) != c.extended.end() ||
         std::ranges::find(c.extended, eku::kAny) != c.extended.end();
}

// Depth first; `path` starts with the leaf and, on success, ends with the anchor.
bool extend(std::vector<Certificate>& path, const std::vector<Certificate>& pool,
            const std::vector<Certificate>& anchors) {
  const Certificate last = path.back();
  if (std::ranges::find(anchors, last) != anchors.end()) {
    return true;
  }
  if (path.size() > kMaxDepth) {
    return false;
  }
  for (const auto* from : {&anchors, &pool}) {
    for (const Certificate& next : *from) {
      if (may_issue(next) && std::ranges::find(path, next) == path.end() && signed_by(last, next)) {
        path.push_back(next);
        if (extend(path, pool, anchors)) {
          return true;
        }
        path.pop_back();
      }
    }
  }
  return false;
}

}  // namespace

// The only maker of Verified<CertificateChain>.
template <>
struct Checker<CertificateChain> {
  static Result<Verified<CertificateChain>> check(const Certificate& leaf, const std::vector<Certificate>& pool,
                                                  const std::vector<Certificate>& anchors, const ChainRules& rules) {
    std::vector<Certificate> path{leaf};
    CHECK_OR(extend(path, pool, anchors), Error{Fault::unauthentic, "chain: no path to a trust anchor"});
    CHECK_OR(allows(leaf, rules.purpose), Error{Fault::refused, "chain: purpose"});
    CHECK_OR(std::ranges::all_of(path, [&](const Certificate& c) { return valid_at(c, rules); }),
             Error{Fault::expired, "chain: not valid now"});
    CertificateChain out{path.front(), path.back(), {}};
    if (path.size() > 2) {
      out.via.assign(path.begin() + 1, path.end() - 1);
    }
    return Verified<CertificateChain>(std::move(out));
  }
};

Result<Verified<CertificateChain>> verify_chain(const Certificate& leaf, const std::vector<Certificate>& pool,
                                                const std::vector<Certificate>& anchors, const ChainRules& rules) {
  return Checker<CertificateChain>::check(leaf, pool, anchors, rules);
}

bool self_signed(const Certificate& certificate) { return signed_by(certificate, certificate); }

bool speaks_for_host(const Certificate& certificate, std::string_view host) {
  return std::ranges::any_of(certificate.alt_names, [&](const GeneralName& n) {
    const std::string text = n.text();
    return text == "dns:" + std::string(host) || text == "ip:" + std::string(host);
  });
}

}  // namespace imprint
