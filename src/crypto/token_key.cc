#define OPENSSL_SUPPRESS_DEPRECATED  // OpenSSL 3.0 has no other way to a key of one's own without a provider
#include <openssl/ec.h>

#include <algorithm>
#include <map>

#include "crypto/key_rules.h"
#include "crypto/openssl.h"
#include "crypto/token.h"

namespace imprint {
namespace {

using SharedToken = std::shared_ptr<TokenKey>;

bool is_elliptic(KeyType type) { return type == KeyType::p256 || type == KeyType::p384 || type == KeyType::p521; }

// ---- the key as OpenSSL's TLS sees it ----

void free_token(void*, void* token, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<SharedToken*>(token); }

int token_index() {
  static const int index = EC_KEY_get_ex_new_index(0, nullptr, nullptr, nullptr, free_token);
  return index;
}

int on_sign(int, const unsigned char* digest, int digest_size, unsigned char* out, unsigned* out_size, const BIGNUM*,
            const BIGNUM*, EC_KEY* key) {
  const auto* const token = static_cast<const SharedToken*>(EC_KEY_get_ex_data(key, token_index()));
  const auto made = token != nullptr && digest_size > 0
                        ? (*token)->sign({digest, static_cast<std::size_t>(digest_size)})
                        : Result<Bytes>(Error{Fault::internal, "token: no key"});
  if (!made || made->size() > static_cast<std::size_t>(ECDSA_size(key))) {
    return 0;
  }
  std::copy(made->begin(), made->end(), out);
  *out_size = static_cast<unsigned>(made->size());
  return 1;
}

ECDSA_SIG* on_sign_numbers(const unsigned char* digest, int size, const BIGNUM* kinv, const BIGNUM* r, EC_KEY* key) {
  Bytes made(static_cast<std::size_t>(ECDSA_size(key)));
  unsigned length = 0;
  if (on_sign(0, digest, size, made.data(), &length, kinv, r, key) != 1) {
    return nullptr;
  }
  const unsigned char* in = made.data();
  return d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(length));
}

const EC_KEY_METHOD* signing_method() {
  static const EC_KEY_METHOD* const method = [] {
    EC_KEY_METHOD* const out = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    EC_KEY_METHOD_set_sign(out, on_sign, nullptr, on_sign_numbers);
    return out;
  }();
  return method;
}

EvpKey signing_key(const PublicKey& key, const SharedToken& token) {
  const EvpKey open = ossl::public_key(key);
  std::unique_ptr<EC_KEY, Free<EC_KEY_free>> own(open ? EVP_PKEY_get1_EC_KEY(open.get()) : nullptr);
  EvpKey out(EVP_PKEY_new());
  if (!own || !out || EC_KEY_set_method(own.get(), signing_method()) != 1) {
    return nullptr;
  }
  auto held = std::make_unique<SharedToken>(token);
  if (EC_KEY_set_ex_data(own.get(), token_index(), held.get()) != 1) {
    return nullptr;
  }
  static_cast<void>(held.release());  // free_token() ends it
  return EVP_PKEY_set1_EC_KEY(out.get(), own.get()) == 1 ? std::move(out) : nullptr;
}

// ---- the keys that are open ----

struct Opened {
  struct Key {
    std::weak_ptr<const PrivateKey::Handle> handle;
    bool refused = false;  // when it was opened last: with this PIN
    std::optional<Secret> pin;
  };
  std::mutex mutex;
  std::map<std::string, Key> keys;
};

bool same_pin(const std::optional<Secret>& a, const std::optional<Secret>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

Opened& opened() {
  static auto* const all = new Opened;  // never ended: keys may end after it
  return *all;
}

// A signature over something nobody signs, to know that the PIN is right and the two halves belong together.
Status try_out(const PrivateKey& key) {
  const Bytes message = to_bytes("imprint: is this key pair one?");
  TRY(const Bytes signature, key.sign(message));
  return verify_signature(key.public_key(), key.signature_algorithm(), message, signature);
}

std::shared_ptr<TokenKey> make_token(const KeyUri& uri, const std::optional<Secret>& pin) {
  return std::make_shared<TokenKey>(uri.kind == KeyUri::Kind::pkcs11 ? pkcs11_token(uri, pin) : tpm2_token(uri, pin),
                                    uri.text, pin);
}

Result<PrivateKey> private_key(const PublicKey& key, std::shared_ptr<TokenKey> token) {
  TRY(auto handle, ossl::make_handle(key, name(key.type).starts_with("rsa")));
  if (is_elliptic(key.type)) {
    handle->key = signing_key(key, token);
    if (handle->key == nullptr) {
      return ossl::failed(Fault::internal, "token: key for TLS");
    }
  }
  handle->token = std::move(token);
  return PrivateKey(std::move(handle));
}

Result<PrivateKey> open_new(const KeyUri& uri, const std::optional<Secret>& pin) {
  auto token = make_token(uri, pin);
  TRY(const PublicKey key, token->open());
  TRY(PrivateKey out, private_key(key, std::move(token)));
  TRY([[maybe_unused]] const Ok tried, try_out(out));
  return out;
}

}  // namespace

Result<PublicKey> TokenKey::open() {
  const std::scoped_lock lock(mutex_);
  auto found = token_->open();
  if (!found) {
    return remember(found.error());
  }
  open_ = true;
  key_ = *found;
  return found;
}

Status TokenKey::reopen() {
  token_->close();
  open_ = false;
  TRY(const PublicKey found, token_->open());
  CHECK_OR(key_ && found == *key_, Error{Fault::unreachable, kKeyAbsent});  // another one under the same name
  open_ = true;
  return Ok{};
}

Error TokenKey::remember(const Error& error) {
  refused_ = refused_ || error.rule == &kKeyPin;
  return error;
}

Result<Bytes> TokenKey::sign(BytesView what) {
  const std::scoped_lock lock(mutex_);
  CHECK_OR(!refused_, Error{Fault::unreachable, kKeyPin});
  if (open_) {
    auto made = token_->sign(what);
    if (made || made.error().rule == &kKeyPin || made.error().rule == &kKeyKind) {
      return made ? std::move(made) : Result<Bytes>(remember(made.error()));
    }
  }
  if (const Status again = reopen(); !again) {
    return remember(again.error());
  }
  auto made = token_->sign(what);
  return made ? std::move(made) : Result<Bytes>(remember(made.error()));
}

void TokenKey::expect(const PublicKey& key) {
  const std::scoped_lock lock(mutex_);
  key_ = key;
}

bool TokenKey::is_open() const {
  const std::scoped_lock lock(mutex_);
  return open_;
}

bool TokenKey::refused() const {
  const std::scoped_lock lock(mutex_);
  return refused_;
}

bool TokenKey::had(const std::optional<Secret>& pin) const { return same_pin(pin, pin_); }

Result<PrivateKey> open_key(const KeyUri& uri, const std::optional<Secret>& pin) {
  CHECK_OR(uri.kind != KeyUri::Kind::file, Error{Fault::malformed, kKeyUri});
  const std::scoped_lock lock(opened().mutex);
  Opened::Key& known = opened().keys[uri.text];
  if (auto handle = known.handle.lock()) {
    if (handle->token->is_open()) {
      return PrivateKey(std::move(handle));
    }
    CHECK_OR(!handle->token->refused() || !handle->token->had(pin), Error{Fault::unreachable, kKeyPin});
  }
  CHECK_OR(!known.refused || !same_pin(pin, known.pin), Error{Fault::unreachable, kKeyPin});
  auto made = open_new(uri, pin);
  known.refused = !made && made.error().rule == &kKeyPin;
  known.pin = known.refused ? pin : std::nullopt;
  if (made) {
    known.handle = made->handle();
  }
  return made;
}

Result<PrivateKey> known_key(const KeyUri& uri, const std::optional<Secret>& pin, const PublicKey& key) {
  CHECK_OR(uri.kind != KeyUri::Kind::file, Error{Fault::malformed, kKeyUri});
  const std::scoped_lock lock(opened().mutex);
  Opened::Key& known = opened().keys[uri.text];
  auto handle = known.handle.lock();
  if (handle && handle->public_key == key && (!handle->token->refused() || handle->token->had(pin))) {
    return PrivateKey(std::move(handle));
  }
  auto token = make_token(uri, pin);
  token->expect(key);
  TRY(PrivateKey made, private_key(key, std::move(token)));
  known.handle = made.handle();
  return made;
}

std::string key_uri(const PrivateKey& key) {
  return key && key.handle()->token ? key.handle()->token->uri() : std::string();
}

bool can_tls(const PrivateKey& key) { return key && key.handle()->key != nullptr; }

}  // namespace imprint
