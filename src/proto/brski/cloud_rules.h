// The rules of a maker's default registrar. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::brski {

inline constexpr Rule kCloudIdevid{"BRSKI-CLOUD-IDEVID", "who asks shows no IDevID of this maker in the handshake",
                                   "draft-ietf-anima-brski-cloud section 2.1",
                                   "the device has to show its IDevID, with the certificates up to the maker's root"};
inline constexpr Rule kCloudSigner{
    "BRSKI-CLOUD-SIGNER", "the request is not signed by the IDevID that was shown in the handshake",
    "RFC 8995 section 5.2", "the device has to sign with the key that it proves in the handshake"};
inline constexpr Rule kCloudOther{"BRSKI-CLOUD-OTHER", "the device saw another registrar than this one",
                                  "RFC 8995 section 5.2",
                                  "the device has to name the certificate that it saw in this handshake"};
inline constexpr Rule kCloudUnknown{"BRSKI-CLOUD-UNKNOWN", "the maker has no such device on record, or has retired it",
                                    "draft-ietf-anima-brski-cloud section 3.2",
                                    "import what was made: `imprint masa device import`"};
inline constexpr Rule kCloudNobody{"BRSKI-CLOUD-NOBODY", "the device has no owner, says its maker",
                                   "draft-ietf-anima-brski-cloud section 3.2",
                                   "enter where its owner is: `imprint masa device owner SERIAL --registrar URL`"};
inline constexpr Rule kCloudUnsaid{"BRSKI-CLOUD-UNSAID", "nobody has said yet who owns the device",
                                   "draft-ietf-anima-brski-cloud section 3.2",
                                   "enter where its owner is: `imprint masa device owner SERIAL --registrar URL`"};

inline constexpr std::array kCloudRules{&kCloudIdevid,  &kCloudSigner, &kCloudOther,
                                        &kCloudUnknown, &kCloudNobody, &kCloudUnsaid};

}  // namespace imprint::brski
