// A maker's MASA as a folder of its own, apart from any owner's data:
//   masa.json    what it is and how it decides
//   masa.db      devices, customers, vouchers, audit log
//   pepper       of the customers' passwords
//   signer.pem   key and chain of who signs vouchers, up to the maker's root; one file, so that a rollover is one
//   rename tls.pem      key and chain of its TLS server anchors.pem  roots of the maker's IDevIDs
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/command.h"
#include "runtime/masa_server.h"

namespace imprint::app {

inline constexpr std::string_view kMasaFolder = "masa-data";

// What masa.json holds.
struct MasaSettings {
  std::string name;       // of the maker
  std::string authority;  // "masa.example:9443": where registrars find it
  bool first_claim = true, proximity_only = true, pin_registrar = false;
  std::int64_t nonceless_days = 90, catalogue_days = 30;
  bool basic = true, digest = false;  // how customers with a password may log in
  bool needs_status = false;  // a registrar whose certificate says where revocation is looked up needs a list in lists/
  bool base64_bodies = false;  // bodies of requests may be in base64, whosever they are
};

// A key with its certificates, own one first.
struct KeyedChain {
  PrivateKey key;
  std::vector<Certificate> chain;
};

struct MasaFolder {
  std::string path;
  MasaSettings settings;
  KeyedChain signer, tls;
  std::vector<Certificate> anchors;
  Secret pepper;
  std::unique_ptr<store::MakerStore> store;
};

// Reads the folder and opens its database. MASA-NO-FOLDER if it is none.
OrProblem<MasaFolder> open_masa(const std::string& path);

// Makes the folder, with keys of its own below the CA of `maker`: a folder with key.pem and root.pem, as
// `imprint factory make` leaves it. `names`: of the TLS certificate. MASA-FOLDER if there is one already.
OrProblem<Ok> make_masa(const std::string& path, const std::string& maker, const MasaSettings& settings,
                        const std::vector<std::string>& names, Instant now, Rng& rng);

// A new key for vouchers, or for TLS, below the same root. Devices hold the root, so nothing else changes.
enum class MasaKey : std::uint8_t { signer, tls };
OrProblem<Certificate> roll_over_masa(const std::string& path, const std::string& maker, MasaKey which,
                                      const std::vector<std::string>& names, Instant now, Rng& rng);

// The catalogue that registrars take (site/masa_catalogue.h): which CAs' devices this MASA serves, and whom to trust.
OrProblem<std::string> masa_catalogue(const MasaFolder& folder, Instant now);

// What the server needs of it.
OrProblem<std::shared_ptr<const MasaSite>> masa_site(const MasaFolder& folder, Instant now);
// What its listener presents. Whose certificate comes is not asked of TLS: every domain has a CA of its own, and the
// account says who it is.
Result<std::shared_ptr<io::TlsContext>> masa_tls(const MasaFolder& folder);

}  // namespace imprint::app
