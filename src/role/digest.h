// HTTP Digest (RFC 7616) with SHA-256 and qop=auth, both sides of it: what is said, and what is computed of it. MD5,
// auth-int, -sess and userhash are not here (docs/decisions/0013).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/instant.h"
#include "role/session.h"

namespace imprint {

// The protection space of devices, of HTTP Basic as well. What is stored for HTTP Digest stands on it.
inline constexpr std::string_view kDeviceRealm = "imprint";
// How long a nonce may be used after it was made.
inline constexpr Duration kNonceLife = std::chrono::minutes(5);

// ---- what a server says and a client answers ----

struct DigestChallenge {
  std::string realm, nonce, opaque;
  bool stale = false;  // the nonce was the only thing wrong
  bool operator==(const DigestChallenge&) const = default;
};
// A field value of WWW-Authenticate.
std::string challenge_text(const DigestChallenge& challenge);
// The first challenge of these field values that can be answered: SHA-256 and qop "auth". Nothing if there is none.
std::optional<DigestChallenge> find_challenge(const std::vector<std::string>& authenticate);
// Whether Basic is offered as well.
bool offers_basic(const std::vector<std::string>& authenticate);

// What follows "Digest " in the field Authorization, with what it came with. Nothing if it is not whole, or of another
// algorithm or qop.
std::optional<Login> parse_digest(std::string_view parameters, std::string_view method, std::string_view target);
// A field value of Authorization.
std::string digest_text(const Login& login);

// ---- what is computed ----

// H(user:realm:password), in hexadecimal: who has it can answer challenges of this realm.
Secret digest_secret(std::string_view user, std::string_view realm, const Secret& password);
// What an answer's `response` has to be (section 3.4.1).
std::string digest_response(const Secret& digest_secret, const DigestAnswer& answer);
// The answer to a challenge. `count` of the answers to its nonce, from 1.
Login answer_challenge(const DigestChallenge& challenge, const Login& login, const Request& request,
                       std::uint32_t count, BytesView client_nonce);

// A nonce that says when it was made, under a MAC: nothing is kept of it. `luck` keeps two of one moment apart.
std::string make_nonce(const Secret& key, Instant now, BytesView luck);
// When it was made, if the key's holder made it.
std::optional<Instant> nonce_made(const Secret& key, std::string_view nonce);

}  // namespace imprint
