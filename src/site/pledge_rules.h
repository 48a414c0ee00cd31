// The owner's rules for devices that ask for a voucher (RFC 8995). Ids are stable; docs/errors.md is printed from this
// list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::site {

inline constexpr Rule kNotIdevid{"BRSKI-OWN-CERTIFICATE", "a voucher is asked for with a certificate of our own",
                                 "RFC 8995 section 5", "a device that is enrolled needs no voucher; renew by EST"};
inline constexpr Rule kNotAsked{"BRSKI-STATUS-UNASKED", "a report of a device that has asked for no voucher here",
                                "RFC 8995 section 5.7", "ask for a voucher first, with the same IDevID"};
inline constexpr Rule kEstEarly{
    "BRSKI-EST-EARLY", "the device enrols before its voucher is accepted and its past clear", "RFC 8995 section 5.8.3",
    "let the device ask for a voucher; if it is held, a person clears it"};

inline constexpr std::array kPledgeRules{&kNotIdevid, &kNotAsked, &kEstEarly};

}  // namespace imprint::site
