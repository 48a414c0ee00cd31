#include "app/api_access.h"

#include <algorithm>
#include <filesystem>

#include "app/pem_file.h"

namespace imprint::app {
namespace {

// With those above them. What cannot be read is left out.
std::vector<Certificate> former_chains(const std::string& data) {
  std::vector<Certificate> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(data + "/ca/former", ignored)) {
    const std::string file = entry.path().string();
    const auto chain = file.ends_with("-key.pem") ? std::vector<Certificate>() : read_certificate_file(file);
    if (chain) {
      out.insert(out.end(), chain->begin(), chain->end());
    }
  }
  return out;
}

}  // namespace

std::vector<Certificate> cas_of_devices(const DataFolder& folder) {
  std::vector<Certificate> out = folder.makers;
  std::ranges::copy(folder.ca.chain(), std::back_inserter(out));
  std::ranges::copy(former_chains(folder.path), std::back_inserter(out));
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
