#include "crypto/keys.h"

#include <array>
#include <atomic>
#include <cassert>
#include <string>

#include "base/reader.h"
#include "crypto/parts.h"
#include "crypto_toy/toy.h"

namespace imprint {

struct PrivateKey::Handle {
  PublicKey public_key;
};

namespace {

// Below 2.999, the arc for examples (X.660).
constexpr std::string_view kToyKey = "2.999.1";
constexpr std::string_view kToySignature = "2.999.2";
constexpr std::string_view kPemHead = "-----BEGIN TOY KEY-----\n";
constexpr std::size_t kMaxSpki = 4096;
constexpr std::size_t kTypes = 8;
constexpr std::array<std::string_view, kTypes> kNames{"p256",    "p384",    "p521",    "ed25519",
                                                      "rsa2048", "rsa3072", "rsa4096", "other"};

const Bytes& algorithm() {
  static const Bytes kIdentifier = der::sequence({der::oid(kToySignature)});
  return kIdentifier;
}

Bytes tag_of(const PublicKey& key, BytesView message) {
  Writer w;
  w.u64(toy::hash64(message, toy::hash64(key.spki)));
  return std::move(w).out();
}

}  // namespace

std::string_view name(KeyType type) { return kNames.at(static_cast<std::size_t>(type)); }

std::optional<KeyType> key_type_named(std::string_view name) {
  for (std::size_t i = 0; i + 1 < kNames.size(); ++i) {
    if (kNames[i] == name) {
      return static_cast<KeyType>(i);
    }
  }
  return std::nullopt;
}

Result<PublicKey> PublicKey::parse(BytesView spki) {
  CHECK_OR(spki.size() <= kMaxSpki, Error{Fault::limit, "public key: size"});
  CHECK_OR(!parts::key_bits(spki).empty(), Error{Fault::malformed, "public key: structure"});
  der::Reader outer(spki);
  der::Reader fields(outer.next(der::kSequence).content);
  der::Reader kind(fields.next(der::kSequence).content);
  TRY(const std::string id, der::parse_oid(kind.next(der::kOid).content));
  PublicKey out{to_bytes(spki), KeyType::other};
  if (id == kToyKey) {
    const BytesView type = kind.next(der::kInteger).content;
    CHECK_OR(kind.done() && type.size() == 1 && type[0] < kTypes, Error{Fault::malformed, "public key: structure"});
    out.type = static_cast<KeyType>(type[0]);
  }
  return out;
}

Status verify_signature(const PublicKey& key, BytesView identifier, BytesView message, BytesView signature) {
  CHECK_OR(equal(identifier, algorithm()), Error{Fault::unsupported, "signature: algorithm"});
  CHECK_OR(equal(signature, tag_of(key, message)), Error{Fault::unauthentic, "signature"});
  return Ok{};
}

PrivateKey::PrivateKey(std::shared_ptr<const Handle> handle) : handle_(std::move(handle)) {}

Result<PrivateKey> PrivateKey::generate(KeyType type) {
  static std::atomic<std::uint64_t> made{0};
  CHECK_OR(type != KeyType::other, Error{Fault::unsupported, "private key: type"});
  return toy::key(type, "generated-" + std::to_string(++made));
}

Result<PrivateKey> PrivateKey::parse_pem(const Secret& pem) {
  const std::string_view text = as_text(pem.expose());
  CHECK_OR(text.starts_with(kPemHead), Error{Fault::malformed, "private key: PEM"});
  const auto spki = from_hex(text.substr(kPemHead.size()));
  CHECK_OR(spki, Error{Fault::malformed, "private key: PEM"});
  TRY(PublicKey key, PublicKey::parse(*spki));
  return PrivateKey(std::make_shared<const Handle>(Handle{std::move(key)}));
}

Result<Secret> PrivateKey::to_pem() const {
  CHECK_OR(handle_ != nullptr, Error{Fault::internal, "private key: none"});
  return Secret(std::string(kPemHead) + hex(handle_->public_key.spki));
}

const PublicKey& PrivateKey::public_key() const {
  assert(handle_ != nullptr);
  return handle_->public_key;
}

Result<Bytes> PrivateKey::sign(BytesView message) const {
  CHECK_OR(handle_ != nullptr, Error{Fault::internal, "private key: none"});
  return tag_of(handle_->public_key, message);
}

BytesView PrivateKey::signature_algorithm() const { return algorithm(); }

PrivateKey toy::key(KeyType type, std::string_view name) {
  const std::uint8_t no_unused_bits = 0;
  const Bytes kind = der::sequence({der::oid(kToyKey), der::integer(static_cast<std::uint64_t>(type))});
  const Bytes bits = der::item(der::kBitString, der::concat({{&no_unused_bits, 1}, view(name)}));
  auto handle = std::make_shared<PrivateKey::Handle>();
  handle->public_key = {der::sequence({kind, bits}), type};
  return PrivateKey(std::move(handle));
}

}  // namespace imprint
