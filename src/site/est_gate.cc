#include "site/est_gate.h"

#include <algorithm>

#include "site/pledge_rules.h"

namespace imprint::site {

Status may_enrol(const Policy& policy, store::Reader& store, const Session& session) {
  if (!policy.needs_voucher || !session.proven) {
    return Ok{};
  }
  const CertificateChain& chain = **session.proven;
  const bool ours = std::ranges::find(policy.owner_anchors, chain.anchor) != policy.owner_anchors.end();
  std::vector<Certificate> above = chain.via;
  above.push_back(chain.anchor);
  if (ours || !policy.needs_voucher(chain.leaf, above)) {
    return Ok{};
  }
  TRY(const std::optional<PledgeRow> row, store.pledge_by_key(sha256(chain.leaf.key.spki)));
  CHECK_OR(row && row->cleared, Error{Fault::refused, kEstEarly});
  return Ok{};
}

}  // namespace imprint::site
