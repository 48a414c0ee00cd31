// The rules of BRSKI that a registrar applies to devices and to their MASA. Ids are stable; docs/errors.md is printed
// from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::brski {

// ---- what comes in over HTTP ----
inline constexpr Rule kNoSuchResource{"BRSKI-PATH", "no such resource here", "RFC 8995 section 5",
                                      "use /.well-known/brski/requestvoucher, voucher_status or enrollstatus"};
inline constexpr Rule kWantsPostHere{"BRSKI-METHOD-POST", "this resource is asked by POST", "RFC 8995 section 5",
                                     "send the request with POST"};
inline constexpr Rule kWantsGetHere{"BRSKI-METHOD-GET", "this resource is asked by GET",
                                    "ours: docs/decisions/0020-maker-service.md", "ask with GET"};
inline constexpr Rule kRequestType{"BRSKI-REQUEST-TYPE", "a media type that is not read here", "RFC 8995 section 5.2",
                                   "send application/voucher-cms+json, voucher+cose or voucher-jws+json"};
inline constexpr Rule kAnswerType{"BRSKI-ACCEPT", "the asker takes no form of voucher that is known here",
                                  "RFC 8995 section 5.2", "name the request's own media type in Accept"};
inline constexpr Rule kTelemetryUnreadable{"BRSKI-TELEMETRY", "a status report that cannot be read",
                                           "RFC 8995 sections 5.7 and 5.9.4",
                                           "send a JSON or CBOR object with version and status"};

// ---- the device ----
inline constexpr Rule kNoIdevid{"BRSKI-IDEVID", "the device has shown no certificate of a maker known here",
                                "RFC 8995 section 5.1",
                                "the device has to present its IDevID in TLS; give the maker's root to the registrar"};
inline constexpr Rule kIdevidSerial{"BRSKI-IDEVID-SERIAL", "the IDevID has no serial number where its maker keeps it",
                                    "RFC 8995 section 2.3.1",
                                    "tell the registrar where this maker writes it: serial_source of the maker"};
inline constexpr Rule kNotInProximity{"BRSKI-PVR-NOT-PROXIMITY", "the device's request does not assert proximity",
                                      "RFC 8995 section 5.2",
                                      "the device has to name the certificate of the registrar that it sees"};
inline constexpr Rule kOtherRegistrar{"BRSKI-PVR-REGISTRAR", "the device has seen another registrar than this one",
                                      "RFC 8995 section 5.2",
                                      "somebody stands between the two, or the server's certificate has changed since"};
inline constexpr Rule kTooOften{"BRSKI-TOO-OFTEN", "the device asks its maker or reports to us again and again",
                                "ours: docs/threats.md", "come again after Retry-After"};
inline constexpr Rule kSignerMute{"BRSKI-SIGNER", "the registrar's key did not sign", "ours: docs/threats.md",
                                  "come again; the operator finds the reason in the log"};

// ---- the MASA ----
inline constexpr Rule kMasaAway{"BRSKI-MASA-AWAY", "the maker's service (MASA) does not answer", "RFC 8995 section 5.4",
                                "see that its address can be reached from the registrar"};
inline constexpr Rule kMasaServer{"BRSKI-MASA-SERVER", "who answers at the MASA's address is not the MASA",
                                  "RFC 8995 section 5.4",
                                  "give the anchor of the MASA's TLS certificate; it has to name the host"};
inline constexpr Rule kMasaInside{
    "BRSKI-MASA-INSIDE", "the address of the MASA that the device names is on this machine or inside its network",
    "ours: docs/threats.md", "if that is right, say so: the address in a file of makers/, with override = true"};
inline constexpr Rule kMasaFailed{"BRSKI-MASA-FAILED", "the MASA has trouble of its own", "RFC 8995 section 5.6",
                                  "come again; if it lasts, tell the maker"};
inline constexpr Rule kMasaLogin{"BRSKI-MASA-LOGIN", "the MASA wants to know who the registrar is",
                                 "RFC 8995 section 5.4",
                                 "register with the maker, and give the registrar its certificate or password for it"};
inline constexpr Rule kMasaRefused{"BRSKI-MASA-REFUSED", "the MASA gives no voucher for this device",
                                   "RFC 8995 section 5.6", "its reason is in the log; ask the maker"};
