// Shared keys as people and files give them: an identifier, and an AES key that two sides hold.
#pragma once

#include <string_view>

#include "crypto/enveloped.h"

namespace imprint {

inline constexpr std::size_t kMostSharedKeyId = 64;  // octets, as a request may name (crypto/csr.cc)

// `id` in hexadecimal, 1 to 64 octets; `key` in hexadecimal or base64 (RFC 4648 section 4), 16, 24 or 32 octets. What
// reads as hexadecimal is that. Malformed otherwise.
Result<SharedKey> parse_shared_key(std::string_view id, std::string_view key);

// Whether identifier and key are as long as they may be: malformed otherwise. Refuses keys that somebody could guess:
// typed text, runs, repeats, few different octets, the examples of FIPS 197.
Status check_shared_key(const SharedKey& key);

}  // namespace imprint
