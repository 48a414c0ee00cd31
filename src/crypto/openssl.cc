#include "crypto/openssl.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "crypto/parts.h"

namespace imprint {
namespace {

using GroupPtr = std::unique_ptr<EC_GROUP, Free<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, Free<EC_POINT_free>>;

struct Curve {
  EvpKey parameters;  // a key without a point, to be copied
  GroupPtr group;
};

Curve make_curve(int nid, const char* name) {
  Curve out;
  const ossl::KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* parameters = nullptr;
  if (context && EVP_PKEY_paramgen_init(context.get()) == 1 && EVP_PKEY_CTX_set_group_name(context.get(), name) == 1 &&
      EVP_PKEY_paramgen(context.get(), &parameters) == 1) {
    out.parameters.reset(parameters);
  }
  out.group.reset(EC_GROUP_new_by_curve_name(nid));
  assert(out.parameters && out.group);
  return out;
}

// Made once, then only read: any number of threads may use them.
const Curve& curve(KeyType type) {
  static const Curve p256 = make_curve(NID_X9_62_prime256v1, "P-256");
  static const Curve p384 = make_curve(NID_secp384r1, "P-384");
  static const Curve p521 = make_curve(NID_secp521r1, "P-521");
  assert(type == KeyType::p256 || type == KeyType::p384 || type == KeyType::p521);
  return type == KeyType::p256 ? p256 : (type == KeyType::p384 ? p384 : p521);
}

EvpKey on_curve_key(KeyType type, BytesView point) {
  EvpKey key(EVP_PKEY_dup(curve(type).parameters.get()));
  if (!key || EVP_PKEY_set1_encoded_public_key(key.get(), point.data(), point.size()) != 1) {
    return nullptr;
  }
  return key;
}

}  // namespace

namespace ossl {

Error failed(Fault fault, std::string_view what) {
  ERR_clear_error();
  return {fault, what};
}

bool on_curve(KeyType type, BytesView point) {
  const EC_GROUP* group = curve(type).group.get();
  const PointPtr decoded(EC_POINT_new(group));
  const bool good = decoded && EC_POINT_oct2point(group, decoded.get(), point.data(), point.size(), nullptr) == 1 &&
                    EC_POINT_is_at_infinity(group, decoded.get()) == 0;
  ERR_clear_error();
  return good;
}

EvpKey public_key(const PublicKey& key) {
  const BytesView bits = parts::key_bits(key.spki);
  switch (key.type) {
    case KeyType::p256:
    case KeyType::p384:
    case KeyType::p521:
      return on_curve_key(key.type, bits);
    case KeyType::ed25519:
      return EvpKey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bits.data(), bits.size()));
    case KeyType::rsa2048:
    case KeyType::rsa3072:
    case KeyType::rsa4096:
    case KeyType::other:
      break;
  }
  const std::uint8_t* in = key.spki.data();
  return EvpKey(d2i_PUBKEY(nullptr, &in, static_cast<long>(key.spki.size())));
}

}  // namespace ossl

EvpKey openssl_key(const PrivateKey& key) {
  if (!key || key.handle()->key == nullptr) {
    return nullptr;
  }
  EVP_PKEY* shared = key.handle()->key.get();
  EVP_PKEY_up_ref(shared);
  return EvpKey(shared);
}

namespace {

// OpenSSL decodes a certificate's key by its generic decoder, which takes longer than a verification: the latest
// certificates of a thread are kept. Where one goes is said by its last octets, which are its signature's, and there
// are four places for it: two that are used in turn do not put each other out, unless somebody makes them for that.
struct KeptCertificates {
  static constexpr std::size_t kSets = 16, kWays = 4;
  struct Place {
    Bytes der;
    X509Ptr certificate;
  };
  struct Set {
    std::array<Place, kWays> places;
    std::size_t oldest = 0;
  };
  std::array<Set, kSets> sets;

  // Where it is, or where it may be put.
  Place& of(BytesView der) {
    std::size_t at = 0;
    for (const std::uint8_t octet : der.last(std::min<std::size_t>(der.size(), 8))) {
      at = at * 31 + octet;
    }
    Set& set = sets[at % kSets];
    const auto found =
        std::ranges::find_if(set.places, [&](const Place& p) { return p.certificate && equal(p.der, der); });
    return found != set.places.end() ? *found : set.places[set.oldest++ % kWays];
  }
};

}  // namespace

X509Ptr openssl_certificate(const Certificate& certificate) {
  thread_local KeptCertificates kept;
  KeptCertificates::Place& place = kept.of(certificate.der);
  if (!place.certificate || place.der != certificate.der) {
    const std::uint8_t* in = certificate.der.data();
    X509Ptr fresh(d2i_X509(nullptr, &in, static_cast<long>(certificate.der.size())));
    if (!fresh) {
      ERR_clear_error();
      return nullptr;
    }
    place = {certificate.der, std::move(fresh)};
  }
  X509_up_ref(place.certificate.get());
  return X509Ptr(place.certificate.get());
}

Result<Certificate> from_openssl(const X509* certificate) {
  std::uint8_t* encoded = nullptr;
  const int length = certificate != nullptr ? i2d_X509(certificate, &encoded) : -1;
  if (length < 0) {
    return ossl::failed(Fault::malformed, "certificate: encoding");
  }
  const std::unique_ptr<std::uint8_t, decltype([](std::uint8_t* p) { OPENSSL_free(p); })> owner(encoded);
  return Certificate::parse({encoded, static_cast<std::size_t>(length)});
}

}  // namespace imprint
