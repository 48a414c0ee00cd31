#include "proto/est/client.h"

#include <algorithm>

#include "proto/est/anchors.h"
#include "proto/est/http.h"
#include "proto/est/purpose.h"
#include "proto/est/rules.h"
#include "proto/est/wishes.h"

namespace imprint::est {
namespace {

using Progress = Client::Progress;
using Turn = Client::Turn;

constexpr std::uint32_t kMaxRedirects = 3;
constexpr std::int64_t kMaxRetryAfter_s = 24 * 60 * 60;

Client::Failed fail(Fault fault, const Rule& rule, std::string detail = {}) {
  return {Error{fault, rule}, std::move(detail)};
}

// The server's own sentence, made safe to show: the first line, printable ASCII, at most 200 characters.
std::string sentence_of(const Response& r) {
  std::string out = std::to_string(r.status);
  if (r.content_type.empty() || r.content_type.starts_with("text/") ||
      r.content_type.find("json") != std::string::npos) {
    out += ' ';
    for (const char c : as_text(r.body).substr(0, 200)) {
      if (c == '\n') {
        break;
      }
      out += c >= ' ' && c <= '~' ? c : '?';
    }
  }
  return out;
}

bool worth_another_try(const Error& e) { return e.fault == Fault::unreachable || e.fault == Fault::limit; }

// Another attempt later, or the end of them. Whatever connection there was is given up.
template <class Next>
Next rest(Progress p, Error why, std::string detail, Turn& t) {
  p.failures += 1;
  if (!holds(p.failures < p.plan->attempts)) {
    return Client::Failed{why, std::move(detail)};
  }
  t.arm(rest_after(p.failures, t.random<1>()[0]));
  return Client::Resting{std::move(p)};
}

// No answer came. A connection that broke may be tried again; an alert in place of an answer is the server's refusal of
// our certificate, which TLS 1.3 tells only after the handshake.
template <class Next>
Next unanswered(Progress p, const Error& why, Turn& t) {
  if (worth_another_try(why)) {
    return rest<Next>(std::move(p), Error{Fault::unreachable, kUnreachable}, std::string(why.what), t);
  }
  return fail(why.fault, kServerAlert, std::string(why.what));
}

Client::Opening open_verified(Progress p, Turn& t) {
  // Explicit anchors replace the implicit ones once they are there (RFC 7030 section 4.1.3).
  std::vector<Certificate> anchors = p.anchors.empty() ? p.plan->implicit_anchors : p.anchors;
  const auto ticket = t.open(p.server, Trust::anchors, std::move(anchors), p.plan->credential);
  return {std::move(p), ticket};
}

// Names: an explicit anchor's server may carry id-kp-cmcRA in place of the name; an implicit one's must carry the name
// (RFC 7030 sections 3.6.1 and 3.6.2).
Status check_server(const Progress& p, const Session& tls) {
  CHECK_OR(tls.proven, Error{Fault::unauthentic, kServerUntrusted});
  const Certificate& leaf = (*tls.proven)->leaf;
  const bool ra = !p.anchors.empty() && std::ranges::find(leaf.extended, eku::kCmcRa) != leaf.extended.end();
  CHECK_OR(ra || speaks_for_host(leaf, p.server.host), Error{Fault::unauthentic, kServerName});
  return Ok{};
}

void learn_server(Progress& p, const Session& tls, Turn& t) {
  const CertificateChain& chain = **tls.proven;
  Belief server{"server:" + p.server.authority() + ":" + hex(chain.leaf.fingerprint()).substr(0, 16), Topic::peer,
                "the server at " + p.server.authority() + " is whom my anchors name: " + chain.leaf.subject.text,
                chain.leaf.not_after};
  p.server_belief = server.id;
  if (std::ranges::find(p.servers_met, server.id) != p.servers_met.end()) {
    return;
  }
  p.servers_met.push_back(server.id);
  t.learn(std::move(server), *tls.proven, {anchor_belief(chain.anchor)});
}

template <class P>
void learn_initial(const Certificate& anchor, Turn& t) {
  t.learn({anchor_belief(anchor), Topic::anchor, "the key of " + anchor.subject.text + " may vouch for others",
           anchor.not_after},
          P{anchor});
}

void learn_initials(const Plan& plan, Turn& t) {
  const bool factory = plan.origin == Origin::factory;
  Belief endpoint{"endpoint", Topic::endpoint, "my owner's server is at " + plan.server.authority(), kNoEnd};
  if (factory) {
    t.learn(std::move(endpoint), FactoryGiven<std::string>{plan.server.text()});
  } else {
    t.learn(std::move(endpoint), Configured<std::string>{plan.server.text()});
  }
  for (const auto* anchors : {&plan.explicit_anchors, &plan.implicit_anchors}) {
    for (const Certificate& anchor : *anchors) {
      factory ? learn_initial<FactoryGiven<Certificate>>(anchor, t) : learn_initial<Configured<Certificate>>(anchor, t);
    }
  }
  if (plan.login) {
    Belief secret{"secret", Topic::own_identity, "who holds my secret is " + plan.login->user + " to my owner", kNoEnd};
    if (factory) {
      t.learn(std::move(secret), FactoryGiven<std::string>{plan.login->user});
    } else {
      t.learn(std::move(secret), Configured<std::string>{plan.login->user});
    }
  }
  if (plan.credential) {
    const Certificate& own = plan.credential->chain.front();
    Belief identity{"identity", Topic::own_identity, "I am " + own.subject.text + ", says " + own.issuer.text,
                    own.not_after};
    if (factory) {
      t.learn(std::move(identity), FactoryGiven<Certificate>{own});
    } else {
      t.learn(std::move(identity), Configured<Certificate>{own});
    }
  }
}

// What a person confirmed before the restart need not be asked again.
void recall_anchors(Progress& p, const std::vector<Certificate>& anchors, Turn& t) {
  for (const Certificate& anchor : anchors) {
    t.learn({anchor_belief(anchor), Topic::anchor, anchor.subject.text + " is my owner's CA", anchor.not_after},
            Recalled<Certificate>{anchor});
  }
  p.anchors = anchors;
}

Client::Signing sign(Progress p, SessionRef tls, Turn& t) {
  const auto ticket = t.ask(SignRequest{p.key->id, fill_request(p.wishes, *p.plan, tls->channel_binding)});
  return {std::move(p), std::move(tls), ticket};
}

void learn_anchors(Progress& p, const CaBag& bag, const Session& tls, Turn& t) {
  for (const Certificate& anchor : bag.anchors) {
    const bool known = std::ranges::find(p.anchors, anchor) != p.anchors.end() ||
                       std::ranges::find(p.plan->implicit_anchors, anchor) != p.plan->implicit_anchors.end();
    if (!known) {
      t.learn({anchor_belief(anchor), Topic::anchor, anchor.subject.text + " is my owner's CA", anchor.not_after},
              *tls.proven, {p.server_belief});
    }
  }
  p.anchors = bag.anchors;
  p.issuers = bag.issuers;
  p.have_ca = true;
}

bool same_origin(const Uri& a, const Uri& b) { return a.scheme == b.scheme && a.host == b.host && a.port == b.port; }

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Operation operation_of(const Plan& plan) { return plan.renew ? Operation::simplereenroll : Operation::simpleenroll; }

Request enrol_request(const Progress& p, std::string_view base, BytesView csr) {
  Request out = make_request(base, p.plan->label, operation_of(*p.plan), csr);
  out.login = p.plan->login;
  return out;
}

// The base path that a redirect within the same origin names: the same request may go there on the same connection
// without asking (RFC 7030 section 3.2.1), and its linking value still holds.
std::optional<std::string> redirected_here(const Client::Enrolling& s, const Response& answer) {
  if (!is_redirect(answer.status) || s.p.redirects >= kMaxRedirects) {
    return std::nullopt;
  }
  const auto to = Uri::parse(answer.location);
  if (!to || !same_origin(*to, s.p.server)) {
    return std::nullopt;
  }
  return base_of(to->path, s.p.plan->label, operation_of(*s.p.plan));
}

}  // namespace

std::string anchor_belief(const Certificate& anchor) { return "anchor:" + hex(anchor.fingerprint()); }

Duration rest_after(std::uint32_t failures, std::uint8_t luck) {
  const std::uint32_t doublings = std::min<std::uint32_t>(failures == 0 ? 0 : failures - 1, 9);
  const std::int64_t whole = std::min<std::int64_t>(std::int64_t{1000} << doublings, 300'000);
  return Duration(whole - whole / 4 * luck / 255);
}

Result<OneOf<Client::Opening, Client::Meeting>> Client::on(const Idle&, const Start& m, Turn& t) const {
  using Next = OneOf<Opening, Meeting>;
  learn_initials(*m.plan, t);
  Progress p;
  p.plan = m.plan;
  p.server = m.plan->server;
  p.anchors = m.plan->explicit_anchors;
  p.key = m.plan->keep_key;
  if (m.before && m.before->purpose == purpose_of(*m.plan)) {
    p.key = m.before->key;  // the key that a certificate may be on its way for
    if (p.anchors.empty() && p.plan->implicit_anchors.empty()) {
      recall_anchors(p, m.before->anchors, t);
    }
  }
  if (p.anchors.empty() && p.plan->implicit_anchors.empty()) {
    const auto ticket = t.open(p.server, Trust::provisional, {}, {});
    return Next(Meeting{std::move(p), ticket});
  }
  return Next(open_verified(std::move(p), t));
}

Result<OneOf<Client::Glimpsing, Client::Resting, Client::Failed>> Client::on(const Meeting& s,
                                                                             const Done<SessionRef>& d, Turn& t) const {
  using Next = OneOf<Glimpsing, Resting, Failed>;
  if (!d.answer) {
    return rest<Next>(s.p, Error{Fault::unreachable, kUnreachable}, {}, t);
  }
  // Nothing but this GET travels before a person has looked (RFC 7030 section 4.1.1).
  const auto ticket = t.request(**d.answer, make_request(s.p.server.path, s.p.plan->label, Operation::cacerts));
  return Next(Glimpsing{s.p, *d.answer, ticket});
}

Result<OneOf<Client::Confirming, Client::Resting, Client::Failed>> Client::on(const Glimpsing& s,
                                                                              const Done<Response>& d, Turn& t) const {
  using Next = OneOf<Confirming, Resting, Failed>;
  t.close(*s.tls);
  if (!d.answer) {
    return unanswered<Next>(s.p, d.answer.error(), t);
  }
  if (!holds(d.answer->status == 200)) {
    return Next(fail(Fault::refused, kCaCertificates, sentence_of(*d.answer)));
  }
  const auto bag = certificates_in(*d.answer);
  if (!bag) {
    return Next(fail(bag.error().fault, kCaBag));
  }
  const auto sorted = sort_ca_certificates(*bag, t.now());
  if (!sorted) {
    return Next(fail(sorted.error().fault, kCaBag));
  }
  const auto ticket = t.ask(ConfirmFingerprint{{sorted->root.fingerprint(), sorted->root}, s.p.server.authority()});
  return Next(Confirming{s.p, *bag, ticket});
}

Result<OneOf<Client::Opening, Client::Failed>> Client::on(const Confirming& s, const Done<Confirmed<Fingerprint>>& d,
                                                          Turn& t) const {
  using Next = OneOf<Opening, Failed>;
  if (!d.answer) {
    return Next(fail(d.answer.error().fault, kNotConfirmed));
  }
  const Certificate& root = (*d.answer)->of;
  Progress p = s.p;
  p.anchors = {root};
  t.learn({anchor_belief(root), Topic::anchor, root.subject.text + " is my owner's CA", root.not_after}, *d.answer);
  return Next(open_verified(std::move(p), t));
}

Result<OneOf<Client::Fetching, Client::Signing, Client::Resting, Client::Failed>> Client::on(const Opening& s,
                                                                                             const Done<SessionRef>& d,
                                                                                             Turn& t) const {
  using Next = OneOf<Fetching, Signing, Resting, Failed>;
  if (!d.answer) {
    if (worth_another_try(d.answer.error())) {
      return unanswered<Next>(s.p, d.answer.error(), t);
    }
    const Error& why = d.answer.error();
    const bool alert = why.fault == Fault::malformed;  // what arrived was no handshake, or an alert in place of one
    return Next(fail(why.fault, alert ? kServerAlert : kServerUntrusted, std::string(why.what)));
  }
  const SessionRef& tls = *d.answer;
  if (const Status server = check_server(s.p, *tls); !server) {
    t.close(*tls);
    return Next(Failed{server.error(), {}});
  }
  Progress p = s.p;
  learn_server(p, *tls, t);
  if (p.have_ca && p.key) {  // after a 202: same key, linked anew to this connection (RFC 7030 section 4.2.3)
    return Next(sign(std::move(p), tls, t));
  }
  const auto ticket = t.request(*tls, make_request(p.server.path, p.plan->label, Operation::cacerts));
  return Next(Fetching{std::move(p), tls, ticket});
}

Result<OneOf<Client::Wishing, Client::Opening, Client::Resting, Client::Failed>> Client::on(const Fetching& s,
                                                                                            const Done<Response>& d,
                                                                                            Turn& t) const {
  using Next = OneOf<Wishing, Opening, Resting, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return unanswered<Next>(s.p, d.answer.error(), t);
  }
  Progress p = s.p;
  if (is_redirect(d.answer->status)) {
    t.close(*s.tls);
    const auto to = Uri::parse(d.answer->location);
    p.redirects += 1;
    if (!holds(to && to->scheme == "https" && p.redirects <= kMaxRedirects)) {
      return Next(fail(Fault::refused, kRedirect, sentence_of(*d.answer)));
    }
    p.server = *to;
    p.server.path = base_of(to->path, p.plan->label, Operation::cacerts);
    return Next(open_verified(std::move(p), t));
  }
  if (d.answer->status >= 500) {
    t.close(*s.tls);
    return rest<Next>(std::move(p), Error{Fault::unreachable, kCaCertificates}, sentence_of(*d.answer), t);
  }
  const auto give_up = [&](Fault fault, const Rule& rule, std::string detail) {
    t.close(*s.tls);
    return Next(fail(fault, rule, std::move(detail)));
  };
  if (!holds(d.answer->status == 200)) {
    return give_up(Fault::refused, kCaCertificates, sentence_of(*d.answer));
  }
  const auto bag = certificates_in(*d.answer);
  if (!bag) {
    return give_up(bag.error().fault, kCaBag, {});
  }
  const auto sorted = sort_ca_certificates(*bag, t.now());
  if (!sorted) {
    return give_up(sorted.error().fault, kCaBag, {});
  }
  if (!holds(continues(p.anchors, *sorted, *bag, t.now()))) {
    return give_up(Fault::unauthentic, kCaRollover, {});
  }
  learn_anchors(p, *sorted, *s.tls, t);
  const auto ticket = t.request(*s.tls, make_request(p.server.path, p.plan->label, Operation::csrattrs));
  return Next(Wishing{std::move(p), s.tls, ticket});
}

Result<OneOf<Client::Keying, Client::Signing, Client::Resting, Client::Failed>> Client::on(const Wishing& s,
                                                                                           const Done<Response>& d,
                                                                                           Turn& t) const {
  using Next = OneOf<Keying, Signing, Resting, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return unanswered<Next>(s.p, d.answer.error(), t);
  }
  Progress p = s.p;
  if (d.answer->status == 200 &&
      !d.answer->body.empty()) {  // 204, 404 and refusals: no wishes (RFC 7030 section 4.5.2)
    const auto der = decode_body(d.answer->body);
    const auto wishes = der ? CsrAttributes::parse(*der) : Result<CsrAttributes>(der.error());
    if (!wishes) {
      t.close(*s.tls);
      return Next(fail(wishes.error().fault, kAnswerUnreadable, "csrattrs"));
    }
    p.wishes = *wishes;
  }
  if (p.key) {
    return Next(sign(std::move(p), s.tls, t));
  }
  const KeyType type = p.wishes.key && *p.wishes.key != KeyType::other ? *p.wishes.key : p.plan->key_type;
  const auto ticket = t.ask(MakeKey{type});
  return Next(Keying{std::move(p), s.tls, ticket});
}

