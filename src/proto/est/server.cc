#include "proto/est/server.h"

#include <algorithm>

#include "base/reader.h"
#include "codec/base64.h"
#include "crypto/cms.h"
#include "proto/est/rules.h"
#include "proto/est/wishes.h"

namespace imprint::est {
namespace {

constexpr Exchange kNobody{};
constexpr std::int64_t kComeBackSoon_s = 5;
constexpr std::string_view kPlainKeyType = "application/pkcs8";
constexpr std::string_view kCertsOnly = "application/pkcs7-mime; smime-type=certs-only";

std::string sentence(const Rule& rule, std::string_view detail = {}) {
  std::string out(rule.what);
  if (!detail.empty()) {
    out.append(": ").append(detail);
  }
  return out.append(" (").append(rule.id).append(", ").append(rule.source).append("); ").append(rule.next).append("\n");
}

Response refusal(int status, const Rule& rule, std::string_view detail = {}) {
  Response out;
  out.status = status;
  out.content_type = "text/plain; charset=utf-8";
  out.body = to_bytes(sentence(rule, detail));
  return out;
}

Response come_back(int status, const Rule& rule, std::int64_t seconds) {
  Response out = refusal(status, rule);
  out.retry_after_s = seconds;
  return out;
}

Response later(Duration retry_after) {
  Response out;  // without a body: some clients leave it unread and then fail (docs/interop/est.md)
  out.status = 202;
  out.retry_after_s = std::chrono::ceil<std::chrono::seconds>(retry_after).count();
  return out;
}

void tell(Server::Turn& t, Exchange to, Response r) {
  if (to != kNobody) {
    t.reply(to, std::move(r));
  }
}

// The stronger one first (RFC 7616 section 3.7). What goes over CoAP has no challenges, and loses nothing.
Response challenge(const ServerConfig& config, Server::Turn& t, bool stale = false) {
  Response out;
  out.status = 401;
  if (!config.nonce_key.empty()) {
    const std::string nonce = make_nonce(config.nonce_key, t.now(), t.random<8>());
    out.authenticate.push_back(challenge_text({config.realm, nonce, {}, stale}));
  }
  if (config.basic) {
    out.authenticate.push_back("Basic realm=\"" + config.realm + "\", charset=\"UTF-8\"");
  }
  return out;
}

Response certificate_answer(const Bytes& certificate) {
  Response out;
  out.status = 200;
  out.content_type = kCertsOnly;
  out.body = encode_certs_only({certificate});
  return out;
}

Response key_answer(const MadeKey& made, const Bytes& certificate) {
  const Response plain = certificate_answer(certificate);
  Response out;
  out.status = 200;
  out.parts = {{std::string(made.wrapped ? kWrappedKeyType : kPlainKeyType), made.body},
               {plain.content_type, Secret(BytesView(plain.body))}};
  return out;
}

// Only the owner appoints registration authorities: a maker's certificate that says so is a claim of the maker's.
bool is_registration_authority(const Session& session, const std::vector<Certificate>& owner_anchors) {
  if (!session.proven) {
    return false;
  }
  const CertificateChain& chain = **session.proven;
  return holds(std::ranges::find(owner_anchors, chain.anchor) != owner_anchors.end()) &&
         std::ranges::find(chain.leaf.extended, eku::kCmcRa) != chain.leaf.extended.end();
}

Status check_value(const std::optional<std::string>& value, const Session& session) {
  if (!value) {
    return Ok{};
  }
  CHECK_OR(!session.channel_binding.empty(), Error{Fault::unauthentic, kLinkingImpossible});
  CHECK_OR(same(view(*value), view(base64(session.channel_binding))), Error{Fault::unauthentic, kLinkingWrong});
  return Ok{};
}

// No certificate: the CA refuses, which is on record, or is away.
void unsigned_answer(const Server::Issuing& s, const Error& why, Server::Turn& t) {
  if (why.fault != Fault::refused) {
    tell(t, s.from, come_back(503, kSignerSilent, kComeBackSoon_s));
    return;
  }
  const Rule& rule = why.rule != nullptr ? *why.rule : kSignerRefused;
  t.note(Denied{s.request_key, s.decision.identity, s.label, s.request->subject.text, std::string(rule.id),
                std::string(why.what)});
  tell(t, s.from, refusal(403, kSignerRefused));
}

// What the server now believes of the applicant, and why.
std::string learn_applicant(const Session& session, const Decision& decision, Server::Turn& t) {
  if (session.proven) {
    const Certificate& leaf = (*session.proven)->leaf;
    const Certificate& anchor = (*session.proven)->anchor;
    const std::string anchor_id = "anchor:" + hex(anchor.fingerprint());
    t.learn(Belief{anchor_id, Topic::anchor, "the key of " + anchor.subject.text + " may vouch for devices",
                   anchor.not_after},
            Configured<Certificate>{anchor});
    Belief peer{"peer:" + hex(leaf.fingerprint()), Topic::peer, "who asks holds the key of " + leaf.subject.text,
                leaf.not_after};
    std::string id = peer.id;
    t.learn(std::move(peer), *session.proven, {anchor_id});
    return id;
  }
  if (decision.secret) {
    Belief peer{"peer:" + (*decision.secret)->device, Topic::peer,
                "who asks holds the secret of " + (*decision.secret)->device, kNoEnd};
    std::string id = peer.id;
    t.learn(std::move(peer), *decision.secret);
    return id;
  }
  return {};
}

// What proved the asker, in a form that is looked up: where a secret decided, the certificate beside it does not count.
std::string evidence_of(const Session& session, const Decision& decision) {
  if (decision.secret) {
    const KnownSecret& secret = **decision.secret;
    return (secret.one_time ? "token:" : "password:") + secret.device;
  }
  return session.proven ? "certificate:" + hex((*session.proven)->leaf.fingerprint()) : std::string();
}

bool asks_to_wrap(const CertificateRequest& request) {
  return request.wrapping.shared_key_id || request.wrapping.own_key_id;
}

// What the server believes of the key: the applicant has shown that it holds it, or was sent it.
void learn_key(const Server::Issuing& s, const std::string& peer, Server::Turn& t) {
  const std::string& device = s.decision.grant.device;
  const Verified<CertificateRequest>* const possession = s.request.possession();
  if (possession != nullptr) {
    t.learn({"possession:" + hex(sha256((*possession)->key.spki)), Topic::possession,
             device + " holds the private key that it asks a certificate for", kNoEnd},
            *possession, {peer});
  } else if (s.made) {
    t.learn({"given:" + hex(sha256(s.made->key.spki)), Topic::possession,
             device + " was sent the private key that we made for it", kNoEnd},
            Sent<PublicKey>{s.made->key}, {peer});
  }
}

}  // namespace

Status check_linking(const CertificateRequest& request, const Session& session, const Label& label,
                     const std::vector<Certificate>& owner_anchors) {
  if (!holds(!label.ignore_linking) || is_registration_authority(session, owner_anchors)) {
    return Ok{};
  }
  CHECK_OR(!request.otp_challenge, Error{Fault::unauthentic, kOtp});
  const bool linked = request.challenge_password || request.identity_linking;
  CHECK_OR(linked || !label.require_linking, Error{Fault::unauthentic, kLinkingMissing});
  TRY(Ok{}, check_value(request.challenge_password, session));
  return check_value(request.identity_linking, session);  // RFC 7894: each is judged on its own
}

Status check_renewal_names(const CertificateRequest& request, const Certificate& current) {
  const bool same_names = request.subject == current.subject && request.alt_names == current.alt_names;
  CHECK_OR(same_names, Error{Fault::refused, kRenewalNames});
  return Ok{};
}

Bytes request_key(const Session& session, const std::optional<Login>& login, std::string_view label,
                  const CertificateRequest& request, bool keyless) {
  Writer w;
  const auto part = [&](BytesView bytes) {
    w.u64(bytes.size());
    w.bytes(bytes);
  };
  if (session.proven) {
    part((*session.proven)->leaf.issuer.der);
    part((*session.proven)->leaf.subject.der);
    part((*session.proven)->leaf.key.spki);
  } else {
    part({});
    part(view(!session.srp_user.empty() ? session.srp_user : login ? login->user : std::string_view{}));
  }
  part(view(label));
  part(keyless ? view("made by the server: ") : BytesView(request.key.spki));
  if (keyless) {
    part(view(name(request.key.type)));
  }
  part(request.subject.der);
  part(request.alt_names_der);
  const Sha256 digest = sha256(w.out());
  return {digest.begin(), digest.end()};
}

Result<Server::Idle> Server::on(const Idle&, const GetCaCertificates& m, Turn& t) const {
  const auto label = config_->labels.find(m.label);
  CHECK_OR(label != config_->labels.end(), Error{Fault::unsupported, kNoSuchLabel});
  Response out;
  out.status = 200;
  out.content_type = kCertsOnly;
  out.body = label->second.ca_certificates;
  t.reply(m.from, std::move(out));
  return Idle{};
}

Result<Server::Idle> Server::on(const Idle&, const GetCsrAttributes& m, Turn& t) const {
  const auto label = config_->labels.find(m.label);
  CHECK_OR(label != config_->labels.end(), Error{Fault::unsupported, kNoSuchLabel});
  const bool asked = config_->wished_names && m.session;
  const std::vector<GeneralName> names = asked ? config_->wished_names(*m.session) : std::vector<GeneralName>{};
  Response out;
  out.body = names.empty() ? label->second.wishes : with_names(label->second.wishes, names);
  out.status = out.body.empty() ? 204 : 200;
  if (out.status == 200) {
    out.content_type = "application/csrattrs";
  }
  t.reply(m.from, std::move(out));
  return Idle{};
}

Result<OneOf<Server::Admitting, Server::Idle>> Server::on(const Idle&, const Enrol& m, Turn& t) const {
  const auto label = config_->labels.find(m.label);
  CHECK_OR(label != config_->labels.end(), Error{Fault::unsupported, kNoSuchLabel});
  // The handshake's certificate is the one to be renewed; a password proves no certificate (ours: est.md 7.4).
  CHECK_OR(!m.renewal || m.session->proven, Error{Fault::unauthentic, kRenewalUnproven});
  if (!holds(names_somebody(*m.session, m.login))) {
    tell(t, m.from, challenge(*config_, t));  // before any signature of a stranger's is looked at
    return OneOf<Admitting, Idle>(Idle{});
  }
  const auto request = verify_possession(m.request);
  CHECK_OR(request, Error{request.error().fault, kPossession});
  TRY(Ok{}, check_linking(m.request, *m.session, label->second, config_->owner_anchors));
  if (m.renewal) {
    TRY(Ok{}, check_renewal_names(m.request, (*m.session->proven)->leaf));
  }
  Bytes key = request_key(*m.session, m.login, m.label, m.request);
  const auto ticket = t.ask(Admit{m.session, m.login, m.label, m.renewal, *request, key});
  return OneOf<Admitting, Idle>(Admitting{m.from, m.session, m.label, *request, std::move(key), ticket});
}

Result<OneOf<Server::Admitting, Server::Idle>> Server::on(const Idle&, const GenerateKey& m, Turn& t) const {
  const auto label = config_->labels.find(m.label);
  CHECK_OR(label != config_->labels.end(), Error{Fault::unsupported, kNoSuchLabel});
  CHECK_OR(label->second.server_keys, Error{Fault::unsupported, kKeysNotMade});
  if (!holds(names_somebody(*m.session, m.login))) {
    tell(t, m.from, challenge(*config_, t));
    return OneOf<Admitting, Idle>(Idle{});
  }
  const CertificateRequest& request = m.request.request;
  const KeyWrapping& wrapping = request.wrapping;
  CHECK_OR(!(wrapping.shared_key_id && wrapping.own_key_id), Error{Fault::malformed, kWrappingTwice});
  CHECK_OR(!asks_to_wrap(request) || !wrapping.capabilities.empty(), Error{Fault::malformed, kNoCapabilities});
  TRY(Ok{}, check_linking(request, *m.session, label->second, config_->owner_anchors));
  Bytes key = request_key(*m.session, m.login, m.label, request, true);
  const auto ticket = t.ask(Admit{m.session, m.login, m.label, false, m.request, key});
  return OneOf<Admitting, Idle>(Admitting{m.from, m.session, m.label, m.request, std::move(key), ticket});
}

Result<OneOf<Server::Issuing, Server::Keying, Server::Idle>> Server::on(const Admitting& s, const Done<Decision>& d,
                                                                        Turn& t) const {
  using Next = OneOf<Issuing, Keying, Idle>;
  if (!d.answer) {
    tell(t, s.from, come_back(503, kSignerSilent, kComeBackSoon_s));
    return Next(Idle{});
  }
  const Decision& decision = *d.answer;
  const Rule& rule = decision.rule != nullptr ? *decision.rule : kRefused;
  switch (decision.verdict) {
    case Verdict::issue: {
      if (s.request.possession() == nullptr) {
        // Never in clear where the request says otherwise, whatever the policy has made of it.
        CHECK_OR(decision.delivery && (decision.delivery->wrapped() || !asks_to_wrap(*s.request)),
                 Error{Fault::internal, "decision: delivery"});
        const auto key_ticket = t.ask(MakeKeyFor{*decision.delivery});
        return Next(Keying{s.from, s.session, s.label, s.request, s.request_key, decision, key_ticket});
      }
      assert(decision.grant.spki == s.request->key.spki);
      const bool pkcs10 = s.request->form == CertificateRequest::Form::pkcs10;
      const auto ticket = t.ask(Issue{decision.grant, pkcs10 ? s.request->der : Bytes{}});
      return Next(Issuing{s.from, s.session, s.label, s.request, s.request_key, decision, std::nullopt, ticket});
    }
    case Verdict::already:
      // Nobody has the key of before any more: the policy supersedes such an answer instead.
      CHECK_OR(s.request.possession() != nullptr, Error{Fault::internal, "decision: already"});
      tell(t, s.from, certificate_answer(decision.certificate));
      return Next(Idle{});
    case Verdict::pending: {
      if (!decision.noted) {
        t.note(Pended{s.request_key, decision.grant.device, decision.identity, decision.device_identity, s.label,
                      s.request->subject.text, s.request->der, decision.reason, decision.newcomer});
      }
      tell(t, s.from, later(decision.retry_after));
      return Next(Idle{});
    }
    case Verdict::refused:
      t.note(Denied{s.request_key, decision.identity, s.label, s.request->subject.text, std::string(rule.id),
                    decision.reason});
      tell(t, s.from, refusal(403, rule));
      return Next(Idle{});
    case Verdict::unauthenticated: {
      // A challenge has no body, for the same reason; who has answered one already is told what was wrong.
      Response out = challenge(*config_, t, decision.stale);
      if (!decision.reason.empty()) {
        out.body = refusal(401, rule).body;
        out.content_type = refusal(401, rule).content_type;
      }
      tell(t, s.from, std::move(out));
      return Next(Idle{});
    }
  }
  return Error{Fault::internal, "decision: verdict"};
}

Result<Server::Idle> Server::on(const Admitting& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.from, Error{Fault::stale, "not the exchange that waits"});
  return Idle{};
}

