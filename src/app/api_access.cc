#include "app/api_access.h"

#include <algorithm>

#include "app/ca_former.h"

namespace imprint::app {

std::vector<Certificate> cas_of_devices(const DataFolder& folder) {
  std::vector<Certificate> out = folder.makers;
  std::ranges::copy(folder.ca.chain(), std::back_inserter(out));
  for (const std::vector<Certificate>& chain : former_chains(folder.path)) {
    std::ranges::copy(chain, std::back_inserter(out));
  }
  if (folder.upstream) {
    std::ranges::copy(folder.upstream->ca, std::back_inserter(out));
    std::ranges::copy(folder.upstream->site.trust.anchors, std::back_inserter(out));
  }
  return out;
}

Result<std::shared_ptr<const Administrators>> administrators_of(const Config& config, const DataFolder& folder) {
  TRY(Administrators out, Administrators::load(config, cas_of_devices(folder)));
  return std::make_shared<const Administrators>(std::move(out));
}

Result<std::shared_ptr<io::TlsContext>> api_context(const Config& config, const DataFolder& folder) {
  io::TlsServerOptions tls;
  tls.chain = folder.tls_chain;
  tls.key = folder.tls_key;
  tls.verify_client_certificate = false;
  tls.allow_tls12 = config.tls12;
  return io::TlsContext::server(tls);
}

}  // namespace imprint::app
