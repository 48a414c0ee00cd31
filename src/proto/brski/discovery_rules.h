// The rules of discovery that an announcement can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::brski {

inline constexpr Rule kGraspMessage{"BRSKI-GRASP-MESSAGE", "these bytes are no GRASP flood that can be read",
                                    "RFC 8990 sections 2.8.11 and 4",
                                    "look at what the sender made: [9, session, initiator, ttl, [objective, locator]]"};
inline constexpr Rule kGraspType{"BRSKI-GRASP-TYPE", "a GRASP message of a kind that discovery does not use",
                                 "RFC 8990 section 2.8.2", "nothing: it is passed over, as the specification wants it"};
inline constexpr Rule kGraspSource{"BRSKI-GRASP-SOURCE", "the flood does not come from a link-local address",
                                   "RFC 8990 section 2.5.2",
                                   "send it from the interface's fe80:: address (of IPv4: 169.254), or allow other "
                                   "sources on a link that you trust"};
inline constexpr Rule kGraspLoopCount{"BRSKI-GRASP-LOOP", "a flood on a bare link whose loop count is not 1",
                                      "RFC 8990 section 2.5.2", "a registrar on this link announces AN_Proxy, with 1"};
inline constexpr Rule kGraspObjective{"BRSKI-GRASP-OBJECTIVE", "the flood is of an objective that is not for this link",
                                      "RFC 8990 section 2.5.2; RFC 8995 section 4.1.1",
                                      "announce AN_Proxy here; AN_join_registrar belongs into the secured network"};
inline constexpr Rule kGraspLocator{"BRSKI-GRASP-LOCATOR", "the locator leads away from this link",
                                    "RFC 8995 section 4.1.1", "announce the link-local address of this interface"};

inline constexpr Rule kDnsMessage{"BRSKI-DNS-MESSAGE", "these bytes are no DNS message that can be read",
                                  "RFC 1035 section 4; RFC 6762 section 18", "look at what the sender made"};
inline constexpr Rule kDnsSource{"BRSKI-DNS-SOURCE", "the answer does not come from port 5353 of this link",
                                 "RFC 6762 sections 6 and 11", "nothing: it is passed over"};
inline constexpr Rule kDnsService{"BRSKI-DNS-SERVICE", "the service cannot be announced under this name",
                                  "RFC 6763 section 4; RFC 1035 section 2.3.4",
                                  "names have 1 to 63 octets, entries of TXT at most 255, and all of it one packet"};

inline constexpr Rule kDiscoveryInterface{
    "BRSKI-DISCOVERY-INTERFACE", "nothing can be announced or heard on this interface",
    "RFC 8995 section 4; ours: docs/guide.md, BRSKI", "name an interface of `ip link` that is up and has an address"};
inline constexpr Rule kProxyListen{"BRSKI-PROXY-LISTEN", "no listening at the address of --listen",
                                   "ours: docs/guide.md, BRSKI",
                                   "end what listens there, or choose another address or port"};

inline constexpr Rule kSearchNobody{
    "BRSKI-SEARCH-NOBODY", "nobody announced a registrar or a join proxy", "RFC 8995 section 4.1",
    "look what `imprint discover` hears there; search longer with --search, or name a registrar with --registrar"};

inline constexpr std::array kDiscoveryRules{&kGraspMessage,   &kGraspType,          &kGraspSource, &kGraspLoopCount,
                                            &kGraspObjective, &kGraspLocator,       &kDnsMessage,  &kDnsSource,
                                            &kDnsService,     &kDiscoveryInterface, &kProxyListen, &kSearchNobody};

}  // namespace imprint::brski
