// A private key in CMS (RFC 7030 section 4.4.2): EnvelopedData around SignedData around an AsymmetricKeyPackage.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "crypto/key_package.h"
#include "crypto/signed_data.h"
#include "crypto/x509.h"

namespace imprint {

// Algorithms as requesters list them in SMIMECapabilities. Content is encrypted with AES-CBC: OpenSSL 3.0 reads
// AuthEnvelopedData, but few requesters do.
namespace cms_algorithm {
inline constexpr std::string_view kAes128Cbc = "2.16.840.1.101.3.4.1.2", kAes192Cbc = "2.16.840.1.101.3.4.1.22",
                                  kAes256Cbc = "2.16.840.1.101.3.4.1.42", kAes128Wrap = "2.16.840.1.101.3.4.1.5",
                                  kAes192Wrap = "2.16.840.1.101.3.4.1.25", kAes256Wrap = "2.16.840.1.101.3.4.1.45",
                                  kRsa = "1.2.840.113549.1.1.1", kRsaOaep = "1.2.840.113549.1.1.7",
                                  kEcdhSha256 = "1.3.132.1.11.1";
}  // namespace cms_algorithm

// What we open, best first.
std::vector<std::string> cms_capabilities();

// A symmetric key that two sides hold: 16, 24 or 32 octets.
struct SharedKey {
  Bytes id;  // as in DecryptKeyIdentifier
  Secret key;
};

// Who opens an envelope: a shared key (kekri), or whoever has the private key of a certificate: RSA (ktri, OAEP if the
// requester lists it) or NIST curves (kari, dhSinglePass-stdDH-sha256kdf). The certificate is named by its subject key
// identifier if it has one, else by issuer and serial number.
using Recipient = std::variant<SharedKey, Certificate>;

// The algorithms of an envelope, by their OIDs.
struct Algorithms {
  std::string content, key;
};
// The first ones that the requester lists, whose content key is at least as strong as the key to be wrapped, and so is
// a shared key that wraps it. A requester that lists no content encryption takes the AES of the key wrap that it lists.
// Fault::unsupported if there are none.
Result<Algorithms> choose_algorithms(const std::vector<std::string>& capabilities, const Recipient& to,
                                     std::size_t strength);

// The envelope as DER of a ContentInfo. Faults: unsupported (no algorithm in common, a recipient's key that wraps
// nothing, a signer's key that signs no CMS), internal.
Result<Bytes> seal_key(const PrivateKey& key, const Recipient& to, const std::vector<std::string>& capabilities,
                       const Signer& by);

// The signed part of an envelope: the SignedData, or whatever it was. Bounded: 64 KiB. Faults: limit, malformed,
// unsupported (content not in AES-CBC), unauthentic (not for this key, or damaged: the two are not told apart).
Result<Secret> open_envelope(BytesView message, const SharedKey& with);
Result<Secret> open_envelope(BytesView message, const PrivateKey& with);

// A key with the certificates that came with its signature. The signature is good; whether its signer is anybody is for
// the caller to find out.
struct SignedKey {
  PrivateKey key;
  Certificate signer;
  std::vector<Certificate> along;
};
// Reads SignedData, as such (RFC 5652 section 5) or as a ContentInfo. Exactly one signer, SHA-256 or better. Faults:
// limit, malformed, unsupported (digest), unauthentic (signature: Ed25519's is never good, see signs_cms()).
Result<SignedKey> open_signed_key(const Secret& content);

}  // namespace imprint
