#include "app/api_access.h"

#include <algorithm>

#include "app/ca_folder.h"

namespace imprint::app {

Result<std::shared_ptr<const Administrators>> administrators_of(const Config& config, const DataFolder& folder) {
  std::vector<Certificate> of_devices = folder.makers;
  std::ranges::copy(folder.ca.chain(), std::back_inserter(of_devices));
  std::ranges::copy(former_cas(folder.path), std::back_inserter(of_devices));
  TRY(Administrators out, Administrators::load(config, of_devices));
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