Result<OneOf<Server::Issuing, Server::Idle>> Server::on(const Keying& s, const Done<MadeKey>& d, Turn& t) const {
  using Next = OneOf<Issuing, Idle>;
  if (!d.answer) {
    const Error& why = d.answer.error();
    const Rule* const rule = why.rule != nullptr               ? why.rule
                             : why.fault == Fault::unsupported ? &kNoCapability
                                                               : nullptr;
    if (rule == nullptr || why.fault == Fault::unreachable) {
      tell(t, s.from, come_back(503, rule != nullptr ? *rule : kSignerSilent, kComeBackSoon_s));
      return Next(Idle{});
    }
    t.note(Denied{s.request_key, s.decision.identity, s.label, s.request->subject.text, std::string(rule->id),
                  std::string(why.what)});
    tell(t, s.from, refusal(403, *rule));
    return Next(Idle{});
  }
  CHECK_OR(s.decision.delivery && d.answer->wrapped == s.decision.delivery->wrapped(),
           Error{Fault::internal, "made key: form"});
  Decision decision = s.decision;
  decision.grant.spki = d.answer->key.spki;
  const auto ticket = t.ask(Issue{decision.grant});
  return Next(Issuing{s.from, s.session, s.label, s.request, s.request_key, std::move(decision), *d.answer, ticket});
}

