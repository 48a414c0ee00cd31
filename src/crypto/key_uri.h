// Where a private key is: in a file, behind PKCS#11 (RFC 7512) or in a TPM 2.0, as one text says.
#pragma once

#include <optional>
#include <string>

#include "crypto/keys.h"

namespace imprint {

//   /etc/imprint/ca.pem, file:/etc/imprint/ca.pem
//   pkcs11:token=site;object=ca?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/imprint/pin
//   tpm2:0x81000001?pin-source=file:/etc/imprint/pin   a persistent handle; handle:0x81000001 says the same
//   tpm2:/etc/imprint/ca.tss2                          an object's file, as `openssl genpkey -provider tpm2` writes it
struct KeyUri {
  enum class Kind : std::uint8_t { file, pkcs11, tpm2 };
  Kind kind = Kind::file;
  std::string text;                                        // as it was given; holds no PIN
  std::string path;                                        // of the file, or of a TPM object's file
  std::uint32_t handle = 0;                                // tpm2, if path is empty
  std::string token, serial, manufacturer, model, object;  // pkcs11; empty: any
  Bytes id;                                                // pkcs11; empty: any
  std::string module_path;                                 // pkcs11; empty: that of p11-kit
  std::string pin_source;                                  // a file; empty: none is named
  bool operator==(const KeyUri&) const = default;

  // At most 4,096 characters. KEY-URI; KEY-PIN-VALUE if there is a PIN in it.
  static Result<KeyUri> parse(std::string_view text);
};

// The key behind a `pkcs11:` or `tpm2:` URI. It never leaves its token: to_pem() refuses. sign() asks the token, from
// any thread, one signature at a time; after a failure the token is opened again, once, so that one that was away is
// found when it is back. Faults of both: unreachable (KEY-TOKEN, and what the token cannot do), with KEY-PIN if the
// token refused the PIN: that PIN is never tried again. Opened once for a process, however often it is asked for.
Result<PrivateKey> open_key(const KeyUri& uri, const std::optional<Secret>& pin);

// The same for a key whose public half is known, without opening the token before the first signature: many a command
// needs none, and many a token has one user at a time.
Result<PrivateKey> known_key(const KeyUri& uri, const std::optional<Secret>& pin, const PublicKey& key);

// The URI that open_key() had; empty for a key in memory.
std::string key_uri(const PrivateKey& key);
inline bool in_token(const PrivateKey& key) { return !key_uri(key).empty(); }
// Whether TLS can sign with it: any key in memory, an elliptic one in a token.
bool can_tls(const PrivateKey& key);

}  // namespace imprint
