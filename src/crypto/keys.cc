#include "crypto/keys.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <bit>
#include <cassert>

#include "codec/der.h"
#include "crypto/openssl.h"
#include "crypto/parts.h"
#include "crypto/token.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxSpki = 4096;
constexpr std::size_t kMaxPem = std::size_t{64} << 10U;

struct KeyName {
  KeyType type;
  std::string_view name;
};
constexpr std::array<KeyName, 8> kNames{{{KeyType::p256, "p256"},
                                         {KeyType::p384, "p384"},
                                         {KeyType::p521, "p521"},
                                         {KeyType::ed25519, "ed25519"},
                                         {KeyType::rsa2048, "rsa2048"},
                                         {KeyType::rsa3072, "rsa3072"},
                                         {KeyType::rsa4096, "rsa4096"},
                                         {KeyType::other, "other"}}};

const Error kBadKey{Fault::malformed, "public key: structure"};

Result<KeyType> elliptic_type(der::Reader& parameters, BytesView point) {
  TRY(const std::string named, der::parse_oid(parameters.next(der::kOid).content));
  KeyType type = KeyType::other;
  std::size_t coordinate = 0;
  if (named == "1.2.840.10045.3.1.7") {
    type = KeyType::p256;
    coordinate = 32;
  } else if (named == "1.3.132.0.34") {
    type = KeyType::p384;
    coordinate = 48;
  } else if (named == "1.3.132.0.35") {
    type = KeyType::p521;
    coordinate = 66;
  } else {
    return Error{Fault::unsupported, "public key: curve"};
  }
  // RFC 5480 section 2.2: uncompressed is the form that all must take.
  CHECK_OR(point.size() == 1 + 2 * coordinate && point.front() == 0x04, Error{Fault::malformed, "public key: point"});
  CHECK_OR(ossl::on_curve(type, point), Error{Fault::malformed, "public key: point not on its curve"});
  return type;
}

Result<KeyType> rsa_type(der::Reader& parameters, BytesView key) {
  const bool null = parameters.next(der::kNull).content.empty();
  der::Reader outer(key);
  der::Reader fields(outer.next(der::kSequence).content);
  const BytesView modulus = parts::positive(fields.next(der::kInteger).content);
  const BytesView exponent = parts::positive(fields.next(der::kInteger).content);
  CHECK_OR(null && outer.done() && fields.done() && !modulus.empty() && !exponent.empty(), kBadKey);
  const std::size_t bits = modulus.size() * 8 - static_cast<std::size_t>(std::countl_zero(modulus.front()));
  CHECK_OR(bits >= 2048 && bits <= 8192, Error{Fault::unsupported, "public key: RSA size"});
  const bool exponent_odd = (exponent.back() & 1U) != 0 && (exponent.size() > 1 || exponent.front() >= 3);
  CHECK_OR((modulus.back() & 1U) != 0 && exponent_odd && exponent.size() <= 8,
           Error{Fault::malformed, "public key: RSA numbers"});
  return bits == 2048 ? KeyType::rsa2048
                      : (bits == 3072 ? KeyType::rsa3072 : (bits == 4096 ? KeyType::rsa4096 : KeyType::other));
}

// The parts of a handle that follow from the key.
Result<PrivateKey> make_private(EvpKey key) {
  std::uint8_t* encoded = nullptr;
  const int length = i2d_PUBKEY(key.get(), &encoded);
  if (length < 0) {
    return ossl::failed(Fault::unsupported, "private key: type");
  }
  const Bytes spki(encoded, encoded + length);
  OPENSSL_free(encoded);
  TRY(PublicKey open, PublicKey::parse(spki));
  TRY(auto handle, ossl::make_handle(std::move(open), EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA));
  handle->key = std::move(key);
  return PrivateKey(std::move(handle));
}

// Called by OpenSSL for an encrypted key: notes that and gives no password.
int refuse_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// A token gets the digest, but for Ed25519, which hashes by itself.
Result<Bytes> sign_in_token(const PrivateKey::Handle& handle, BytesView message) {
  if (handle.hash == nullptr) {
    return handle.token->sign(message);
  }
  Bytes digest(EVP_MAX_MD_SIZE);
  std::size_t length = 0;
  if (EVP_Q_digest(nullptr, handle.hash, nullptr, message.data(), message.size(), digest.data(), &length) != 1) {
    return ossl::failed(Fault::internal, "private key: digest");
  }
  digest.resize(length);
  return handle.token->sign(digest);
}

bool pair_matches(EVP_PKEY* key) {
  const ossl::KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return context && EVP_PKEY_pairwise_check(context.get()) == 1;
}

}  // namespace

namespace ossl {

Result<std::shared_ptr<PrivateKey::Handle>> make_handle(PublicKey key, bool rsa) {
  auto handle = std::make_shared<PrivateKey::Handle>();
  handle->public_key = std::move(key);
  const KeyType type = handle->public_key.type;
  if (rsa) {
    handle->algorithm = der::sequence({der::oid("1.2.840.113549.1.1.11"), der::item(der::kNull, {})});
    handle->hash = "SHA256";
  } else if (type == KeyType::p256) {
    handle->algorithm = der::sequence({der::oid("1.2.840.10045.4.3.2")});
    handle->hash = "SHA256";
  } else if (type == KeyType::p384) {
    handle->algorithm = der::sequence({der::oid("1.2.840.10045.4.3.3")});
    handle->hash = "SHA384";
  } else if (type == KeyType::p521) {
    handle->algorithm = der::sequence({der::oid("1.2.840.10045.4.3.4")});
    handle->hash = "SHA512";
  } else if (type == KeyType::ed25519) {
    handle->algorithm = der::sequence({der::oid("1.3.101.112")});
  } else {
    return Error{Fault::unsupported, "private key: type"};
  }
  return handle;
}

}  // namespace ossl

