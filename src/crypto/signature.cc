#include <openssl/rsa.h>

#include <array>

#include "codec/der.h"
#include "crypto/openssl.h"

namespace imprint {
namespace {

enum class Family : std::uint8_t { ecdsa, rsa, pss, ed25519 };

// A signature algorithm that we take, as the AlgorithmIdentifier that names it: compared octet by octet, so that no
// parameter goes unread.
struct Scheme {
  Bytes identifier;
  Family family;
  const char* hash;  // null where the algorithm hashes by itself
};

// RFC 4055 section 3.1, with salt as long as the digest and the only trailer there is.
Bytes pss_identifier(std::string_view hash_oid, std::uint64_t digest, bool with_null) {
  const Bytes null = with_null ? der::item(der::kNull, {}) : Bytes();
  const Bytes hash = der::sequence({der::oid(hash_oid), null});
  const Bytes mask = der::sequence({der::oid("1.2.840.113549.1.1.8"), hash});
  return der::sequence({der::oid("1.2.840.113549.1.1.10"),
                        der::sequence({der::item(der::context(0), hash), der::item(der::context(1), mask),
                                       der::item(der::context(2), der::integer(digest))})});
}

std::vector<Scheme> make_schemes() {
  struct Hash {
    const char* name;
    std::string_view oid, ecdsa, rsa;
    std::uint64_t size;
  };
  constexpr std::array<Hash, 3> kHashes{
      {{"SHA256", "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11", 32},
       {"SHA384", "2.16.840.1.101.3.4.2.2", "1.2.840.10045.4.3.3", "1.2.840.113549.1.1.12", 48},
       {"SHA512", "2.16.840.1.101.3.4.2.3", "1.2.840.10045.4.3.4", "1.2.840.113549.1.1.13", 64}}};
  std::vector<Scheme> out;
  for (const Hash& h : kHashes) {
    out.push_back({der::sequence({der::oid(h.ecdsa)}), Family::ecdsa, h.name});
    // RFC 4055 section 5: NULL is written, but its absence is to be taken too.
    out.push_back({der::sequence({der::oid(h.rsa), der::item(der::kNull, {})}), Family::rsa, h.name});
    out.push_back({der::sequence({der::oid(h.rsa)}), Family::rsa, h.name});
    out.push_back({pss_identifier(h.oid, h.size, true), Family::pss, h.name});
    out.push_back({pss_identifier(h.oid, h.size, false), Family::pss, h.name});
  }
  out.push_back({der::sequence({der::oid("1.3.101.112")}), Family::ed25519, nullptr});
  return out;
}

const Scheme* find_scheme(BytesView identifier) {
  static const std::vector<Scheme> schemes = make_schemes();
  for (const Scheme& scheme : schemes) {
    if (equal(scheme.identifier, identifier)) {
      return &scheme;
    }
  }
  return nullptr;
}

bool suits(Family family, const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
      return family == Family::ecdsa;
    case EVP_PKEY_RSA:
      return family == Family::rsa || family == Family::pss;
    case EVP_PKEY_ED25519:
      return family == Family::ed25519;
    default:
      return false;
  }
}

}  // namespace

Status verify_signature(const PublicKey& key, BytesView algorithm, BytesView message, BytesView signature) {
  const Scheme* scheme = find_scheme(algorithm);
  CHECK_OR(scheme != nullptr, Error{Fault::unsupported, "signature: algorithm"});
  const EvpKey made = ossl::public_key(key);
  if (!made) {
    return ossl::failed(Fault::unsupported, "signature: key");
  }
  CHECK_OR(suits(scheme->family, made.get()), Error{Fault::malformed, "signature: algorithm of another key type"});
  const ossl::DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* details = nullptr;  // belongs to context
  bool good = context && EVP_DigestVerifyInit_ex(context.get(), &details, scheme->hash, nullptr, nullptr, made.get(),
                                                 nullptr) == 1;
  if (good && scheme->family == Family::pss) {
    good = EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  if (!good) {
    return ossl::failed(Fault::internal, "signature: preparation");
  }
  const bool verified =
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
  if (!holds(verified)) {
    return ossl::failed(Fault::unauthentic, "signature");
  }
  return Ok{};
}

}  // namespace imprint
