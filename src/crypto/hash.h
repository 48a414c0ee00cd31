// Digests and MACs.
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/secret.h"

namespace imprint {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(BytesView data);
Bytes sha384(BytesView data);  // 48 bytes
Bytes sha512(BytesView data);  // 64 bytes
// 20 bytes of SHA-1, for identifiers that a specification defines by it; never where collisions matter.
Bytes sha1_identifier(BytesView data);
Sha256 hmac_sha256(const Secret& key, BytesView data);

}  // namespace imprint
