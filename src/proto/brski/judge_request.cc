// Requests: a registrar's as the MASA judges it, and a device's.
#include <algorithm>

#include "proto/brski/checks.h"
#include "proto/brski/way_up.h"

namespace imprint::brski {
namespace {

using Outcome = Check::Outcome;

constexpr std::size_t kMaxSigners = 4;  // certificates of one key that are looked at

bool among(const std::vector<Certificate>& all, const Certificate& one) {
  return std::ranges::find(all, one) != all.end();
}

// The registrar's way up, and how much of it came along: the MASA pins nothing that it was not sent.
struct Way {
  CertificateChain whole, sent;
};

Way way_over(const CertificateChain& whole, const std::vector<Certificate>& along) {
  Way out{whole, whole};
  while (!among(along, out.sent.anchor) && !(out.sent.anchor == out.sent.leaf)) {
    const bool at_leaf = out.sent.via.empty();
    out.sent.anchor = at_leaf ? out.sent.leaf : out.sent.via.back();
    if (!at_leaf) {
      out.sent.via.pop_back();
    }
  }
  return out;
}

// Each end of the ways up may be taken as the anchor (RFC 8995 section 5.5.2), unless it is known who asks.
Result<Way> way_of(const Certificate& signer, const Artifact& artifact, const Maker& maker, std::size_t& left) {
  TRY(const CertificateChain found, way_up(signer, {artifact.along, maker.registrars, maker.now, left}));
  return maker.registrars.empty() ? Way{found, found} : way_over(found, artifact.along);
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

// Whether the certificate of who signed is there to be tried: the message has it, or one of these is of its device.
// COSE has none, and what came with it is not looked at (draft-ietf-anima-constrained-voucher).
bool at_hand(const Artifact& artifact, const std::vector<Certificate>& known) {
  const auto* const cms = std::get_if<SignedContent>(&artifact.wrapping);
  const bool comes_along =
      cms != nullptr ? !cms->signers.empty() : artifact.form == Form::jws && !artifact.along.empty();
  return comes_along || std::ranges::any_of(known, [&](const Certificate& c) {
           return serial_of(c) == artifact.voucher.serial_number;
         });
}

// Who may have signed and where the way may lead, besides what the request has.
struct Known {
  std::vector<Certificate> along;  // that came in other ways
  Outcome without;                 // of the checks if the IDevID is not at hand
};

// The device's own request: signed by an IDevID of the maker, and naming it. Its chain, if so.
std::optional<CertificateChain> check_idevid(Checks& to, const Artifact& artifact, const Maker& maker,
                                             const Known& given) {
  std::vector<Certificate> pool = artifact.along;
  pool.insert(pool.end(), given.along.begin(), given.along.end());
  std::vector<Certificate> known = given.along;
  known.insert(known.end(), maker.idevids.begin(), maker.idevids.end());
  // Not all are tried: those of this device first.
  std::stable_partition(known.begin(), known.end(),
                        [&](const Certificate& c) { return serial_of(c) == artifact.voucher.serial_number; });
  const std::vector<Certificate> signers = signers_of(artifact, known);
  const bool there = !signers.empty() || at_hand(artifact, known);
  to.add(kPledgeSignature, Fault::unauthentic, "the device's request: an IDevID signed it",
         !there                    ? given.without
         : holds(!signers.empty()) ? Outcome::passed
                                   : Outcome::failed,
         there ? "" : "the IDevID is not at hand, and nothing in the request is proven");
  std::optional<CertificateChain> out;
  std::size_t left = kMostSignatures;
  for (std::size_t i = 0; i < std::min(signers.size(), kMaxSigners) && !maker.anchors.empty() && !out; ++i) {
    const auto path = way_up(signers[i], {pool, maker.anchors, maker.now, left});
    out = path ? std::optional(*path) : std::nullopt;
  }
  const Outcome open = there ? Outcome::unknown : given.without;
  to.add(kPledgeSigner, Fault::unauthentic, "the device's request: the IDevID is of the maker",
         signers.empty()          ? open
         : maker.anchors.empty()  ? Outcome::unknown
         : holds(out.has_value()) ? Outcome::passed
                                  : Outcome::failed,
         signers.empty() ? std::string() : signers.front().subject.text);
  const std::string serial = signers.empty() ? std::string() : serial_of(out ? out->leaf : signers.front());
  const bool same = artifact.voucher.serial_number == serial && !serial.empty();
  to.add(kPledgeSerial, Fault::unauthentic, "the device's request: the serial number is that of the IDevID",
         signers.empty() ? open
         : holds(same)   ? Outcome::passed
                         : Outcome::failed,
         "request: " + artifact.voucher.serial_number.value_or("none") + "; IDevID: " + serial);
  return out;
}

std::vector<Check> examine_pledge(const Artifact& artifact, const Maker& maker, const std::vector<Certificate>& along) {
  Checks to;
  const Voucher& request = artifact.voucher;
  to.add(kRequestKind, Fault::unexpected, "it is a voucher request", holds(request.kind == Voucher::Kind::request));
  check_idevid(to, artifact, maker, {along, Outcome::unknown});
  to.add(kPledgeNonce, Fault::malformed, "it has a nonce", holds(request.nonce.has_value()));
  const bool saw = (request.assertion == Assertion::proximity && seen_by(request)) ||
                   (request.assertion == Assertion::agent_proximity && shown_by_agent(request));
  to.add(kPledgeProximity, Fault::malformed, "it says which registrar the device saw", holds(saw),
         request.assertion ? std::string(name(*request.assertion)) : "no assertion");
  return std::move(to).list();
}

// The key usage of the whole certificate counts: an empty list would allow anything, and names no registrar.
bool is_registrar(const Certificate& certificate) {
  return std::ranges::find(certificate.extended, eku::kCmcRa) != certificate.extended.end();
}

// One key may have several certificates: the first registrar with a way up of those that signed. Else the first
// registrar, and why it has none. Others are no registrar's whatever is above them: nobody climbs for them.
std::pair<Certificate, Result<Way>> asker_of(const std::vector<Certificate>& registrars, const Artifact& artifact,
                                             const Maker& maker) {
  std::size_t left = kMostSignatures;
  std::pair<Certificate, Result<Way>> out{registrars.front(), way_of(registrars.front(), artifact, maker, left)};
  for (std::size_t i = 1; i < std::min(registrars.size(), kMaxSigners) && !out.second; ++i) {
    auto way = way_of(registrars[i], artifact, maker, left);
    if (way) {
      out = {registrars[i], std::move(way)};
    }
  }
  return out;
}

// RFC 8995 section 5.5.3: each certificate below the last one, by the lists at hand.
void check_status(Checks& to, const CertificateChain& whole, const Maker& maker) {
  constexpr std::string_view kWhat = "the registrar's certificates are not revoked";
  std::vector<Certificate> line{whole.leaf};
  line.insert(line.end(), whole.via.begin(), whole.via.end());
  line.push_back(whole.anchor);
  const bool alone = whole.leaf == whole.anchor;
  const Outcome own = revocation_of(whole.leaf, alone ? nullptr : &line[1], maker.lists, maker.now);
  bool revoked = own == Outcome::failed;
  for (std::size_t i = 1; i + 1 < line.size() && !alone; ++i) {
    revoked = revoked || revocation_of(line[i], &line[i + 1], maker.lists, maker.now) == Outcome::failed;
  }
  const bool open = own == Outcome::unknown, told = names_status(whole.leaf);
  to.add(kRegistrarRevoked, Fault::refused, kWhat,
         !holds(!revoked)                        ? Outcome::failed
         : open && !(told && maker.needs_status) ? Outcome::skipped
                                                 : own,
         !open  ? ""
         : told ? "no list that is good now was given, though the certificate says where its status is"
                : "no list was given, and the certificate does not say where its status is");
}

// Who signed the registrar's request, with the way up to what may be pinned.
void check_asker(Checks& to, const Artifact& artifact, const Maker& maker, RequestFacts& out) {
  const std::vector<Certificate> signers = signers_of(artifact);
  const bool is_signed = to.add(kRegistrarSignature, Fault::unauthentic, "a certificate that came along signed it",
                                holds(!signers.empty()), signers.empty() ? "" : signers.front().subject.text);
  std::vector<Certificate> registrars;
  std::ranges::copy_if(signers, std::back_inserter(registrars), is_registrar);
  const bool has_role = to.add(kRegistrarRole, Fault::refused, "who signed is a registrar (id-kp-cmcRA)",
                               !is_signed                   ? Outcome::unknown
                               : holds(!registrars.empty()) ? Outcome::passed
                                                            : Outcome::failed,
                               signers.empty() ? "" : signers.front().subject.text);
  if (!has_role || registrars.empty()) {
    to.add(kRegistrarChain, Fault::unauthentic, "the registrar's certificates lead to one another", Outcome::unknown);
    return;
  }
  const auto [signer, way] = asker_of(registrars, artifact, maker);
  const Fault fault = way ? Fault::unauthentic : way.error().fault;
  to.add(kRegistrarChain, fault == Fault::limit ? Fault::refused : fault,  // it is not to come again with the same
         "the registrar's certificates lead to one another", static_cast<bool>(way),
         way ? "up to " + way->sent.anchor.subject.text : std::string(way.error().what));
  if (way) {
    out.registrar = way->sent;
    out.account = maker.registrars.empty() ? std::nullopt : std::optional(way->whole.anchor);
    check_status(to, way->whole, maker);
  }
}

// `trusted`: an IDevID of the maker signed it, and the answer will be for this very moment.
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

// RFC 8995 section 5.5.6 wants the same nonce of a request that has one. Section 5.5 lets the registrar leave it out,
// for a voucher that outlives the moment; that the device's own request comes along all the same does no harm (section
// 3.1 has none there), but makes no proximity.
void check_nonces(Checks& to, const Voucher& request, const Voucher& prior) {
  to.add(kRegistrarNonce, Fault::refused, "both requests have the same nonce",
         !request.nonce                        ? Outcome::skipped
         : holds(prior.nonce == request.nonce) ? Outcome::passed
                                               : Outcome::failed,
         request.nonce ? "" : "a voucher without a nonce is wanted: it asserts no proximity");
}

void check_prior(Checks& to, const Artifact& artifact, const Maker& maker, RequestFacts& out) {
  const Voucher& request = artifact.voucher;
  const bool there = request.prior_signed_voucher_request.has_value();
  to.add(kRegistrarNoPrior, Fault::refused, "the device's own request is in it",
         there                       ? Outcome::passed
         : holds(!maker.needs_prior) ? Outcome::skipped
                                     : Outcome::failed,
         there ? "" : "it is not: nothing shows that the device is there");
  if (!there) {
    return;
  }
  const auto prior = parse_artifact(*request.prior_signed_voucher_request);
  const bool readable = prior && prior->voucher.kind == Voucher::Kind::request;
  to.add(kRegistrarPrior, Fault::malformed, "the device's request in it can be read", readable,
         prior ? std::string(name(prior->voucher.kind)) : std::string(prior.error().what));
  if (!readable) {
    return;
  }
  // Section 5.5.5: the MASA MAY look at it. One that cannot be proven counts like none.
  out.device =
      check_idevid(to, *prior, maker, {artifact.along, maker.needs_prior ? Outcome::unknown : Outcome::skipped});
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
  check_nonces(to, request, prior->voucher);
  check_proximity(to, prior->voucher, out.device && request.nonce, out);
}

std::vector<Check> examine_registrar(const Artifact& artifact, const Maker& maker, RequestFacts& out) {
  Checks to;
  const Voucher& request = artifact.voucher;
  to.add(kRequestKind, Fault::unexpected, "it is a voucher request", holds(request.kind == Voucher::Kind::request));
  check_asker(to, artifact, maker, out);
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
