#include "proto/est/client_steps.h"

#include <algorithm>
#include <iterator>

#include "crypto/enveloped.h"
#include "proto/est/anchors.h"
#include "proto/est/wishes.h"

namespace imprint::est::steps {

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 200)) {
    if (c == '\n') {
      break;
    }
    out += c >= ' ' && c <= '~' ? c : '?';
  }
  return out;
}

std::string sentence_of(const Response& r) {
  const bool readable =
      r.content_type.empty() || r.content_type.starts_with("text/") || r.content_type.find("json") != std::string::npos;
  return std::to_string(r.status) + (readable ? " " + shown(as_text(r.body)) : "");
}

bool speaks_for_owner(const Certificate& signer, const std::vector<Certificate>& along, const Client::Progress& p,
                      const Session& tls, std::optional<Instant> now) {
  if (tls.proven && (*tls.proven)->leaf == signer) {
    return true;
  }
  const bool authority = signer.is_ca || std::ranges::find(signer.extended, eku::kCmcRa) != signer.extended.end();
  std::vector<Certificate> pool = p.issuers;
  pool.insert(pool.end(), along.begin(), along.end());
  const bool signs = !signer.usage || (*signer.usage & key_usage::kDigitalSignature) != 0 || signer.is_ca;
  return authority && signs && verify_chain(signer, pool, p.anchors, chain_rules(Purpose::any, now));
}

Client::Opening open_verified(Client::Progress p, Client::Turn& t) {
  p.used = false;
  if (p.plan->login_by == LoginBy::srp) {
    const auto ticket = t.open_by_secret(p.server, *p.plan->login);
    return {std::move(p), ticket};
  }
  // Explicit anchors replace the implicit ones once they are there (RFC 7030 section 4.1.3).
  std::vector<Certificate> anchors = p.anchors.empty() ? p.plan->implicit_anchors : p.anchors;
  // Whom a voucher has named stays the owner's server, be it of another CA than cacerts says: RFC 8995 section 5.9.
  if (p.vouched) {
    const std::vector<Certificate>& pin = p.plan->explicit_anchors;
    std::ranges::copy_if(pin, std::back_inserter(anchors),
                         [&p](const Certificate& c) { return std::ranges::find(p.anchors, c) == p.anchors.end(); });
  }
  // Who was a third party's to vouch for has to be told that this is over (section 4.1.3: trusted_ca_keys).
  const bool changed = !p.anchors.empty() && !p.plan->implicit_anchors.empty();
  const auto ticket =
      t.open(p.server, Trust::anchors, std::move(anchors), p.plan->credential, changed, p.plan->trusts_clock);
  return {std::move(p), ticket};
}

Client::Signing sign(Client::Progress p, SessionRef tls, Client::Turn& t) {
  RequestTemplate what = fill_request(p.wishes, *p.plan, tls->channel_binding);
  if (p.plan->server_key && p.plan->wrap) {
    (p.plan->wrap->shared ? what.wrapping.shared_key_id : what.wrapping.own_key_id) = p.plan->wrap->identifier;
    what.wrapping.capabilities = cms_capabilities();
  }
  std::optional<FullPki> full;
  if (p.plan->full_cmc) {
    const auto number = t.random<16>();
    p.full.transaction = to_bytes(BytesView(number));
    p.full.transaction->front() &= 0x7fU;  // an INTEGER, positive and in its shortest form
    p.full.transaction->front() |= 0x40U;
    p.full.nonce = to_bytes(BytesView(t.random<16>()));
    full = FullPki{*p.full.transaction, *p.full.nonce, p.plan->credential};
  }
  const auto ticket = t.ask(SignRequest{p.key->id, std::move(what), std::move(full)});
  return {std::move(p), std::move(tls), ticket};
}

Client::Enrolled install(const Client::Progress& p, const KeyRef& key, const Verified<CertificateChain>& chain,
                         Client::Turn& t) {
  Installed result{key, chain->leaf, chain->via, p.anchors};
  t.save(result);
  const std::string id = "credential:" + (p.plan->label.empty() ? "default" : p.plan->label);
  t.learn({id, Topic::credential,
           "I am " + chain->leaf.subject.text + " in my owner's domain, says " + chain->leaf.issuer.text,
           chain->leaf.not_after},
          chain, {anchor_belief(chain->anchor)});
  return {std::move(result)};
}

}  // namespace imprint::est::steps
