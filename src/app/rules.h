// The rules of administration that a request can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::app {

// ---- what an operation finds ----
inline constexpr Rule kDeviceUnknown{"DEVICE-UNKNOWN", "no device has this id", "ours: docs/guide.md, inventory",
                                     "look it up with `imprint device list`"};
inline constexpr Rule kDeviceId{"DEVICE-ID", "not an id for a device", "ours: docs/guide.md, inventory",
                                "1 to 64 of A-Z a-z 0-9 . _ : - with a letter or digit first"};
inline constexpr Rule kDeviceField{"DEVICE-FIELD", "model, serial or label is over 128 bytes or has control characters",
                                   "ours: docs/guide.md, inventory", "shorten it"};
inline constexpr Rule kDeviceExists{"DEVICE-EXISTS", "a device of this id is there already, with other contents",
                                    "ours: docs/guide.md, inventory", "take another id"};
inline constexpr Rule kDeviceIdentity{"DEVICE-IDENTITY-TAKEN", "another device has this IDevID",
                                      "ours: docs/guide.md, inventory", "look that device up by its serial number"};
inline constexpr Rule kDeviceChanged{"DEVICE-CHANGED", "the device has changed since it was read",
                                     "RFC 9110 section 13.1.1", "read it again, then decide again"};
inline constexpr Rule kDeviceRetired{
    "DEVICE-RETIRED", "the device is retired", "ours: docs/guide.md, lifecycle",
    "add it anew under another id if it is to come back; its IDevID goes over to that one"};
inline constexpr Rule kTokenWeak{"DEVICE-TOKEN-WEAK", "somebody could guess this token", "RFC 7030 section 6",
                                 "let `imprint device token` make one"};
inline constexpr Rule kTokenTaken{"DEVICE-TOKEN-TAKEN", "the device has had this token before", "RFC 7030 section 6",
                                  "make a fresh one with `imprint device token`"};
inline constexpr Rule kManifestRefused{"MANIFEST-REFUSED",
                                       "at least one line of the manifest is wrong; nothing was taken",
                                       "ours: docs/guide.md, import", "mend the lines named, then import again"};
inline constexpr Rule kRequestUnknown{"REQUEST-UNKNOWN", "no request has this key", "ours: docs/guide.md, approvals",
                                      "look it up with `imprint device pending`"};
inline constexpr Rule kRequestDecided{"REQUEST-DECIDED", "the request has been decided",
                                      "ours: docs/guide.md, approvals", "approve or refuse the device instead"};
inline constexpr Rule kCertificateUnknown{"CERTIFICATE-UNKNOWN", "no certificate of ours has this serial number",
                                          "ours: docs/guide.md, certificates", "look it up with `imprint ca list`"};
inline constexpr Rule kCertificateRevoked{"CERTIFICATE-REVOKED", "the certificate is revoked already",
                                          "RFC 5280 section 5.3", "nothing is left to do"};
inline constexpr Rule kRunUnknown{"RUN-UNKNOWN", "no run on record has this id", "ours: docs/guide.md, runs",
                                  "look it up with `imprint device show`"};

// ---- what the admin API takes ----
inline constexpr Rule kApiToken{"API-TOKEN", "no token, or not ours", "RFC 6750 section 3",
                                "send `Authorization: Bearer` with the content of admin.token in the data folder"};
inline constexpr Rule kApiHost{"API-HOST", "the request names another host than this machine", "ours: docs/threats.md",
                               "use http://localhost:PORT or http://127.0.0.1:PORT"};
inline constexpr Rule kApiPath{"API-PATH", "nothing is at this path", "ours: /openapi.json", "see /openapi.json"};
inline constexpr Rule kApiMethod{"API-METHOD", "the path wants another method", "RFC 9110 section 15.5.6",
                                 "see /openapi.json"};
inline constexpr Rule kApiQuery{"API-QUERY", "a query parameter is unknown, repeated or has no such value",
                                "ours: /openapi.json", "see /openapi.json for the parameters of this path"};
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

inline constexpr std::array kRules{
    &kDeviceUnknown,      &kDeviceId,           &kDeviceField, &kDeviceExists,    &kDeviceIdentity, &kDeviceChanged,
    &kDeviceRetired,      &kTokenWeak,          &kTokenTaken,  &kManifestRefused, &kRequestUnknown, &kRequestDecided,
    &kCertificateUnknown, &kCertificateRevoked, &kRunUnknown,  &kApiToken,        &kApiHost,        &kApiPath,
    &kApiMethod,          &kApiQuery,           &kApiBody,     &kApiType,         &kApiBusy,        &kApiStore,
    &kApiInternal};

}  // namespace imprint::app
