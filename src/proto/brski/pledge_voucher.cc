// The registrar's answer: a voucher that makes it the device's owner, or not.
#include <algorithm>

#include "proto/brski/coap.h"
#include "proto/brski/masa_url.h"
#include "proto/brski/pledge_steps.h"
#include "proto/brski/registrar_judge.h"
#include "proto/brski/rules.h"

namespace imprint::brski {
namespace {

using namespace steps;
using Progress = Pledge::Progress;
using Turn = Pledge::Turn;

constexpr int kOk = 200, kAccepted = 202, kTemporaryRedirect = 307;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == kTemporaryRedirect || status == 308;
}

// The peer's own sentence, made safe to show.
std::string sentence_of(const Response& answer) {
  std::string out = std::to_string(answer.status) + " ";
  for (const char c : as_text(answer.body).substr(0, 200)) {
    if (c == '\n') {
      break;
    }
    out += c >= ' ' && c <= '~' ? c : '?';
  }
  return out;
}

// "https://registrar.example/.well-known/brski/requestvoucher" names a resource, and its base is wanted.
std::string base_of(std::string path) {
  const std::string tail = "/" + std::string(kRequestVoucher);
  if (path.ends_with(tail)) {
    path.resize(path.size() - tail.size());
  }
  return path.empty() ? "/" : path;
}

// Where to: once from whoever it may be, on and on from servers that the maker's anchors vouch for.
std::optional<Uri> redirected(const Progress& p, const Response& answer) {
  auto to = Uri::parse(answer.location);
  const bool onward = p.verified && answer.status == kTemporaryRedirect;
  const bool allowed = onward ? p.visited.size() < kMaxHops : p.redirects == 0;
  if (!to || !holds(to->scheme == "https") || !holds(allowed)) {
    return std::nullopt;
  }
  to->path = base_of(to->path);
  to->query.clear();
  const bool seen = std::ranges::find(p.visited, *to) != p.visited.end();
  return holds(!seen) ? std::optional(*to) : std::nullopt;
}

Device device_of(const Progress& p, Instant now) {
  const PledgePlan& plan = *p.plan;
  const Certificate& idevid = plan.identity.chain.front();
  Device out;
  out.anchors = plan.voucher_anchors;
  out.serial = serial_of(idevid, plan.serial);
  out.issuer = issuer_key_id(idevid);
  out.nonce = p.nonce;
  out.now = plan.trusts_clock ? std::optional(now) : std::nullopt;
  out.assertions = plan.assertions;
  out.asked_with_key = form_of_attempt(p) == Form::cose;
  out.unmarked = !names_device(idevid);
  return out;
}

// Whoever it is may learn which rule was broken, and no more (RFC 8995 section 5.7).
Pledge::Complaining complain(Progress p, SessionRef tls, const Error& why, Turn& t) {
  Telemetry telemetry;
  telemetry.reason = why.rule != nullptr ? std::string(why.rule->id) : std::string(name(why.fault));
  p.last = why;
  p.detail = std::string(why.what);
  const auto ticket = t.request(*tls, telemetry_to(*p.plan, p.at, Operation::voucher_status, telemetry));
  return {std::move(p), std::move(tls), ticket};
}

void state_by_voucher(Progress& p, Belief belief, const Verified<VoucherFacts>& voucher,
                      std::vector<std::string> because, Turn& t) {
  if (!p.stated.contains(belief.id)) {
    p.by_voucher.push_back(belief);
  }
  state(p, std::move(belief), voucher, std::move(because), t);
}

// From the voucher on the device has an owner: whom it pins, and whoever leads there.
struct Taken {
  Certificate pinned;
  SessionRef tls;  // with the registrar's path to it, if that is who it is
  std::string server_belief;
  Uri registrar;
  Bytes voucher = {};  // as it was signed
};

void learn_pinned(Progress& p, const Certificate& pinned, const Verified<VoucherFacts>& voucher, Turn& t) {
  state_by_voucher(
      p,
      {est::anchor_belief(pinned), Topic::anchor,
       pinned.subject.text + " speaks for my owner, says " + voucher->signer.leaf.subject.text, pinned.not_after},
      voucher, {voucher_anchor_belief(voucher->signer.anchor), "identity"}, t);
}

// The voucher pins the registrar itself, or a CA above it (RFC 8995 section 5.6.2).
Result<Taken> take_registrar(Progress& p, const SessionRef& tls, const Verified<VoucherFacts>& voucher, Turn& t) {
  const std::optional<Instant> now = p.plan->trusts_clock ? std::optional(t.now()) : std::nullopt;
  TRY(const Verified<CertificateChain> path,
      verify_registrar(voucher->pin, {tls->presented.front(), tls->presented, now}));
  learn_pinned(p, path->anchor, voucher, t);
  Belief server{"server:" + p.at.authority() + ":" + hex(path->leaf.fingerprint()).substr(0, 16), Topic::peer,
                "the registrar at " + p.at.authority() + " is my owner's: " + path->leaf.subject.text,
                path->leaf.not_after};
  const std::string id = server.id;
  if (!p.stated.contains(id)) {
    p.by_voucher.push_back(server);
  }
  state(p, std::move(server), path, {est::anchor_belief(path->anchor)}, t);
  auto known = std::make_shared<Session>(*tls);
  known->proven = path;
  known->by_message = true;
  known->trust = Trust::anchors;
  return Taken{path->anchor, std::move(known), id, p.at};
}

// The owner has no registrar; the voucher says where its EST server is (draft-ietf-anima-brski-cloud section 3.2).
Result<Taken> take_est_domain(Progress& p, const SessionRef& tls, const Verified<VoucherFacts>& voucher, Turn& t) {
  const auto* const pinned = std::get_if<Certificate>(&voucher->pin);
  const auto to = Uri::parse(*voucher->voucher.est_domain);
  CHECK_OR(pinned != nullptr, Error{Fault::refused, kVoucherPin});
  CHECK_OR(to && to->scheme == "https", Error{Fault::refused, kTooManyRedirects});
  learn_pinned(p, *pinned, voucher, t);
  state_by_voucher(p, {"endpoint:est", Topic::endpoint, "my owner's server is at " + to->authority(), kNoEnd}, voucher,
                   {voucher_anchor_belief(voucher->signer.anchor)}, t);
  return Taken{*pinned, tls, {}, *to};
}

Result<Taken> take(Progress& p, const SessionRef& tls, const Artifact& artifact, const Device& device, Turn& t) {
  TRY(const Verified<VoucherFacts> voucher, judge_voucher(artifact, device));
  const bool elsewhere = p.verified && voucher->voucher.est_domain.has_value();
  TRY(Taken out, elsewhere ? take_est_domain(p, tls, voucher, t) : take_registrar(p, tls, voucher, t));
  out.voucher = artifact.received;
  return out;
}

Result<Taken> take_voucher(Progress& p, const SessionRef& tls, const Response& answer, Turn& t) {
  Quirks quirks;
  quirks.base64_bodies = p.plan->base64_bodies && !by_coap(p);
  const auto artifact = read_body(answer.body, form_of_attempt(p), quirks);
  CHECK_OR(artifact, Error{Fault::malformed, kWrongForm});
  return take(p, tls, *artifact, device_of(p, t.now()), t);
}

// The one of before the power went. Nothing that it was asked for with is there any more: what was kept had been
// compared with it.
Result<Taken> take_kept(Progress& p, const SessionRef& tls, const Imprinted& kept, Turn& t) {
  TRY(const Artifact artifact, parse_artifact(kept.voucher));
  Device device = device_of(p, t.now());
  device.nonce = artifact.voucher.nonce;
  device.asked_with_key = artifact.form == Form::cose;
  return take(p, tls, artifact, device, t);
}

// On record first, and then told (RFC 8995 section 5.7). An owner of before counts no longer.
Pledge::Telling tell_owner(Progress p, const Session& tls, const Taken& taken, Turn& t) {
  Imprinted owner{taken.registrar, taken.voucher, taken.pinned};
  p.kept.reset();
  t.save(owner);
  const auto ticket = t.request(tls, good_news(p));
  return {std::move(p), taken.tls, std::move(owner), taken.server_belief, ticket};
}

// Whether there is nobody else to try. Where the voucher on record came from is mostly in the plan.
bool is_alone(const Progress& p) {
  return places(*p.plan) == 1 && (!p.aside || p.plan->registrars.empty() || p.at == p.plan->registrars.front());
}

// What was asked here is asked again, unless the plan has no such address.
void hold_on(Progress& p, Instant due) {
  if (!p.aside) {
    p.held[p.next] = {p.at, p.verified, p.request, p.nonce, p.seen, p.visited, p.polls, p.redirects, due};
  }
}

}  // namespace

