// Who administers the site by client certificate: who holds one below the administrators' CAs, or one whose fingerprint
// is in the configuration.
#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "crypto/revocation_list.h"
#include "crypto/x509.h"

namespace imprint::app {

class Administrators {
 public:
  // Reads the files of the configuration; an entry for each that cannot be used is in the log. `devices`: CAs below
  // which devices have their certificates, which must not be those of administrators. SERVE-ADMINISTRATORS.
  static Result<Administrators> load(const Config& config, const std::vector<Certificate>& devices);
  // The same, with other CAs of devices: what is among them is no CA of administrators any more.
  Administrators beside(const std::vector<Certificate>& devices) const;

  bool any() const { return !cas_.empty() || !pins_.empty(); }

  // What the audit log calls the holder of this chain (own certificate first): "admin CN=Alice sha256:…". A path by way
  // of a CA of devices counts for nothing, whatever root it comes to. Rules: API-CERTIFICATE, API-CERTIFICATE-TIME,
  // API-CERTIFICATE-REVOKED, API-CERTIFICATE-STATUS.
  Result<std::string> name_of(const std::vector<Certificate>& presented, Instant now) const;

  bool operator==(const Administrators&) const = default;

 private:
  bool is_of_devices(const Certificate& ca) const;
  bool leads_past_devices(const CertificateChain& chain) const;
  const RevocationList* list_of(const Certificate& ca) const;
  Status check_revoked(const CertificateChain& chain, Instant now) const;

  std::vector<Certificate> cas_;
  std::vector<Sha256> pins_;
  std::vector<RevocationList> lists_;
  std::vector<Bytes> devices_;  // the keys of their CAs, sorted
};

}  // namespace imprint::app
