// The rules of BRSKI that a device applies to the registrar in front of it, besides those of the voucher itself.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::brski {

inline constexpr Rule kPledgeConfigured{"BRSKI-CONFIGURED", "the device is onboarded already", "RFC 8995 section 5",
                                        "reset it to what left the factory, or use another folder"};
inline constexpr Rule kNoProxies{"BRSKI-NO-PROXY", "no address where a registrar could be", "RFC 8995 section 4",
                                 "give --registrar, or let it listen for announcements with --interface"};
inline constexpr Rule kNoVoucherAnchors{"BRSKI-NO-ANCHORS", "the device knows no anchor of its maker for vouchers",
                                        "RFC 8995 section 2.1",
                                        "give the certificate that the factory put in with --maker-anchors"};
inline constexpr Rule kPledgeNoIdevid{"BRSKI-NO-IDEVID", "the device has no IDevID with a serial number",
                                      "RFC 8995 section 2.3.1", "give certificate and key with --cert and --key"};
inline constexpr Rule kNobodyThere{
    "BRSKI-NO-REGISTRAR", "no registrar answered", "RFC 8995 section 4.1",
    "look whether it runs and is reached; the device tries the next one, then all again"};
inline constexpr Rule kSilentServer{"BRSKI-NO-CERTIFICATE", "who answered showed no certificate in the handshake",
                                    "RFC 8995 section 5.1", "a registrar has one; this is something else"};
inline constexpr Rule kNotWanted{"BRSKI-REFUSED", "the registrar gave no voucher", "RFC 8995 section 5.6",
                                 "its answer says why; the owner has to want the device, and its maker to agree"};
inline constexpr Rule kNotNow{"BRSKI-NOT-NOW", "the registrar cannot get a voucher now", "RFC 9110 section 15.6",
                              "its answer says who is away; nobody has refused the device: let it try again later"};
inline constexpr Rule kWaitedEnough{"BRSKI-WAITED", "the registrar said too often to come again",
                                    "RFC 8995 section 5.6", "have the owner decide about the device; then start anew"};
inline constexpr Rule kTooManyRedirects{"BRSKI-REDIRECT",
                                        "redirected once too often, in a circle, or to no HTTPS address",
                                        "RFC 8995 section 5.6; draft-ietf-anima-brski-cloud section 3.1",
                                        "whoever redirects has to name the owner's registrar"};
inline constexpr Rule kWrongForm{"BRSKI-FORM", "the answer is no voucher in the form that was asked for",
                                 "RFC 8995 section 5.6", "the registrar has to send on the MASA's voucher as it came"};
inline constexpr Rule kCloudUntrusted{"BRSKI-CLOUD", "the cloud registrar is not whom the device's anchors name",
                                      "draft-ietf-anima-brski-cloud section 3", "check the address and the anchors"};

inline constexpr std::array kPledgeRules{&kPledgeConfigured, &kNoProxies,        &kNoVoucherAnchors, &kPledgeNoIdevid,
                                         &kNobodyThere,      &kSilentServer,     &kNotWanted,        &kNotNow,
                                         &kWaitedEnough,     &kTooManyRedirects, &kWrongForm,        &kCloudUntrusted};

}  // namespace imprint::brski
