// The owner's rules that a request can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::site {

inline constexpr Rule kUnknown{"SITE-UNKNOWN", "nobody known asks", "ours: docs/guide.md, policy",
                               "register the device (imprint device add|import) or give it a one-time token"};
inline constexpr Rule kWaiting{"SITE-WAITING", "a person has to approve first", "RFC 7030 section 4.2.3",
                               "the owner approves with `imprint device approve`; come again after Retry-After"};
inline constexpr Rule kUnwanted{"SITE-UNWANTED", "the owner does not want this device", "ours: docs/guide.md, policy",
                                "ask the owner; `imprint device approve` takes the refusal back"};
inline constexpr Rule kRetired{"SITE-RETIRED", "the device is retired", "ours: docs/guide.md, lifecycle",
                               "add it anew under another id if it is to come back"};
inline constexpr Rule kRevoked{"SITE-REVOKED", "the certificate presented is revoked", "RFC 5280 section 3.3",
                               "use the IDevID or a fresh one-time token"};
inline constexpr Rule kSpent{"SITE-TOKEN-SPENT", "the one-time token has been used or replaced", "RFC 7030 section 6",
                             "make a fresh one with `imprint device token`"};
inline constexpr Rule kNotOurs{"SITE-RENEWAL-FOREIGN", "the certificate to be renewed is not one of ours",
                               "RFC 7030 section 3.3.2", "enrol with simpleenroll first"};
inline constexpr Rule kHandedOn{"SITE-HANDED-ON", "a registration authority asked for the certificate presented",
                                "RFC 7030 section 3.7",
                                "ask at the gateway that knows the device, or use another credential"};
inline constexpr Rule kSharedKey{"SITE-KEY-SHARED", "another device holds a certificate for this key",
                                 "ours: docs/threats.md", "make a key on the device; two devices never share one"};
inline constexpr Rule kCompromised{"SITE-KEY-COMPROMISED", "a certificate for this key was revoked as compromised",
                                   "RFC 5280 section 5.3.1", "make a new key on the device"};
inline constexpr Rule kRenewedBefore{"SITE-RENEWED", "the certificate presented was renewed before",
                                     "ours: docs/threats.md",
                                     "renew with its successor; if that is lost, use the IDevID or a fresh token"};
inline constexpr Rule kTooManyCertificates{
    "SITE-CERTIFICATES-MANY", "the device has as many good certificates as one may have", "ours: docs/threats.md",
    "revoke those that are not in use with `imprint ca revoke`"};
inline constexpr Rule kKeyType{"SITE-KEY-TYPE", "the profile does not take this type of key",
                               "ours: docs/guide.md, profiles", "ask csrattrs which type is wanted"};
inline constexpr Rule kNames{"SITE-NAMES", "the profile does not let this device have these names",
                             "ours: docs/guide.md, profiles", "ask for CN={id}, or let the owner allow the names"};
inline constexpr Rule kAcpName{
    "SITE-ACP-NAME", "the request does not have the name of the ACP's node that csrattrs gave, or has another one",
    "RFC 8995 section 5.9.2; RFC 8994 section 6.2.2",
    "let the device ask for csrattrs and put their subjectAltName into its request; over CoAPS, imprint onboard brski "
    "does so with --csrattrs"};
inline constexpr Rule kUsages{"SITE-USAGES", "the profile does not give these usages", "ours: docs/guide.md, profiles",
                              "leave key usage out of the request, or let the owner allow it"};
inline constexpr Rule kLabel{"SITE-LABEL", "the device asks under a label that is not its own",
                             "ours: docs/guide.md, profiles",
                             "ask under the label that `imprint device show` tells for it"};
inline constexpr Rule kOtherCredential{"SITE-CREDENTIAL", "the certificate presented does not obtain this credential",
                                       "ours: docs/guide.md, several credentials",
                                       "a certificate renews itself; for another credential present the one that "
                                       "identifies the device, its IDevID, or a fresh one-time token"};
inline constexpr Rule kKeyOfOther{"SITE-KEY-OF-OTHER", "another credential of this device has this key",
                                  "ours: docs/guide.md, several credentials", "make a key for each credential"};
inline constexpr Rule kCaRequest{"SITE-CA-REQUEST", "a device asks to be a CA", "ours: docs/threats.md",
                                 "leave basicConstraints out of the request"};

inline constexpr Rule kNoServerKeys{"SITE-SERVER-KEYS-OFF", "the profile has no keys made by the server",
                                    "RFC 7030 section 6", "let the device make its key, or set server_keys"};
inline constexpr Rule kMustWrap{"SITE-SERVER-KEYS-WRAPPED", "the profile sends keys only wrapped",
                                "RFC 7030 section 4.4.1",
                                "name a key to wrap with in the request, or set server_keys = \"clear\""};
inline constexpr Rule kNoWrapKey{
    "SITE-SERVER-KEYS-UNKNOWN", "no key of this device has the identifier that the request names",
    "RFC 7030 section 4.4.1",
    "name the key of the certificate presented, of one on record, or a shared key that the owner has registered for "
    "this device (imprint device wrap-key)"};
inline constexpr Rule kWrapKeyUnreadable{
    "SITE-SERVER-KEYS-UNREADABLE", "the device's shared key on record cannot be opened",
    "ours: docs/guide.md, a key that the server makes",
    "see that the folder's pepper is the one of this database; else forget the key and register it again"};
inline constexpr Rule kKeysBusy{
    "SITE-SERVER-KEYS-BUSY", "too many RSA keys are being made, or one for this device already",
    "ours: docs/decisions/0008-serverkeygen.md", "come again after the time in Retry-After"};
inline constexpr Rule kWrapUsage{"SITE-SERVER-KEYS-USAGE", "the certificate of the key that is to unwrap forbids it",
                                 "RFC 7030 section 4.4.1",
                                 "its key usage must allow keyEncipherment (RSA) or keyAgreement (EC), or be absent"};
inline constexpr Rule kNoCommonCipher{
    "SITE-SERVER-KEYS-CIPHER", "no algorithm that the request lists wraps this key strongly enough",
    "RFC 7030 section 4.4.2", "list AES-CBC as strong as the key asked for; a shared key has to be, too"};
inline constexpr Rule kKeySigner{"SITE-SERVER-KEYS-SIGNER", "no key of ours can sign what a wrapped key travels in",
                                 "RFC 7030 section 4.4.2",
                                 "give the server's certificate or the CA an RSA or NIST curve key: Ed25519 signs no "
                                 "CMS here"};

inline constexpr std::array kRules{
    &kUnknown,  &kWaiting,   &kUnwanted,  &kRetired,        &kRevoked,       &kSpent,
    &kNotOurs,  &kHandedOn,  &kSharedKey, &kCompromised,    &kRenewedBefore, &kTooManyCertificates,
    &kKeyType,  &kNames,     &kUsages,    &kLabel,          &kCaRequest,     &kNoServerKeys,
    &kMustWrap, &kNoWrapKey, &kWrapUsage, &kNoCommonCipher, &kKeySigner,     &kWrapKeyUnreadable,
    &kKeysBusy, &kAcpName};

}  // namespace imprint::site
