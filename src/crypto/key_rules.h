// The rules of keys that are named by URI. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint {

inline constexpr Rule kKeyUri{"KEY-URI", "the key's URI is wrong", "RFC 7512; ours: docs/guide.md, keys in a token",
                              "write it as in pkcs11:token=site;object=ca?pin-source=file:/etc/imprint/pin, "
                              "tpm2:0x81000001, tpm2:/etc/imprint/ca.tss2 or /etc/imprint/ca.pem"};
inline constexpr Rule kKeyPinInUri{
    "KEY-PIN-VALUE", "the key's URI holds a PIN for everybody to see",
    "RFC 7512 section 7; ours: docs/guide.md, keys in a token",
    "put the PIN into a file of mode 0600 and name it: pin-source=file:/etc/imprint/pin"};
inline constexpr Rule kKeyPkcs11{
    "KEY-PKCS11-MODULE", "there is no PKCS#11 module to speak to the token", "ours: docs/guide.md, keys in a token",
    "install the Debian package p11-kit-modules and the token's own one, as softhsm2 or opensc-pkcs11, or name the "
    "module: module-path=/usr/lib/softhsm/libsofthsm2.so"};
inline constexpr Rule kKeyTpm2{"KEY-TPM2-PROVIDER", "OpenSSL has no provider for a TPM",
                               "ours: docs/guide.md, keys in a token", "install the Debian package tpm2-openssl"};
inline constexpr Rule kKeyToken{"KEY-TOKEN", "the token is not there, or does not answer",
                                "ours: docs/guide.md, keys in a token",
                                "plug it in or start it; `pkcs11-tool -L` and `tpm2_getcap handles-persistent` show "
                                "what is there; TPM2OPENSSL_TCTI says where a TPM is"};
inline constexpr Rule kKeyAbsent{
    "KEY-ABSENT", "the token has no such key pair, or more than one", "ours: docs/guide.md, keys in a token",
    "`pkcs11-tool --login -O` and `tpm2_readpublic` show what is there; the public key has "
    "to be beside the private one, with the same id"};
inline constexpr Rule kKeyPin{
    "KEY-PIN", "the token does not take the PIN, or wants one", "ours: docs/guide.md, keys in a token",
    "correct the file of pin-source and send SIGHUP, or IMPRINT_KEY_PIN and start again; it is "
    "not tried again before, as tokens lock themselves"};
inline constexpr Rule kKeyKind{"KEY-KIND", "a key of this kind cannot be used from its token",
                               "ours: docs/guide.md, keys in a token",
                               "take P-256 or P-384; Ed25519 and RSA are for a CA's key behind PKCS#11, RSA for one in "
                               "a TPM"};

inline constexpr std::array kKeyRules{&kKeyUri,   &kKeyPinInUri, &kKeyPkcs11, &kKeyTpm2,
                                      &kKeyToken, &kKeyAbsent,   &kKeyPin,    &kKeyKind};

}  // namespace imprint
