#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "crypto/key_rules.h"
#include "crypto/openssl.h"
#include "crypto/token.h"

namespace imprint {
namespace {

constexpr const char* kProperties = "?provider=tpm2";

// The response code of the TPM that the provider put into its error's text ("2446 tpm:session(1):…"); 0 if none.
std::uint32_t tpm_code() {
  std::uint32_t out = 0;
  const char* text = nullptr;
  int flags = 0;
  while (ERR_get_error_all(nullptr, nullptr, nullptr, &text, &flags) != 0) {
    if (out == 0 && text != nullptr && (flags & ERR_TXT_STRING) != 0) {
      std::from_chars(text, text + std::strlen(text), out);
    }
  }
  return out;
}

// TPM 2.0 part 2, section 6.6.3: TPM_RC_AUTH_FAIL and TPM_RC_BAD_AUTH.
bool of_authorization(std::uint32_t code) {
  constexpr std::uint32_t kFormat1 = 0x080, kAuthFail = 0x08e, kBadAuth = 0x0a2, kNumber = 0x0bf;
  return code < 0x1000 && (code & kFormat1) != 0 && ((code & kNumber) == kAuthFail || (code & kNumber) == kBadAuth);
}

Error failure(const Rule& otherwise) {
  constexpr std::uint32_t kLockout = 0x921;  // TPM_RC_LOCKOUT: it passes, and asking again does not prolong it
  const std::uint32_t code = tpm_code();
  if (code == kLockout) {
    Error out{Fault::unreachable, kKeyToken};
    out.what = "token: the TPM is locked for a while, after wrong passwords or lost power";
    return out;
  }
  return {Fault::unreachable, of_authorization(code) ? kKeyPin : otherwise};
}

// The provider says what the TPM's way said to it; without it there is nobody to say so.
Error no_provider() { return {Fault::unreachable, tpm_code() != 0 ? kKeyToken : kKeyTpm2}; }

int give_pin(char* out, int size, int, void* pin) {
  const auto* const secret = static_cast<const Secret*>(pin);
  if (secret == nullptr || size < 0 || secret->size() > static_cast<std::size_t>(size)) {
    return -1;
  }
  std::copy(secret->expose().begin(), secret->expose().end(), out);
  return static_cast<int>(secret->size());
}

const char* hash_of(std::size_t digest_size) {
  return digest_size == 32 ? "SHA256" : digest_size == 48 ? "SHA384" : digest_size == 64 ? "SHA512" : nullptr;
}

using LibraryPtr = std::unique_ptr<OSSL_LIB_CTX, Free<OSSL_LIB_CTX_free>>;
using ProviderPtr = std::unique_ptr<OSSL_PROVIDER, Free<OSSL_PROVIDER_unload>>;
using StorePtr = std::unique_ptr<OSSL_STORE_CTX, Free<OSSL_STORE_close>>;
using InfoPtr = std::unique_ptr<OSSL_STORE_INFO, Free<OSSL_STORE_INFO_free>>;
using MethodPtr = std::unique_ptr<UI_METHOD, Free<UI_destroy_method>>;
using DigestPtr = std::unique_ptr<EVP_MD, Free<EVP_MD_free>>;

// Everything belongs to an OpenSSL library context of its own: the provider holds one connection to the TPM, which only
// its unloading ends, and nothing else of the process must run through the TPM.
class Tpm2Token final : public Token {
 public:
  Tpm2Token(const KeyUri& uri, const std::optional<Secret>& pin) : uri_(uri), pin_(pin) {}
  ~Tpm2Token() override { close(); }
  Tpm2Token(const Tpm2Token&) = delete;
  Tpm2Token& operator=(const Tpm2Token&) = delete;

  Result<PublicKey> open() override;
  void close() override;
  Result<Bytes> sign(BytesView digest) override;

 private:
  Status load_key();

  KeyUri uri_;
  std::optional<Secret> pin_;
  LibraryPtr library_;
  ProviderPtr base_, tpm_;
  EvpKey key_;
};

Result<PublicKey> Tpm2Token::open() {
  close();
  library_.reset(OSSL_LIB_CTX_new());
  base_.reset(OSSL_PROVIDER_load(library_.get(), "default"));
  tpm_.reset(OSSL_PROVIDER_load(library_.get(), "tpm2"));
  if (!tpm_) {
    return no_provider();
  }
  TRY([[maybe_unused]] const Ok loaded, load_key());
  std::uint8_t* encoded = nullptr;
  const int length = i2d_PUBKEY(key_.get(), &encoded);
  if (length < 0) {
    return failure(kKeyKind);
  }
  const Bytes spki(encoded, encoded + length);
  OPENSSL_free(encoded);
  return PublicKey::parse(spki);
}

Status Tpm2Token::load_key() {
  char number[16] = {};
  const auto end = std::to_chars(std::begin(number), std::end(number), uri_.handle, 16);
  std::string where = "file:" + uri_.path;
  if (uri_.path.empty()) {
    where = "handle:0x" + std::string(number, end.ptr) + (pin_ ? "?pass" : "");
  }
  const MethodPtr method(UI_UTIL_wrap_read_pem_callback(give_pin, 0));
  const StorePtr store(OSSL_STORE_open_ex(where.c_str(), library_.get(), kProperties, method.get(),
                                          pin_ ? &*pin_ : nullptr, nullptr, nullptr, nullptr));
  while (store && !key_ && OSSL_STORE_eof(store.get()) != 1) {
    const InfoPtr info(OSSL_STORE_load(store.get()));
    if (info && OSSL_STORE_INFO_get_type(info.get()) == OSSL_STORE_INFO_PKEY) {
      key_.reset(OSSL_STORE_INFO_get1_PKEY(info.get()));
    } else if (!info && OSSL_STORE_error(store.get()) == 1) {
      break;
    }
  }
  if (!key_) {
    return failure(kKeyAbsent);
  }
  // A file may hold a key in clear as well: that is no key in a TPM.
  const OSSL_PROVIDER* const provider = EVP_PKEY_get0_provider(key_.get());
  CHECK_OR(provider != nullptr && std::string_view(OSSL_PROVIDER_get0_name(provider)) == "tpm2",
           Error{Fault::unreachable, kKeyAbsent});
  return Ok{};
}

void Tpm2Token::close() {
  key_.reset();
  tpm_.reset();
  base_.reset();
  library_.reset();
  ERR_clear_error();
}

Result<Bytes> Tpm2Token::sign(BytesView digest) {
  const char* const name = hash_of(digest.size());
  CHECK_OR(key_ && name != nullptr, Error{Fault::unreachable, kKeyToken});
  const DigestPtr hash(EVP_MD_fetch(library_.get(), name, "provider=default"));
  const ossl::KeyContext context(EVP_PKEY_CTX_new_from_pkey(library_.get(), key_.get(), kProperties));
  Bytes out(static_cast<std::size_t>(std::max(EVP_PKEY_get_size(key_.get()), 512)));
  std::size_t size = out.size();
  if (!hash || !context || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_signature_md(context.get(), hash.get()) != 1 ||
      EVP_PKEY_sign(context.get(), out.data(), &size, digest.data(), digest.size()) != 1) {
    return failure(kKeyToken);
  }
  out.resize(size);
  return out;
}

}  // namespace

std::unique_ptr<Token> tpm2_token(const KeyUri& uri, const std::optional<Secret>& pin) {
  return std::make_unique<Tpm2Token>(uri, pin);
}

}  // namespace imprint
