#include "crypto/cms_openssl.h"

namespace imprint::ossl {

bool is_rsa(KeyType type) { return type == KeyType::rsa2048 || type == KeyType::rsa3072 || type == KeyType::rsa4096; }
bool is_curve(KeyType type) { return type == KeyType::p256 || type == KeyType::p384 || type == KeyType::p521; }

BioPtr read_bio(BytesView bytes) { return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))); }

CmsPtr read_cms(BytesView message) {
  const std::uint8_t* in = message.data();
  CmsPtr out(d2i_CMS_ContentInfo(nullptr, &in, static_cast<long>(message.size())));
  return out && in == message.data() + message.size() ? std::move(out) : nullptr;
}

Result<Secret> encoded(const CMS_ContentInfo* cms) {
  std::uint8_t* out = nullptr;
  const int length = i2d_CMS_ContentInfo(cms, &out);
  if (length <= 0) {
    return failed(Fault::internal, "cms: encoding");
  }
  Secret bytes(BytesView(out, static_cast<std::size_t>(length)));
  OPENSSL_clear_free(out, static_cast<std::size_t>(length));
  return bytes;
}

void wipe_content(CMS_ContentInfo* cms) {
  ASN1_OCTET_STRING** const content = CMS_get0_content(cms);
  if (content != nullptr && *content != nullptr) {
    OPENSSL_cleanse((*content)->data, static_cast<std::size_t>((*content)->length));
  }
}

}  // namespace imprint::ossl