bool names_est_server(const Imprinted& owner) {
  const auto artifact = parse_artifact(owner.voucher);
  const auto& said = artifact ? artifact->voucher.est_domain : std::nullopt;
  const auto to = said ? Uri::parse(*said) : Result<Uri>(Error{Fault::malformed, "est-domain"});
  return to && *to == owner.registrar;
}

namespace steps {

std::optional<Pledge::Telling> recognise(Progress& p, const SessionRef& tls, Turn& t) {
  if (!p.kept) {
    return std::nullopt;
  }
  const auto taken = take_kept(p, tls, *p.kept, t);
  if (!taken) {
    return std::nullopt;
  }
  Pledge::Telling out = tell_owner(p, *tls, *taken, t);
  out.on_record = true;
  return out;
}

}  // namespace steps

Result<OneOf<Pledge::Telling, Pledge::Complaining, Pledge::Waiting, Pledge::Opening, Pledge::Resting, Pledge::Failed>>
Pledge::on(const Asking& s, const Done<Response>& d, Turn& t) const {
  using Next = OneOf<Telling, Complaining, Waiting, Opening, Resting, Failed>;
  const auto give_up = [&](Progress p, Fault fault, const Rule& rule, std::string detail) {
    t.close(*s.tls);
    return go_on<Next>(std::move(p), Error{fault, rule}, std::move(detail), t);
  };
  // The server's patience with an idle connection may be no longer than the wait that it asked for: the very same
  // request once more, on a new connection (RFC 8995 section 5.6). Each such turn is behind a 202, so the polls bound
  // it.
  if (!d.answer && s.kept && d.answer.error().fault == Fault::unreachable) {
    t.close(*s.tls);
    return Next(open_at(s.p, t));
  }
  if (!d.answer) {
    return give_up(s.p, Fault::unreachable, kNobodyThere, std::string(d.answer.error().what));
  }
  Progress p = s.p;
  const Response answer = by_coap(p) ? from_coap(*d.answer) : *d.answer;
  if (answer.status == kAccepted) {
    p.polls += 1;
    if (!holds(p.polls <= p.plan->polls)) {
      return give_up(std::move(p), Fault::refused, kWaitedEnough, {});
    }
    if (is_alone(p)) {
      t.arm(wait_after(answer));
      return Next(Waiting{std::move(p), s.tls});
    }
    // Meanwhile the others: whoever says 202 need not be the owner's registrar.
    t.close(*s.tls);
    hold_on(p, t.now() + wait_after(answer));
    return try_next<Next>(std::move(p), t);
  }
  if (is_redirect(answer.status)) {
    const auto to = redirected(p, answer);
    if (!to) {
      return give_up(std::move(p), Fault::refused, kTooManyRedirects, sentence_of(answer));
    }
    t.close(*s.tls);
    p.redirects += p.verified ? 0 : 1;
    p.verified = false;
    p.at = *to;
    p.request.clear();  // another registrar: another nonce
    return Next(open_at(std::move(p), t));
  }
  if (!holds(answer.status == kOk)) {
    const bool trouble = answer.status >= 500;
    return give_up(std::move(p), trouble ? Fault::unreachable : Fault::refused, trouble ? kNotNow : kNotWanted,
                   sentence_of(answer));
  }
  auto taken = take_voucher(p, s.tls, answer, t);
  if (!taken) {
    return Next(complain(std::move(p), s.tls, taken.error(), t));
  }
  return Next(tell_owner(std::move(p), *s.tls, *taken, t));
}

Result<OneOf<Pledge::Opening, Pledge::Resting, Pledge::Failed>> Pledge::on(const Complaining& s, const Done<Response>&,
                                                                           Turn& t) const {
  using Next = OneOf<Opening, Resting, Failed>;
  t.close(*s.tls);
  return go_on<Next>(s.p, s.p.last, s.p.detail, t);
}

}  // namespace imprint::brski
