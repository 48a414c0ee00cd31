#include "proto/brski/registrar.h"

#include <algorithm>

#include "codec/base64.h"
#include "codec/printable.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/registrar_steps.h"

namespace imprint {

// What a MASA gave for a device.
struct MasasWord {
  Bytes voucher;
};
template <>
struct ProofTraits<MasasWord> {
  static constexpr Strength kStrength = Strength::proved;
  static constexpr Ground kGround = Ground::check;
  static constexpr std::string_view kCheck = "a voucher for it, that pins a certificate of mine (RFC 8995 section 5.6)";
  static Bytes bytes(const MasasWord& p) { return p.voucher; }
};

}  // namespace imprint

namespace imprint::brski {

using steps::kNobody;
using steps::tell;

namespace {

using Turn = Registrar::Turn;
using Case = Registrar::Case;
using Verdict = AdmitPledge::Decision::Verdict;

// Not accepted here (RFC 8995 section 5.6: SHOULD be 404).
constexpr int kNotAccepted = 404;

// A refusal that stays on record: the operator has to hear of it.
Registrar::Idle refuse(const PledgeId& id, const std::string& device, Exchange from, const Error& why,
                       const std::string& detail, Turn& t) {
  const std::string_view rule = why.rule != nullptr ? why.rule->id : std::string_view();
  t.note(PledgeRefused{id, device, std::string(rule), detail.empty() ? std::string(why.what) : detail});
  tell(t, from, wire_error(why));
  return Registrar::Idle{};
}

Registrar::Idle refuse(const Case& of, const Error& why, const std::string& detail, Turn& t) {
  return refuse(of.wanted.id, of.device, of.from, why, detail, t);
}

// The maker's word, on a connection that leads to whom the operator, or the maker's file, named for its MASA. One root
// may vouch for devices and for the MASA: two beliefs.
void learn_voucher(const Session& masa, const Artifact& voucher, const Case& of, Turn& t) {
  if (!masa.proven) {
    return;
  }
  const Certificate& leaf = (*masa.proven)->leaf;
  const Certificate& anchor = (*masa.proven)->anchor;
  const std::string anchor_id = "masa-anchor:" + hex(anchor.fingerprint());
  const std::string masa_id = "masa:" + hex(leaf.fingerprint());
  t.learn(Belief{anchor_id, Topic::anchor, "the key of " + anchor.subject.text + " may vouch for the maker's MASA",
                 anchor.not_after},
          Configured<Certificate>{anchor});
  t.learn(Belief{masa_id, Topic::peer, "who answers is the MASA at " + of.masa.url.authority(), leaf.not_after},
          *masa.proven, {anchor_id});
  t.learn(Belief{"owned:" + of.wanted.id.serial, Topic::membership,
                 "device " + of.wanted.id.serial + " is mine, says its maker",
                 voucher.voucher.expires_on ? voucher.voucher.expires_on->at : kNoEnd},
          MasasWord{voucher.received}, {masa_id});
}

VoucherObtained fact_of(const Case& of, Bytes request, const Artifact& voucher) {
  return {of.wanted.id,
          of.device,
          std::move(request),
          voucher.received,
          std::string(name(voucher.form)),
          nonce_text(voucher.voucher.nonce),
          pinned_domain(voucher.voucher),
          of.masa.url.text(),
          {},
          of.newcomer};
}

// The voucher as the device gets it: unchanged, but for the certificates beside the signature where every octet counts
// (draft-ietf-anima-constrained-voucher section 6.2.2).
Result<Response> to_device(const Artifact& voucher, const Case& of) {
  const Quirks& quirks = of.masa.quirks;
  Response out{200, std::string(media_type(voucher.form)), voucher.received};
  if (voucher.form == Form::cose && of.constrained) {
    TRY(out.body, without_unprotected(voucher.received));
  }
  if (quirks.base64_bodies) {
    out.body = to_bytes(base64(out.body));
  }
  return out;
}

// The voucher on record, if it answers this request as well.
std::optional<Artifact> usable(const std::optional<Bytes>& kept, const Case& of, Instant now) {
  if (!kept || kept->empty()) {
    return std::nullopt;
  }
  auto artifact = parse_artifact(*kept);
  if (!artifact || !judge_masa_voucher(*artifact, of.wanted, now)) {
    return std::nullopt;
  }
  return *std::move(artifact);
}

// Our own request. The device's has been read before.
SignRequestArtifact to_sign(const Registrar::RequestVoucher& asked, Case& of, Instant now) {
  const Certificate& idevid = (*asked.session->proven)->leaf;
  const Artifact artifact = *read_request(asked.body, asked.form, of.masa.quirks);
  SignRequestArtifact out{make_registrar_request(artifact, idevid, of.masa.quirks, now), asked.form,
                          of.masa.quirks.content_type};
  out.named_voucher = of.masa.quirks.requests_named_voucher;
  of.wanted.issuer_sent = out.what.idevid_issuer.value_or(Bytes{});
  if (asked.form == Form::cose) {
    out.along = asked.session->presented;  // nothing comes along in the device's own (section 6.2.1 of the draft)
  }
  return out;
}

}  // namespace

// ---- the device asks ----

Result<Registrar::Admitting> Registrar::on(const Idle&, const RequestVoucher& m, Turn& t) const {
  CHECK_OR(m.session && m.session->proven, Error{Fault::refused, kNoIdevid});
  steps::learn_device(*m.session, t);
  return Admitting{m, t.ask(AdmitPledge{m.session})};
}

Result<Registrar::Idle> Registrar::on(const Admitting& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.asked.from, Error{Fault::stale, "somebody else left"});
  return Idle{};
}