Result<OneOf<Client::Signing, Client::Failed>> Client::on(const Keying& s, const Done<KeyRef>& d, Turn& t) const {
  using Next = OneOf<Signing, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return Next(fail(d.answer.error().fault, kKey));
  }
  Progress p = s.p;
  p.key = *d.answer;
  return Next(sign(std::move(p), s.tls, t));
}

Result<OneOf<Client::Enrolling, Client::Failed>> Client::on(const Signing& s, const Done<Bytes>& d, Turn& t) const {
  using Next = OneOf<Enrolling, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return Next(fail(d.answer.error().fault, kKey));
  }
  t.save(Asked{*s.p.key, s.p.anchors,
               purpose_of(*s.p.plan)});  // before anybody hears of the key: a power cut must not lose it
  const auto ticket = t.request(*s.tls, enrol_request(s.p, s.p.server.path, *d.answer));
  return Next(Enrolling{s.p, s.tls, *d.answer, ticket});
}

Result<OneOf<Client::Enrolled, Client::Enrolling, Client::Waiting, Client::Resting, Client::Failed>> Client::on(
    const Enrolling& s, const Done<Response>& d, Turn& t) const {
  using Next = OneOf<Enrolled, Enrolling, Waiting, Resting, Failed>;
  const auto again = d.answer ? redirected_here(s, *d.answer) : std::nullopt;
  if (again) {
    Enrolling next = s;
    next.p.redirects += 1;
    next.awaits = t.request(*s.tls, enrol_request(next.p, *again, s.csr));
    return Next(std::move(next));
  }
  t.close(*s.tls);
  if (!d.answer) {
    return unanswered<Next>(s.p, d.answer.error(), t);
  }
  const Response& answer = *d.answer;
  Progress p = s.p;
  if (answer.status == 202 || (answer.status == 503 && answer.retry_after_s)) {
    p.polls += 1;
    if (!holds(answer.retry_after_s && *answer.retry_after_s >= 0)) {
      return Next(fail(Fault::malformed, kRetryAfter, sentence_of(answer)));
    }
    if (!holds(p.polls < p.plan->polls)) {
      return Next(fail(Fault::expired, kGaveUp, sentence_of(answer)));
    }
    t.arm(std::chrono::seconds(std::clamp<std::int64_t>(*answer.retry_after_s, 1, kMaxRetryAfter_s)));
    return Next(Waiting{std::move(p)});
  }
  if (answer.status >= 500) {
    return rest<Next>(std::move(p), Error{Fault::unreachable, kUnreachable}, sentence_of(answer), t);
  }
  if (is_redirect(answer.status)) {
    return Next(fail(Fault::refused, kRedirect, sentence_of(answer)));
  }
  if (!holds(answer.status == 200)) {
    return Next(answer.status == 401 ? fail(Fault::unauthentic, kUnauthorized, sentence_of(answer))
                                     : fail(Fault::refused, kRefused, sentence_of(answer)));
  }
  const auto certificates = certificates_in(answer);
  if (!certificates) {
    return Next(fail(certificates.error().fault, kAnswerUnreadable));
  }
  const auto chain = verify_answer(p.key->key, *certificates, p.issuers, p.anchors, t.now());
  if (!chain) {
    return Next(Failed{chain.error(), {}});
  }
  Installed result{*p.key, (*chain)->leaf, (*chain)->via, p.anchors};
  t.save(result);  // key, certificate and anchors at once
  t.learn({"credential:" + (p.plan->label.empty() ? "default" : p.plan->label), Topic::credential,
           "I am " + result.certificate.subject.text + " in my owner's domain, says " + result.certificate.issuer.text,
           result.certificate.not_after},
          *chain, {anchor_belief((*chain)->anchor)});
  return Next(Enrolled{std::move(result)});
}

Result<Client::Opening> Client::on(const Waiting& s, const Timeout&, Turn& t) const { return open_verified(s.p, t); }

Result<OneOf<Client::Opening, Client::Meeting>> Client::on(const Resting& s, const Timeout&, Turn& t) const {
  using Next = OneOf<Opening, Meeting>;
  if (s.p.anchors.empty() && s.p.plan->implicit_anchors.empty()) {
    const auto ticket = t.open(s.p.server, Trust::provisional, {}, {});
    return Next(Meeting{s.p, ticket});
  }
  return Next(open_verified(s.p, t));
}

Result<OneOf<Client::Resting, Client::Failed>> Client::on(const Keying& s, const Lost&, Turn& t) const {
  return rest<OneOf<Resting, Failed>>(s.p, Error{Fault::unreachable, kUnreachable}, {}, t);
}

Result<OneOf<Client::Resting, Client::Failed>> Client::on(const Signing& s, const Lost&, Turn& t) const {
  return rest<OneOf<Resting, Failed>>(s.p, Error{Fault::unreachable, kUnreachable}, {}, t);
}

}  // namespace imprint::est
