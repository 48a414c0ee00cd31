#include "crypto/enveloped.h"

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "codec/der.h"
#include "crypto/cms_openssl.h"

namespace imprint {
namespace {

constexpr std::string_view kSignedData = "1.2.840.113549.1.7.2";
constexpr std::string_view kKeyPackage = "2.16.840.1.101.2.1.2.78.5";  // RFC 5958 section 2
constexpr std::size_t kMaxMessage = std::size_t{64} << 10U;

using ossl::CmsPtr;
using ossl::is_curve;
using ossl::is_rsa;

struct Cipher {
  std::string_view content, wrap;
  std::size_t bits;
  const EVP_CIPHER* (*get)();
};
constexpr std::array kCiphers{Cipher{cms_algorithm::kAes128Cbc, cms_algorithm::kAes128Wrap, 128, EVP_aes_128_cbc},
                              Cipher{cms_algorithm::kAes192Cbc, cms_algorithm::kAes192Wrap, 192, EVP_aes_192_cbc},
                              Cipher{cms_algorithm::kAes256Cbc, cms_algorithm::kAes256Wrap, 256, EVP_aes_256_cbc}};

bool lists(const std::vector<std::string>& capabilities, std::string_view oid) {
  return std::ranges::find(capabilities, oid) != capabilities.end();
}

// The content cipher: the first one listed that is strong enough, by its own name or by its key wrap's.
const Cipher* choose_content(const std::vector<std::string>& capabilities, std::size_t strength) {
  const auto first = [&](auto member) -> const Cipher* {
    for (const std::string& oid : capabilities) {
      const auto* const at = std::ranges::find(kCiphers, std::string_view(oid), member);
      if (at != kCiphers.end() && at->bits >= strength) {
        return at;
      }
    }
    return nullptr;
  };
  const bool named = std::ranges::any_of(kCiphers, [&](const Cipher& c) { return lists(capabilities, c.content); });
  return named ? first(&Cipher::content) : first(&Cipher::wrap);
}

Result<std::string> choose_wrap(const std::vector<std::string>& capabilities, const SharedKey& to,
                                std::size_t strength) {
  const auto* const at = std::ranges::find(kCiphers, to.key.size() * 8, &Cipher::bits);
  CHECK_OR(at != kCiphers.end() && at->bits >= strength, Error{Fault::unsupported, "envelope: shared key's length"});
  const bool named = std::ranges::any_of(kCiphers, [&](const Cipher& c) { return lists(capabilities, c.wrap); });
  CHECK_OR(!named || lists(capabilities, at->wrap), Error{Fault::unsupported, "envelope: key wrap"});
  return std::string(at->wrap);
}

Result<std::string> choose_transport(const std::vector<std::string>& capabilities, const Certificate& to) {
  if (is_curve(to.key.type)) {
    return std::string(cms_algorithm::kEcdhSha256);
  }
  CHECK_OR(is_rsa(to.key.type), Error{Fault::unsupported, "envelope: a key of this type wraps nothing"});
  // PKCS#1 v1.5 only where the requester knows no better: RFC 7030 leaves the choice to what it lists.
  return std::string(lists(capabilities, cms_algorithm::kRsaOaep) ? cms_algorithm::kRsaOaep : cms_algorithm::kRsa);
}

Secret secret_in(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return Secret(std::string_view(data, length > 0 ? static_cast<std::size_t>(length) : 0));
}

// The content of a ContentInfo, without the type before it: what EnvelopedData encrypts (RFC 5652 section 6).
Result<Secret> inner(const Secret& info) {
  der::Reader outer(info.expose());
  der::Reader fields(outer.next(der::kSequence).content);
  fields.next(der::kOid);
  const BytesView content = fields.next(der::context(0)).content;
  CHECK_OR(outer.done() && fields.done(), Error{Fault::internal, "cms: structure"});
  return Secret(content);
}

Result<Secret> sign_package(const Secret& package, const Signer& by) {
  CHECK_OR(!by.chain.empty(), Error{Fault::internal, "envelope: no signer"});
  TRY(const Secret whole, sign_content(kKeyPackage, package.expose(), by));
  return inner(whole);
}

bool add_shared(CMS_ContentInfo* cms, const SharedKey& to) {
  // OpenSSL takes both over when it succeeds.
  auto* const key = static_cast<std::uint8_t*>(OPENSSL_memdup(to.key.expose().data(), to.key.size()));
  auto* const id = static_cast<std::uint8_t*>(OPENSSL_memdup(to.id.data(), to.id.size()));
  if (key != nullptr && id != nullptr &&
      CMS_add0_recipient_key(cms, NID_undef, key, to.key.size(), id, to.id.size(), nullptr, nullptr, nullptr) !=
          nullptr) {
    return true;
  }
  OPENSSL_clear_free(key, to.key.size());
  OPENSSL_free(id);
  return false;
}

bool add_certificate(CMS_ContentInfo* cms, const Certificate& to, std::string_view algorithm) {
  const X509Ptr certificate = openssl_certificate(to);
  const unsigned flags = CMS_KEY_PARAM | (to.key_id.empty() ? 0U : CMS_USE_KEYID);
  CMS_RecipientInfo* const info = certificate ? CMS_add1_recipient_cert(cms, certificate.get(), flags) : nullptr;
  EVP_PKEY_CTX* const context = info != nullptr ? CMS_RecipientInfo_get0_pkey_ctx(info) : nullptr;
  if (context == nullptr) {
    return false;
  }
  if (algorithm == cms_algorithm::kRsaOaep) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1;
  }
  return algorithm == cms_algorithm::kRsa || EVP_PKEY_CTX_set_ecdh_kdf_md(context, EVP_sha256()) == 1;
}

// OpenSSL has no word for the content's algorithm: it is read from the encoding.
Result<std::string> content_algorithm(const CMS_ContentInfo* cms) {
  TRY(const Secret info, ossl::encoded(cms));
  TRY(const Secret body, inner(info));
  der::Reader outer(body.expose());
  der::Reader fields(outer.next(der::kSequence).content);
  fields.next(der::kInteger);
  fields.maybe(der::context(0));
  fields.next(der::kSet);
  der::Reader content(fields.next(der::kSequence).content);
  content.next(der::kOid);
  der::Reader algorithm(content.next(der::kSequence).content);
  TRY(std::string oid, der::parse_oid(algorithm.next(der::kOid).content));
  return oid;
}

template <class SetKey>
Result<Secret> open_with(BytesView message, SetKey set_key) {
  CHECK_OR(!message.empty() && message.size() <= kMaxMessage, Error{Fault::limit, "envelope: size"});
  const CmsPtr cms = ossl::read_cms(message);
  if (!cms || OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_enveloped) {
    return ossl::failed(Fault::malformed, "envelope: structure");
  }
  TRY(const std::string algorithm, content_algorithm(cms.get()));
  CHECK_OR(std::ranges::find(kCiphers, std::string_view(algorithm), &Cipher::content) != kCiphers.end(),
           Error{Fault::unsupported, "envelope: content encryption"});
  const ossl::BioPtr out(BIO_new(BIO_s_secmem()));
  if (!out || set_key(cms.get()) != 1 ||
      CMS_decrypt(cms.get(), nullptr, nullptr, nullptr, out.get(), CMS_BINARY) != 1) {
    return ossl::failed(Fault::unauthentic, "envelope: not for this key, or damaged");
  }
  ERR_clear_error();
  return secret_in(out.get());
}

}  // namespace

