#include "proto/brski/cloud.h"

#include <algorithm>

#include "proto/brski/cloud_rules.h"
#include "proto/brski/masa.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/rules.h"
#include "proto/brski/telemetry.h"
#include "proto/brski/wire.h"

namespace imprint::brski {
namespace {

constexpr int kOk = 200, kAccepted = 202, kTemporaryRedirect = 307;
constexpr std::int64_t kComeBackSoon_s = 5;

// A media type without its parameters.
std::string_view bare(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) {
    type.remove_suffix(1);
  }
  return type;
}

// Devices read the form that they write, unless they say otherwise.
Result<Form> form_for(std::string_view accept, Form asked) {
  const std::vector<Form> forms = accepted_forms(accept);
  const bool named = std::ranges::find(forms, asked) != forms.end();
  const bool anything = accept.empty() || accept.find("*/*") != std::string_view::npos;
  CHECK_OR(named || anything || !forms.empty(), Error{Fault::unsupported, masa::kForm});
  return named || forms.empty() ? asked : forms.front();
}

// Whether the request is for this very server: a device that saw somebody else may have been led here.
bool saw(const Voucher& request, const Certificate& own) {
  if (request.proximity_registrar_cert) {
    return equal(*request.proximity_registrar_cert, own.der);
  }
  if (request.proximity_registrar_pubk) {
    return equal(*request.proximity_registrar_pubk, own.key.spki);
  }
  return request.proximity_registrar_pubk_sha256 &&
         equal(*request.proximity_registrar_pubk_sha256, sha256(own.key.spki));
}

// The device's request, judged: signed by the IDevID of the handshake, and made for this connection.
Result<Artifact> judged(const Cloud::RequestVoucher& m, Form form, const CloudConfig& config, Instant now) {
  auto artifact = parse_artifact(m.body, form);
  if (!artifact) {
    Error error{artifact.error().fault, kArtifact};
    error.what = artifact.error().what;
    return error;
  }
  Maker maker;
  maker.anchors = config.idevid_anchors;
  maker.now = now;
  const auto broken = first_failure(check_pledge_request(*artifact, maker, m.session->presented));
  CHECK_OR(!broken, *broken);
  CHECK_OR(signed_by(*artifact, m.session->presented.front()), Error{Fault::unauthentic, kCloudSigner});
  CHECK_OR(saw(artifact->voucher, config.own), Error{Fault::unauthentic, kCloudOther});
  return artifact;
}

int status_of(const Error& error) {
  if (error.rule == &masa::kMediaType) {
    return 415;
  }
  if (error.rule == &masa::kForm) {
    return 406;
  }
  if (error.rule == &kCloudUnknown || error.rule == &kCloudNobody) {
    return 404;
  }
  if (error.rule == &kCloudUnsaid) {
    return kAccepted;
  }
  switch (error.fault) {
    case Fault::malformed:
    case Fault::unexpected:
    case Fault::unsupported:
      return 400;
    case Fault::unauthentic:
      return 401;  // RFC 8995 section 5.2
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

Response voucher_answer(Form form, Bytes voucher) {
  return Response{kOk, std::string(media_type(form)), std::move(voucher)};
}

// The owner has an EST server and no registrar (draft-ietf-anima-brski-cloud section 3.2.2).
Voucher voucher_for(const Cloud::Finding& s, const FindOwner::Found& found, Instant now) {
  Voucher v;
  v.kind = Voucher::Kind::voucher;
  v.assertion = Assertion::verified;  // the maker's records name the owner
  v.created_on = DateTime::of(now);
  v.serial_number = s.device.serial;
  v.nonce = s.asked.nonce;
  v.pinned_domain_cert = found.owner.pinned->der;
  v.domain_cert_revocation_checks = false;
  v.est_domain = found.owner.url;
  if (!found.owner.configuration.empty()) {
    v.additional_configuration_url = found.owner.configuration;
  }
  if (found.name_issuer) {
    v.idevid_issuer = encode_idevid_issuer(s.device.issuer);
  }
  return v;
}

}  // namespace

Result<DeviceKey> device_at(const Session& session, const std::vector<Certificate>& idevid_anchors, Instant now) {
  const Error nobody{Fault::unauthentic, kCloudIdevid};
  CHECK_OR(!session.presented.empty(), nobody);
  const Certificate& shown = session.presented.front();
  CHECK_OR(verify_chain(shown, session.presented, idevid_anchors, {Purpose::any, now, true}), nobody);
  CHECK_OR(!serial_of(shown).empty(), nobody);  // the maker's own services are below the same root
  return DeviceKey{issuer_key_id(shown), serial_of(shown)};
}

Response cloud_error(const Error& error) {
  Response out;
  out.status = status_of(error);
  out.content_type = "text/plain; charset=utf-8";
  std::string text(error.rule != nullptr ? error.rule->what : error.what);
  if (error.rule != nullptr) {
    text.append(" (").append(error.rule->id).append(")");  // what to do next is for the maker, not for the device
  }
  out.body = to_bytes(text.append("\n"));
  if (out.status == 503) {
    out.retry_after_s = kComeBackSoon_s;
  }
  return out;
}

Result<Cloud::Finding> Cloud::on(const Idle&, const RequestVoucher& m, Turn& t) const {
  TRY(DeviceKey device, device_at(*m.session, config_->idevid_anchors, t.now()));
  const std::optional<Form> form = form_of_media_type(bare(m.content_type));
  CHECK_OR(form, Error{Fault::unsupported, masa::kMediaType});
  TRY(const Form wanted, form_for(m.accept, *form));
  TRY(Artifact artifact, judged(m, *form, *config_, t.now()));
  const Sha256 digest = sha256(m.body);
  Finding next;
  next.from = m.from;
  next.device = std::move(device);
  next.asked = std::move(artifact.voucher);
  next.form = wanted;
  next.request.assign(digest.begin(), digest.end());
  next.awaits = t.ask(FindOwner{next.device, next.request, next.form});
  return next;
}

Result<Cloud::Idle> Cloud::on(const Idle&, const Report& m, Turn& t) const {
  TRY([[maybe_unused]] const DeviceKey device, device_at(*m.session, config_->idevid_anchors, t.now()));
  const bool cbor = bare(m.content_type) == kCborType;
  const auto told = cbor ? parse_cbor_telemetry(m.body) : parse_json_telemetry(as_text(m.body));
  CHECK_OR(told, told.error());
  t.reply(m.from, Response{kOk});
  return Idle{};
}

Result<OneOf<Cloud::Signing, Cloud::Idle>> Cloud::on(const Finding& s, const Done<FindOwner::Found>& d, Turn& t) const {
  const auto say = [&](Response answer) {
    t.reply(s.from, std::move(answer));
    return Idle{};
  };
  if (!d.answer) {
    return say(cloud_error(Error{Fault::unreachable, masa::kBusy}));
  }
  const FindOwner::Found& found = *d.answer;
  if (!holds(found.known)) {
    return say(cloud_error(Error{Fault::refused, kCloudUnknown}));
  }
  switch (found.owner.kind) {
    case OwnerAddress::Kind::unsaid: {
      Response out = cloud_error(Error{Fault::refused, kCloudUnsaid});
      out.retry_after_s = std::chrono::ceil<std::chrono::seconds>(config_->come_back).count();
      return say(std::move(out));
    }
    case OwnerAddress::Kind::nobody:
      return say(cloud_error(Error{Fault::refused, kCloudNobody}));
    case OwnerAddress::Kind::registrar: {
      Response out{kTemporaryRedirect};
      out.location = found.owner.url;
      return say(std::move(out));
    }
    case OwnerAddress::Kind::est:
      break;
  }
  if (!found.voucher.empty()) {
    return say(voucher_answer(s.form, found.voucher));
  }
  if (!holds(found.owner.pinned.has_value())) {  // nothing would say which server is the owner's
    return say(cloud_error(Error{Fault::refused, kCloudNobody}));
  }
  const Certificate& pinned = *found.owner.pinned;
  const Sha256 key = sha256(pinned.key.spki);
  Signing next;
  next.from = s.from;
  next.form = s.form;
  next.fact = {s.device, found.version,     found.customer,           s.request, s.form,
               {},       domain_id(pinned), {key.begin(), key.end()}, {},        Assertion::verified};
  if (s.asked.nonce) {
    next.fact.nonce = nonce_text(*s.asked.nonce);
  }
  next.awaits = t.ask(SignVoucher{voucher_for(s, found, t.now()), s.form});
  return next;
}

Result<Cloud::Idle> Cloud::on(const Signing& s, const Done<Bytes>& d, Turn& t) const {
  if (!d.answer) {
    const bool impossible = d.answer.error().fault == Fault::unsupported;  // a nonce of CBOR in JSON, or back
    t.reply(s.from,
            cloud_error(impossible ? Error{Fault::unsupported, masa::kForm} : Error{Fault::unreachable, masa::kBusy}));
    return Idle{};
  }
  Vouched fact = s.fact;
  fact.voucher = *d.answer;
  t.note(std::move(fact));  // in the log before it leaves (RFC 8995 section 5.5)
  t.reply(s.from, voucher_answer(s.form, *d.answer));
  return Idle{};
}

}  // namespace imprint::brski

namespace imprint {

template Result<brski::Cloud::State> step(const brski::Cloud& role, const brski::Cloud::State& state,
                                          const brski::Cloud::Input& input, brski::Cloud::Turn& turn);

}  // namespace imprint
