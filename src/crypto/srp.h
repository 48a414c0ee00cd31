// The Secure Remote Password protocol (RFC 2945, RFC 5054): what a server keeps of a password in place of it. The
// protocol itself is OpenSSL's, inside TLS.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace imprint {

// Salt and verifier of a password (RFC 5054 section 2.4), in the group of 2048 bits of its appendix A, big endian. Who
// has the verifier can play the server, and can guess at the password without asking anybody.
struct SrpVerifier {
  Bytes salt;  // 1 to 255 bytes
  Secret verifier;
};

inline constexpr std::size_t kSrpBits = 2048;

// With a random salt of 20 bytes. Fault::malformed if a byte 0 is in the user name or the password, or the name is
// empty or longer than 255 bytes; Fault::internal if OpenSSL fails.
Result<SrpVerifier> srp_verifier(const std::string& user, const Secret& password);

namespace srp_detail {
// For known answers: in the group of so many bits, with this salt.
Result<SrpVerifier> verifier_of(const std::string& user, const Secret& password, std::size_t bits, const Bytes& salt);
}  // namespace srp_detail

// What a server finds under a user name: the verifier, and the name of its record.
struct SrpSecret {
  SrpVerifier verifier;
  Bytes record;
};
// Called during a handshake. A name of nobody gets a secret, too, which nobody can prove: an error means that the
// server cannot look now, and the handshake ends with internal_error.
using FindSrpSecret = std::function<Result<SrpSecret>(const std::string& user)>;

}  // namespace imprint
