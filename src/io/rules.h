// The rules of HTTP that a stranger's bytes can break before any protocol sees them. Ids are stable; docs/errors.md is
// printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::io {

inline constexpr Rule kHttpRequest{"HTTP-REQUEST", "this is no request that HTTP/1.1 allows", "RFC 9112",
                                   "send one request line, one Host, and one framing of the body"};
inline constexpr Rule kHttpTooLarge{"HTTP-TOO-LARGE", "the request is larger than this server takes",
                                    "RFC 9110 section 15.5.14",
                                    "send less; `est.max_body_bytes` in the configuration is the limit of a body"};
inline constexpr Rule kHttpSlow{"HTTP-SLOW", "the request did not get complete in time", "RFC 9110 section 15.5.9",
                                "send it again, without pauses"};

inline constexpr std::array kHttpRules{&kHttpRequest, &kHttpTooLarge, &kHttpSlow};

}  // namespace imprint::io
