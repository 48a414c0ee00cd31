#include "proto/brski/judge.h"

#include <algorithm>

#include "proto/brski/checks.h"

namespace imprint::brski {
namespace {

using Outcome = Check::Outcome;

// Clocks of devices and makers differ by so much without anybody being wrong.
constexpr auto kClockSkew = std::chrono::minutes(5);

std::string in_words(const Nonce& nonce) {
  const auto* const text = std::get_if<std::string>(&nonce);
  return text != nullptr ? *text : "h'" + hex(std::get<Bytes>(nonce)) + "'";
}

// An IDevID without the address of a MASA looks like a MASA's certificate: makers want an anchor for vouchers alone.
bool may_sign_vouchers(const Certificate& signer) {
  const bool usage = !signer.usage || (*signer.usage & key_usage::kDigitalSignature) != 0;
  const bool registrar = std::ranges::find(signer.extended, eku::kCmcRa) != signer.extended.end();
  return holds(usage) && holds(!registrar) && !names_masa(signer);
}

void check_signer(Checks& to, const Artifact& artifact, const Device& device, VoucherFacts& out) {
  const std::vector<Certificate> signers = signers_of(artifact, device.anchors);
  const std::string who = signers.empty() ? std::string() : "signed by " + signers.front().subject.text;
  constexpr std::string_view kSigner = "the signer leads to the maker's anchors",
                             kTime = "the signer's certificates are good now";
  if (!to.add(kVoucherSignature, Fault::unauthentic, "the signature is good", holds(!signers.empty()), who)) {
    to.add(kVoucherSigner, Fault::unauthentic, kSigner, Outcome::unknown);
    return;
  }
  Error why{Fault::unauthentic, "voucher: signer"};
  for (const Certificate& one : signers) {
    const auto path = verify_chain(one, artifact.along, device.anchors, chain_rules(device.now));
    if (path) {
      out.signer = **path;
      to.add(kVoucherSigner, Fault::unauthentic, kSigner, true,
             one.subject.text + " leads to " + out.signer.anchor.subject.text);
      // One CA may issue all of them, and neither devices nor registrars make vouchers.
      to.add(kVoucherSignerDevice, Fault::unauthentic, "the signer may sign vouchers", holds(may_sign_vouchers(one)));
      to.add(kVoucherSignerTime, Fault::expired, kTime, device.now ? Outcome::passed : Outcome::skipped);
      return;
    }
    why = path.error().fault == Fault::expired ? path.error() : why;
  }
  const bool late = why.fault == Fault::expired;
  to.add(kVoucherSigner, Fault::unauthentic, kSigner, late, who);
  to.add(kVoucherSignerTime, Fault::expired, kTime, late ? Outcome::failed : Outcome::unknown,
         late ? "until " + utc_text(signers.front().not_after) : std::string());
}

void check_device(Checks& to, const Voucher& voucher, const Device& device) {
  const std::string said = voucher.serial_number.value_or("none");
  const bool same_serial = voucher.serial_number && device.serial == voucher.serial_number;
  const Outcome serial = !voucher.serial_number ? Outcome::failed
                         : !device.serial       ? Outcome::unknown
                         : holds(same_serial)   ? Outcome::passed
                                                : Outcome::failed;
  to.add(kVoucherSerial, Fault::unauthentic, "the serial number is the device's", serial,
         "voucher: " + said + "; device: " + device.serial.value_or("not given"));
  const bool same_issuer =
      voucher.idevid_issuer && device.issuer && issuer_key_id(BytesView(*voucher.idevid_issuer)) == *device.issuer;
  const Outcome issuer = !voucher.idevid_issuer ? Outcome::skipped
                         : !device.issuer       ? Outcome::unknown
                         : holds(same_issuer)   ? Outcome::passed
                                                : Outcome::failed;
  to.add(kVoucherIssuer, Fault::unauthentic, "the CA of the IDevID is the device's", issuer,
         voucher.idevid_issuer ? "voucher: " + hex(issuer_key_id(BytesView(*voucher.idevid_issuer))) : "");
}

void check_nonce(Checks& to, const Voucher& voucher, const Device& device) {
  constexpr std::string_view kWhat = "the nonce is that of the device's request";
  if (!voucher.nonce) {
    to.add(kVoucherNonceless, Fault::refused, "the device takes a voucher without a nonce",
           holds(device.takes_nonceless));
    return;
  }
  const Outcome outcome = !device.nonce                            ? Outcome::unknown
                          : holds(*device.nonce == *voucher.nonce) ? Outcome::passed
                                                                   : Outcome::failed;
  to.add(kVoucherNonce, Fault::unauthentic, kWhat, outcome,
         "voucher: " + in_words(*voucher.nonce) +
             "; device: " + (device.nonce ? in_words(*device.nonce) : std::string("not given")));
}

void check_times(Checks& to, const Voucher& voucher, const Device& device) {
  const auto check = [&](const Rule& rule, std::string_view what, const std::optional<DateTime>& when, bool good) {
    const Outcome outcome = !when || !device.now ? Outcome::skipped : good ? Outcome::passed : Outcome::failed;
    to.add(rule, Fault::expired, what, outcome, when ? when->text : std::string());
  };
  const Instant now = device.now.value_or(Instant{});
  check(kVoucherCreated, "it was not made in the future", voucher.created_on,
        !voucher.created_on || holds(voucher.created_on->at <= now + kClockSkew));
  check(kVoucherExpired, "it is not over", voucher.expires_on,
        !voucher.expires_on || holds(now <= voucher.expires_on->at));
}

void check_assertion(Checks& to, const Voucher& voucher, const Device& device) {
  const auto& accepted = device.assertions;
  const bool known = voucher.assertion != Assertion::other;
  const bool listed =
      accepted.empty() || (voucher.assertion && std::ranges::find(accepted, *voucher.assertion) != accepted.end());
  to.add(kVoucherAssertion, Fault::refused, "the assertion is enough for the device", holds(known && listed),
         voucher.assertion ? std::string(name(*voucher.assertion)) : "none");
}

std::optional<Pin> pinned_key(const Voucher& voucher) {
  if (voucher.pinned_domain_pubk_sha256) {
    return Pin(*voucher.pinned_domain_pubk_sha256);
  }
  const auto key = voucher.pinned_domain_pubk ? PublicKey::parse(*voucher.pinned_domain_pubk)
                                              : Result<PublicKey>(Error{Fault::malformed, "voucher: no key"});
  return key ? std::optional(Pin(*key)) : std::nullopt;
}

std::optional<Pin> pinned_certificate(const Voucher& voucher) {
  const auto certificate = voucher.pinned_domain_cert
                               ? Certificate::parse(*voucher.pinned_domain_cert)
                               : Result<Certificate>(Error{Fault::malformed, "voucher: no certificate"});
  return certificate ? std::optional(Pin(*certificate)) : std::nullopt;
}

// Of several kinds the one that the device asked with; without a nonce the shortest.
std::optional<Pin> pin_of(const Voucher& voucher, const Device& device) {
  const bool key_first = device.asked_with_key || !voucher.nonce;
  const bool has_key = voucher.pinned_domain_pubk || voucher.pinned_domain_pubk_sha256;
  const bool take_key = has_key && (key_first || !voucher.pinned_domain_cert);
  return take_key ? pinned_key(voucher) : pinned_certificate(voucher);
}

std::string in_words(const Pin& pin) {
  if (const auto* const certificate = std::get_if<Certificate>(&pin)) {
    return "certificate of " + certificate->subject.text;
  }
  const auto* const key = std::get_if<PublicKey>(&pin);
  return "key with SHA-256 " + (key != nullptr ? hex(sha256(key->spki)) : hex(std::get<Bytes>(pin)));
}

void check_pin(Checks& to, const Voucher& voucher, const Device& device, VoucherFacts& out) {
  const std::optional<Pin> pin = pin_of(voucher, device);
  to.add(kVoucherPin, Fault::refused, "it pins the owner", holds(pin.has_value()), pin ? in_words(*pin) : "nobody");
  out.pin = pin.value_or(Pin(Bytes()));
}

std::vector<Check> examine(const Artifact& artifact, const Device& device, VoucherFacts& out) {
  Checks to;
  const Voucher& voucher = artifact.voucher;
  to.add(kVoucherKind, Fault::unexpected, "it is a voucher", holds(voucher.kind == Voucher::Kind::voucher));
  check_signer(to, artifact, device, out);
  check_device(to, voucher, device);
  check_nonce(to, voucher, device);
  check_times(to, voucher, device);
  check_assertion(to, voucher, device);
  check_pin(to, voucher, device, out);
  out.voucher = voucher;
  return std::move(to).list();
}

bool has_key(const Pin& pin, const PublicKey& key) {
  if (const auto* const hash = std::get_if<Bytes>(&pin)) {
    return equal(*hash, sha256(key.spki));
  }
  const auto* const certificate = std::get_if<Certificate>(&pin);
  return key == (certificate != nullptr ? certificate->key : std::get<PublicKey>(pin));
}

}  // namespace

std::string_view name(Check::Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "passed";
    case Outcome::failed:
      return "failed";
    case Outcome::skipped:
      return "skipped";
    case Outcome::unknown:
      break;
  }
  return "unknown";
}

