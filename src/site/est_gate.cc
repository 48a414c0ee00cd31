#include "site/est_gate.h"

#include <algorithm>
#include <set>

#include "site/masa_rules.h"
#include "site/pledge_rules.h"
#include "site/pledges.h"
#include "site/rules.h"
#include "store/pledges.h"

namespace imprint::site {
namespace {

// What is on record of a device whatever its maker's rules say today: under each name that its IDevID has, and of the
// device that the inventory knows by it.
Result<std::vector<PledgeRow>> rows_of(const Policy& policy, store::Reader& store, const Certificate& idevid,
                                       const std::vector<Certificate>& above) {
  std::vector<PledgeRow> out;
  TRY(const std::optional<Device> device, store.device_by_identity(identity_of(idevid)));
  if (device) {
    store::PledgeFilter of_device;
    of_device.device = device->id;
    TRY(out, store.pledges(of_device));
  }
  const Bytes proven = pledge_id(idevid, above, {}).issuer;
  const auto names = policy.pledge_names ? policy.pledge_names(idevid) : std::vector<PledgeId>{};
  for (const PledgeId& id : names) {
    for (const Bytes& issuer : std::set<Bytes>{id.issuer, proven}) {
      TRY(std::optional<PledgeRow> row, store.pledge(issuer, id.serial));
      if (row && row->id.key == id.key) {
        out.push_back(*std::move(row));
      }
    }
  }
  return out;
}

// Refused for something that is not looked at again on the way to a certificate: by its MASA, for its request, or it
// refused the voucher. What the owner thinks of it, and who speaks for its maker, may be otherwise by now.
bool stays_refused(const PledgeRow& row) {
  const auto looked_at_again = {&kUnknown,     &kUnwanted,  &kRetired,   &kCompromised, &kNotIdevid,
                                &kMasaUnknown, &kMasaEnded, &kMakerFile, &kMasaAnchors};
  return row.stage == PledgeStage::refused && !row.cleared &&
         std::ranges::none_of(looked_at_again, [&](const Rule* rule) { return row.rule == rule->id; });
}

// No rule asks a voucher of it. That opens nothing to one that was held or refused while a rule did.
Status may_go_without(const std::vector<PledgeRow>& rows) {
  CHECK_OR(std::ranges::none_of(rows, store::is_held), Error{Fault::refused, kEstHeld});
  CHECK_OR(std::ranges::none_of(rows, stays_refused), Error{Fault::refused, kEstEarly});
  return Ok{};
}

}  // namespace

Status may_enrol(const Policy& policy, store::Reader& store, const Session& session) {
  if (!policy.needs_voucher || !session.proven) {
    return Ok{};
  }
  const CertificateChain& chain = **session.proven;
  if (std::ranges::find(policy.owner_anchors, chain.anchor) != policy.owner_anchors.end()) {
    return Ok{};
  }
  std::vector<Certificate> above = chain.via;
  above.push_back(chain.anchor);
  TRY(const std::optional<PledgeId> id, policy.needs_voucher(chain.leaf, above));
  TRY(const std::vector<PledgeRow> rows, rows_of(policy, store, chain.leaf, above));
  if (!id) {
    return may_go_without(rows);
  }
  // The same key may be in another maker's IDevID: what is on record of that one opens nothing here.
  TRY(const std::optional<PledgeRow> row, pledge_on_record(store, *id, chain.leaf, {}));
  const bool known = row && holds(row->id.key == id->key);
  CHECK_OR(known && (row->cleared || store::took_voucher(*row)), Error{Fault::refused, kEstEarly});
  CHECK_OR(row->cleared, Error{Fault::refused, kEstHeld});
  CHECK_OR(store::hold_of(rows, row->id).empty(), Error{Fault::refused, kEstHeld});
  return Ok{};
}

Result<bool> is_past_gate(const Policy& policy, store::Reader& store, const Session& session, const Applicant& who,
                          Decision& d) {
  const Status gate = may_enrol(policy, store, session);
  if (gate) {
    return true;
  }
  d.rule = gate.error().rule;
  if (d.rule == nullptr) {
    return gate.error();
  }
  const bool comes_again = d.rule == &kEstHeld && holds(is_of_use(who));
  d.verdict = comes_again ? Verdict::pending : Verdict::refused;
  d.reason = (comes_again ? "device " + who.device->id + " took its voucher, and is held"
                          : "no voucher cleared for " + d.identity);
  if (comes_again) {
    d.grant.device = who.device->id;
    d.retry_after = policy.retry_after;
    d.noted = true;  // an entry each time would be one every half a minute
  }
  return false;
}

}  // namespace imprint::site
