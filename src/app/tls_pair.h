// The TLS server's key and certificate, in tls/ of the data folder.
#pragma once

#include <optional>

#include "app/config.h"
#include "base/rng.h"
#include "site/ca.h"
#include "store/store.h"

namespace imprint::app {

struct TlsPair {
  PrivateKey key;
  std::vector<Certificate> chain;  // own certificate first
  bool given = false;              // another CA signed it: the administrator put it there
};

// Reads the pair. One that is given is served as it is. One that our own CA signed is on record afterwards, and a
// fresh one replaces it when it is revoked, has less than a third of its time left or lacks one of the configured
// names; a fresh one is made, too, if there is none. A certificate is on record before it is in the folder, so a power
// cut leaves at worst a record that nothing uses.
// DATA-TLS, and nothing is written, if a key is there that cannot be read or has no certificate that fits.
Result<TlsPair> open_tls_pair(const Config& config, const site::Ca& ca, store::Store& store, Instant now, Rng& rng);

// The pair in tls/ if another CA signed it, and nothing if it is our own or none. Writes nothing. DATA-TLS.
Result<std::optional<TlsPair>> given_tls_pair(const Config& config, const site::Ca& ca, store::Store& store);

}  // namespace imprint::app