std::optional<Error> first_failure(const std::vector<Check>& checks) {
  const auto bad = std::ranges::find_if(
      checks, [](const Check& c) { return c.outcome == Outcome::failed || c.outcome == Outcome::unknown; });
  return bad == checks.end() ? std::nullopt : std::optional(Error{bad->fault, *bad->rule});
}

Status verify_pin(const Pin& pin, const Certificate& registrar, const std::vector<Certificate>& sent,
                  std::optional<Instant> now) {
  const auto good_now = [&now](const Certificate& c) { return !now || (c.not_before <= *now && *now < c.not_after); };
  const auto* const pinned = std::get_if<Certificate>(&pin);
  if (has_key(pin, registrar.key)) {
    CHECK_OR(good_now(registrar) && (pinned == nullptr || good_now(*pinned)), Error{Fault::expired, kRegistrarPin});
    return Ok{};
  }
  std::vector<Certificate> anchors;
  std::ranges::copy_if(sent, std::back_inserter(anchors), [&](const Certificate& c) { return has_key(pin, c.key); });
  if (pinned != nullptr) {
    anchors = {*pinned};
  }
  const bool leads = !anchors.empty() && verify_chain(registrar, sent, anchors, chain_rules(now));
  CHECK_OR(leads, Error{Fault::unauthentic, kRegistrarPin});
  return Ok{};
}

}  // namespace imprint::brski

namespace imprint {

// The only maker of Verified<VoucherFacts>.
template <>
struct Checker<brski::VoucherFacts> {
  static Result<Verified<brski::VoucherFacts>> check(const brski::Artifact& artifact, const brski::Device& device) {
    brski::VoucherFacts facts;
    const std::vector<brski::Check> checks = brski::examine(artifact, device, facts);
    if (const std::optional<Error> failure = brski::first_failure(checks)) {
      return *failure;
    }
    return Verified<brski::VoucherFacts>(std::move(facts));
  }
};

}  // namespace imprint

namespace imprint::brski {

std::vector<Check> check_voucher(const Artifact& artifact, const Device& device) {
  VoucherFacts facts;
  return examine(artifact, device, facts);
}

Result<Verified<VoucherFacts>> judge_voucher(const Artifact& artifact, const Device& device) {
  return Checker<VoucherFacts>::check(artifact, device);
}

}  // namespace imprint::brski
