#include "crypto/signed_data.h"

#include <openssl/cms.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "codec/der.h"
#include "crypto/cms_openssl.h"
#include "crypto/issue.h"

namespace imprint {
namespace {

using ossl::CmsPtr;

constexpr std::string_view kSignedData = "1.2.840.113549.1.7.2";
constexpr std::size_t kMaxMessage = std::size_t{64} << 10U;
constexpr std::size_t kMaxCertificates = 32;
const Error kUnsupported{Fault::unsupported, "signed data: signer"};

// Whether the octets begin a ContentInfo rather than its content: an OBJECT IDENTIFIER comes first in it. BER's
// indefinite length is taken as well.
bool begins_with_type(BytesView in) {
  const std::size_t lengths = in.size() > 2 && in[1] > 0x80U ? in[1] & 0x7fU : 0;
  return in.size() > 2 + lengths && in[0] == der::kSequence && in[2 + lengths] == der::kOid;
}

// A message, and the certificates in it where they were cut out.
struct Opened {
  CmsPtr cms;
  std::optional<std::vector<BytesView>> certificates;  // views into the message; none: OpenSSL has them
};

// The SignedData in a ContentInfo; empty if it is none in DER.
BytesView content_of(BytesView info) {
  static const Bytes kType = der::oid(kSignedData);
  der::Reader outer(info);
  der::Reader in(outer.next(der::kSequence).content);
  const bool signed_data = equal(in.next(der::kOid).whole, kType);
  const der::Item content = in.next(der::context(0));
  return signed_data && outer.done() && in.done() ? content.content : BytesView{};
}

// SignedData without its certificates, and those: they are not under the signature, and OpenSSL 3.0 takes longer to
// decode the key of each than to verify. Nothing unless all of it is DER with certificates of X.509 alone: OpenSSL then
// reads the whole.
std::optional<std::pair<Secret, std::vector<BytesView>>> cut(BytesView signed_data) {
  der::Reader outer(signed_data);
  der::Reader in(outer.next(der::kSequence).content);
  const BytesView version = in.next(der::kInteger).whole;
  const BytesView digests = in.next(der::kSet).whole;
  const BytesView content = in.next(der::kSequence).whole;
  const der::Item certificates = in.next(der::context(0));
  const BytesView lists = in.maybe(der::context(1)).value_or(der::Item{}).whole;
  const BytesView signers = in.next(der::kSet).whole;
  std::vector<BytesView> each;
  der::Reader along(certificates.content);
  while (along.good() && !along.empty()) {
    each.push_back(along.next(der::kSequence).whole);
  }
  if (!outer.done() || !in.done() || !along.good()) {
    return std::nullopt;
  }
  return std::pair(Secret(der::sequence({version, digests, content, lists, signers})), std::move(each));
}

CmsPtr as_content_info(BytesView signed_data) {
  Bytes inner = der::item(der::context(0), signed_data);
  Bytes whole = der::sequence({der::oid(kSignedData), inner});
  CmsPtr out = ossl::read_cms(whole);
  wipe(inner);
  wipe(whole);
  return out;
}

Result<Opened> open(BytesView message) {
  CHECK_OR(!message.empty() && message.size() <= kMaxMessage, Error{Fault::limit, "signed data: size"});
  const bool info = begins_with_type(message);
  Opened out;
  if (auto parts = cut(info ? content_of(message) : message)) {
    out = {as_content_info(parts->first.expose()), std::move(parts->second)};
  } else {
    out.cms = info ? ossl::read_cms(message) : as_content_info(message);
  }
  if (!out.cms || OBJ_obj2nid(CMS_get0_type(out.cms.get())) != NID_pkcs7_signed) {
    return ossl::failed(Fault::malformed, "signed data: structure");
  }
  return out;
}

CMS_SignerInfo* sole_signer(CMS_ContentInfo* cms) {
  STACK_OF(CMS_SignerInfo)* const infos = CMS_get0_SignerInfos(cms);
  return sk_CMS_SignerInfo_num(infos) == 1 ? sk_CMS_SignerInfo_value(infos, 0) : nullptr;
}

// A certificate that says no more than whose key it is: OpenSSL takes keys in no other form.
X509Ptr bare_certificate(const PublicKey& key) {
  X509Ptr out(X509_new());
  const EvpKey handle = ossl::public_key(key);
  const Bytes id = key_identifier(key);
  const std::unique_ptr<ASN1_OCTET_STRING, Free<ASN1_OCTET_STRING_free>> octets(ASN1_OCTET_STRING_new());
  const bool good = out && handle && octets && X509_set_version(out.get(), X509_VERSION_3) == 1 &&
                    X509_set_pubkey(out.get(), handle.get()) == 1 &&
                    ASN1_OCTET_STRING_set(octets.get(), id.data(), static_cast<int>(id.size())) == 1 &&
                    X509_add1_ext_i2d(out.get(), NID_subject_key_identifier, octets.get(), 0, X509V3_ADD_DEFAULT) == 1;
  return good ? std::move(out) : nullptr;
}

// RFC 5652 section 5.3: the attribute binds the type of the content, which is not under the signature itself.
Status check_type(const CMS_SignerInfo* info, const ASN1_OBJECT* type) {
  CHECK_OR(CMS_signed_get_attr_count(info) > 0, Error{Fault::unsupported, "signed data: no signed attributes"});
  const auto* const said = static_cast<const ASN1_OBJECT*>(
      CMS_signed_get0_data_by_OBJ(info, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT));
  CHECK_OR(type != nullptr && said != nullptr && OBJ_cmp(said, type) == 0,
           Error{Fault::unsupported, "signed data: the attribute names another content type"});
  return Ok{};
}

bool modern_digest(CMS_SignerInfo* info) {
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(info, nullptr, nullptr, &digest, nullptr);
  const int hash = digest != nullptr ? OBJ_obj2nid(digest->algorithm) : NID_undef;
  return hash == NID_sha256 || hash == NID_sha384 || hash == NID_sha512;
}

// OpenSSL adds the time of the machine to what has none.
bool set_time(CMS_SignerInfo* info, std::optional<Instant> at) {
  if (!at) {
    return true;
  }
  const auto seconds = std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(at->ms));
  const std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>> time(
      ASN1_TIME_set(nullptr, static_cast<time_t>(seconds.count())));
  return time && CMS_signed_add1_attr_by_NID(info, NID_pkcs9_signingTime, time->type, time.get(), -1) == 1;
}

std::string dotted(const ASN1_OBJECT* object) {
  std::array<char, 128> text{};
  const int length = OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
  return length > 0 && static_cast<std::size_t>(length) < text.size() ? std::string(text.data()) : std::string();
}

// None if there is no such attribute, or several, or one that is no time.
std::optional<Instant> time_of(const CMS_SignerInfo* info) {
  const int at = CMS_signed_get_attr_by_NID(info, NID_pkcs9_signingTime, -1);
  X509_ATTRIBUTE* const attribute = at < 0 ? nullptr : CMS_signed_get_attr(info, at);
  ASN1_TYPE* const value =
      attribute != nullptr && X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : nullptr;
  if (value == nullptr || CMS_signed_get_attr_by_NID(info, NID_pkcs9_signingTime, at) >= 0 ||
      (value->type != V_ASN1_UTCTIME && value->type != V_ASN1_GENERALIZEDTIME)) {
    return std::nullopt;
  }
  std::tm parts{};
  if (ASN1_TIME_to_tm(value->value.asn1_string, &parts) != 1) {
    return std::nullopt;
  }
  return Instant{static_cast<std::int64_t>(timegm(&parts)) * 1000};
}

Status read_certificates(const Opened& message, CMS_SignerInfo* info, SignedContent& out) {
  const auto take = [&](const Result<Certificate>& certificate, X509* raw) {
    if (!certificate) {
      return;  // nobody stands on it
    }
    if (CMS_SignerInfo_cert_cmp(info, raw) == 0) {
      out.signers.push_back(*certificate);
    }
    out.along.push_back(*certificate);
  };
  if (message.certificates) {
    CHECK_OR(message.certificates->size() <= kMaxCertificates, Error{Fault::limit, "signed data: certificates"});
    for (const BytesView one : *message.certificates) {
      Certificate unread;
      unread.der = to_bytes(one);
      const X509Ptr raw = openssl_certificate(unread);
      CHECK_OR(raw, Error{Fault::malformed, "signed data: certificate"});  // as if OpenSSL had read the whole
      take(Certificate::parse(one), raw.get());
    }
    return Ok{};
  }
  const ossl::CertificatesPtr along(CMS_get1_certs(message.cms.get()));
  const int count = along ? sk_X509_num(along.get()) : 0;
  CHECK_OR(static_cast<std::size_t>(count) <= kMaxCertificates, Error{Fault::limit, "signed data: certificates"});
  for (int i = 0; i < count; ++i) {
    X509* const one = sk_X509_value(along.get(), i);
    take(from_openssl(one), one);
  }
  return Ok{};
}

}  // namespace

