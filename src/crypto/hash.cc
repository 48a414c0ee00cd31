#include "crypto/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cassert>

namespace imprint {
namespace {

// Fetched once: a fetch for each digest takes longer than hashing a short message.
const EVP_MD* fetched(const char* name) {
  const EVP_MD* md = EVP_MD_fetch(nullptr, name, nullptr);
  assert(md != nullptr);
  return md;
}

void digest(const EVP_MD* md, BytesView data, std::span<std::uint8_t> out) {
  unsigned length = 0;
  [[maybe_unused]] const int done = EVP_Digest(data.data(), data.size(), out.data(), &length, md, nullptr);
  assert(done == 1 && length == out.size());
}

}  // namespace

Sha256 sha256(BytesView data) {
  static const EVP_MD* const md = fetched("SHA256");
  Sha256 out{};
  digest(md, data, out);
  return out;
}

Bytes sha384(BytesView data) {
  static const EVP_MD* const md = fetched("SHA384");
  Bytes out(48);
  digest(md, data, out);
  return out;
}

Bytes sha512(BytesView data) {
  static const EVP_MD* const md = fetched("SHA512");
  Bytes out(64);
  digest(md, data, out);
  return out;
}

Bytes sha1_identifier(BytesView data) {
  static const EVP_MD* const md = fetched("SHA1");
  Bytes out(20);
  digest(md, data, out);
  return out;
}

Sha256 hmac_sha256(const Secret& key, BytesView data) {
  Sha256 out{};
  unsigned length = 0;
  const std::uint8_t empty = 0;  // OpenSSL takes a null key for "the same as before"
  const std::uint8_t* octets = key.empty() ? &empty : key.expose().data();
  [[maybe_unused]] const std::uint8_t* done =
      HMAC(EVP_sha256(), octets, static_cast<int>(key.size()), data.data(), data.size(), out.data(), &length);
  assert(done != nullptr && length == out.size());
  return out;
}

}  // namespace imprint