std::vector<std::string> cms_capabilities() {
  using namespace cms_algorithm;
  std::vector<std::string> out;
  for (const std::string_view oid :
       {kAes256Cbc, kAes192Cbc, kAes128Cbc, kAes256Wrap, kAes192Wrap, kAes128Wrap, kEcdhSha256, kRsaOaep, kRsa}) {
    out.emplace_back(oid);
  }
  return out;
}

Result<Algorithms> choose_algorithms(const std::vector<std::string>& capabilities, const Recipient& to,
                                     std::size_t strength) {
  const Cipher* const content = choose_content(capabilities, strength);
  CHECK_OR(content != nullptr, Error{Fault::unsupported, "envelope: content encryption"});
  Algorithms out{std::string(content->content), {}};
  if (const auto* const shared = std::get_if<SharedKey>(&to)) {
    TRY(out.key, choose_wrap(capabilities, *shared, strength));
  } else {
    TRY(out.key, choose_transport(capabilities, *std::get_if<Certificate>(&to)));
  }
  return out;
}

Result<Bytes> seal_key(const PrivateKey& key, const Recipient& to, const std::vector<std::string>& capabilities,
                       const Signer& by) {
  CHECK_OR(bool(key), Error{Fault::internal, "private key: none"});
  TRY(const Algorithms algorithms, choose_algorithms(capabilities, to, strength_bits(key.public_key().type)));
  TRY(const Secret package, encode_key_package(key));
  TRY(const Secret content, sign_package(package, by));
  const auto* const cipher = std::ranges::find(kCiphers, std::string_view(algorithms.content), &Cipher::content);
  const CmsPtr cms(CMS_encrypt(nullptr, nullptr, cipher->get(), CMS_PARTIAL | CMS_BINARY));
  const ossl::ObjectPtr type(OBJ_txt2obj(std::string(kSignedData).c_str(), 1));
  const ossl::BioPtr in = ossl::read_bio(content.expose());
  if (!cms || !type || !in || CMS_set1_eContentType(cms.get(), type.get()) != 1) {
    return ossl::failed(Fault::internal, "envelope: making");
  }
  const auto* const shared = std::get_if<SharedKey>(&to);
  const bool added = shared != nullptr ? add_shared(cms.get(), *shared)
                                       : add_certificate(cms.get(), *std::get_if<Certificate>(&to), algorithms.key);
  if (!added) {
    return ossl::failed(Fault::unsupported, "envelope: recipient");
  }
  if (CMS_final(cms.get(), in.get(), nullptr, CMS_BINARY) != 1) {
    return ossl::failed(Fault::internal, "envelope: encryption");
  }
  TRY(const Secret out, ossl::encoded(cms.get()));
  ERR_clear_error();
  return to_bytes(out.expose());
}

Result<Secret> open_envelope(BytesView message, const SharedKey& with) {
  return open_with(message, [&with](CMS_ContentInfo* cms) {
    Secret key = with.key;  // OpenSSL's parameters are not const; it copies both
    Bytes id = with.id;
    return CMS_decrypt_set1_key(cms, const_cast<std::uint8_t*>(key.expose().data()), key.size(), id.data(), id.size());
  });
}

Result<Secret> open_envelope(BytesView message, const PrivateKey& with) {
  CHECK_OR(bool(with), Error{Fault::internal, "private key: none"});
  const EvpKey key = openssl_key(with);
  return open_with(message, [&key](CMS_ContentInfo* cms) { return CMS_decrypt_set1_pkey(cms, key.get(), nullptr); });
}

Result<SignedKey> open_signed_key(const Secret& content) {
  TRY(const SignedContent found, parse_signed(content.expose()));
  CHECK_OR(found.type == kKeyPackage, Error{Fault::malformed, "signed key: type of content"});
  TRY(Certificate signer, verified_signer(content.expose(), found));
  TRY(PrivateKey key, parse_key_package(found.content));
  return SignedKey{std::move(key), std::move(signer), found.along};
}

}  // namespace imprint
