// The registrar's part of a site (RFC 8995): its certificate, its policy, and which MASA speaks for whom.
#pragma once

#include "app/data_folder.h"

namespace imprint::app {

// Null if the configuration has no registrar. `policy` learns which devices need a voucher before they may enrol.
std::shared_ptr<const RegistrarSite> make_registrar(const Config& config, const DataFolder& folder,
                                                    site::Policy& policy);

// The key of a Credential towards a MASA: ours, or the one in a file or token as it was when the makers were read.
// Reads nothing. The error is that of reading it.
Result<PrivateKey> masa_key(const EstSite& site, const std::string& key_id);

}  // namespace imprint::app
