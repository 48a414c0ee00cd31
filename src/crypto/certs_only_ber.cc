// Certs-only messages in BER of indefinite length, as BouncyCastle's stream generator writes them. Our DER layer reads
// one length form alone, so OpenSSL reads these.
#include "crypto/certs_only_ber.h"

#include "crypto/cms.h"
#include "crypto/cms_openssl.h"

namespace imprint {
namespace {

using ossl::CertificatesPtr;

// One certificate as OpenSSL writes it: what is signed stays as it was sent.
Result<Bytes> in_der(const X509* one) {
  std::uint8_t* out = nullptr;
  const int length = i2d_X509(one, &out);
  if (length <= 0) {
    return ossl::failed(Fault::malformed, "certs-only: certificate in BER");
  }
  Bytes der(out, out + length);
  OPENSSL_free(out);
  return der;
}

}  // namespace

Result<Bytes> certs_only_in_der(BytesView ber) {
  const ossl::CmsPtr cms = ossl::read_cms(ber);
  if (!cms || OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_signed) {
    return ossl::failed(Fault::malformed, "certs-only: BER");
  }
  const STACK_OF(CMS_SignerInfo)* const signers = CMS_get0_SignerInfos(cms.get());
  CHECK_OR(signers == nullptr || sk_CMS_SignerInfo_num(signers) <= 0,
           Error{Fault::malformed, "certs-only: has signers"});
  ASN1_OCTET_STRING** const content = CMS_get0_content(cms.get());
  CHECK_OR(content == nullptr || *content == nullptr || ASN1_STRING_length(*content) == 0,
           Error{Fault::malformed, "certs-only: has content"});
  const CertificatesPtr certificates(CMS_get1_certs(cms.get()));
  if (!certificates) {
    return ossl::failed(Fault::malformed, "certs-only: no certificate");
  }
  std::vector<Bytes> out;
  for (int i = 0; i < sk_X509_num(certificates.get()); ++i) {
    TRY(Bytes one, in_der(sk_X509_value(certificates.get(), i)));
    out.push_back(std::move(one));
  }
  return encode_certs_only(out);
}

}  // namespace imprint
