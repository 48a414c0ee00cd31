#include "crypto/seal.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "crypto/hash.h"
#include "crypto/openssl.h"

namespace imprint {
namespace {

constexpr std::size_t kNonceBytes = 12, kTagBytes = 16;
constexpr std::size_t kMostBytes = 1U << 20U;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;

// A context with key, nonce and what is bound; null if OpenSSL fails.
Cipher prepared(const Secret& key, const std::uint8_t* nonce, BytesView bound, int encrypts) {
  Sha256 digest = sha256(key.expose());
  Cipher out(EVP_CIPHER_CTX_new());
  int n = 0;
  const bool good = out &&
                    EVP_CipherInit_ex(out.get(), EVP_aes_256_gcm(), nullptr, digest.data(), nonce, encrypts) == 1 &&
                    EVP_CipherUpdate(out.get(), nullptr, &n, bound.data(), static_cast<int>(bound.size())) == 1;
  wipe(digest);
  return good ? std::move(out) : nullptr;
}

}  // namespace

Result<Bytes> seal(const Secret& key, const Secret& plain, BytesView bound) {
  CHECK_OR(plain.size() <= kMostBytes && bound.size() <= kMostBytes, Error{Fault::limit, "seal: size"});
  Bytes out(kNonceBytes + plain.size() + kTagBytes);
  CHECK_OR(RAND_bytes(out.data(), kNonceBytes) == 1, ossl::failed(Fault::internal, "seal: randomness"));
  const Cipher cipher = prepared(key, out.data(), bound, 1);
  std::uint8_t* const body = out.data() + kNonceBytes;
  int n = 0, rest = 0;
  const bool good =
      cipher && EVP_CipherUpdate(cipher.get(), body, &n, plain.expose().data(), static_cast<int>(plain.size())) == 1 &&
      EVP_CipherFinal_ex(cipher.get(), body + n, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, body + plain.size()) == 1;
  CHECK_OR(good, ossl::failed(Fault::internal, "seal: cipher"));
  return out;
}

Result<Secret> open_sealed(const Secret& key, BytesView sealed, BytesView bound) {
  CHECK_OR(sealed.size() >= kNonceBytes + kTagBytes && sealed.size() <= kMostBytes && bound.size() <= kMostBytes,
           Error{Fault::unauthentic, "seal: size"});
  const BytesView body = sealed.subspan(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  Bytes tag = to_bytes(sealed.last(kTagBytes));
  const Cipher cipher = prepared(key, sealed.data(), bound, 0);
  Bytes plain(body.size() + 1);  // an empty one has an address, too
  int n = 0, rest = 0;
  const bool good = cipher &&
                    EVP_CipherUpdate(cipher.get(), plain.data(), &n, body.data(), static_cast<int>(body.size())) == 1 &&
                    EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
                    EVP_CipherFinal_ex(cipher.get(), plain.data() + n, &rest) == 1;
  Secret out(BytesView(plain).first(body.size()));
  wipe(plain);
  CHECK_OR(good, ossl::failed(Fault::unauthentic, "seal: not ours, or changed"));
  return out;
}

}  // namespace imprint
