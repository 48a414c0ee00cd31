#include "proto/brski/registrar_judge.h"

#include <algorithm>

#include "codec/base64.h"
#include "proto/brski/leaves.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/rules.h"
#include "proto/brski/wire.h"

namespace imprint::brski {
namespace {

constexpr std::size_t kLeastNonce = 8;
// Of older drafts of draft-ietf-anima-constrained-voucher, and of RFC 9052 section 2 for any COSE.
constexpr std::string_view kOldCoseType = "application/voucher-cose+cbor", kGeneralCoseType = "application/cose";

bool names_certificate(const Voucher& request, const Certificate& own) {
  return request.proximity_registrar_cert && equal(*request.proximity_registrar_cert, own.der);
}

bool names_key(const Voucher& request, const Certificate& own) {
  const bool key = request.proximity_registrar_pubk && equal(*request.proximity_registrar_pubk, own.key.spki);
  const bool hash =
      request.proximity_registrar_pubk_sha256 && equal(*request.proximity_registrar_pubk_sha256, sha256(own.key.spki));
  return key || hash;
}

// Whom the device has seen: this very registrar (RFC 8995 section 5.2).
Status check_proximity(const Voucher& request, const Certificate& own, const Quirks& quirks) {
  const bool named =
      request.proximity_registrar_cert || request.proximity_registrar_pubk || request.proximity_registrar_pubk_sha256;
  if (!named && quirks.proximity_optional) {
    return Ok{};
  }
  CHECK_OR(named && request.assertion == Assertion::proximity, Error{Fault::unauthentic, kNotInProximity});
  CHECK_OR(names_certificate(request, own) || names_key(request, own), Error{Fault::unauthentic, kOtherRegistrar});
  return Ok{};
}

bool has_nonce(const Voucher& request) {
  return request.nonce && std::visit([](const auto& value) { return value.size() >= kLeastNonce; }, *request.nonce);
}

// Every kind that a device may go by.
std::vector<Pin> pins_of(const Voucher& voucher) {
  std::vector<Pin> out;
  if (voucher.pinned_domain_cert) {
    if (const auto certificate = Certificate::parse(*voucher.pinned_domain_cert)) {
      out.emplace_back(*certificate);
    }
  }
  if (voucher.pinned_domain_pubk) {
    if (const auto key = PublicKey::parse(*voucher.pinned_domain_pubk)) {
      out.emplace_back(*key);
    }
  }
  if (voucher.pinned_domain_pubk_sha256) {
    out.emplace_back(*voucher.pinned_domain_pubk_sha256);
  }
  return out;
}

Status check_pins(const Voucher& voucher, const VoucherWanted& wanted, Instant now) {
  const std::vector<Pin> pins = pins_of(voucher);
  CHECK_OR(!pins.empty() && !wanted.own.empty(), Error{Fault::unauthentic, kMasaPin});
  const bool ours = std::ranges::all_of(
      pins, [&](const Pin& pin) { return static_cast<bool>(verify_pin(pin, wanted.own.front(), wanted.own, now)); });
  CHECK_OR(ours, Error{Fault::unauthentic, kMasaPin});
  return Ok{};
}

// The first entry that one of these rules holds the device for.
const Rule* held_by(const LogEvent& event, const std::vector<Bytes>& own, const LogPolicy& policy,
                    const OwnVouchers& given) {
  const auto has = [&event](const std::vector<Bytes>& ids) {
    return std::ranges::find(ids, event.domain_id) != ids.end();
  };
  if (has(own)) {
    const bool latest = event.nonce && !given.nonce.empty() && *event.nonce == given.nonce;
    const bool may_be_ours = latest || !given.since || *given.since <= event.date.at;
    return holds(may_be_ours || has(policy.known) || policy.strangers) ? nullptr : &kLogOwn;
  }
  if (!holds(has(policy.known) || policy.strangers)) {
    return &kLogDomain;
  }
  if (!holds(event.nonce.has_value() || policy.others_nonceless)) {
    return &kLogNonceless;
  }
  return holds(!policy.new_goods) ? nullptr : &kLogHistory;
}

}  // namespace

std::string_view media_type(Form form, const Quirks& quirks) {
  return quirks.old_media_types && form == Form::cose ? kOldCoseType : media_type(form);
}

std::optional<Form> form_of_answer(std::string_view content_type, BytesView body, const Quirks& quirks) {
  if (quirks.any_voucher_type) {
    const auto form = form_of(body);
    const auto decoded = form || !quirks.base64_bodies ? Result<Bytes>(Bytes{}) : parse_base64(as_text(body));
    return form || !decoded ? form : form_of(*decoded);
  }
  if (quirks.old_media_types && content_type.substr(0, content_type.find(';')) == kGeneralCoseType) {
    return Form::cose;
  }
  const std::vector<Form> said = accepted_forms(content_type);
  return said.size() == 1 ? std::optional(said.front()) : std::nullopt;
}

Result<Artifact> read_body(BytesView body, Form form, const Quirks& quirks) {
  Bytes raw = to_bytes(body);
  if (quirks.base64_bodies && form_of(body) != form) {  // the same maker's other half may send them as they are
    auto decoded = parse_base64(as_text(body));
    CHECK_OR(decoded, Error{Fault::malformed, kArtifact});
    raw = *std::move(decoded);
  }
  auto out = parse_artifact(raw, form);
  CHECK_OR(out, Error{out.error().fault, kArtifact});
  return out;
}

Result<Artifact> read_request(BytesView body, Form form, const Quirks& quirks) {
  TRY(Artifact out, read_body(body, form, quirks));
  std::string text(as_text(out.content));
  const std::size_t at = text.find(kVoucherName);
  const bool misnamed = form != Form::cose && out.voucher.kind == Voucher::Kind::voucher && at != std::string::npos;
  if (quirks.requests_named_voucher && misnamed) {
    // Read once more as what it is: a request has leaves that a voucher has not. What is signed stays as it came.
    text.replace(at, kVoucherName.size(), kRequestName);
    const auto request = parse_json_voucher(text);
    CHECK_OR(request, Error{request.error().fault, kArtifact});
    out.voucher = *request;
  }
  return out;
}

Status judge_pledge_request(const Artifact& artifact, const Certificate& idevid, const Certificate& own,
                            const Quirks& quirks) {
  const Voucher& request = artifact.voucher;
  CHECK_OR(request.kind == Voucher::Kind::request || quirks.requests_named_voucher,
           Error{Fault::unexpected, kRequestKind});
  CHECK_OR(signed_by(artifact, idevid), Error{Fault::unauthentic, kPledgeSignature});
  const std::string serial = serial_of(idevid, quirks.serial);
  CHECK_OR(!serial.empty(), Error{Fault::refused, kIdevidSerial});
  CHECK_OR(request.serial_number == serial, Error{Fault::unauthentic, kPledgeSerial});
  CHECK_OR(has_nonce(request), Error{Fault::malformed, kPledgeNonce});
  return check_proximity(request, own, quirks);
}

Voucher make_registrar_request(const Artifact& of_pledge, const Certificate& idevid, const Quirks& quirks,
                               Instant now) {
  Voucher out;
  out.kind = Voucher::Kind::request;
  out.serial_number = serial_of(idevid, quirks.serial);
  const Bytes issuer = idevid_issuer(idevid, quirks.issuer);
  out.idevid_issuer = issuer.empty() ? std::nullopt : std::optional(issuer);
  out.nonce = of_pledge.voucher.nonce;
  out.assertion = of_pledge.voucher.assertion;
  out.created_on = DateTime::of(now);
  out.prior_signed_voucher_request = of_pledge.received;
  return out;
}

Status judge_masa_voucher(const Artifact& artifact, const VoucherWanted& wanted, Instant now) {
  const Voucher& voucher = artifact.voucher;
  CHECK_OR(std::ranges::find(wanted.forms, artifact.form) != wanted.forms.end(),
           Error{Fault::unsupported, kMasaAnswer});
  CHECK_OR(voucher.kind == Voucher::Kind::voucher, Error{Fault::unexpected, kMasaAnswer});
  CHECK_OR(voucher.serial_number == wanted.id.serial, Error{Fault::unauthentic, kMasaVoucher});
  const Bytes& of_device = wanted.issuer.empty() ? wanted.id.issuer : wanted.issuer;
  const bool issuer = !voucher.idevid_issuer || *voucher.idevid_issuer == wanted.issuer_sent ||
                      issuer_key_id(BytesView(*voucher.idevid_issuer)) == of_device;
  CHECK_OR(issuer, Error{Fault::unauthentic, kMasaVoucher});
  CHECK_OR(!voucher.nonce || voucher.nonce == wanted.nonce, Error{Fault::unauthentic, kMasaVoucher});
  CHECK_OR(!voucher.expires_on || now <= voucher.expires_on->at, Error{Fault::expired, kMasaVoucher});
  TRY([[maybe_unused]] const Ok pinned, check_pins(voucher, wanted, now));
  if (!wanted.anchors.empty()) {
    const auto judged =
        judge_voucher(artifact, {wanted.anchors, wanted.id.serial, of_device, wanted.nonce, true, now, {}, false});
    CHECK_OR(judged, judged.error());
  }
  return Ok{};
}

Bytes pinned_domain(const Voucher& voucher) {
  const std::vector<Pin> pins = pins_of(voucher);
  if (pins.empty()) {
    return {};
  }
  if (const auto* const certificate = std::get_if<Certificate>(&pins.front())) {
    return domain_id(*certificate);
  }
  const auto* const key = std::get_if<PublicKey>(&pins.front());
  return key != nullptr ? to_bytes(sha256(key->spki)) : std::get<Bytes>(pins.front());
}

std::string nonce_text(const std::optional<Nonce>& nonce) {
  if (!nonce) {
    return {};
  }
  const auto* const text = std::get_if<std::string>(&*nonce);
  return text != nullptr ? *text : base64(std::get<Bytes>(*nonce));
}

OwnVouchers own_vouchers(const PledgeRow& row) {
  constexpr Duration kSkew = std::chrono::hours(24);
  const auto voucher = parse_artifact(row.voucher);
  const bool dated = voucher && voucher->voucher.created_on;
  const Instant since = dated ? std::min(row.first, voucher->voucher.created_on->at) : row.first;
  return {since - kSkew, row.nonce};
}

LogVerdict judge_log(const std::optional<Result<AuditLog>>& log, const std::vector<Bytes>& own, const LogPolicy& policy,
                     const OwnVouchers& given) {
  if (!log) {
    return holds(!policy.log_needed) ? LogVerdict{true, nullptr, "no audit log, and none is needed"}
                                     : LogVerdict{false, &kLogMissing, "no audit log"};
  }
  if (!*log) {
    return {false, &kLogUnreadable, std::string(log->error().what)};
  }
  const AuditLog& all = **log;
  for (const LogEvent& event : all.events) {
    if (const Rule* const rule = held_by(event, own, policy, given)) {
      return {false, rule, "domainID " + base64(event.domain_id) + " on " + event.date.text};
    }
  }
  if (!holds(all.unknown_events == 0)) {
    return {false, &kLogUnknown, std::to_string(all.unknown_events) + " entries"};
  }
  if (!holds(all.arbitrary == 0 || policy.truncated)) {
    return {false, &kLogTruncated, std::to_string(all.arbitrary) + " entries"};
  }
  return {true, nullptr, "audit log with " + std::to_string(all.events.size()) + " entries holds nothing against it"};
}

}  // namespace imprint::brski
