#include "store/issue_checks.h"

namespace imprint::store {
namespace {

Status check_sole(Reader& store, const Issued& fact, const Certificate& certificate, Instant at) {
  TRY(const auto answered, store.certificate_for(fact.request_key));
  CHECK_OR(
      !answered || answered->serial == fact.renews || answered->serial == fact.supersedes || !is_fresh(*answered, at),
      Error{Fault::conflict, "certificate: the same request was answered meanwhile"});
  TRY(const auto holder, store.other_holder(sha256(certificate.key.spki), fact.grant.device));
  CHECK_OR(!holder, Error{Fault::conflict, "certificate: another device holds this key"});
  return Ok{};
}

// The policy has looked, and so may have another thread for another of the device's requests.
Status check_own_key(Reader& store, const Issued& fact, const Certificate& certificate, Instant at) {
  CertificateFilter live;
  live.device = fact.grant.device;
  live.state = CertificateState::good;
  live.now = at;
  TRY(const std::vector<CertificateRow> rows, store.certificates(live));
  for (const CertificateRow& row : rows) {
    TRY(const Certificate other, Certificate::parse(row.der));
    CHECK_OR(row.profile == fact.grant.profile || other.key.spki != certificate.key.spki,
             Error{Fault::conflict, "certificate: another credential of the device has this key"});
  }
  return Ok{};
}

Status check_wanted(Reader& store, const Issued& fact) {
  const Error changed{Fault::conflict, "certificate: the owner has decided otherwise meanwhile"};
  if (!fact.renews.empty()) {
    TRY(const std::optional<CertificateRow> former, store.certificate(fact.renews));
    CHECK_OR(former.has_value() && !former->revoked, changed);
  }
  if (fact.newcomer) {
    return Ok{};
  }
  TRY(const std::optional<Device> device, store.device(fact.grant.device));
  CHECK_OR(device.has_value(), Error{Fault::refused, "device: not in the inventory"});
  if (device->admission == Admission::approved) {
    return Ok{};
  }
  TRY(const std::optional<PendingRow> asked, store.pending(fact.request_key));
  CHECK_OR(device->admission == Admission::waiting && asked && asked->state == Admission::approved, changed);
  return Ok{};
}

}  // namespace

Status check_issue(Reader& store, const Issued& fact, const Certificate& certificate, Instant at) {
  TRY([[maybe_unused]] const Ok sole, check_sole(store, fact, certificate, at));
  if (fact.grant.sole) {
    TRY([[maybe_unused]] const Ok own, check_own_key(store, fact, certificate, at));
  }
  return check_wanted(store, fact);
}

bool is_renewal(const Issued& fact) { return !fact.renews.empty() && fact.renews != fact.supersedes; }

Lifecycle after_certificate(Lifecycle now, bool renewal) {
  switch (now) {
    case Lifecycle::manufactured:
    case Lifecycle::installed:
    case Lifecycle::re_owned:
    case Lifecycle::commissioned:
      return renewal ? Lifecycle::operational : Lifecycle::commissioned;
    case Lifecycle::operational:
    case Lifecycle::maintenance:
    case Lifecycle::decommissioned:
    case Lifecycle::replaced:
      return now;
  }
  return now;
}

}  // namespace imprint::store
