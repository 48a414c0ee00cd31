#include "site/est_gate.h"

#include <algorithm>

#include "site/pledge_rules.h"

namespace imprint::site {
namespace {

// Whether it has told that it took its voucher, and no voucher was asked for since.
bool took_voucher(const PledgeRow& row) {
  return row.stage == PledgeStage::imprinted || row.stage == PledgeStage::enrolled;
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
  if (!id) {
    return Ok{};
  }
  // The same key may be in another maker's IDevID: what is on record of that one opens nothing here.
  TRY(const std::optional<PledgeRow> row, store.pledge(id->issuer, id->serial));
  const bool known = row && holds(row->id.key == id->key);
  CHECK_OR(known && (row->cleared || took_voucher(*row)), Error{Fault::refused, kEstEarly});
  CHECK_OR(row->cleared, Error{Fault::refused, kEstHeld});
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
