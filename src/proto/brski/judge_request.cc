// Requests: a registrar's as the MASA judges it, and a device's.
#include <algorithm>

#include "proto/brski/checks.h"

namespace imprint::brski {
namespace {

using Outcome = Check::Outcome;

constexpr std::size_t kMaxPath = 8;

// The certificate that is farthest from who signed, going up from issuer to issuer among those that came along: it
// is taken as the anchor (RFC 8995 section 5.5.2). Whether the signatures are good is for the path to say.
Certificate farthest(const Certificate& signer, const std::vector<Certificate>& along) {
  const Certificate* at = &signer;
  for (std::size_t i = 0; i < kMaxPath && !at->self_issued(); ++i) {
    const auto above = std::ranges::find_if(along, [&](const Certificate& c) { return c.subject == at->issuer; });
    if (above == along.end()) {
      break;
    }
    at = &*above;
  }
  return *at;
}

bool in_path(const CertificateChain& path, const Pin& seen) {
  std::vector<Certificate> all = path.via;
  all.push_back(path.leaf);
  all.push_back(path.anchor);
  return std::ranges::any_of(all, [&](const Certificate& c) {
    if (const auto* const hash = std::get_if<Bytes>(&seen)) {
      return equal(*hash, sha256(c.key.spki));
    }
    const auto* const key = std::get_if<PublicKey>(&seen);
    return c.key == (key != nullptr ? *key : std::get<Certificate>(seen).key);
  });
}

// Which registrar the device says that it saw.
std::optional<Pin> seen_by(const Voucher& request) {
  if (request.proximity_registrar_cert) {
    const auto certificate = Certificate::parse(*request.proximity_registrar_cert);
    return certificate ? std::optional(Pin(*certificate)) : std::nullopt;
  }
  if (request.proximity_registrar_pubk) {
    const auto key = PublicKey::parse(*request.proximity_registrar_pubk);
    return key ? std::optional(Pin(*key)) : std::nullopt;
  }
  return request.proximity_registrar_pubk_sha256 ? std::optional(Pin(*request.proximity_registrar_pubk_sha256))
                                                 : std::nullopt;
}

// The registrar that an agent showed to the device (draft-ietf-anima-brski-prm).
std::optional<Pin> shown_by_agent(const Voucher& request) {
  const auto& shown = request.agent_provided_proximity_registrar_cert;
  const auto certificate =
      shown ? Certificate::parse(*shown) : Result<Certificate>(Error{Fault::malformed, "voucher: no certificate"});
  return certificate ? std::optional(Pin(*certificate)) : std::nullopt;
}

// The device's own request: signed by an IDevID of the maker, and naming it. Its chain, if so.
std::optional<CertificateChain> check_idevid(Checks& to, const Artifact& artifact, const Maker& maker,
                                             const std::vector<Certificate>& along) {
  std::vector<Certificate> pool = artifact.along;
  pool.insert(pool.end(), along.begin(), along.end());
  std::vector<Certificate> known = maker.idevids;
  known.insert(known.end(), along.begin(), along.end());
  const std::vector<Certificate> signers = signers_of(artifact, known);
  to.add(kPledgeSignature, Fault::unauthentic, "the device's request: an IDevID signed it", holds(!signers.empty()));
  std::optional<CertificateChain> out;
  for (const Certificate& one : signers) {
    const auto path = verify_chain(one, pool, maker.anchors, chain_rules(maker.now));
    if (path && !out) {
      out = **path;
    }
  }
  const Outcome leads = signers.empty() || maker.anchors.empty() ? Outcome::unknown
                        : holds(out.has_value())                 ? Outcome::passed
                                                                 : Outcome::failed;
  to.add(kPledgeSigner, Fault::unauthentic, "the device's request: the IDevID is of the maker", leads,
         signers.empty() ? std::string() : signers.front().subject.text);
  const std::string serial = signers.empty() ? std::string() : serial_of(out ? out->leaf : signers.front());
  const bool same = artifact.voucher.serial_number == serial && !serial.empty();
  to.add(kPledgeSerial, Fault::unauthentic, "the device's request: the serial number is that of the IDevID",
         signers.empty() ? Outcome::unknown
         : holds(same)   ? Outcome::passed
                         : Outcome::failed,
         "request: " + artifact.voucher.serial_number.value_or("none") + "; IDevID: " + serial);
  return out;
}

std::vector<Check> examine_pledge(const Artifact& artifact, const Maker& maker, const std::vector<Certificate>& along) {
  Checks to;
  const Voucher& request = artifact.voucher;
  to.add(kRequestKind, Fault::unexpected, "it is a voucher request", holds(request.kind == Voucher::Kind::request));
  check_idevid(to, artifact, maker, along);
  to.add(kPledgeNonce, Fault::malformed, "it has a nonce", holds(request.nonce.has_value()));
  const bool saw = (request.assertion == Assertion::proximity && seen_by(request)) ||
                   (request.assertion == Assertion::agent_proximity && shown_by_agent(request));
  to.add(kPledgeProximity, Fault::malformed, "it says which registrar the device saw", holds(saw),
         request.assertion ? std::string(name(*request.assertion)) : "no assertion");
  return std::move(to).list();
}

// Who signed the registrar's request, with the way up to what may be pinned.
void check_registrar(Checks& to, const Artifact& artifact, const Maker& maker, RequestFacts& out) {
  const std::vector<Certificate> signers = signers_of(artifact);
  const bool is_signed = to.add(kRegistrarSignature, Fault::unauthentic, "a certificate that came along signed it",
                                holds(!signers.empty()), signers.empty() ? "" : signers.front().subject.text);
  if (!is_signed || signers.empty()) {
    to.add(kRegistrarChain, Fault::unauthentic, "the registrar's certificates lead to one another", Outcome::unknown);
    return;
  }
  const Certificate& signer = signers.front();
  const std::vector<Certificate> temporary{farthest(signer, artifact.along)};
  const auto path = verify_chain(signer, artifact.along, maker.registrars.empty() ? temporary : maker.registrars,
                                 chain_rules(maker.now));
  to.add(kRegistrarChain, path ? Fault::unauthentic : path.error().fault,
         "the registrar's certificates lead to one another", static_cast<bool>(path),
         path ? "up to " + (*path)->anchor.subject.text : std::string(path.error().what));
  // The key usage of the whole certificate counts: an empty list would allow anything, and names no registrar.
  const bool registrar = std::ranges::find(signer.extended, eku::kCmcRa) != signer.extended.end();
  to.add(kRegistrarRole, Fault::refused, "who signed is a registrar (id-kp-cmcRA)", holds(registrar),
         signer.subject.text);
  if (path) {
    out.registrar = **path;
  }
}

void check_proximity(Checks& to, const Voucher& prior, bool trusted, RequestFacts& out) {
  const bool asserted = prior.assertion == Assertion::proximity;
  const bool by_agent = prior.assertion == Assertion::agent_proximity;
  const std::optional<Pin> seen = by_agent ? shown_by_agent(prior) : seen_by(prior);
  const bool same = seen && in_path(out.registrar, *seen);
  const Outcome outcome = !asserted && !by_agent ? Outcome::skipped : holds(same) ? Outcome::passed : Outcome::failed;
  to.add(kRegistrarProximity, Fault::unauthentic, "the device saw the registrar that asks", outcome);
  if (trusted && asserted && outcome == Outcome::passed) {
    out.assertion = Assertion::proximity;
  }
}

void check_prior(Checks& to, const Artifact& artifact, const Maker& maker, RequestFacts& out) {
  constexpr std::string_view kWhat = "the device's own request is in it and can be read";
  const Voucher& request = artifact.voucher;
  if (!request.prior_signed_voucher_request) {
    to.add(kRegistrarPrior, Fault::malformed, kWhat, Outcome::skipped);
    return;
  }
  const auto prior = parse_artifact(*request.prior_signed_voucher_request);
  const bool readable = prior && prior->voucher.kind == Voucher::Kind::request;
  to.add(kRegistrarPrior, Fault::malformed, kWhat, readable,
         prior ? std::string(name(prior->voucher.kind)) : std::string(prior.error().what));
  if (!readable) {
    return;
  }
  out.device = check_idevid(to, *prior, maker, artifact.along);
  const bool same_serial = prior->voucher.serial_number == request.serial_number;
  to.add(kRegistrarSerial, Fault::refused, "both requests name the same device", holds(same_serial),
         "registrar: " + request.serial_number.value_or("none") +
             "; device: " + prior->voucher.serial_number.value_or("none"));
  const bool same_issuer = request.idevid_issuer && out.device &&
                           issuer_key_id(BytesView(*request.idevid_issuer)) == issuer_key_id(out.device->leaf);
  to.add(kRegistrarIssuer, Fault::refused, "idevid-issuer is the CA of the device's IDevID",
         !request.idevid_issuer || !out.device ? Outcome::skipped
         : holds(same_issuer)                  ? Outcome::passed
                                               : Outcome::failed);
  to.add(kRegistrarNonce, Fault::refused, "both requests have the same nonce",
         holds(prior->voucher.nonce == request.nonce));
  check_proximity(to, prior->voucher, out.device.has_value(), out);
}

std::vector<Check> examine_registrar(const Artifact& artifact, const Maker& maker, RequestFacts& out) {
  Checks to;
  const Voucher& request = artifact.voucher;
  to.add(kRequestKind, Fault::unexpected, "it is a voucher request", holds(request.kind == Voucher::Kind::request));
  check_registrar(to, artifact, maker, out);
  to.add(kRegistrarSerial, Fault::malformed, "it names a device", holds(request.serial_number.has_value()));
  const bool known = maker.knows_registrar || !maker.registrars.empty();
  to.add(kRegistrarUnknown, Fault::refused, "without a nonce: it is known who asks",
         request.nonce  ? Outcome::skipped
         : holds(known) ? Outcome::passed
                        : Outcome::unknown);
  check_prior(to, artifact, maker, out);
  out.request = request;
  return std::move(to).list();
}

}  // namespace
}  // namespace imprint::brski

namespace imprint {

// The only maker of Verified<RequestFacts>.
template <>
struct Checker<brski::RequestFacts> {
  static Result<Verified<brski::RequestFacts>> check(const brski::Artifact& artifact, const brski::Maker& maker) {
    brski::RequestFacts facts;
    const std::vector<brski::Check> checks = brski::examine_registrar(artifact, maker, facts);
    if (const std::optional<Error> failure = brski::first_failure(checks)) {
      return *failure;
    }
    return Verified<brski::RequestFacts>(std::move(facts));
  }
};

}  // namespace imprint

namespace imprint::brski {

std::vector<Check> check_registrar_request(const Artifact& artifact, const Maker& maker) {
  RequestFacts facts;
  return examine_registrar(artifact, maker, facts);
}

Result<Verified<RequestFacts>> judge_registrar_request(const Artifact& artifact, const Maker& maker) {
  return Checker<RequestFacts>::check(artifact, maker);
}

std::vector<Check> check_pledge_request(const Artifact& artifact, const Maker& maker,
                                        const std::vector<Certificate>& along) {
  return examine_pledge(artifact, maker, along);
}

}  // namespace imprint::brski
