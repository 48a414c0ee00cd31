// What a gateway needs of its EST server upstream: from the files that [upstream] names, and what is kept in upstream/
// of the data folder.
#pragma once

#include <optional>
#include <vector>

#include "app/config.h"
#include "app/device_profile.h"
#include "app/tls_pair.h"
#include "runtime/upstream.h"

namespace imprint::app {

struct UpstreamParts {
  UpstreamSite site;
  std::vector<Certificate> ca;  // what devices are given by cacerts; empty until it was fetched once
};

// Whether it is a gateway: requests are handed on.
bool is_gateway(const Config& config);
// Reads the files. UPSTREAM-FILE.
Result<UpstreamParts> read_upstream(const Config& config);
// What requests may ask for upstream, of all profiles.
WantedExtensions wanted_extensions(const Config& config, const std::vector<DeviceProfile>& profiles);
// Whether devices and the server upstream would see the same of both.
bool same_upstream(const std::optional<UpstreamParts>& a, const std::optional<UpstreamParts>& b);
// Whose certificates devices may come with: the CA's upstream, and the roots of before that have signed one of those,
// though upstream may show them no more. No other anchors: one may be there for upstream's TLS certificate alone.
std::vector<Certificate> cas_upstream(const UpstreamParts& upstream);
// Keeps the CA certificates that were fetched, so that a start needs nobody.
Status keep_upstream_ca(const Config& config, const std::vector<Certificate>& ca);
// What a gateway serves with: the pair in tls/ that another CA signed, else its certificate for the server upstream if
// that may be a TLS server's, with the links from the root upstream back to those of before. Devices trust the CA
// upstream, so a certificate of our own CA would be of no use. UPSTREAM-TLS, DATA-TLS.
Result<TlsPair> gateway_tls_pair(const Config& config, const UpstreamParts& upstream, const site::Ca& ca,
                                 store::Store& store);

}  // namespace imprint::app