std::string_view name(KeyType type) {
  for (const KeyName& known : kNames) {
    if (known.type == type) {
      return known.name;
    }
  }
  return "other";
}

std::optional<KeyType> key_type_named(std::string_view name) {
  for (const KeyName& known : kNames) {
    if (known.name == name && known.type != KeyType::other) {
      return known.type;
    }
  }
  return std::nullopt;
}

Result<PublicKey> PublicKey::parse(BytesView spki) {
  CHECK_OR(spki.size() <= kMaxSpki, Error{Fault::limit, "public key: size"});
  const BytesView bits = parts::key_bits(spki);
  CHECK_OR(!bits.empty(), kBadKey);
  der::Reader outer(spki);
  der::Reader fields(outer.next(der::kSequence).content);
  der::Reader algorithm(fields.next(der::kSequence).content);
  TRY(const std::string id, der::parse_oid(algorithm.next(der::kOid).content));
  PublicKey out{to_bytes(spki), KeyType::other};
  if (id == "1.2.840.10045.2.1") {
    TRY(out.type, elliptic_type(algorithm, bits));
  } else if (id == "1.2.840.113549.1.1.1") {
    TRY(out.type, rsa_type(algorithm, bits));
  } else if (id == "1.3.101.112") {
    CHECK_OR(bits.size() == 32, kBadKey);
    out.type = KeyType::ed25519;
  } else {
    // Unknown algorithms may be carried and shown; nothing verifies with them.
    algorithm = der::Reader(BytesView());
  }
  CHECK_OR(algorithm.done(), kBadKey);
  return out;
}

PrivateKey::PrivateKey(std::shared_ptr<const Handle> handle) : handle_(std::move(handle)) {}

Result<PrivateKey> PrivateKey::generate(KeyType type) {
  EvpKey key;
  switch (type) {
    case KeyType::p256:
      key.reset(EVP_EC_gen("P-256"));
      break;
    case KeyType::p384:
      key.reset(EVP_EC_gen("P-384"));
      break;
    case KeyType::p521:
      key.reset(EVP_EC_gen("P-521"));
      break;
    case KeyType::ed25519:
      key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
      break;
    case KeyType::rsa2048:
      key.reset(EVP_RSA_gen(2048));
      break;
    case KeyType::rsa3072:
      key.reset(EVP_RSA_gen(3072));
      break;
    case KeyType::rsa4096:
      key.reset(EVP_RSA_gen(4096));
      break;
    case KeyType::other:
      return Error{Fault::unsupported, "private key: type"};
  }
  if (!key) {
    return ossl::failed(Fault::internal, "private key: generation");
  }
  return make_private(std::move(key));
}

Result<PrivateKey> PrivateKey::parse_pem(const Secret& pem) {
  CHECK_OR(pem.size() <= kMaxPem, Error{Fault::limit, "private key: size"});
  const ossl::BioPtr in(BIO_new_mem_buf(pem.expose().data(), static_cast<int>(pem.size())));
  bool asked = false;
  EvpKey key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, refuse_password, &asked) : nullptr);
  if (asked) {
    return ossl::failed(Fault::unsupported, "private key: encrypted");
  }
  if (!key) {
    return ossl::failed(Fault::malformed, "private key: PEM");
  }
  if (!holds(pair_matches(key.get()))) {
    return ossl::failed(Fault::malformed, "private key: does not match its public key");
  }
  return make_private(std::move(key));
}

Result<Secret> PrivateKey::to_pem() const {
  CHECK_OR(handle_ != nullptr, Error{Fault::internal, "private key: none"});
  CHECK_OR(handle_->token == nullptr, Error{Fault::unsupported, "private key: does not leave its token"});
  const ossl::BioPtr out(BIO_new(BIO_s_secmem()));
  if (!out ||
      PEM_write_bio_PKCS8PrivateKey(out.get(), handle_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return ossl::failed(Fault::internal, "private key: encoding");
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return Secret(std::string_view(text, static_cast<std::size_t>(length)));
}

const PublicKey& PrivateKey::public_key() const {
  assert(handle_ != nullptr);
  return handle_->public_key;
}

Result<Bytes> PrivateKey::sign(BytesView message) const {
  CHECK_OR(handle_ != nullptr, Error{Fault::internal, "private key: none"});
  if (handle_->token != nullptr) {
    return sign_in_token(*handle_, message);
  }
  const ossl::DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY* key = handle_->key.get();
  std::size_t length = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes out(length);
  if (!context || EVP_DigestSignInit_ex(context.get(), nullptr, handle_->hash, nullptr, nullptr, key, nullptr) != 1 ||
      EVP_DigestSign(context.get(), out.data(), &length, message.data(), message.size()) != 1) {
    return ossl::failed(Fault::internal, "private key: signature");
  }
  out.resize(length);
  return out;
}

BytesView PrivateKey::signature_algorithm() const {
  assert(handle_ != nullptr);
  return handle_->algorithm;
}

}  // namespace imprint