bool signs_cms(KeyType type) { return ossl::is_rsa(type) || ossl::is_curve(type); }

Result<Secret> sign_content(std::string_view type, BytesView content, const Signer& by,
                            const std::vector<Certificate>& more) {
  CHECK_OR(bool(by.key), Error{Fault::internal, "signed data: no signer"});
  CHECK_OR(signs_cms(by.key.public_key().type), kUnsupported);
  const EvpKey key = openssl_key(by.key);
  const bool named = !by.chain.empty();
  const X509Ptr certificate = named ? openssl_certificate(by.chain.front()) : bare_certificate(by.key.public_key());
  const EVP_MD* const hash = by.key.handle()->hash == nullptr ? nullptr : EVP_get_digestbyname(by.key.handle()->hash);
  const CmsPtr cms(CMS_sign(nullptr, nullptr, nullptr, nullptr, CMS_PARTIAL | CMS_BINARY));
  const ossl::ObjectPtr object(OBJ_txt2obj(std::string(type).c_str(), 1));
  const ossl::BioPtr in = ossl::read_bio(content);
  const unsigned flags =
      CMS_BINARY | CMS_NOSMIMECAP | (named ? 0U : static_cast<unsigned>(CMS_USE_KEYID | CMS_NOCERTS));
  const bool ready = key && certificate && hash != nullptr && cms && object && in &&
                     CMS_set1_eContentType(cms.get(), object.get()) == 1;
  CMS_SignerInfo* const info = ready ? CMS_add1_signer(cms.get(), certificate.get(), key.get(), hash, flags) : nullptr;
  if (info == nullptr || !set_time(info, by.at)) {
    return ossl::failed(kUnsupported.fault, kUnsupported.what);
  }
  std::vector<Certificate> along = more;
  along.insert(along.end(), by.chain.begin() + (named ? 1 : 0), by.chain.end());
  for (auto at = along.begin(); at != along.end(); ++at) {
    const Certificate& one = *at;
    if ((named && one == by.chain.front()) || std::find(along.begin(), at, one) != at) {
      continue;  // each once, or OpenSSL refuses
    }
    const X509Ptr sent = openssl_certificate(one);
    if (!sent || CMS_add1_cert(cms.get(), sent.get()) != 1) {
      return ossl::failed(kUnsupported.fault, kUnsupported.what);
    }
  }
  const bool final = CMS_final(cms.get(), in.get(), nullptr, CMS_BINARY) == 1;
  Result<Secret> out = final ? ossl::encoded(cms.get()) : ossl::failed(kUnsupported.fault, kUnsupported.what);
  ossl::wipe_content(cms.get());
  ERR_clear_error();
  return out;
}

