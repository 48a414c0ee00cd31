#include "crypto/key_package.h"

#include <openssl/pem.h>

#include "codec/der.h"
#include "crypto/openssl.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxDer = std::size_t{16} << 10U;
const Error kBad{Fault::malformed, "private key: PKCS#8"};

// A SEQUENCE around secret bytes: the copies on the way are wiped.
Secret sequence_of(BytesView content) {
  Bytes whole = der::item(der::kSequence, content);
  Secret out{BytesView(whole)};
  wipe(whole);
  return out;
}

// The contents of a PrivateKeyInfo in the first version's form, which is all that OpenSSL 3.0 reads.
Result<Secret> first_version(const Secret& der) {
  der::Reader outer(der.expose());
  der::Reader fields(outer.next(der::kSequence).content);
  const BytesView version = fields.next(der::kInteger).content;
  const BytesView algorithm = fields.next(der::kSequence).whole;
  const BytesView key = fields.next(der::kOctetString).whole;
  fields.maybe(der::context(0));  // attributes
  fields.maybe(0x81);             // the public key of version 2
  CHECK_OR(outer.done() && fields.done() && version.size() == 1 && version[0] <= 1, kBad);
  const Bytes zero = der::integer(0);
  Bytes content = der::concat({zero, algorithm, key});
  Secret out = sequence_of(content);
  wipe(content);
  return out;
}

}  // namespace

Result<Secret> encode_pkcs8(const PrivateKey& key) {
  CHECK_OR(bool(key), Error{Fault::internal, "private key: none"});
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, Free<PKCS8_PRIV_KEY_INFO_free>> info(
      EVP_PKEY2PKCS8(key.handle()->key.get()));
  std::uint8_t* encoded = nullptr;
  const int length = info ? i2d_PKCS8_PRIV_KEY_INFO(info.get(), &encoded) : -1;
  if (length <= 0) {
    return ossl::failed(Fault::internal, "private key: encoding");
  }
  Secret out(BytesView(encoded, static_cast<std::size_t>(length)));
  OPENSSL_clear_free(encoded, static_cast<std::size_t>(length));
  return out;
}

Result<PrivateKey> parse_pkcs8(const Secret& der) {
  CHECK_OR(!der.empty() && der.size() <= kMaxDer, Error{Fault::limit, "private key: size"});
  TRY(const Secret plain, first_version(der));
  const ossl::BioPtr pem(BIO_new(BIO_s_secmem()));
  if (!pem ||
      PEM_write_bio(pem.get(), "PRIVATE KEY", "", plain.expose().data(), static_cast<long>(plain.size())) <= 0) {
    return ossl::failed(Fault::internal, "private key: encoding");
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(pem.get(), &text);
  return PrivateKey::parse_pem(Secret(std::string_view(text, static_cast<std::size_t>(length))));
}

Result<Secret> encode_key_package(const PrivateKey& key) {
  TRY(const Secret one, encode_pkcs8(key));
  return sequence_of(one.expose());
}

Result<PrivateKey> parse_key_package(const Secret& der) {
  CHECK_OR(!der.empty() && der.size() <= kMaxDer, Error{Fault::limit, "key package: size"});
  der::Reader outer(der.expose());
  der::Reader keys(outer.next(der::kSequence).content);
  if (keys.has(der::kInteger)) {
    return parse_pkcs8(der);
  }
  const BytesView first = keys.next(der::kSequence).whole;
  CHECK_OR(outer.done() && keys.done(), Error{Fault::malformed, "key package: not one key"});
  return parse_pkcs8(Secret(first));
}

}  // namespace imprint
