// The data folder: database, the owner CA's and the TLS server's keys, the pepper, the admin token, the makers' roots,
// the profiles with several credentials.
//   imprint.db  ca/key.pem ca/chain.pem  tls/key.pem tls/chain.pem  pepper  admin.token  makers/*.pem  profiles/*.toml
//   endpoints.json
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "app/device_profile.h"
#include "app/makers.h"
#include "app/upstream_parts.h"
#include "base/rng.h"
#include "runtime/est_server.h"
#include "site/ca.h"
#include "store/store.h"

namespace imprint::app {

// What is read from, or made in, the folder. All private files are 0600, the folder 0700.
struct DataFolder {
  std::string path;
  site::Ca ca;
  std::vector<site::Ca> former;        // those of before that go on to sign the status of what they have signed
  std::vector<Certificate> tls_chain;  // own certificate first
  PrivateKey tls_key;
  bool tls_given = false;  // another CA than ours signed it: the administrator put the pair there
  Secret pepper;
  Secret admin_token;                   // 256 bits, base64url
  std::vector<Certificate> makers;      // roots of the makers whose IDevIDs are taken
  std::shared_ptr<const Makers> masas;  // which MASA speaks for whom; null until a server reads it
  Sha256 masas_digest{};                // of all that was read for it
  std::vector<DeviceProfile> profiles;  // in order of their names; no label of theirs is another's
  // Files of makers and profiles that could not be taken, and why: their devices get nothing until the file is mended.
  struct Unread {
    std::string file;
    std::string why;
  };
  std::vector<Unread> unread;
  std::optional<UpstreamParts> upstream;  // of a gateway
};

// For the start of a program. Makes a new folder: CA, pepper, database, admin token, TLS certificate. In one that was
// made before, nothing is made again but an admin token that was removed and a TLS certificate (see tls_pair.h):
// DATA-PART if the CA's key or chain, the pepper or the database is missing or damaged, DATA-TLS.
Result<DataFolder> open_data_folder(const Config& config, Instant now, Rng& rng);
// While the program runs: reads the folder. The TLS certificate alone is made anew, see tls_pair.h. `store` is the
// folder's. CLI-NO-DATA, DATA-PART, DATA-TLS.
Result<DataFolder> refresh_data_folder(const Config& config, store::Store& store, Instant now, Rng& rng);
// Reads it, but for the TLS certificate: for commands beside a server. CLI-NO-DATA, DATA-PART.
Result<DataFolder> read_data_folder(const Config& config);
Result<std::unique_ptr<store::Store>> open_store(const Config& config);

// Adds a maker's root to the folder (idempotent).
Status add_maker(const std::string& data, const Certificate& root);
// Why a profile cannot stand beside the labels of the configuration and these profiles; empty if it can.
std::string in_the_way(const Config& config, const std::vector<DeviceProfile>& taken, const DeviceProfile& profile);
// Where a profile of this name lies.
std::string profile_file(const std::string& data, std::string_view name);

// The site as the EST server wants it, with fresh revocation lists whose number is above that of every one before;
// see revocation_lists.h.
// `lasting` are those of the site that it replaces.
struct Lasting {
  std::shared_ptr<site::Signer> gateway;    // of a gateway: who signs in the place of the CA
  std::shared_ptr<site::NonceBook> nonces;  // without them HTTP Digest does not count
  std::shared_ptr<KeyThread> keys;          // null: every key is made on the loop that is asked for it
  std::shared_ptr<const EstSite> before;    // the one that it replaces; null: none
};
Result<std::shared_ptr<const EstSite>> make_site(const Config& config, const DataFolder& folder, store::Store& store,
                                                 Instant now, const Lasting& lasting = {});

}  // namespace imprint::app
