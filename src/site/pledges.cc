#include "site/pledges.h"

#include <algorithm>

#include "proto/brski/registrar_judge.h"
#include "site/applicant.h"
#include "site/masa_book.h"
#include "site/newcomer.h"
#include "site/pledge_rules.h"
#include "site/rules.h"

namespace imprint::site {
namespace {

using Decision = brski::AdmitPledge::Decision;
using Verdict = Decision::Verdict;

bool is_ours(const Policy& policy, const Certificate& anchor) {
  return std::ranges::find(policy.owner_anchors, anchor) != policy.owner_anchors.end();
}

void refuse(Decision& d, const Rule& rule, std::string reason) {
  d.verdict = Verdict::refused;
  d.rule = &rule;
  d.reason = std::move(reason);
}

void wait_for_person(const Policy& policy, Decision& d, std::string reason) {
  d.verdict = Verdict::pending;
  d.rule = &kWaiting;
  d.retry_after = policy.retry_after;
  d.reason = std::move(reason);
}

// A device with a maker's certificate that the inventory does not know. Named as admit() names it.
void take_unknown(const Policy& policy, const Certificate& leaf, Decision& d) {
  if (policy.unknown == Unknown::refuse) {
    refuse(d, kUnknown, "not in the inventory; policy: pre-registered only");
    return;
  }
  const std::string identity = identity_of(leaf);
  Device device;
  device.serial = d.id.serial;
  device.id = newcomer_id(device.serial, identity);
  device.admission = policy.unknown == Unknown::admit ? Admission::approved : Admission::waiting;
  device.identities = {identity};
  d.device = device.id;
  if (device.admission == Admission::approved) {
    d.verdict = Verdict::wanted;
    d.reason = "the policy takes in whom it does not know";
  } else {
    wait_for_person(policy, d, "device " + device.id + " waits for approval");
  }
  d.newcomer = std::move(device);
}

void decide(const Policy& policy, const Device& device, Decision& d) {
  d.device = device.id;
  switch (device.admission) {
    case Admission::approved:
      d.verdict = Verdict::wanted;
      d.reason = "device " + device.id + " is in the inventory";
      return;
    case Admission::waiting:
      wait_for_person(policy, d, "device " + device.id + " waits for approval");
      return;
    case Admission::refused:
      refuse(d, kUnwanted, "device " + device.id + " is refused");
      return;
    case Admission::retired:
      refuse(d, kRetired, "device " + device.id + " is retired");
      return;
  }
}

}  // namespace

PledgeId pledge_id(const Certificate& idevid, const brski::Quirks& quirks) {
  return {brski::serial_of(idevid, quirks.serial), brski::issuer_key_id(idevid), to_bytes(sha256(idevid.key.spki))};
}

PledgeId pledge_id(const Certificate& idevid, const std::vector<Certificate>& chain, const brski::Quirks& quirks) {
  PledgeId out = pledge_id(idevid, quirks);
  const Certificate& issuer = chain.empty() ? idevid : chain.front();
  // Made of a key (RFC 5280 section 4.2.1.2): nobody has another key to it. Other identifiers are only words.
  const bool is_its_own = out.issuer == key_identifier(issuer.key) || out.issuer == key_identifier(idevid.key);
  if (!is_its_own) {
    Bytes named = issuer.subject.der;  // DER carries its own length: the parts cannot run into each other
    named.insert(named.end(), issuer.key.spki.begin(), issuer.key.spki.end());
    out.issuer = to_bytes(sha256(named));
  }
  return out;
}

Result<std::optional<PledgeRow>> pledge_on_record(store::Reader& store, const PledgeId& id, const Certificate& idevid,
                                                  std::string_view device) {
  TRY(std::optional<PledgeRow> row, store.pledge(id.issuer, id.serial));
  const Bytes said = brski::issuer_key_id(idevid);
  if (row || said == id.issuer) {
    return row;
  }
  TRY(row, store.pledge(said, id.serial));
  const bool awaited = row && row->id.key.empty() && !device.empty() && row->device == device;
  return row && holds(row->id.key == id.key || awaited) ? row : std::nullopt;
}

std::vector<PledgeId> pledge_names(const Certificate& idevid) {
  using brski::SerialSource;
  std::vector<PledgeId> out;
  for (const auto source : {SerialSource::subject, SerialSource::hardware_module_name, SerialSource::common_name}) {
    brski::Quirks quirks;
    quirks.serial = source;
    out.push_back(pledge_id(idevid, quirks));
  }
  return out;
}

Result<std::optional<PledgeId>> voucher_needed(const MasaBook& book, const Certificate& idevid,
                                               const std::vector<Certificate>& chain, Instant now) {
  const auto answer = book.look_up(idevid, chain, now);
  if (!answer) {
    CHECK_OR(answer.error().rule == &kMasaUnknown, answer.error());
    return std::optional<PledgeId>();
  }
  const brski::Quirks& quirks = answer->contact.quirks;
  return quirks.est_before_status ? std::nullopt : std::optional(pledge_id(idevid, chain, quirks));
}

Result<Decision> admit_pledge(const Policy& policy, store::Reader& store, const brski::AdmitPledge& question,
                              const FindMasa& find_masa) {
  Decision d;
  CHECK_OR(question.session && question.session->proven, Error{Fault::refused, kUnknown});
  const CertificateChain& chain = **question.session->proven;
  const std::vector<Certificate> over = above(chain);
  d.id = pledge_id(chain.leaf, over, {});
  if (!holds(!is_ours(policy, chain.anchor))) {
    refuse(d, kNotIdevid, "certificate " + chain.leaf.subject.text);
    return d;
  }
  TRY(const bool compromised, store.is_compromised(sha256(chain.leaf.key.spki)));
  if (!holds(!compromised)) {
    refuse(d, kCompromised, "key " + hex(sha256(chain.leaf.key.spki)) + " of the IDevID");
    return d;
  }
  auto masa = find_masa(chain.leaf, over);
  d.masa = masa ? *masa : brski::MasaContact{};
  d.id = pledge_id(chain.leaf, over, d.masa.quirks);
  TRY(const std::optional<Device> device, store.device_by_identity(identity_of(chain.leaf)));
  TRY(const std::optional<PledgeRow> row, pledge_on_record(store, d.id, chain.leaf, device ? device->id : ""));
  d.id.issuer = row ? row->id.issuer : d.id.issuer;
  if (device) {
    decide(policy, *device, d);
  } else {
    take_unknown(policy, chain.leaf, d);
  }
  if (d.verdict == Verdict::refused) {
    return d;
  }
  if (!masa) {
    const Rule* const why = masa.error().rule;
    refuse(d, why != nullptr ? *why : kMasaUnknown,
           std::string(masa.error().what) + "; IDevID of " + chain.leaf.issuer.text);
    return d;
  }
  if (row && !row->voucher.empty() && holds(row->id.key == d.id.key || row->id.key.empty())) {
    d.kept = row->voucher;
  }
  return d;
}

Result<brski::RecallPledge::Recalled> recall_pledge(const Policy& policy, store::Reader& store,
                                                    const brski::RecallPledge& question, const FindMasa& find_masa) {
  CHECK_OR(question.session && question.session->proven, Error{Fault::refused, kNotAsked});
  const CertificateChain& chain = **question.session->proven;
  brski::RecallPledge::Recalled out;
  if (!is_ours(policy, chain.anchor)) {
    const std::vector<Certificate> over = above(chain);
    auto masa = find_masa(chain.leaf, over);
    out.masa = masa ? *std::move(masa) : brski::MasaContact{};
    const PledgeId id = pledge_id(chain.leaf, over, out.masa.quirks);
    TRY(const std::optional<PledgeRow> row, pledge_on_record(store, id, chain.leaf, {}));
    CHECK_OR(row && row->id.key == id.key && row->vouchered, Error{Fault::refused, kNotAsked});
    out.row = *row;
    return out;
  }
  // RFC 8995 section 5.9.4: the device comes again with what it was given, which has to be on record as its own.
  TRY(const auto certificate, store.certificate(chain.leaf.serial));
  CHECK_OR(certificate && certificate->der == chain.leaf.der && !certificate->revoked,
           Error{Fault::refused, kNotAsked});
  // What an authority handed on is on record as its own, and another device holds the key.
  CHECK_OR(!certificate->profile.ends_with(kHandedOnMark) && !certificate->device.empty(),
           Error{Fault::refused, kNotAsked});
  store::PledgeFilter of_device;
  of_device.device = certificate->device;
  TRY(const std::vector<PledgeRow> rows, store.pledges(of_device));
  const auto latest = std::ranges::max_element(rows, {}, &PledgeRow::last);
  CHECK_OR(latest != rows.end() && latest->vouchered, Error{Fault::refused, kNotAsked});
  out.row = *latest;
  out.certificate = hex(chain.leaf.serial);
  return out;
}

}  // namespace imprint::site
