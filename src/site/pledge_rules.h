// The owner's rules for devices that ask for a voucher (RFC 8995). Ids are stable; docs/errors.md is printed from this
// list.
#pragma once

#include <array>

#include "base/result.h"
#include "model/pledge.h"

namespace imprint::site {

inline constexpr Rule kNotIdevid{"BRSKI-OWN-CERTIFICATE", "a voucher is asked for with a certificate of our own",
                                 "RFC 8995 section 5", "a device that is enrolled needs no voucher; renew by EST"};
inline constexpr Rule kNotAsked{"BRSKI-STATUS-UNASKED", "a report of a device that has asked for no voucher here",
                                "RFC 8995 section 5.7", "ask for a voucher first, with the same IDevID"};
inline constexpr Rule kEstEarly{
    "BRSKI-EST-EARLY", "the device enrols before its voucher is accepted and its past clear", "RFC 8995 section 5.8.3",
    "let the device ask for a voucher; if it is held, a person clears it"};

inline constexpr Rule kEstHeld{"BRSKI-EST-HELD", "the device took its voucher, and is held for a person",
                               "RFC 8995 section 5.8.3; RFC 7030 section 4.2.3",
                               "look into its past, then `imprint device clear ID`: it comes again by itself"};
inline constexpr Rule kHeld{kHeldByPerson, "a person holds the device", "ours: docs/guide.md, BRSKI",
                            "`imprint device clear ID` lets it on; asking for another voucher does not"};

inline constexpr std::array kPledgeRules{&kNotIdevid, &kNotAsked, &kEstEarly, &kEstHeld, &kHeld};

}  // namespace imprint::site
