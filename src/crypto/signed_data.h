// CMS SignedData with content and one signer (RFC 5652 section 5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "crypto/x509.h"

namespace imprint {

// Who signs.
struct Signer {
  PrivateKey key;
  std::vector<Certificate> chain;  // own certificate first; all of them are sent along
  std::optional<Instant> at = {};  // signingTime; none: by the clock of the machine
};

// Whether we make and verify CMS signatures with a key of this type: RSA and NIST curves. OpenSSL 3.0 has none with
// Ed25519 (RFC 8419).
bool signs_cms(KeyType type);

// Content of this type, signed, as DER of a ContentInfo. Without a chain the signer is named by the identifier of its
// key, and no certificate is sent along (RFC 5272 section 3.2). unsupported: a key that signs no CMS.
// `more`: certificates to be sent along.
Result<Secret> sign_content(std::string_view type, BytesView content, const Signer& by,
                            const std::vector<Certificate>& more = {});

// What such a message says. Nothing here is verified; verify_signed() does that.
struct SignedContent {
  std::string type;  // dotted OID of the content
  Secret content;
  std::vector<Certificate> signers;          // whom the signature names, if they came along: one key may have several
  Bytes signer_key_id;                       // if it names a key
  std::vector<Certificate> along;            // all certificates in the message that can be read
  std::optional<Instant> signing_time = {};  // by the signer's clock, under the signature (RFC 5652 section 11.3)
};
// Reads SignedData, as such or as a ContentInfo, in DER or BER. Faults: limit (64 KiB, 32 certificates), malformed,
// unauthentic (not exactly one signer), unsupported (a digest older than SHA-256; no signed attributes, or one for
// another type of content).
Result<SignedContent> parse_signed(BytesView message);

// Whether the one signature of such a message is by this key. unsupported: a key of another type than signs_cms() has.
Status verify_signed(BytesView message, const PublicKey& key);
// The same for the key of a certificate, whatever else that says: OpenSSL has most likely read it already (decision
// 21).
Status verify_signed(BytesView message, const Certificate& by);

// The signer's certificate: the preferred one if the signature names it, else the first one named, whose key made the
// signature. unauthentic: none of them did.
Result<Certificate> verified_signer(BytesView message, const SignedContent& content,
                                    const std::optional<Certificate>& preferred = std::nullopt);

}  // namespace imprint
