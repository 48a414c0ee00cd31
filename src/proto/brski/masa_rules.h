// The rules of a MASA. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::brski::masa {

inline constexpr Rule kMediaType{
    "MASA-TYPE", "the request is of a type that this MASA does not read", "RFC 8995 section 5.6",
    "send application/voucher-cms+json, application/voucher+cose or application/voucher-jws+json"};
inline constexpr Rule kForm{
    "MASA-ACCEPT", "this MASA makes no voucher in the form that is asked for", "RFC 8995 section 5.6",
    "accept application/voucher-cms+json, application/voucher+cose or application/voucher-jws+json, and ask in the "
    "form that the device reads"};
inline constexpr Rule kLogin{"MASA-LOGIN", "user name or password are not those of a customer", "RFC 8995 section 5.4",
                             "give the customer's id and the password of its account"};
inline constexpr Rule kLoginWanted{
    "MASA-LOGIN-WANTED", "this is for a customer who logs in, and nobody has said who asks", "RFC 8995 section 5.4",
    "give user and password_file in makers/NAME.toml; or have the maker add a certificate"};
inline constexpr Rule kNonceOld{"MASA-NONCE", "the challenge of HTTP Digest is too old, or was answered before",
                                "RFC 7616 section 3.3", "answer the challenge that comes with this"};
inline constexpr Rule kGuesses{"MASA-GUESSES", "too many passwords were wrong, from this address or for this account",
                               "ours: docs/masa.md, threats",
                               "wait as long as Retry-After says; or show a certificate of the account"};
inline constexpr Rule kAccounts{"MASA-ACCOUNTS", "the login is not the account of the registrar that signed",
                                "ours: docs/threats.md", "ask with the login of the registrar's own account"};
inline constexpr Rule kDeviceUnknown{
    "MASA-UNKNOWN", "this MASA knows no such device", "RFC 8995 section 5.6",
    "compare the serial number with the IDevID's; perhaps another MASA serves this device"};
inline constexpr Rule kAmbiguous{
    "MASA-AMBIGUOUS", "several devices have this serial number, and the request does not say of which CA it is",
    "RFC 8995 section 5.5", "the registrar has to send idevid-issuer"};
inline constexpr Rule kOtherOwner{"MASA-OWNER", "the device belongs to another customer", "RFC 8995 section 5.5.4",
                                  "the maker's records name the owner: ask the maker to transfer the device"};
inline constexpr Rule kClaimed{"MASA-CLAIMED", "another domain has claimed the device", "RFC 8995 section 5.5.4",
                               "the owner of before has to give it up: release it"};
inline constexpr Rule kUnsold{"MASA-UNSOLD", "nobody owns the device by the maker's records", "RFC 8995 section 5.5.4",
                              "ask the maker to enter the sale"};
inline constexpr Rule kRetired{"MASA-RETIRED", "the device is retired: it gets no vouchers any more",
                               "ours: docs/threats.md", "ask the maker if it should not be"};
inline constexpr Rule kOwnerAddress{"MASA-OWNER-ADDRESS", "this is no address of an owner's registrar or EST server",
                                    "draft-ietf-anima-brski-cloud section 3.2",
                                    "give https://HOST[:PORT][/PATH], and for an EST server the certificate to pin"};
inline constexpr Rule kOwnerPin{"MASA-OWNER-PIN", "the certificate to pin is not the customer's",
                                "ours: docs/masa.md, the default registrar",
                                "name the customer's domain CA or its EST server's certificate below it"};
inline constexpr Rule kNonceless{
    "MASA-NONCELESS", "a voucher without a nonce is only for a customer that owns the device by the records",
    "RFC 8995 section 5.5.4", "let the device ask itself, or have the maker enter the sale to the registrar's account"};
inline constexpr Rule kProximity{"MASA-PROXIMITY",
                                 "it is not proven that the device saw the registrar, and this MASA wants that",
                                 "RFC 8995 section 5.5.5", "the registrar has to send the device's own request along"};
inline constexpr Rule kNoLog{"MASA-LOG", "there is no log of this device for this registrar", "RFC 8995 section 5.8",
                             "only who owns the device, or did, may read it"};
inline constexpr Rule kBulkUnknown{"MASA-BULK-CUSTOMER", "many requests at once are for known customers",
                                   "ours: docs/decisions/0020-maker-service.md",
                                   "show a certificate of the account, or log in; or ask one by one"};
inline constexpr Rule kBulkBody{"MASA-BULK-BODY", "this is no list of voucher requests",
                                "ours: docs/decisions/0020-maker-service.md",
                                "send a JSON array or one JSON value a line: base64, or {\"id\", \"request\"}"};
inline constexpr Rule kBulkMany{"MASA-BULK-MANY", "more requests than one call may have",
                                "ours: docs/decisions/0020-maker-service.md",
                                "send the rest in another call; what is sent again gets the same voucher"};
inline constexpr Rule kBusy{"MASA-BUSY", "the MASA cannot record or sign at the moment",
                            "ours: docs/decisions/0020-maker-service.md",
                            "send the same request again: it gets the same voucher"};
inline constexpr Rule kNoPath{"MASA-PATH", "a MASA has no such resource", "RFC 8995 section 8.3.1",
                              "GET /.well-known/brski lists what there is"};
inline constexpr Rule kMethod{"MASA-METHOD", "this resource takes another method", "RFC 8995 section 5",
                              "POST requests; GET the description and the catalogue"};

inline constexpr std::array kRules{&kMediaType,   &kForm,          &kLogin,     &kLoginWanted, &kNonceOld,  &kGuesses,
                                   &kAccounts,    &kDeviceUnknown, &kAmbiguous, &kOtherOwner,  &kClaimed,   &kUnsold,
                                   &kRetired,     &kOwnerAddress,  &kOwnerPin,  &kNonceless,   &kProximity, &kNoLog,
                                   &kBulkUnknown, &kBulkBody,      &kBulkMany,  &kBusy,        &kNoPath,    &kMethod};

}  // namespace imprint::brski::masa