inline constexpr Rule kMasaMoved{"BRSKI-MASA-MOVED", "the MASA sends the registrar elsewhere", "ours: docs/threats.md",
                                 "give the new address to the registrar if it is right"};
inline constexpr Rule kMasaAnswer{"BRSKI-MASA-ANSWER", "what the MASA answered is no voucher that was asked for",
                                  "RFC 8995 section 5.6", "tell the maker; the registrar's log has the details"};
inline constexpr Rule kMasaVoucher{"BRSKI-MASA-VOUCHER", "the MASA's voucher is for another device or another request",
                                   "RFC 8995 section 5.6", "tell the maker"};
inline constexpr Rule kMasaPin{"BRSKI-MASA-PIN", "the MASA's voucher pins nobody, or somebody else",
                               "RFC 8995 section 5.6.2",
                               "the device would refuse us; see which certificates the registrar's request carries"};
inline constexpr Rule kMasaWaits{"BRSKI-MASA-WAITS", "the MASA takes its time", "RFC 8995 section 5.6",
                                 "come again after Retry-After; the maker may have to decide"};

// ---- what is held for a person after the voucher ----
inline constexpr Rule kVoucherRejected{"BRSKI-VOUCHER-REJECTED", "the device has refused its voucher",
                                       "RFC 8995 section 5.7", "its reason is in the log"};
inline constexpr Rule kLogMissing{"BRSKI-LOG-MISSING", "the MASA gives no audit log of the device",
                                  "RFC 8995 section 5.8.3",
                                  "look into the device's past, then clear it, or let this maker do without a log"};
inline constexpr Rule kLogUnreadable{"BRSKI-LOG-UNREADABLE", "the MASA's audit log cannot be read",
                                     "RFC 8995 section 5.8.1", "tell the maker; clear the device if its past is known"};
inline constexpr Rule kLogDomain{"BRSKI-LOG-DOMAIN", "the device had a voucher for a domain that is not known here",
                                 "RFC 8995 section 5.8.3",
                                 "ask who had it before; then clear the device, or name the domain in brski.log_known"};
inline constexpr Rule kLogOwn{
    "BRSKI-LOG-OWN", "the device had a voucher in our own domain's name before it ever came to us",
    "RFC 8995 sections 5.8.2 and 5.8.3",
    "a domainID is what a certificate says of itself: ask the maker who that was, then clear the device; if other "
    "registrars have our domain, name our own domainID in brski.log_known"};
inline constexpr Rule kLogNonceless{"BRSKI-LOG-NONCELESS",
                                    "somebody else has a voucher for the device that serves again after a reset",
                                    "RFC 8995 section 5.8.3", "ask who had it before; then clear the device"};
inline constexpr Rule kLogHistory{"BRSKI-LOG-HISTORY", "the device is to be new, and was somewhere before",
                                  "RFC 8995 section 5.8.3", "ask who had it before; then clear the device"};
inline constexpr Rule kLogTruncated{"BRSKI-LOG-TRUNCATED", "the MASA has left entries out of the audit log",
                                    "RFC 8995 section 5.8.1", "ask the maker for the rest; then clear the device"};
inline constexpr Rule kLogUnknown{"BRSKI-LOG-UNKNOWN", "there are entries in the audit log that are not understood",
                                  "RFC 8995 section 5.8.1", "ask the maker what they are; then clear the device"};

inline constexpr std::array kRegistrarRules{
    &kNoSuchResource, &kWantsPostHere, &kWantsGetHere,   &kRequestType,    &kAnswerType,      &kTelemetryUnreadable,
    &kNoIdevid,       &kIdevidSerial,  &kNotInProximity, &kOtherRegistrar, &kTooOften,        &kSignerMute,
    &kMasaAway,       &kMasaServer,    &kMasaFailed,     &kMasaLogin,      &kMasaRefused,     &kMasaMoved,
    &kMasaAnswer,     &kMasaVoucher,   &kMasaPin,        &kMasaWaits,      &kVoucherRejected, &kLogMissing,
    &kLogUnreadable,  &kLogDomain,     &kLogOwn,         &kLogNonceless,   &kLogHistory,      &kLogTruncated,
    &kLogUnknown,     &kMasaInside};

}  // namespace imprint::brski
