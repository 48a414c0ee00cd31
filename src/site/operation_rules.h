// The rules that an administrator's act can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::site {

inline constexpr Rule kDeviceUnknown{"DEVICE-UNKNOWN", "no device has this id", "ours: docs/guide.md, inventory",
                                     "look it up with `imprint device list`"};
inline constexpr Rule kDeviceSerialMany{"DEVICE-SERIAL-MANY", "more than one device is called by this",
                                        "ours: docs/guide.md, inventory", "name it by one of the ids listed"};
inline constexpr Rule kDeviceId{"DEVICE-ID", "not an id for a device", "ours: docs/guide.md, inventory",
                                "1 to 64 of A-Z a-z 0-9 . _ : - with a letter or digit first"};
inline constexpr Rule kDeviceField{"DEVICE-FIELD", "model, serial or label is over 128 bytes or has control characters",
                                   "ours: docs/guide.md, inventory", "shorten it"};
inline constexpr Rule kDeviceExists{
    "DEVICE-EXISTS", "a device of this id, upper and lower case alike, is there already, with other contents",
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
inline constexpr Rule kWrapKeyForm{"DEVICE-WRAP-KEY-FORM", "not a shared key with its identifier",
                                   "RFC 7030 section 4.4.1.1",
                                   "a key of 16, 24 or 32 octets, an identifier of 1 to 64"};
inline constexpr Rule kWrapKeyWeak{"DEVICE-WRAP-KEY-WEAK", "somebody could guess this shared key",
                                   "ours: docs/threats.md", "take random octets: `openssl rand -hex 32`"};
inline constexpr Rule kWrapKeyTaken{"DEVICE-WRAP-KEY-TAKEN", "a device has this shared key already",
                                    "ours: docs/threats.md", "give each device a key of its own"};
inline constexpr Rule kWrapKeyId{"DEVICE-WRAP-KEY-ID", "the device has another shared key of this identifier",
                                 "RFC 7030 section 4.4.1.1",
                                 "take another identifier, or forget that key with `imprint device wrap-key`"};
inline constexpr Rule kWrapKeysMany{"DEVICE-WRAP-KEYS-MANY", "the device has as many shared keys as one may have",
                                    "ours: docs/guide.md, a key that the server makes",
                                    "forget those that are not in use with `imprint device wrap-key`"};
inline constexpr Rule kWrapKeyUnknown{"DEVICE-WRAP-KEY-UNKNOWN", "the device has no shared key of this identifier",
                                      "ours: docs/guide.md, a key that the server makes",
                                      "look it up with `imprint device show`"};
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

inline constexpr std::array kOperationRules{
    &kDeviceUnknown,   &kDeviceId,       &kDeviceField,        &kDeviceExists,       &kDeviceIdentity,
    &kDeviceChanged,   &kDeviceRetired,  &kTokenWeak,          &kTokenTaken,         &kManifestRefused,
    &kRequestUnknown,  &kRequestDecided, &kCertificateUnknown, &kCertificateRevoked, &kWrapKeyForm,
    &kWrapKeyWeak,     &kWrapKeyTaken,   &kWrapKeyId,          &kWrapKeysMany,       &kWrapKeyUnknown,
    &kDeviceSerialMany};

}  // namespace imprint::site
