#include "proto/est/relay.h"

#include <algorithm>

#include "codec/der.h"
#include "proto/est/anchors.h"
#include "proto/est/coap.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr Duration kClockSkew = std::chrono::minutes(5);
constexpr std::int64_t kMaxRetryAfter_s = 24 * 60 * 60;
constexpr std::string_view kBasicConstraints = "2.5.29.19";
constexpr std::string_view kSubjectKeyId = "2.5.29.14";
constexpr std::string_view kMicrosoftExtensions = "1.3.6.1.4.1.311.2.1.14";

bool same_names(const RequestedNames& granted, const Name& subject, const std::vector<GeneralName>& alt_names) {
  const auto& a = granted.alt_names;
  return granted.subject.text == subject.text && a.size() == alt_names.size() &&
         std::is_permutation(a.begin(), a.end(), alt_names.begin());
}

// Beyond the grant is whatever a relying party would allow and the owner did not.
bool usages_within(const Grant& grant, const Certificate& c) {
  const bool any = grant.extended.empty();
  const bool extended = any || (!c.extended.empty() && std::ranges::all_of(c.extended, [&](const std::string& oid) {
                          return std::ranges::find(grant.extended, oid) != grant.extended.end();
                        }));
  const bool usage = !grant.usage || (c.usage && (*c.usage & ~*grant.usage) == 0);
  return extended && usage;
}

// Names and usages are held against the grant by themselves, and whoever asks to be a CA was refused before.
bool may_ask_for(const Extension& extension, const std::vector<Extension>& wanted) {
  return extension.oid == kBasicConstraints || extension.oid == kSubjectKeyId ||
         std::ranges::find(wanted, extension) != wanted.end();
}

// Whether extensions are asked for a second time, in Microsoft's attribute: we pass over it, and OpenSSL does not.
bool has_other_extensions(BytesView request) {
  der::Reader outer(request);
  der::Reader parts(outer.next(der::kSequence).content);
  der::Reader body(parts.next(der::kSequence).content);
  for (const std::uint8_t tag : {der::kInteger, der::kSequence, der::kSequence}) {  // version, subject, key
    body.next(tag);
  }
  der::Reader attributes(body.next(der::context(0)).content);
  bool out = false;
  while (!attributes.empty()) {
    der::Reader one(attributes.next(der::kSequence).content);
    const auto id = der::parse_oid(one.next(der::kOid).content);
    out = out || (id && *id == kMicrosoftExtensions);
  }
  return out;
}

// Those by which the root, or one that vouches for it, was introduced: NewWithOld (RFC 4210 section 4.4). They need not
// verify under the root themselves; whoever signed them is trusted, or anybody could make some up.
std::vector<Certificate> links_from(const Certificate& root, const std::vector<Certificate>& all,
                                    const std::vector<Certificate>& sent, const std::vector<Certificate>& trusted,
                                    Instant now) {
  std::vector<Certificate> out, met{root};
  const ChainRules rules{Purpose::any, now, true};
  for (std::size_t i = 0; i < met.size(); ++i) {
    for (const Certificate& link : all) {
      if (!link.is_ca || !(link.key == met[i].key) || self_signed(link)) {
        continue;
      }
      const auto old = std::ranges::find_if(all, [&](const Certificate& one) {
        return one.subject == link.issuer && verify_chain(link, {}, {one}, rules) &&
               verify_chain(one, sent, trusted, rules);
      });
      if (old != all.end() && std::ranges::find(met, old->key, &Certificate::key) == met.end()) {
        out.push_back(link);
        met.push_back(*old);
      }
    }
  }
  return out;
}

// What may pass by itself, and is not this request's fault: an overload (RFC 6585 section 4), a wait that took too
// long, a request that came too early (RFC 8470 section 5.2).
bool passes(int status) { return status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501); }

}  // namespace

Status can_hand_on(const Issue& question, const std::vector<Extension>& wanted) {
  const auto request = CertificateRequest::parse(question.request);  // empty, if there is none
  CHECK_OR(request && request->key.spki == question.grant.spki, Error{Fault::refused, kUpstreamRequest});
  CHECK_OR(same_names(question.grant.names, request->subject, request->alt_names),
           Error{Fault::refused, kUpstreamNames});
  CHECK_OR(std::ranges::all_of(request->other_extensions,
                               [&wanted](const Extension& each) { return may_ask_for(each, wanted); }),
           Error{Fault::refused, kUpstreamRequest});
  CHECK_OR(!has_other_extensions(question.request), Error{Fault::refused, kUpstreamRequest});
  return Ok{};
}

