#include "proto/brski/masa.h"

#include <algorithm>

#include "codec/base64.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/rules.h"
#include "proto/brski/wire.h"

namespace imprint::brski {
namespace {

constexpr std::int64_t kComeBackSoon_s = 5;

// A media type without its parameters.
std::string_view bare(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) {
    type.remove_suffix(1);
  }
  return type;
}

// In which form the device reads its voucher: what it accepts, in the form of its request if that is among it. An
// Accept that names nothing of ours, and not everything, cannot be served.
Result<Form> form_for(std::string_view accept, Form asked) {
  const std::vector<Form> forms = accepted_forms(accept);
  if (std::ranges::find(forms, asked) != forms.end()) {
    return asked;
  }
  const bool anything = accept.empty() || accept.find("*/*") != std::string_view::npos ||
                        accept.find("application/*") != std::string_view::npos;
  CHECK_OR(anything || !forms.empty(), Error{Fault::unsupported, masa::kForm});
  return forms.empty() ? asked : forms.front();
}

Result<Masa::Question> read_question(const Masa::Asked& m, bool for_log) {
  const std::optional<Form> form = form_of_media_type(bare(m.content_type));
  CHECK_OR(form, Error{Fault::unsupported, masa::kMediaType});
  Masa::Question out{m.from, m.session, m.login, nullptr, for_log, *form};
  if (!for_log) {
    TRY(out.form, form_for(m.accept, *form));
  }
  CHECK_OR(!m.body.empty(), Error{Fault::malformed, kArtifact});
  out.in_base64 = m.base64_bodies && form_of(m.body) != form;
  const auto raw = out.in_base64 ? parse_base64(as_text(m.body)) : Result<Bytes>(m.body);
  CHECK_OR(raw, Error{Fault::malformed, kArtifact});
  auto artifact = parse_artifact(*raw, *form);
  if (!artifact) {
    Error error{artifact.error().fault, kArtifact};
    error.what = artifact.error().what;
    return error;
  }
  out.artifact = std::make_shared<const Artifact>(*std::move(artifact));
  return out;
}

Masa::Identifying identify(Masa::Question question, Masa::Turn& t) {
  const Voucher& request = question.artifact->voucher;
  FindIdevid find;
  find.serial = request.serial_number.value_or("");
  if (request.idevid_issuer) {
    find.issuer = issuer_key_id(BytesView(*request.idevid_issuer));
  }
  const auto ticket = t.ask(std::move(find));
  return {std::move(question), ticket};
}

// In base64 for whom it was asked in base64: one quirk for both ways, as on the registrar's side.
Response voucher_answer(const Masa::Question& q, Bytes voucher) {
  Response out;
  out.status = 200;
  out.content_type = media_type(q.form);
  out.body = q.in_base64 ? to_bytes(base64(voucher)) : std::move(voucher);
  return out;
}

int status_of(const Error& error) {
  if (error.rule == &masa::kMediaType) {
    return 415;
  }
  if (error.rule == &masa::kForm) {
    return 406;
  }
  if (error.rule == &masa::kLogin || error.rule == &masa::kLoginWanted || error.rule == &masa::kNonceOld) {
    return 401;
  }
  if (error.rule == &masa::kGuesses) {
    return 429;
  }
  if (error.rule == &masa::kMethod) {
    return 405;
  }
  if (error.rule == &masa::kDeviceUnknown || error.rule == &masa::kAmbiguous || error.rule == &masa::kNoLog ||
      error.rule == &masa::kNoPath) {
    return 404;
  }
  switch (error.fault) {
    case Fault::malformed:
    case Fault::unexpected:
    case Fault::unsupported:
      return 400;
    case Fault::unauthentic:
    case Fault::refused:
    case Fault::expired:
    case Fault::stale:
    case Fault::conflict:
      return 403;
    case Fault::limit:
      return 413;
    case Fault::unreachable:
      return 503;
    case Fault::internal:
      break;
  }
  return 500;
}

}  // namespace

