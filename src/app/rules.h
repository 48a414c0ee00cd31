// The rules of the admin API that a request can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::app {

inline constexpr Rule kRunUnknown{"RUN-UNKNOWN", "no run on record has this id", "ours: docs/guide.md, runs",
                                  "look it up with `imprint device show`"};
inline constexpr Rule kApiToken{"API-TOKEN", "no token, or not ours", "RFC 6750 section 3",
                                "send `Authorization: Bearer` with the content of admin.token in the data folder"};
inline constexpr Rule kApiHost{"API-HOST", "the request names another host than this machine", "ours: docs/threats.md",
                               "use http://localhost:PORT or http://127.0.0.1:PORT"};
inline constexpr Rule kApiPath{"API-PATH", "nothing is at this path", "ours: /openapi.json", "see /openapi.json"};
inline constexpr Rule kApiMethod{"API-METHOD", "the path wants another method", "RFC 9110 section 15.5.6",
                                 "see /openapi.json"};
inline constexpr Rule kApiQuery{"API-QUERY", "a query parameter is unknown, repeated or has no such value",
                                "ours: /openapi.json", "see /openapi.json for the parameters of this path"};
inline constexpr Rule kApiCursor{"API-CURSOR", "the cursor was not given out for this list",
                                 "ours: docs/guide.md, pages of the API",
                                 "begin again without `cursor`; with it, the other parameters stay as they were"};
inline constexpr Rule kApiBody{"API-BODY", "the body is not the JSON that this path wants", "ours: /openapi.json",
                               "see /openapi.json for the members of this body"};
inline constexpr Rule kApiType{"API-CONTENT-TYPE", "the body is announced as another type", "RFC 9110 section 15.5.16",
                               "send the Content-Type that the message names"};
inline constexpr Rule kApiBusy{"API-BUSY", "too many of these at once", "ours: docs/threats.md",
                               "try again in a moment"};
inline constexpr Rule kApiStore{"API-STORE", "the store does not answer", "ours: docs/guide.md, operation",
                                "check free space and permissions of the data folder; nothing was changed"};
inline constexpr Rule kApiInternal{"API-INTERNAL", "a fault of ours", "ours: docs/guide.md, operation",
                                   "the log says more; please report it"};

inline constexpr std::array kRules{&kRunUnknown, &kApiToken, &kApiHost, &kApiPath, &kApiMethod, &kApiQuery,
                                   &kApiCursor,  &kApiBody,  &kApiType, &kApiBusy, &kApiStore,  &kApiInternal};

}  // namespace imprint::app
