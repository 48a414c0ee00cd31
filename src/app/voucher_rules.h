// The rules of vouchers that are kept before their devices come. Ids are stable; docs/errors.md is printed from this
// list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::app {

inline constexpr Rule kNoRegistrar{"VOUCHER-NO-REGISTRAR", "this site is no registrar", "ours: docs/masa.md, the kit",
                                   "set brski.registrar = true in the configuration"};
inline constexpr Rule kVoucherLine{"VOUCHER-LINE", "this is no line of a kit, and no voucher",
                                   "ours: docs/masa.md, the kit",
                                   "give what `imprint masa kit` or `imprint masa voucher` wrote"};
inline constexpr Rule kVoucherNonced{"VOUCHER-NONCE", "the voucher answers one request of its device, and no other",
                                     "RFC 8366 section 5.3", "ask the maker for one without a nonce"};
inline constexpr Rule kVoucherNoIssuer{"VOUCHER-ISSUER", "it is not known under which CA the device has its number",
                                       "RFC 8995 section 5.5",
                                       "give --manifest or --issuer: serial numbers count by their CA"};
inline constexpr Rule kVoucherStranger{"VOUCHER-STRANGER", "no device of the inventory has this serial number",
                                       "ours: docs/masa.md, the kit",
                                       "import the device first: `imprint device import`"};
inline constexpr Rule kVoucherUnchecked{
    "VOUCHER-UNCHECKED", "nothing says who signs vouchers for this device", "ours: docs/masa.md, the kit",
    "give --anchors, or voucher_anchors in makers/NAME.toml; several makers: --maker"};
inline constexpr Rule kVoucherMakerless{"VOUCHER-MAKER", "no maker's root here is above the device's IDevID",
                                        "RFC 8995 section 5.3", "put the maker's root into makers/ of the data folder"};
inline constexpr Rule kNoPledge{"VOUCHER-NO-PLEDGE", "the device has not asked for a voucher",
                                "ours: docs/masa.md, a device with a past",
                                "`imprint device list` shows the devices; it has to come to this registrar first"};
inline constexpr Rule kNotHeld{"VOUCHER-NOT-HELD", "nothing holds the device", "ours: docs/guide.md, BRSKI",
                               "let it ask for its voucher; --without-voucher lets it enrol without one"};
inline constexpr Rule kHeldOtherwise{"VOUCHER-HELD-OTHERWISE", "the device is held for something else by now",
                                     "ours: docs/guide.md, BRSKI",
                                     "look into it once more: `imprint device list`; then say that rule"};
inline constexpr Rule kVouchersFailed{"VOUCHER-SOME", "some vouchers could not be taken", "ours: docs/masa.md, the kit",
                                      "each is told with its reason; what was taken is not asked for again"};

inline constexpr std::array kKeptVoucherRules{
    &kNoRegistrar,      &kVoucherLine, &kVoucherNonced, &kVoucherNoIssuer, &kVoucherStranger, &kVoucherUnchecked,
    &kVoucherMakerless, &kNoPledge,    &kNotHeld,       &kHeldOtherwise,   &kVouchersFailed};

}  // namespace imprint::app