Result<SignedContent> parse_signed(BytesView message) {
  TRY(const Opened opened, open(message));
  const CmsPtr& cms = opened.cms;
  CMS_SignerInfo* const info = sole_signer(cms.get());
  CHECK_OR(info != nullptr, Error{Fault::unauthentic, "signed data: not one signer"});
  const ASN1_OBJECT* const type = CMS_get0_eContentType(cms.get());
  CHECK_OR(modern_digest(info), Error{Fault::unsupported, "signed data: digest"});
  TRY(Ok{}, check_type(info, type));
  SignedContent out;
  out.type = dotted(type);
  ASN1_OCTET_STRING** const content = CMS_get0_content(cms.get());
  CHECK_OR(content != nullptr && *content != nullptr, Error{Fault::malformed, "signed data: no content"});
  out.content = Secret(BytesView((*content)->data, static_cast<std::size_t>((*content)->length)));
  ossl::wipe_content(cms.get());
  ASN1_OCTET_STRING* key_id = nullptr;
  CMS_SignerInfo_get0_signer_id(info, &key_id, nullptr, nullptr);
  if (key_id != nullptr) {
    out.signer_key_id = to_bytes({key_id->data, static_cast<std::size_t>(key_id->length)});
  }
  out.signing_time = time_of(info);
  TRY(Ok{}, read_certificates(opened, info, out));
  ERR_clear_error();
  return out;
}

