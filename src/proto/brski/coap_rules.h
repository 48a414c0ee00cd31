// The rules of cBRSKI over CoAP, and of the messages between a stateless join proxy and the registrar. Ids are stable;
// docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::brski {

// ---- requests that a registrar reads ----
inline constexpr Rule kCoapPath{"BRSKI-COAP-PATH", "there is no such resource of BRSKI at this path",
                                "draft-ietf-anima-constrained-voucher-31",
                                "ask for rv, vs or es below /.well-known/brski/ or /b/"};
inline constexpr Rule kCoapMethod{"BRSKI-COAP-METHOD", "the resource wants POST", "RFC 8995 section 5",
                                  "send voucher request and status with POST"};
inline constexpr Rule kCoapFormat{"BRSKI-COAP-FORMAT", "the body is not in a form that this resource takes",
                                  "draft-ietf-anima-constrained-voucher-31",
                                  "send a voucher request as application/voucher+cose (836), status as "
                                  "application/cbor (60) or application/json (50)"};
inline constexpr Rule kCoapAccept{"BRSKI-COAP-ACCEPT", "the voucher cannot be had in the form that is accepted",
                                  "draft-ietf-anima-constrained-voucher-31",
                                  "accept application/voucher+cose (836), the form of the request, or say nothing"};
inline constexpr Rule kDiscoveryMethod{"BRSKI-CORE-METHOD", "the list of resources wants GET", "RFC 6690 section 4",
                                       "ask for /.well-known/core with GET"};
inline constexpr Rule kDiscoveryAccept{"BRSKI-CORE-ACCEPT", "the list of resources comes in link format alone",
                                       "RFC 6690 section 4", "accept application/link-format (40), or say nothing"};

// ---- answers that a device or a join proxy reads ----
inline constexpr Rule kLinksRefused{"BRSKI-CORE-ANSWER", "whom we asked for its resources gives no list",
                                    "RFC 6690 section 4", "the paths of /.well-known/brski are used without it"};
inline constexpr Rule kLinksElsewhere{"BRSKI-CORE-TARGET", "a resource of BRSKI is not on the server that lists it",
                                      "draft-ietf-anima-constrained-voucher-31",
                                      "the server has to list paths of its own: somebody may lead the device away"};

// ---- between a stateless join proxy and the registrar ----
inline constexpr Rule kJpyUnreadable{
    "BRSKI-JPY", "no message of a join proxy: an array of header and content",
    "draft-ietf-anima-constrained-join-proxy-21",
    "dropped without a word; if it is a proxy's, it has to send [header, content], the header of 32 bytes at most"};
inline constexpr Rule kJpyHeader{"BRSKI-JPY-HEADER", "the header is none that this join proxy has sealed, or too old",
                                 "draft-ietf-anima-constrained-join-proxy-21",
                                 "dropped without a word; the registrar has to give the header back as it came, within "
                                 "a day"};

inline constexpr std::array kCoapRules{&kCoapPath,        &kCoapMethod,      &kCoapFormat,   &kCoapAccept,
                                       &kDiscoveryMethod, &kDiscoveryAccept, &kLinksRefused, &kLinksElsewhere,
                                       &kJpyUnreadable,   &kJpyHeader};

}  // namespace imprint::brski
