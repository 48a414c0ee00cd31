// What the CMS files of this folder share of OpenSSL. Private, like openssl.h.
#pragma once

#include <openssl/cms.h>

#include "base/secret.h"
#include "crypto/openssl.h"

namespace imprint::ossl {

using CmsPtr = std::unique_ptr<CMS_ContentInfo, Free<CMS_ContentInfo_free>>;
using ObjectPtr = std::unique_ptr<ASN1_OBJECT, Free<ASN1_OBJECT_free>>;
using CertificatesPtr =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * s) { sk_X509_pop_free(s, X509_free); })>;

bool is_rsa(KeyType type);
bool is_curve(KeyType type);

// A view for OpenSSL: the bytes have to live as long.
BioPtr read_bio(BytesView bytes);
// A ContentInfo of exactly these bytes; null if they are none.
CmsPtr read_cms(BytesView message);
Result<Secret> encoded(const CMS_ContentInfo* cms);
// Overwrites the content that OpenSSL holds in clear.
void wipe_content(CMS_ContentInfo* cms);

}  // namespace imprint::ossl