namespace {

Status verify_with(BytesView message, const X509Ptr& by) {
  TRY(const Opened opened, open(message));
  const CmsPtr& cms = opened.cms;
  CMS_SignerInfo* const info = sole_signer(cms.get());
  const ossl::BioPtr out(BIO_new(BIO_s_secmem()));
  CHECK_OR(info != nullptr && by && out, Error{Fault::unauthentic, "signed data: signature"});
  CMS_SignerInfo_set1_signer_cert(info, by.get());
  const int verified =
      CMS_verify(cms.get(), nullptr, nullptr, nullptr, out.get(), CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY);
  ossl::wipe_content(cms.get());
  if (!holds(verified == 1)) {
    return ossl::failed(Fault::unauthentic, "signed data: signature");
  }
  ERR_clear_error();
  return Ok{};
}

// What this thread has lately found to be signed. A MASA sees each request twice, for the voucher and for its log, and
// whether these octets were signed by the key of that certificate never changes: no time, path or revocation is in it.
// Whoever makes two for the same place puts the other out, and nothing more.
class FoundSigned {
 public:
  static Sha256 name_of(BytesView message, const Certificate& by) {
    const Sha256 what = sha256(message);
    const Sha256 who = sha256(by.der);
    Bytes both(what.begin(), what.end());
    both.insert(both.end(), who.begin(), who.end());
    return sha256(both);
  }
  bool has(const Sha256& name) const { return places_[name[0] % kPlaces] == name; }
  void add(const Sha256& name) { places_[name[0] % kPlaces] = name; }

 private:
  static constexpr std::size_t kPlaces = 64;
  std::array<std::optional<Sha256>, kPlaces> places_;
};

}  // namespace

Status verify_signed(BytesView message, const PublicKey& key) {
  CHECK_OR(signs_cms(key.type), kUnsupported);
  return verify_with(message, bare_certificate(key));
}

Status verify_signed(BytesView message, const Certificate& by) {
  thread_local FoundSigned found;
  CHECK_OR(signs_cms(by.key.type), kUnsupported);
  const Sha256 name = FoundSigned::name_of(message, by);
  if (found.has(name)) {
    return Ok{};
  }
  TRY(Ok{}, verify_with(message, openssl_certificate(by)));
  found.add(name);
  return Ok{};
}

}  // namespace imprint
