// The owner's certification authority: a key, its certificate, and what it signs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "crypto/issue.h"
#include "role/questions.h"

namespace imprint::site {

struct Ca {
  PrivateKey key;
  Certificate certificate;
  std::vector<Certificate> above;  // up to and including the root; empty for a root
  // Where its certificates say that their status is to be had; empty: they say nothing.
  std::string ocsp_uri = {}, crl_uri = {};

  // Every certificate that a device needs: the CA's own and those above (RFC 7030 section 4.1.3).
  std::vector<Certificate> chain() const;
  const Certificate& root() const { return above.empty() ? certificate : above.back(); }
};

// What certificates and lists of this CA name it by: its subject key identifier.
Bytes identifier_of(const Certificate& ca);

// What tells it from the owner's other CAs, also when its certificate is renewed: the first eight octets of SHA-256
// over subject and public key, in hexadecimal.
std::string issuer_id(const Certificate& ca);
// The URI with that in place of each "{issuer}".
std::string uri_of_issuer(std::string uri, const Certificate& ca);

// A self-signed root, good for `lifetime` from an hour before now.
Result<Ca> make_root(KeyType type, const Name& name, Instant now, Duration lifetime, Rng& rng);

// Signs what was granted: a random serial of 127 bits, valid from five minutes before now (clocks differ), never longer
// than the CA itself. Refused with Fault::expired if the CA's own time is over or has not begun, as for a
// clock that is wrong: nobody would take the certificate, and its token would be spent.
Result<Bytes> issue(const Ca& ca, const Grant& grant, Instant now, Rng& rng);

// Whoever signs in the owner's stead when the CA's key is not in this process: an HSM, another machine. Answers in its
// own time, from any thread, once; Fault::unreachable if it is gone, Fault::refused if it does not want to.
class Signer {
 public:
  Signer() = default;
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;
  virtual ~Signer() = default;
  virtual void issue(const Issue& question, Instant now, std::function<void(Result<Signed>)> done) = 0;
};

// A TLS server certificate for these names, with id-kp-cmcRA so that clients with an explicit anchor take it for the
// owner's registration authority (RFC 7030 section 3.6.1), and id-kp-clientAuth so that it can show it to a MASA (RFC
// 8995 section 5.4). It is nobody's device: no policy takes it for one. Whoever lets a server use it puts it on record
// before (store::Writer::issued_to_server), or it could never be revoked.
Result<Certificate> issue_server(const Ca& ca, const PublicKey& key, const std::vector<GeneralName>& names, Instant now,
                                 Duration lifetime, Rng& rng);

// A certificate for whoever signs the status of our certificates (RFC 6960 section 4.2.2.2): nobody asks for its own
// status, so it is good for a short time. Whoever uses it puts it on record before.
Result<Certificate> issue_ocsp_signer(const Ca& ca, const PublicKey& key, Instant now, Duration lifetime, Rng& rng);

// A signed revocation list over these (RFC 5280 section 5). With `distribution` it says that ca.crl_uri is where it is
// to be had; strict relying parties then hold it against those certificates only that name the same place.
struct ListTimes {
  std::uint64_t number = 0;
  Instant now;
  Duration lifetime;
};
Result<Bytes> sign_list(const Ca& ca, std::vector<Revoked> revoked, const ListTimes& times, bool distribution);

// A random serial number of 127 bits, positive, without a leading zero octet.
Bytes random_serial(Rng& rng);

}  // namespace imprint::site
