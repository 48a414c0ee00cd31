// The rules of a CA that gets its certificate from another one. Ids are stable; docs/errors.md is printed from this
// list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::app {

inline constexpr Rule kCaCertificate{
    "CA-CERTIFICATE", "the certificate cannot be the owner CA's",
    "RFC 5280 section 4.2.1; ours: docs/guide.md, a CA under a root",
    "have the root sign the CSR of `imprint ca request` again, as an issuing CA: CA:TRUE, keyCertSign and cRLSign"};
inline constexpr Rule kCaPath{
    "CA-PATH", "there is no good path from the certificate to a root",
    "RFC 5280 section 6; ours: docs/guide.md, a CA under a root",
    "give every certificate above it with --chain, up to the root; all must be valid now, and the root's path length "
    "must leave room for one CA"};
inline constexpr Rule kCaPending{"CA-PENDING", "a key waits for its certificate already",
                                 "ours: docs/guide.md, a CA under a root",
                                 "`imprint ca request` without a key prints its CSR; to give it up, remove ca/next/"};
inline constexpr Rule kCaKeyFixed{"CA-KEY-FIXED", "the owner CA has its key", "ours: docs/guide.md, a CA under a root",
                                  "`imprint ca request --key URI` and `imprint ca install` lead to another key"};

inline constexpr Rule kCaBelow{"CA-BELOW", "the owner CA is below a root, which alone makes a new one",
                               "ours: docs/guide.md, a new root",
                               "`imprint ca request` and `imprint ca install` lead to another root"};
inline constexpr Rule kCaCutOff{"CA-CUT-OFF",
                                "devices that hold the root of before would not verify the server any more",
                                "RFC 4210 section 4.4; ours: docs/guide.md, a new root",
                                "have the root of before sign the key of the new one (NewWithOld) and give that with "
                                "--link; or, if no device is out "
                                "there, say --cut-off"};

inline constexpr std::array kCaRules{&kCaCertificate, &kCaPath, &kCaPending, &kCaKeyFixed, &kCaBelow, &kCaCutOff};

}  // namespace imprint::app
