// The client's end: from the server's wishes to the certificate.
#include <algorithm>

#include "proto/est/anchors.h"
#include "proto/est/client_steps.h"
#include "proto/est/coap.h"
#include "proto/est/fullcmc.h"
#include "proto/est/purpose.h"

namespace imprint::est {
namespace {

using namespace steps;
using Progress = Client::Progress;
using Turn = Client::Turn;

constexpr std::int64_t kMaxRetryAfter_s = 24 * 60 * 60;
constexpr std::uint32_t kMaxChallenges = 3;  // in a row: a server that calls each nonce stale

Operation operation_of(const Plan& plan) {
  if (plan.server_key || plan.full_cmc) {
    return plan.server_key ? Operation::serverkeygen : Operation::fullcmc;
  }
  return plan.renew ? Operation::simplereenroll : Operation::simpleenroll;
}

// `base` may be another one than the server's: a redirect named it. The password goes along in HTTP Basic unless the
// server has asked for HTTP Digest, or the plan wants that: then the first request finds out the challenge.
Request enrol_request(Progress& p, std::string base, BytesView csr, Turn& t) {
  Uri server = p.server;
  server.path = std::move(base);
  Request out = request_to(server, p.plan->label, operation_of(*p.plan), csr);
  if (p.plan->bare_requests && server.scheme == "https") {
    out.body = to_bytes(csr);
  }
  if (p.plan->login && p.challenge) {
    p.answers += 1;
    out.login = answer_challenge(*p.challenge, *p.plan->login, out, p.answers, t.random<16>());
  } else if (p.plan->login_by == LoginBy::http) {
    out.login = p.plan->login;
  }
  return out;
}

// Whether this answer asks for the password by HTTP Digest and we have not shown it yet, or by a nonce that is too old:
// then the challenge is taken.
bool take_challenge(Progress& p, const Response& answer) {
  if (answer.status != 401 || !p.plan->login || p.plan->login_by == LoginBy::srp || p.challenges >= kMaxChallenges) {
    return false;
  }
  const std::optional<DigestChallenge> found = find_challenge(answer.authenticate);
  // With Basic on offer, too, what we sent in Basic was wrong.
  const bool shown =
      p.challenge ? !(found && found->stale) : p.plan->login_by == LoginBy::http && offers_basic(answer.authenticate);
  if (!found || shown) {
    return false;
  }
  p.challenge = found;
  p.answers = 0;
  p.challenges += 1;
  return true;
}

// The base path that a redirect within the same origin names: the same request may go there on the same connection
// without asking (RFC 7030 section 3.2.1), and its linking value still holds.
std::optional<std::string> redirected_here(const Client::Enrolling& s, const Response& answer) {
  if (!is_redirect(answer.status)) {
    return std::nullopt;
  }
  CHECK_OR(s.p.redirects < kMaxRedirects, std::nullopt);
  const auto to = Uri::parse(answer.location);
  CHECK_OR(to && same_origin(*to, s.p.server), std::nullopt);
  return base_of(to->path, s.p.plan->label, operation_of(*s.p.plan));
}

// RFC 5272 section 4.2: who answers is the server that we talk to, or the owner's CA or registration authority.
Result<std::vector<Certificate>> full_certificates(const Response& answer, const Progress& p, const Session& tls,
                                                   std::optional<Instant> now) {
  TRY(FullAnswer found, read_full_answer(answer, p.full));
  CHECK_OR(!found.signer || speaks_for_owner(*found.signer, found.certificates, p, tls, now),
           Error{Fault::unauthentic, kCmcAnswer});
  return std::move(found.certificates);
}

// The owner may have changed its root since this run read cacerts: it is read again, once, by the same checks, and the
// same key asked for again.
template <class Next>
Next other_anchors(Progress p, const Error& why, Turn& t) {
  if (p.reread || why.rule != &kNotMyAnchors || why.fault != Fault::unauthentic) {
    return Client::Failed{why, {}};
  }
  p.reread = true;
  p.have_ca = false;
  return rest<Next>(std::move(p), why, {}, t);
}

}  // namespace

Result<OneOf<Client::Keying, Client::Signing, Client::Opening, Client::Resting, Client::Failed>> Client::on(
    const Wishing& s, const Done<Response>& d, Turn& t) const {
  using Next = OneOf<Keying, Signing, Opening, Resting, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return unanswered_get<Next>(s.p, d.answer.error(), t);
  }
  Progress p = s.p;
  p.used = p.wished = true;
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
  return begin_request<Next>(std::move(p), s.tls, t);
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
  // Before anybody hears of the key: a power cut must not lose it.
  t.save(Asked{*s.p.key, s.p.anchors, purpose_of(*s.p.plan)});
  Progress p = s.p;
  const auto ticket = t.request(*s.tls, enrol_request(p, p.server.path, *d.answer, t));
  return Next(Enrolling{std::move(p), s.tls, *d.answer, ticket});
}

