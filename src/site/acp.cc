#include "site/acp.h"

#include <algorithm>

#include "base/reader.h"
#include "site/pledges.h"

namespace imprint::site {
namespace {

// What a device is called by its maker: the CA of its IDevID by that one's key identifier, and its serial number. And
// its key: two devices of one name must not get one address (RFC 8994 section 6.11.7.2).
Bytes node_of(const PledgeId& id) {
  Writer w;
  w.u64(id.issuer.size());
  w.bytes(id.issuer);
  w.u64(id.serial.size());
  w.bytes(view(id.serial));
  w.bytes(id.key);
  return w.out();
}

}  // namespace

std::optional<GeneralName> acp_name_for(const AcpDomain& domain, const MasaBook& book,
                                        const std::vector<Certificate>& owner_anchors, const Session& session,
                                        Instant now) {
  if (!session.proven) {
    return std::nullopt;
  }
  const CertificateChain& chain = **session.proven;
  if (std::ranges::find(owner_anchors, chain.anchor) != owner_anchors.end()) {
    const auto own = std::ranges::find_if(chain.leaf.alt_names, is_acp_name);
    return own == chain.leaf.alt_names.end() ? std::nullopt : std::optional(*own);
  }
  std::vector<Certificate> above = chain.via;
  above.push_back(chain.anchor);
  const auto answer = book.look_up(chain.leaf, above, now);
  if (!answer) {
    return std::nullopt;
  }
  const PledgeId id = pledge_id(chain.leaf, answer->contact.quirks);
  return acp_general_name({hex(acp_address(domain, node_of(id))), domain, {}});
}

}  // namespace imprint::site
