// The rules of the admin API that a request can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::app {

inline constexpr Rule kRunUnknown{"RUN-UNKNOWN", "no run on record has this id", "ours: docs/guide.md, runs",
                                  "look it up with `imprint device show`"};
inline constexpr Rule kApiToken{"API-TOKEN", "no token, or not ours", "RFC 6750 section 3",
                                "send `Authorization: Bearer` with the content of admin.token in the data folder"};
inline constexpr Rule kApiCertificate{"API-CERTIFICATE", "no client certificate, or not an administrator's",
                                      "ours: docs/guide.md, administrators by certificate",
                                      "present a certificate below api.administrators, or one that api.pins names"};
inline constexpr Rule kApiCertificateTime{"API-CERTIFICATE-TIME", "the client certificate is over, or has not begun",
                                          "RFC 5280 section 4.1.2.5", "renew it, or set the clock right"};
inline constexpr Rule kApiCertificateRevoked{"API-CERTIFICATE-REVOKED", "the client certificate is revoked",
                                             "RFC 5280 section 5.3", "have another one issued"};
inline constexpr Rule kApiCertificateStatus{"API-CERTIFICATE-STATUS",
                                            "the revocation list of the certificate's CA is too old",
                                            "RFC 5280 section 5.1.2.5", "fetch a fresh one for api.revocation_lists"};
inline constexpr Rule kApiOrigin{"API-ORIGIN", "a page of another origin asks", "ours: docs/threats.md",
                                 "open the page from the API's own address"};
inline constexpr Rule kApiHost{
    "API-HOST", "the request names another host than ours", "ours: docs/threats.md",
    "use http://localhost:PORT or http://127.0.0.1:PORT; beyond loopback https and a name of est.names"};
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
inline constexpr Rule kApiKey{"API-KEY", "the Idempotency-Key is empty, too long, or no string",
                              "draft-ietf-httpapi-idempotency-key-header section 2.1",
                              "send 1 to 255 visible characters, in quotes or without"};
inline constexpr Rule kApiKeyReused{"API-KEY-REUSED", "another request was made with this Idempotency-Key",
                                    "draft-ietf-httpapi-idempotency-key-header section 2.7",
                                    "take a new key for each change; repeat a request as it was"};
inline constexpr Rule kApiKeyBusy{"API-KEY-BUSY", "the request with this Idempotency-Key is under way",
                                  "draft-ietf-httpapi-idempotency-key-header section 2.7",
                                  "ask again in a moment, with the same key"};
inline constexpr Rule kApiKeySecret{
    "API-KEY-SECRET", "the change is made; its answer showed a secret, which is not kept", "ours: docs/threats.md",
    "if the answer was lost make another token, with a new key: the first is of no use "
    "any more then"};
inline constexpr Rule kApiBusy{"API-BUSY", "too many of these at once", "ours: docs/threats.md",
                               "try again in a moment"};
inline constexpr Rule kApiStore{"API-STORE", "the store does not answer", "ours: docs/guide.md, operation",
                                "check free space and permissions of the data folder; nothing was changed"};
inline constexpr Rule kApiInternal{"API-INTERNAL", "a fault of ours", "ours: docs/guide.md, operation",
                                   "the log says more; please report it"};

inline constexpr Rule kApiNoVoucher{"API-NO-VOUCHER", "no voucher of this device is on record",
                                    "ours: docs/guide.md, BRSKI in the admin API",
                                    "`has_voucher` says which have one; its MASA gives it when the device asks"};

inline constexpr std::array kRules{&kRunUnknown,
                                   &kApiNoVoucher,
                                   &kApiToken,
                                   &kApiCertificate,
                                   &kApiCertificateTime,
                                   &kApiCertificateRevoked,
                                   &kApiCertificateStatus,
                                   &kApiOrigin,
                                   &kApiHost,
                                   &kApiPath,
                                   &kApiMethod,
                                   &kApiQuery,
                                   &kApiCursor,
                                   &kApiBody,
                                   &kApiType,
                                   &kApiKey,
                                   &kApiKeyReused,
                                   &kApiKeyBusy,
                                   &kApiKeySecret,
                                   &kApiBusy,
                                   &kApiStore,
                                   &kApiInternal};

}  // namespace imprint::app