std::string nonce_text(const Nonce& nonce) {
  const auto* const text = std::get_if<std::string>(&nonce);
  return text != nullptr ? *text : base64(std::get<Bytes>(nonce));
}

Response masa_error(const Error& error) {
  Response out;
  out.status = status_of(error);
  out.content_type = "text/plain; charset=utf-8";
  std::string text(error.rule != nullptr ? error.rule->what : error.what);
  if (error.rule != nullptr) {
    if (error.what != error.rule->what) {
      text.append(": ").append(error.what);
    }
    text.append(" (").append(error.rule->id).append(", ").append(error.rule->source).append("); ");
    text.append(error.rule->next);
  }
  out.body = to_bytes(text.append("\n"));
  if (out.status == 503) {
    out.retry_after_s = kComeBackSoon_s;
  }
  if (out.status == 401) {
    out.authenticate.emplace_back(R"(Basic realm="imprint-masa", charset="UTF-8")");
  }
  return out;
}

Composed compose_voucher(const RequestFacts& facts, const JudgeClaim::Ruling& ruling, Instant now) {
  Composed out;
  out.pinned = ruling.pin_registrar ? facts.registrar.leaf : facts.registrar.anchor;
  Voucher& v = out.voucher;
  v.kind = Voucher::Kind::voucher;
  v.assertion = ruling.assertion;
  v.created_on = DateTime::of(now);
  v.serial_number = facts.request.serial_number;
  v.pinned_domain_cert = out.pinned.der;
  v.domain_cert_revocation_checks = false;  // the device has no way to make them (RFC 8995 section 5.5.2)
  if (ruling.name_issuer && ruling.device) {
    v.idevid_issuer = encode_idevid_issuer(ruling.device->issuer);
  }
  if (facts.request.nonce) {
    v.nonce = facts.request.nonce;  // as it came: devices compare it octet by octet
  } else if (ruling.lifetime > Duration{}) {
    v.expires_on = DateTime::of(std::min(now + ruling.lifetime, out.pinned.not_after));
  }
  return out;
}

Result<Masa::Identifying> Masa::on(const Idle&, const RequestVoucher& m, Turn& t) const {
  TRY(Question question, read_question(m.asked, false));
  return identify(std::move(question), t);
}

Result<Masa::Identifying> Masa::on(const Idle&, const RequestAuditLog& m, Turn& t) const {
  TRY(Question question, read_question(m.asked, true));
  return identify(std::move(question), t);
}

Result<OneOf<Masa::Judging, Masa::Reading, Masa::Idle>> Masa::on(const Identifying& s,
                                                                 const Done<std::vector<Certificate>>& d,
                                                                 Turn& t) const {
  const Question& q = s.question;
  if (!d.answer) {
    t.reply(q.from, masa_error(Error{Fault::unreachable, masa::kBusy}));
    return Idle{};
  }
  // Whether it is known who asks for a voucher without a nonce is judged together with the claim.
  Maker maker;
  maker.anchors = config_->idevid_anchors;
  maker.idevids = *d.answer;
  maker.knows_registrar = true;
  maker.now = t.now();
  maker.needs_prior = config_->needs_prior;
  maker.lists = config_->lists;
  maker.needs_status = config_->needs_status;
  const auto facts = judge_registrar_request(*q.artifact, maker);
  if (!facts) {
    // RFC 8995 section 5.6: 403 for what is not signed as it should be, whatever is wrong with it.
    const Error& why = facts.error();
    t.reply(q.from, masa_error(why.rule != nullptr
                                   ? Error{why.fault == Fault::malformed ? why.fault : Fault::refused, *why.rule}
                                   : why));
    return Idle{};
  }
  if (q.for_log) {
    return Reading{q, t.ask(ReadDeviceLog{q.session, q.login, *facts})};
  }
  const Sha256 digest = sha256(q.artifact->received);
  Judging next{q, *facts, {digest.begin(), digest.end()}, {}};
  next.awaits = t.ask(JudgeClaim{q.session, q.login, *facts, next.request, q.form});
  return next;
}

