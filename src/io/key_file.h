// Private keys by file name or URI (crypto/key_uri.h).
#pragma once

#include <string>

#include "base/result.h"
#include "crypto/key_uri.h"

namespace imprint::io {

// Reads a PEM file, or opens the key in its token. The PIN comes from the file that the URI's pin-source names, else
// from the environment's IMPRINT_KEY_PIN, else there is none. Faults: those of the file (unreachable, limit, malformed)
// and those of open_key().
Result<PrivateKey> load_key(const std::string& where);
// known_key(): a token's key that is opened by its first signature. A PIN that cannot be read is none.
Result<PrivateKey> known_key(const std::string& uri, const PublicKey& key);

}  // namespace imprint::io