// The device's request, looked at before anybody decides on it: whoever stands between the two is found first.
Result<Registrar::Case> Registrar::judged(const Admitting& s, const AdmitPledge::Decision& d) const {
  const Certificate& idevid = (*s.asked.session->proven)->leaf;
  CHECK_OR(!config_->chain.empty(), Error{Fault::internal, kSignerMute});
  TRY(const Artifact artifact, read_request(s.asked.body, s.asked.form, d.masa.quirks));
  TRY([[maybe_unused]] const Ok good, judge_pledge_request(artifact, idevid, config_->chain.front(), d.masa.quirks));
  Case out{s.asked.from, d.device, d.newcomer, {}, s.asked.form, d.masa};
  out.constrained = s.asked.session->protocol.starts_with("DTLS");
  out.wanted = {d.id, artifact.voucher.nonce, s.asked.accepts, config_->chain, d.masa.voucher_anchors};
  out.wanted.issuer = issuer_key_id(idevid);
  if (out.wanted.forms.empty()) {
    out.wanted.forms = {s.asked.form};
  }
  return out;
}

Result<OneOf<Registrar::Signing, Registrar::Idle>> Registrar::on(const Admitting& s,
                                                                 const Done<AdmitPledge::Decision>& d, Turn& t) const {
  if (!d.answer) {
    t.reply(s.asked.from, wire_error(steps::away(d.answer.error())));
    return Idle{};
  }
  const AdmitPledge::Decision& decision = *d.answer;
  if (!holds(decision.verdict != Verdict::refused)) {
    const Error why{Fault::refused, decision.rule != nullptr ? *decision.rule : kNoIdevid};
    t.note(PledgeRefused{decision.id, decision.device, std::string(why.rule->id), decision.reason});
    Response answer = wire_error(why);
    answer.status = kNotAccepted;
    t.reply(s.asked.from, std::move(answer));
    return Idle{};
  }
  Result<Case> judged = this->judged(s, decision);
  if (!judged) {
    return refuse(decision.id, decision.device, s.asked.from, judged.error(), {}, t);
  }
  if (!holds(decision.verdict == Verdict::wanted)) {
    t.note(PledgeWaits{judged->wanted.id, decision.device, decision.reason, decision.newcomer});
    t.reply(s.asked.from, steps::later(decision.retry_after));
    return Idle{};
  }
  if (const auto kept = usable(decision.kept, *judged, t.now())) {
    const Result<Response> answer = to_device(*kept, *judged);
    if (answer) {
      t.note(fact_of(*judged, {}, *kept));
      t.reply(s.asked.from, *answer);
      return Idle{};
    }
  }
  const auto ticket = t.ask(to_sign(s.asked, *judged, t.now()));
  return Signing{*std::move(judged), ticket};
}

// ---- the MASA is asked ----

