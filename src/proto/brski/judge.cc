#include "proto/brski/judge.h"

#include <algorithm>

#include "proto/brski/checks.h"
#include "proto/brski/maker_signer.h"

namespace imprint::brski {
namespace {

using Outcome = Check::Outcome;

// Clocks of devices and makers differ by so much without anybody being wrong.
constexpr auto kClockSkew = std::chrono::minutes(5);

std::string in_words(const Nonce& nonce) {
  const auto* const text = std::get_if<std::string>(&nonce);
  return text != nullptr ? *text : "h'" + hex(std::get<Bytes>(nonce)) + "'";
}

bool has_usage(const Certificate& certificate, std::string_view usage) {
  return std::ranges::find(certificate.extended, usage) != certificate.extended.end();
}

// Who is an anchor itself, or is called by name, is believed; if some are called, nobody else is.
bool may_sign_vouchers(const Certificate& signer, const Device& device) {
  const bool built_in = std::ranges::find(device.anchors, signer) != device.anchors.end();
  const bool called = std::ranges::find(device.signers, signer.subject) != device.signers.end();
  const bool named = built_in || called;
  return holds(named || device.signers.empty()) && may_sign_for_maker(signer, named, device.unmarked);
}

// Of the signers that lead to an anchor the first that may sign; without one the first.
Result<CertificateChain> way_of(const std::vector<Certificate>& signers, const Artifact& artifact,
                                const Device& device) {
  Result<CertificateChain> out = Error{Fault::unauthentic, "voucher: signer"};
  for (const Certificate& one : signers) {
    const auto path = verify_chain(one, artifact.along, device.anchors, chain_rules(device.now));
    if (path && may_sign_vouchers(one, device)) {
      return **path;
    }
    if (path && !out) {
      out = **path;
    } else if (!out && path.error().fault == Fault::expired) {
      out = path.error();
    }
  }
  return out;
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
  const auto way = way_of(signers, artifact, device);
  if (way) {
    out.signer = *way;
    to.add(kVoucherSigner, Fault::unauthentic, kSigner, true,
           way->leaf.subject.text + " leads to " + way->anchor.subject.text);
    to.add(kVoucherSignerDevice, Fault::unauthentic, "the signer may sign vouchers",
           may_sign_vouchers(way->leaf, device));
    to.add(kVoucherSignerTime, Fault::expired, kTime, device.now ? Outcome::passed : Outcome::skipped);
    return;
  }
  const bool late = way.error().fault == Fault::expired;
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

// CMS says when it was signed, beside what is signed.
std::optional<DateTime> signed_on(const Artifact& artifact) {
  const auto* const cms = std::get_if<SignedContent>(&artifact.wrapping);
  return cms != nullptr && cms->signing_time ? std::optional(DateTime::of(*cms->signing_time)) : std::nullopt;
}

void check_times(Checks& to, const Artifact& artifact, const Device& device) {
  const Voucher& voucher = artifact.voucher;
  const auto check = [&](const Rule& rule, std::string_view what, const std::optional<DateTime>& when, bool good) {
    const Outcome outcome = !when || !device.now ? Outcome::skipped : good ? Outcome::passed : Outcome::failed;
    to.add(rule, Fault::expired, what, outcome, when ? when->text : std::string());
  };
  const Instant now = device.now.value_or(Instant{});
  check(kVoucherCreated, "it was not made in the future", voucher.created_on,
        !voucher.created_on || holds(voucher.created_on->at <= now + kClockSkew));
  const std::optional<DateTime> made = signed_on(artifact);
  check(kVoucherSigningTime, "it was not signed in the future", made, !made || holds(made->at <= now + kClockSkew));
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

// RFC 8366 section 5.3: true, the pinned certificate's revocation MUST be checked; false, it MUST NOT; else as always:
// with what is at hand.
void check_revocation(Checks& to, const Voucher& voucher, const Device& device, const Pin& pin) {
  constexpr std::string_view kWhat = "the pinned certificate is not revoked";
  const auto& wanted = voucher.domain_cert_revocation_checks;
  const auto* const pinned = std::get_if<Certificate>(&pin);
  if (pinned == nullptr || wanted == false) {
    to.add(kVoucherRevocation, Fault::refused, kWhat, Outcome::skipped,
           pinned == nullptr ? "no certificate is pinned" : "the voucher says that it is not to be checked");
    return;
  }
  const Outcome found = revocation_of(*pinned, nullptr, device.lists, device.now);
  const bool open = found == Outcome::unknown;
  to.add(kVoucherRevocation, Fault::refused, kWhat, open && !wanted ? Outcome::skipped : found,
         open ? "no list of " + pinned->issuer.text + " that is good now was given" +
                    (wanted ? ", and the voucher wants it checked" : "")
              : std::string(found == Outcome::skipped ? "a root: nobody revokes it" : ""));
}

std::vector<Check> examine(const Artifact& artifact, const Device& device, VoucherFacts& out) {
  Checks to;
  const Voucher& voucher = artifact.voucher;
  to.add(kVoucherKind, Fault::unexpected, "it is a voucher", holds(voucher.kind == Voucher::Kind::voucher));
  check_signer(to, artifact, device, out);
  check_device(to, voucher, device);
  check_nonce(to, voucher, device);
  check_times(to, artifact, device);
  check_assertion(to, voucher, device);
  check_pin(to, voucher, device, out);
  check_revocation(to, voucher, device, out.pin);
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

// The first that is no way to the pin, or has not the role, is the error.
std::vector<Check> examine_seen(const Pin& pin, const SeenRegistrar& seen,
                                const Result<Verified<CertificateChain>>& way) {
  Checks to;
  to.add(kRegistrarPin, way ? Fault::unauthentic : way.error().fault, "the registrar leads to what is pinned",
         static_cast<bool>(way), seen.certificate.subject.text);
  const bool cmc = holds(has_usage(seen.certificate, eku::kCmcRa));
  const bool server = holds(seen.role == RegistrarRole::cmc_ra || has_usage(seen.certificate, eku::kServerAuth));
  const bool itself = has_key(pin, seen.certificate.key), wanted = seen.role != RegistrarRole::any;
  to.add(kRegistrarPinRole, Fault::refused, "its certificate is a registrar's",
         itself || !wanted ? Outcome::skipped
         : cmc && server   ? Outcome::passed
                           : Outcome::failed,
         itself    ? "its own key is pinned"
         : !wanted ? "the way to the pin is enough here"
                   : "");
  return std::move(to).list();
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

Check::Outcome revocation_of(const Certificate& certificate, const Certificate* above,
                             const std::vector<RevocationList>& lists, std::optional<Instant> now) {
  if (self_signed(certificate)) {
    return Outcome::skipped;
  }
  Outcome out = Outcome::unknown;
  for (const RevocationList& list : lists) {
    const bool by_name = holds(list.issuer == certificate.issuer);
    const bool by_key = above == nullptr || holds(list.signer == above->key.spki);
    if (!by_name || !by_key) {
      continue;
    }
    if (!holds(!list.has(certificate.serial))) {
      return Outcome::failed;  // also by a list that is over
    }
    const bool over = now && list.next_update && *list.next_update < *now;
    out = holds(!over) ? Outcome::passed : out;
  }
  return out;
}

Result<Verified<CertificateChain>> verify_pin(const Pin& pin, const Certificate& registrar,
                                              const std::vector<Certificate>& sent, std::optional<Instant> now) {
  const auto* const pinned = std::get_if<Certificate>(&pin);
  std::vector<Certificate> anchors;
  if (has_key(pin, registrar.key)) {
    // Another certificate of the same key may be pinned: both have to be good.
    const bool good = pinned == nullptr || !now || (pinned->not_before <= *now && *now < pinned->not_after);
    CHECK_OR(good, Error{Fault::expired, kRegistrarPin});
    anchors = {registrar};
  } else if (pinned != nullptr) {
    anchors = {*pinned};
  } else {
    std::ranges::copy_if(sent, std::back_inserter(anchors), [&](const Certificate& c) { return has_key(pin, c.key); });
  }
  // A pinned key is where the path ends: what is above it, and how long that is good, does not count.
  const bool own = !anchors.empty() && anchors.front() == registrar;
  auto out = verify_chain(registrar, own ? std::vector<Certificate>{} : sent, anchors, chain_rules(now));
  if (!out) {
    return Error{out.error().fault == Fault::expired ? Fault::expired : Fault::unauthentic, kRegistrarPin};
  }
  return out;
}

std::vector<Check> check_registrar(const Pin& pin, const SeenRegistrar& seen) {
  return examine_seen(pin, seen, verify_pin(pin, seen.certificate, seen.sent, seen.now));
}

Result<Verified<CertificateChain>> verify_registrar(const Pin& pin, const SeenRegistrar& seen) {
  auto out = verify_pin(pin, seen.certificate, seen.sent, seen.now);
  if (const std::optional<Error> failure = first_failure(examine_seen(pin, seen, out))) {
    return *failure;
  }
  return out;
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
