// Keys and certificates in PEM files of the data folder.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "crypto/keys.h"
#include "crypto/x509.h"

namespace imprint::app {

// Fault::unreachable if the file cannot be read, Fault::malformed if it holds something else.
Result<PrivateKey> read_key_file(const std::string& path);
Result<std::vector<Certificate>> read_certificate_file(const std::string& path);

std::string pem_of(const std::vector<Certificate>& certificates);

}  // namespace imprint::app
