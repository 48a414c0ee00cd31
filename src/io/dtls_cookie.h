// The cookies by which a server learns that a client can be reached at its address (RFC 6347 section 4.2.1).
#pragma once

#include <optional>

#include "base/instant.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "io/datagram_path.h"

namespace imprint::io {

// An HMAC over address and port, and the header of a proxy between: nothing is kept for each. Its secret changes once a
// minute, and the one before still counts, so that a cookie is good for one to two minutes. Engines share it.
class Cookies {
 public:
  Cookies();

  Bytes make(const DatagramPath& for_whom, Instant now);
  bool good(const DatagramPath& from, BytesView cookie, Instant now);

 private:
  void change(Instant now);

  Secret secret_, last_secret_;
  std::optional<Instant> since_;  // of secret_
};

}  // namespace imprint::io