Result<OneOf<Client::Enrolled, Client::Enrolling, Client::Unwrapping, Client::Keeping, Client::Waiting, Client::Resting,
             Client::Failed>>
Client::on(const Enrolling& s, const Done<Response>& d, Turn& t) const {
  using Next = OneOf<Enrolled, Enrolling, Unwrapping, Keeping, Waiting, Resting, Failed>;
  const auto again = d.answer ? redirected_here(s, *d.answer) : std::nullopt;
  if (again) {
    Enrolling next = s;
    next.p.redirects += 1;
    next.awaits = t.request(*s.tls, enrol_request(next.p, *again, s.csr, t));
    return Next(std::move(next));
  }
  if (Enrolling next = s; d.answer && take_challenge(next.p, *d.answer)) {
    next.awaits = t.request(*s.tls, enrol_request(next.p, s.p.server.path, s.csr, t));
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
    p.challenges = 0;  // it took our answer
    t.arm(std::chrono::seconds(std::clamp<std::int64_t>(*answer.retry_after_s, 1, kMaxRetryAfter_s)));
    return Next(Waiting{std::move(p)});
  }
  if (answer.status >= 500 && answer.status != 501) {  // 501 does not pass: the server has no such operation
    return rest<Next>(std::move(p), Error{Fault::unreachable, kUnreachable}, sentence_of(answer), t);
  }
  if (is_redirect(answer.status)) {
    return Next(fail(Fault::refused, kRedirect, sentence_of(answer)));
  }
  if (!holds(answer.status == 200)) {
    const std::string in_envelope = p.plan->full_cmc ? full_refusal(answer) : std::string();
    const std::string said = sentence_of(answer) + (in_envelope.empty() ? "" : " " + shown(in_envelope));
    const bool asks_clear = p.plan->login && p.plan->login_by == LoginBy::digest && !p.challenge;
    return Next(answer.status == 401 ? fail(Fault::unauthentic, asks_clear ? kNoDigest : kUnauthorized, said)
                                     : fail(Fault::refused, kRefused, said));
  }
  if (p.plan->server_key) {
    return std::visit([](auto&& next) { return Next(std::forward<decltype(next)>(next)); },
                      take_server_key(std::move(p), s.tls, answer, t));
  }
  const auto certificates =
      p.plan->full_cmc ? full_certificates(answer, p, *s.tls, time_of(p, t)) : certificates_in(answer);
  if (!certificates) {
    return Next(fail(certificates.error().fault, p.plan->full_cmc ? kCmcAnswer : kAnswerUnreadable));
  }
  const auto chain = verify_answer(p.key->key, *certificates, p.issuers, p.anchors, time_of(p, t));
  if (!chain) {
    return other_anchors<Next>(std::move(p), chain.error(), t);
  }
  return Next(install(p, *p.key, *chain, t));
}

Result<OneOf<Client::Resting, Client::Failed>> Client::on(const Keying& s, const Lost&, Turn& t) const {
  return rest<OneOf<Resting, Failed>>(s.p, Error{Fault::unreachable, kUnreachable}, {}, t);
}

Result<OneOf<Client::Resting, Client::Failed>> Client::on(const Signing& s, const Lost&, Turn& t) const {
  return rest<OneOf<Resting, Failed>>(s.p, Error{Fault::unreachable, kUnreachable}, {}, t);
}

}  // namespace imprint::est