Result<Server::Idle> Server::on(const Keying& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.from, Error{Fault::stale, "not the exchange that waits"});
  return Idle{};
}

Result<Server::Idle> Server::on(const Issuing& s, const Done<Signed>& d, Turn& t) const {
  if (!d.answer) {
    unsigned_answer(s, d.answer.error(), t);
    return Idle{};
  }
  if (d.answer->certificate.empty()) {
    tell(t, s.from, later(d.answer->retry_after));
    return Idle{};
  }
  const Bytes& certificate = d.answer->certificate;
  if (d.answer->on_record) {
    tell(t, s.from, certificate_answer(certificate));
    return Idle{};
  }
  const std::string peer = learn_applicant(*s.session, s.decision, t);
  if (!peer.empty()) {
    learn_key(s, peer, t);
  }
  // Recorded before anybody gets it: no certificate without its record.
  t.note(Issued{s.decision.grant, certificate, s.request_key, s.decision.identity,
                s.decision.reason + (d.answer->handed_on ? "; handed on: another CA signed it" : ""), s.decision.spent,
                s.decision.renews, s.decision.newcomer, s.decision.supersedes, s.decision.basis,
                evidence_of(*s.session, s.decision)});
  tell(t, s.from, s.made ? key_answer(*s.made, certificate) : certificate_answer(certificate));
  return Idle{};
}

Result<Server::Issuing> Server::on(const Issuing& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.from, Error{Fault::stale, "not the exchange that waits"});
  return Issuing{kNobody,       s.session,  s.label,      s.request,
                 s.request_key, s.decision, std::nullopt, s.awaits};  // without the key
}

}  // namespace imprint::est