Result<OneOf<Masa::Signing, Masa::Idle>> Masa::on(const Judging& s, const Done<JudgeClaim::Ruling>& d, Turn& t) const {
  using Verdict = JudgeClaim::Ruling::Verdict;
  const Question& q = s.question;
  const RequestFacts& facts = *s.facts;
  const auto refuse = [&](Fault fault, const Rule& rule) {
    const bool only_asked = &rule == &masa::kLoginWanted;  // it comes again and says who it is
    if (d.answer && d.answer->device && !only_asked) {
      t.note(
          ClaimRefused{*d.answer->device, d.answer->customer, std::string(rule.id), facts.registrar.leaf.subject.text});
    }
    t.reply(q.from, masa_error(Error{fault, rule}));
    return Idle{};
  };
  if (!d.answer) {
    return refuse(Fault::unreachable, masa::kBusy);
  }
  const JudgeClaim::Ruling& ruling = *d.answer;
  if (ruling.verdict == Verdict::refused || !ruling.device) {
    return refuse(ruling.fault, ruling.rule != nullptr ? *ruling.rule : masa::kDeviceUnknown);
  }
  // RFC 8995 section 5.5.4: without a nonce the registrar must be known, whatever the policy says.
  if (!holds(facts.request.nonce || !ruling.customer.empty())) {
    return refuse(Fault::refused, kRegistrarUnknown);
  }
  if (ruling.verdict == Verdict::already) {
    t.reply(q.from, voucher_answer(q, ruling.voucher));
    return Idle{};
  }
  const Composed made = compose_voucher(facts, ruling, t.now());
  Signing next;
  next.question = q;
  const Sha256 key = sha256(made.pinned.key.spki);
  next.fact = {*ruling.device,
               ruling.version,
               ruling.customer,
               s.request,
               q.form,
               {},
               domain_id(made.pinned),
               {key.begin(), key.end()},
               {},
               ruling.assertion};
  if (facts.request.nonce) {
    next.fact.nonce = nonce_text(*facts.request.nonce);
  }
  next.awaits = t.ask(SignVoucher{made.voucher, q.form});
  return next;
}

Result<Masa::Idle> Masa::on(const Signing& s, const Done<Bytes>& d, Turn& t) const {
  if (!d.answer) {
    // A nonce of CBOR cannot be echoed in JSON, nor the other way round.
    const bool impossible = d.answer.error().fault == Fault::unsupported;
    t.reply(s.question.from,
            masa_error(impossible ? Error{Fault::unsupported, masa::kForm} : Error{Fault::unreachable, masa::kBusy}));
    return Idle{};
  }
  Vouched fact = s.fact;
  fact.voucher = *d.answer;
  t.note(std::move(fact));
  t.reply(s.question.from, voucher_answer(s.question, *d.answer));
  return Idle{};
}

Result<Masa::Idle> Masa::on(const Reading& s, const Done<ReadDeviceLog::Log>& d, Turn& t) const {
  if (!d.answer) {
    t.reply(s.question.from, masa_error(Error{Fault::unreachable, masa::kBusy}));
    return Idle{};
  }
  if (!holds(d.answer->entitled)) {
    t.reply(s.question.from,
            masa_error(Error{d.answer->fault, d.answer->rule != nullptr ? *d.answer->rule : masa::kNoLog}));
    return Idle{};
  }
  Response out;
  out.status = 200;
  out.content_type = kJsonType;
  out.body = to_bytes(encode_audit_log(abridge(d.answer->log, config_->most_events)));
  t.reply(s.question.from, std::move(out));
  return Idle{};
}

}  // namespace imprint::brski

namespace imprint {

template Result<brski::Masa::State> step(const brski::Masa& role, const brski::Masa::State& state,
                                         const brski::Masa::Input& input, brski::Masa::Turn& turn);

}  // namespace imprint