Result<Registrar::Idle> Registrar::on(const Signing& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.of.from, Error{Fault::stale, "somebody else left"});
  return Idle{};
}

Result<OneOf<Registrar::Opening, Registrar::Idle>> Registrar::on(const Signing& s, const Done<Bytes>& d,
                                                                 Turn& t) const {
  if (!d.answer) {
    t.reply(s.of.from, wire_error(Error{Fault::unreachable, kSignerMute}));
    return Idle{};
  }
  const auto ticket = t.open(s.of.masa.url, Trust::anchors, s.of.masa.anchors, s.of.masa.as);
  return Opening{s.of, *d.answer, ticket};
}

Result<Registrar::Opening> Registrar::on(const Opening& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.of.from, Error{Fault::stale, "somebody else left"});
  Opening next = s;
  next.of.from = kNobody;
  return next;
}

Result<OneOf<Registrar::Fetching, Registrar::Idle>> Registrar::on(const Opening& s, const Done<SessionRef>& d,
                                                                  Turn& t) const {
  if (!d.answer) {
    tell(t, s.of.from, wire_error(steps::no_masa(d.answer.error())));
    return Idle{};
  }
  const SessionRef masa = *d.answer;
  if (!steps::is_masa(*masa, s.of.masa)) {
    t.close(*masa);
    tell(t, s.of.from, wire_error(Error{Fault::unauthentic, kMasaServer}));
    return Idle{};
  }
  const auto ticket = t.request(*masa, steps::voucher_request(s.of, s.request));
  return Fetching{s.of, s.request, masa, false, ticket};
}

Result<Registrar::Fetching> Registrar::on(const Fetching& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.of.from, Error{Fault::stale, "somebody else left"});
  Fetching next = s;
  next.of.from = kNobody;
  return next;
}

Result<OneOf<Registrar::Fetching, Registrar::Idle>> Registrar::on(const Fetching& s, const Done<Response>& d,
                                                                  Turn& t) const {
  if (d.answer && !s.logged_in) {
    Request again = steps::voucher_request(s.of, s.request);
    if (steps::log_in(again, *d.answer, s.of.masa.login, t.random<16>())) {
      const auto ticket = t.request(*s.masa, std::move(again));
      return Fetching{s.of, s.request, s.masa, true, ticket};
    }
  }
  t.close(*s.masa);
  if (!d.answer) {
    tell(t, s.of.from, wire_error(steps::no_masa(d.answer.error())));
    return Idle{};
  }
  TRY(Idle idle, took(s, *d.answer, t));
  return idle;
}

// What the MASA said ends the request, one way or the other.
Result<Registrar::Idle> Registrar::took(const Fetching& s, const Response& answer, Turn& t) const {
  if (answer.status == 202) {
    t.note(PledgeWaits{s.of.wanted.id, s.of.device, std::string(kMasaWaits.what), s.of.newcomer});
    tell(t, s.of.from, steps::later(steps::asked_delay(answer)));
    return Idle{};
  }
  if (!holds(answer.status == 200)) {
    const std::string said = steps::first_line(answer);
    const Error why = steps::refusal_of(answer.status);
    if (why.fault == Fault::unreachable) {  // its own trouble: nothing is decided
      tell(t, s.of.from, wire_error(why));
      return Idle{};
    }
    t.note(PledgeRefused{s.of.wanted.id, s.of.device, std::string(why.rule->id),
                         "status " + std::to_string(answer.status) + ": " + said});
    tell(t, s.of.from, steps::mapped(why, answer.status));
    return Idle{};
  }
  const auto artifact = steps::read_voucher(answer, s.of);
  if (!artifact) {
    return refuse(s.of, artifact.error(), {}, t);
  }
  if (const Status good = judge_masa_voucher(*artifact, s.of.wanted, t.now()); !good) {
    return refuse(s.of, steps::blame_masa(good.error()), std::string(good.error().what), t);
  }
  const Result<Response> reply = to_device(*artifact, s.of);
  if (!reply) {
    return refuse(s.of, Error{Fault::malformed, kMasaAnswer}, {}, t);
  }
  learn_voucher(*s.masa, *artifact, s.of, t);
  t.note(fact_of(s.of, s.request, *artifact));
  tell(t, s.of.from, *reply);
  return Idle{};
}

}  // namespace imprint::brski
