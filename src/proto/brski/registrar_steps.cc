#include "proto/brski/registrar_steps.h"

#include <algorithm>

#include "codec/base64.h"
#include "codec/printable.h"
#include "proto/brski/registrar_rules.h"
#include "role/digest.h"
#include "role/guarded.h"

namespace imprint::brski::steps {
namespace {

constexpr std::int64_t kDefaultDelay_s = 60, kLongestDelay_s = 24 * 60 * 60;

// The path of an operation at the MASA (RFC 8995 section 2.3.2: an address with a path is the base, as a whole).
std::string masa_path(const MasaContact& contact, Operation operation) {
  constexpr std::string_view kOldBase = "/.well-known/est";
  const bool has_base = contact.url.path.size() > 1;
  return path_of(operation, has_base                   ? std::string_view(contact.url.path)
                            : contact.quirks.old_paths ? kOldBase
                                                       : std::string_view());
}

Bytes body_for(const Bytes& request, const Quirks& quirks) {
  return quirks.base64_bodies ? to_bytes(base64(request)) : request;
}

std::string list_of(const std::vector<Form>& forms, const Quirks& quirks) {
  std::string out;
  for (const Form form : forms) {
    out.append(out.empty() ? "" : ", ").append(media_type(form, quirks));
  }
  return out;
}

}  // namespace

void learn_device(const Session& session, Registrar::Turn& t) {
  const Certificate& leaf = (*session.proven)->leaf;
  const Certificate& anchor = (*session.proven)->anchor;
  const std::string anchor_id = "anchor:" + hex(anchor.fingerprint());
  t.learn(Belief{anchor_id, Topic::anchor, "the key of " + anchor.subject.text + " may vouch for devices",
                 anchor.not_after},
          Configured<Certificate>{anchor});
  t.learn(Belief{"peer:" + hex(leaf.fingerprint()), Topic::peer, "who asks holds the key of " + leaf.subject.text,
                 leaf.not_after},
          *session.proven, {anchor_id});
}

Response later(Duration retry_after) {
  Response out;
  out.status = 202;
  out.retry_after_s = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(retry_after).count());
  return out;
}

Duration asked_delay(const Response& answer) {
  const std::int64_t seconds = answer.retry_after_s.value_or(kDefaultDelay_s);
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 1, kLongestDelay_s));
}

Error away(const Error& why) { return why.rule != nullptr ? why : Error{Fault::unreachable, kSignerMute}; }

Response no_record(const Error& why) {
  Response out = wire_error(away(why));
  constexpr int kNotFound = 404;
  out.status = why.fault == Fault::refused ? kNotFound : out.status;
  return out;
}

Error no_masa(const Error& why) {
  if (is_guarded(why)) {
    return {Fault::unreachable, kMasaInside};
  }
  const bool silent = why.fault == Fault::unreachable || why.fault == Fault::limit;
  return {Fault::unreachable, silent ? kMasaAway : why.fault == Fault::malformed ? kMasaAnswer : kMasaServer};
}

Error refusal_of(int status) {
  if (status >= 500) {
    return {Fault::unreachable, kMasaFailed};
  }
  if (status >= 300 && status < 400) {
    return {Fault::refused, kMasaMoved};
  }
  if (status == 401 || status == 407) {
    return {Fault::refused, kMasaLogin};
  }
  return {Fault::refused, status >= 400 ? kMasaRefused : kMasaAnswer};
}

Response mapped(const Error& why, int status) {
  Response out = wire_error(why);
  if (why.rule == &kMasaRefused) {
    const bool known = status == 403 || status == 404 || status == 406 || status == 415;
    constexpr int kOtherReason = 406;  // RFC 8995 section 5.6: "or other reason"
    out.status = known ? status : kOtherReason;
  }
  return out;
}

Error blame_masa(const Error& why) {
  const bool named = std::ranges::find(kRegistrarRules, why.rule) != kRegistrarRules.end();
  return named ? why : Error{why.fault, kMasaAnswer};
}

bool is_masa(const Session& session, const MasaContact& contact) {
  return session.proven && holds(speaks_for_host((*session.proven)->leaf, contact.url.host));
}

Request voucher_request(const Registrar::Case& of, const Bytes& request) {
  Request out;
  out.method = Method::post;
  out.path = masa_path(of.masa, Operation::request_voucher);
  out.query = of.masa.url.query;
  out.content_type = media_type(of.form, of.masa.quirks);
  out.accept = list_of(of.wanted.forms, of.masa.quirks);
  out.body = body_for(request, of.masa.quirks);
  return out;
}

Request log_request(const Registrar::Report& of) {
  Request out;
  out.method = Method::post;
  out.path = masa_path(of.masa, Operation::request_audit_log);
  out.query = of.masa.url.query;
  const std::optional<Form> form = form_of(of.row.request);
  out.content_type = media_type(form.value_or(Form::cms), of.masa.quirks);
  out.accept = kJsonType;
  out.body = body_for(of.row.request, of.masa.quirks);
  return out;
}

bool log_in(Request& again, const Response& answer, const std::optional<Login>& login, BytesView client_nonce) {
  if (answer.status != 401 || !login) {
    return false;
  }
  if (const auto challenge = find_challenge(answer.authenticate)) {
    again.login = answer_challenge(*challenge, *login, again, 1, client_nonce);
    return true;
  }
  if (!offers_basic(answer.authenticate)) {
    return false;
  }
  again.login = login;
  return true;
}

std::string first_line(const Response& answer) {
  constexpr std::size_t kMost = 200;
  std::string_view text = as_text(answer.body);
  text = text.substr(0, std::min(text.find_first_of("\r\n"), kMost));
  return printable(text);
}

Result<Artifact> read_voucher(const Response& answer, const Registrar::Case& of) {
  const std::optional<Form> form = form_of_answer(answer.content_type, answer.body, of.masa.quirks);
  auto out = form ? read_body(answer.body, *form, of.masa.quirks)
                  : Result<Artifact>(Error{Fault::unsupported, "voucher: media type"});
  CHECK_OR(out, Error{out.error().fault, kMasaAnswer});
  return out;
}

}  // namespace imprint::brski::steps
