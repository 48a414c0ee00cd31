// Inside the admin API: a change that is asked for twice under one Idempotency-Key is made once
// (draft-ietf-httpapi-idempotency-key-header-07).
#pragma once

#include "app/admin_routes.h"

namespace imprint::app::admin {

inline constexpr std::size_t kMostKeyCharacters = 255;

// The key that the header says: a string of RFC 9651 section 3.3.3, or its characters without quotes, as many clients
// send it. Nothing if it is empty, too long, or neither.
std::optional<std::string> parse_key(std::string_view header);

// Under what an answer is kept, and what must be the same when it is asked for again.
struct OnceKey {
  Sha256 key{};      // of the asker and its key: askers do not meet
  Sha256 request{};  // MAC: a manifest's tokens are in the body
};
OnceKey once_key(const std::string& key, const site::Act& act, const Request& request, const Secret& pepper);

// The change, or the answer that it got when it was made, in one transaction. Refused changes are not kept: they have
// changed nothing, and are judged anew. API-KEY-REUSED, API-KEY-SECRET.
Change made_once(Change change, const OnceKey& once, Instant now);

}  // namespace imprint::app::admin