Status check_upstream_server(const Session& tls, std::string_view host) {
  CHECK_OR(tls.proven && speaks_for_host((*tls.proven)->leaf, host), Error{Fault::unauthentic, kUpstreamServer});
  return Ok{};
}

Request handed_on(const Uri& server, std::string_view label, BytesView pkcs10, const std::optional<Login>& login) {
  Request out = request_to(server, label, Operation::simpleenroll, pkcs10);
  out.login = login;
  return out;
}

Result<UpstreamAnswer> read_upstream_answer(const Response& answer) {
  if (answer.status == 202) {
    CHECK_OR(answer.retry_after_s && *answer.retry_after_s >= 0, Error{Fault::malformed, kUpstreamAnswer});
    return UpstreamAnswer{{},
                          std::chrono::seconds(std::clamp<std::int64_t>(*answer.retry_after_s, 1, kMaxRetryAfter_s))};
  }
  CHECK_OR(!passes(answer.status), Error{Fault::unreachable, kUpstreamAway});
  CHECK_OR(answer.status != 401, Error{Fault::unauthentic, kUpstreamCredentials});
  const bool other_server = answer.status < 400 || answer.status == 404 || answer.status == 405 || answer.status == 501;
  CHECK_OR(answer.status == 200 || !other_server, Error{Fault::unsupported, kUpstreamPath});
  CHECK_OR(answer.status == 200, Error{Fault::refused, kUpstreamRefused});
  auto certificates = certificates_in(answer);
  CHECK_OR(certificates, Error{Fault::malformed, kUpstreamAnswer});
  return UpstreamAnswer{*std::move(certificates), std::nullopt};
}

Result<Bytes> granted_certificate(const std::vector<Certificate>& answer, const Grant& grant,
                                  const UpstreamTrust& trust, Instant now) {
  TRY(const PublicKey key, PublicKey::parse(grant.spki));
  CHECK_OR(std::ranges::count(answer, key, &Certificate::key) == 1, Error{Fault::refused, kUpstreamKey});
  const Certificate& own = *std::ranges::find(answer, key, &Certificate::key);
  // The device gets this one alone, so its path is by what the device can have from us. Clocks differ a little.
  const Instant at = std::min(std::max(now, own.not_before), now + kClockSkew);
  CHECK_OR(own.not_before <= at && at < own.not_after, Error{Fault::refused, kUpstreamLifetime});
  const auto chain = verify_chain(own, trust.issuers, trust.anchors, {Purpose::any, at, true});
  CHECK_OR(chain, Error{Fault::refused, kUpstreamChain});
  CHECK_OR(!own.is_ca && usages_within(grant, own), Error{Fault::refused, kUpstreamUsages});
  CHECK_OR(same_names(grant.names, own.subject, own.alt_names), Error{Fault::refused, kUpstreamOtherNames});
  CHECK_OR(own.not_after <= now + grant.lifetime + kClockSkew, Error{Fault::refused, kUpstreamLifetime});
  return own.der;
}

Result<std::vector<Certificate>> read_upstream_ca(const Response& answer, const std::vector<Certificate>& anchors,
                                                  Instant now) {
  CHECK_OR(!passes(answer.status), Error{Fault::unreachable, kUpstreamAway});
  CHECK_OR(answer.status == 200, Error{Fault::unsupported, kUpstreamPath});
  const auto bag = certificates_in(answer);
  CHECK_OR(bag, Error{Fault::malformed, kUpstreamCa});
  const auto sorted = sort_ca_certificates(*bag, now);
  CHECK_OR(sorted && continues(anchors, *sorted, *bag, now), Error{Fault::unauthentic, kUpstreamCa});
  std::vector<Certificate> all = anchors, trusted = anchors, out = sorted->anchors;
  all.insert(all.end(), bag->begin(), bag->end());
  trusted.insert(trusted.end(), out.begin(), out.end());
  for (const auto& more : {sorted->issuers, links_from(sorted->root, all, *bag, trusted, now)}) {
    std::ranges::copy_if(more, std::back_inserter(out),
                         [&out](const Certificate& one) { return std::ranges::find(out, one) == out.end(); });
  }
  return out;
}

}  // namespace imprint::est
