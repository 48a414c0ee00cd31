// The pledge's way to a voucher request: its initial beliefs, whoever answers, and what it asks them.
// pledge_voucher.cc and pledge_enrol.cc go on from here.
#include "proto/brski/pledge.h"

#include <algorithm>

#include "codec/base64.h"
#include "proto/brski/coap.h"
#include "proto/brski/masa_url.h"
#include "proto/brski/pledge_steps.h"

namespace imprint {

template <>
struct ProofTraits<brski::Announced> {
  static constexpr Strength kStrength = Strength::asserted;
  static constexpr Ground kGround = Ground::claim;
  static constexpr std::string_view kCheck = "announced on the link, where anybody can; only a voucher counts";
  static Bytes bytes(const brski::Announced& p) { return to_bytes(p.by + ": " + p.at.text()); }
};

}  // namespace imprint

namespace imprint::brski {
namespace {

using namespace steps;
using Progress = Pledge::Progress;
using Turn = Pledge::Turn;

constexpr std::size_t kNonce = 16;
constexpr Duration kLongestWait{60'000}, kLongestRest{3'600'000};  // RFC 8995 sections 5.6 and 4.1

const Certificate& own(const Progress& p) { return p.plan->identity.chain.front(); }

void learn_initials(Progress& p, Turn& t) {
  const Certificate& idevid = own(p);
  state(p,
        {"identity", Topic::own_identity, "I am " + idevid.subject.text + ", says " + idevid.issuer.text,
         idevid.not_after},
        FactoryGiven<Certificate>{idevid}, {}, t);
  for (const Certificate& anchor : p.plan->voucher_anchors) {
    state(
        p,
        {voucher_anchor_belief(anchor), Topic::anchor, anchor.subject.text + " may say who owns me", anchor.not_after},
        FactoryGiven<Certificate>{anchor}, {}, t);
  }
  if (p.plan->cloud) {
    state(p, {"endpoint:cloud", Topic::endpoint, "my maker's registrar is at " + p.plan->cloud->authority(), kNoEnd},
          FactoryGiven<std::string>{p.plan->cloud->text()}, {}, t);
    for (const Certificate& anchor : p.plan->cloud_anchors) {
      state(p,
            {est::anchor_belief(anchor), Topic::anchor,
             "the key of " + anchor.subject.text + " may vouch for that registrar", anchor.not_after},
            FactoryGiven<Certificate>{anchor}, {}, t);
    }
  }
  for (const Announced& one : p.plan->announced) {
    state(p,
          {"heard:" + one.at.text(), Topic::endpoint,
           one.by + " said that a registrar can be reached at " + one.at.authority(), one.until},
          one, {}, t);
  }
  if (p.plan->heard) {
    return;
  }
  for (const Uri& at : p.plan->registrars) {
    state(p, {"endpoint:" + at.authority(), Topic::endpoint, "a registrar may be at " + at.authority(), kNoEnd},
          Configured<std::string>{at.text()}, {}, t);
  }
}

// Nobody has vouched for it: the device knows which key is at the other end, and nothing else.
void learn_stranger(Progress& p, const Session& tls, Turn& t) {
  const Certificate& seen = tls.presented.front();
  const std::string id = "met:" + p.at.authority() + ":" + hex(seen.fingerprint()).substr(0, 16);
  state(p,
        {id, Topic::peer, "whoever answers at " + p.at.authority() + " calls itself " + seen.subject.text,
         seen.not_after},
        FirstContact<Certificate>{seen}, {}, t);
}

// RFC 8995 section 5.2. A key in place of the certificate is enough in COSE, where every octet counts.
Voucher make_request(const Progress& p, const Certificate& seen, const std::array<std::uint8_t, kNonce>& nonce,
                     Instant now) {
  Voucher out;
  out.kind = Voucher::Kind::request;
  out.assertion = Assertion::proximity;
  out.serial_number = serial_of(own(p), p.plan->serial);
  if (p.plan->trusts_clock) {
    out.created_on = DateTime::of(now);
  }
  if (form_of_attempt(p) == Form::cose) {
    out.nonce = to_bytes(BytesView(nonce));
    out.proximity_registrar_pubk = seen.key.spki;
  } else {
    out.nonce = base64(nonce);
    out.proximity_registrar_cert = seen.der;
  }
  return out;
}

Pledge::Signing sign(Progress p, SessionRef tls, Turn& t) {
  p.seen = tls->presented.front();
  // A new one for every attempt and every registrar: a voucher for one is no voucher for another (section 5.2).
  Voucher what = make_request(p, p.seen, t.random<kNonce>(), t.now());
  p.nonce = what.nonce;
  const auto ticket = t.ask(SignRequestArtifact{std::move(what),
                                                form_of_attempt(p),
                                                p.plan->content_type,
                                                {},
                                                p.plan->identity,
                                                p.plan->requests_named_voucher && !by_coap(p)});
  return {std::move(p), std::move(tls), ticket};
}

Pledge::Asking ask(Progress p, SessionRef tls, Turn& t, bool kept = false) {
  const std::string type(media_type(form_of_attempt(p)));
  const bool in_text = p.plan->base64_bodies && !by_coap(p);
  Bytes body = in_text ? to_bytes(base64(p.request)) : p.request;
  const auto ticket = t.request(*tls, request_to(p.at, Operation::request_voucher, std::move(body), type, type));
  return {std::move(p), std::move(tls), ticket, kept};
}

// A device with a voucher on record goes back to where that came from, whatever the plan's order; but if the plan says
// who was heard, that is whom this attempt is for.
Pledge::Opening open_kept(Progress p, Imprinted owner, Turn& t) {
  const bool by_maker = p.plan->cloud && names_est_server(owner);
  p.at = by_maker ? *p.plan->cloud : owner.registrar;
  p.verified = by_maker;
  p.kept = std::move(owner);
  if (p.plan->heard && !p.plan->registrars.empty()) {
    return open_next(std::move(p), t);
  }
  p.aside = true;
  return open_at(std::move(p), t);
}

// What the plan lacks for a run; nothing if it is complete.
std::optional<Pledge::Failed> lacking(const PledgePlan& plan) {
  if (!holds(!plan.registrars.empty() || plan.cloud)) {
    return fail(Fault::refused, kNoProxies);
  }
  if (!holds(!plan.voucher_anchors.empty())) {
    return fail(Fault::refused, kNoVoucherAnchors);
  }
  if (!holds(!plan.identity.chain.empty() && !serial_of(plan.identity.chain.front(), plan.serial).empty())) {
    return fail(Fault::refused, kPledgeNoIdevid);
  }
  return std::nullopt;
}

// Nothing is put off for longer than `most`: if it is further off, the clock was set back since.
bool has_come(Instant due, Instant now, Duration most) { return due <= now || due - now > most; }

// The cloud's server is judged like any on the web (draft-ietf-anima-brski-cloud section 3).
bool is_cloud(const Progress& p, const Session& tls) {
  return tls.proven && speaks_for_host((*tls.proven)->leaf, p.at.host);
}

}  // namespace

namespace steps {

Request request_to(const Uri& at, Operation operation, Bytes body, std::string type, std::string accept) {
  if (at.scheme == "coaps") {
    return make_coap_request(at.path, operation, std::move(body));
  }
  Request out;
  out.method = Method::post;
  out.path = at.path.empty() || at.path == "/" ? path_of(operation) : path_of(operation, at.path);
  out.content_type = std::move(type);
  out.accept = std::move(accept);
  out.body = std::move(body);
  return out;
}

Request telemetry_to(const PledgePlan& plan, const Uri& at, Operation operation, const Telemetry& telemetry) {
  if (at.scheme == "coaps") {
    return request_to(at, operation, encode_cbor_telemetry(telemetry), std::string(kCborType));
  }
  const std::string text = encode_json_telemetry(telemetry, plan.version_as_text);
  return request_to(at, operation, to_bytes(text), std::string(kJsonType));
}

void forget_owner(Progress& p, Turn& t) {
  for (Belief& belief : p.by_voucher) {
    p.stated.erase(belief.id);
    t.forget(std::move(belief), "nothing came of this voucher");
  }
  p.by_voucher.clear();
}

Pledge::Opening open_at(Progress p, Turn& t) {
  if (p.visited.empty() || p.visited.back() != p.at) {  // the same once more, after a wait, is no hop
    p.visited.push_back(p.at);
  }
  const auto ticket =
      p.verified ? t.open(p.at, Trust::anchors, p.plan->cloud_anchors, p.plan->identity, false, p.plan->trusts_clock)
                 : t.open(p.at, Trust::provisional, {}, p.plan->identity);
  return {std::move(p), ticket};
}

void leave_attempt(Progress& p) {
  p.request.clear();
  p.nonce.reset();
  p.visited.clear();
  p.redirects = p.polls = 0;
  p.next += p.aside ? 0 : 1;
  p.aside = false;
}

std::size_t next_due(const Progress& p, Instant now) {
  std::size_t out = p.next;
  for (; out < places(*p.plan); ++out) {
    const auto held = p.held.find(out);
    if (held != p.held.end() ? has_come(held->second.due, now, kLongestWait) : p.whole) {
      break;
    }
  }
  return out;
}

Duration end_turn(Progress& p, std::uint8_t luck, Instant now) {
  if (p.whole) {
    p.again = now + rest_after(p.rounds, luck);
  }
  Instant first = p.again;
  for (const auto& [place, held] : p.held) {
    first = std::min({first, held.due, now + kLongestWait});
  }
  constexpr Duration kLeast{500};
  return std::clamp(first - now, kLeast, kLongestRest);
}

Pledge::Opening open_next(Progress p, Turn& t) {
  if (auto node = p.held.extract(p.next); !node.empty()) {
    Pledge::Held& held = node.mapped();
    p.at = std::move(held.at);
    p.verified = held.verified;
    p.request = std::move(held.request);
    p.nonce = std::move(held.nonce);
    p.seen = std::move(held.seen);
    p.visited = std::move(held.visited);
    p.polls = held.polls;
    p.redirects = held.redirects;
    return open_at(std::move(p), t);
  }
  p.verified = p.next == p.plan->registrars.size();
  p.at = p.verified ? *p.plan->cloud : p.plan->registrars.at(p.next);
  p.visited.clear();
  return open_at(std::move(p), t);
}

Duration rest_after(std::uint32_t failures, std::uint8_t luck) {
  constexpr std::int64_t kFirst_ms = 1000, kLongest_ms = kLongestRest.count();
  const std::uint32_t doublings = std::min<std::uint32_t>(failures == 0 ? 0 : failures - 1, 12);
  const std::int64_t whole = std::min(kFirst_ms << doublings, kLongest_ms);
  return Duration(whole - whole / 4 * luck / 255);
}

std::string voucher_anchor_belief(const Certificate& anchor) { return "masa:" + hex(anchor.fingerprint()); }

}  // namespace steps

Duration wait_after(const Response& answer) {
  constexpr std::int64_t kLongest = 60;
  const std::int64_t said = answer.retry_after_s.value_or(kLongest);
  return std::chrono::seconds(std::clamp<std::int64_t>(said, 1, kLongest));
}

Result<OneOf<Pledge::Opening, Pledge::Returning, Pledge::Failed>> Pledge::on(const Idle&, const Start& m,
                                                                             Turn& t) const {
  using Next = OneOf<Opening, Returning, Failed>;
  if (auto what = lacking(*m.plan)) {
    return Next(*std::move(what));
  }
  const bool configured = m.imprinted && m.imprinted->configured;
  if (!holds(!configured && (m.imprinted || !m.installed))) {
    return Next(fail(Fault::refused, kPledgeConfigured));
  }
  Progress p;
  p.plan = m.plan;
  p.before = m.asked;
  learn_initials(p, t);
  if (m.installed) {  // the power went after the certificate came: only the report is missing
    return Next(come_back(std::move(p), *m.imprinted, *m.installed, t));
  }
  if (m.imprinted) {  // it went behind the voucher
    return Next(open_kept(std::move(p), *m.imprinted, t));
  }
  return Next(open_next(std::move(p), t));
}

Result<OneOf<Pledge::Signing, Pledge::Asking, Pledge::Telling, Pledge::Opening, Pledge::Resting, Pledge::Failed>>
Pledge::on(const Opening& s, const Done<SessionRef>& d, Turn& t) const {
  using Next = OneOf<Signing, Asking, Telling, Opening, Resting, Failed>;
  if (!d.answer) {
    return go_on<Next>(s.p, Error{Fault::unreachable, kNobodyThere}, std::string(d.answer.error().what), t);
  }
  const SessionRef& tls = *d.answer;
  if (!holds(!tls->presented.empty())) {
    t.close(*tls);
    return go_on<Next>(s.p, Error{Fault::unauthentic, kSilentServer}, {}, t);
  }
  if (!holds(!s.p.verified || is_cloud(s.p, *tls))) {
    t.close(*tls);
    return go_on<Next>(s.p, Error{Fault::unauthentic, kCloudUntrusted}, {}, t);
  }
  Progress p = s.p;
  if (!p.verified) {
    learn_stranger(p, *tls, t);
  }
  if (auto known = recognise(p, tls, t)) {
    return Next(*std::move(known));
  }
  // After a 202, on another connection: the request names the registrar's certificate, and is good for no other one.
  if (!p.request.empty() && holds(p.seen == tls->presented.front())) {
    return Next(ask(std::move(p), tls, t));
  }
  return Next(sign(std::move(p), tls, t));
}

Result<OneOf<Pledge::Asking, Pledge::Failed>> Pledge::on(const Signing& s, const Done<Bytes>& d, Turn& t) const {
  using Next = OneOf<Asking, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return Next(Failed{d.answer.error(), {}});
  }
  Progress p = s.p;
  p.request = *d.answer;
  return Next(ask(std::move(p), s.tls, t));
}

Result<OneOf<Pledge::Opening, Pledge::Resting, Pledge::Failed>> Pledge::on(const Signing& s, const Lost&,
                                                                           Turn& t) const {
  using Next = OneOf<Opening, Resting, Failed>;
  return go_on<Next>(s.p, Error{Fault::unreachable, kNobodyThere}, "the connection ended", t);
}

Result<OneOf<Pledge::Asking, Pledge::Opening>> Pledge::on(const Waiting& s, const Timeout&, Turn& t) const {
  using Next = OneOf<Asking, Opening>;
  return s.lost ? Next(open_at(s.p, t)) : Next(ask(s.p, s.tls, t, true));
}

Result<Pledge::Waiting> Pledge::on(const Waiting& s, const Lost&, Turn&) const { return Waiting{s.p, s.tls, true}; }

Result<Pledge::Opening> Pledge::on(const Resting& s, const Timeout&, Turn& t) const {
  Progress p = s.p;
  p.whole = has_come(p.again, t.now(), kLongestRest);
  p.next = next_due(p, t.now());
  if (p.next == places(*p.plan)) {  // the clock was set back a little: everybody has waited long enough
    p.whole = true;
    p.next = 0;
    for (auto& [place, held] : p.held) {
      held.due = t.now();
    }
  }
  return open_next(std::move(p), t);
}

}  // namespace imprint::brski
