// The one door through which src/io gets OpenSSL's own objects, for TLS, and src/bench, for what it compares with.
// Nobody else includes it.
#pragma once

#include <openssl/types.h>

#include <memory>

#include "crypto/x509.h"

// Declared as in <openssl/evp.h> and <openssl/x509.h>, which the users of this header need not include.
extern "C" {
void EVP_PKEY_free(EVP_PKEY* key);
void X509_free(X509* certificate);
}

namespace imprint {

// Frees with the function that belongs to the type.
template <auto Function>
struct Free {
  template <class T>
  void operator()(T* object) const {
    Function(object);
  }
};
using EvpKey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;

// A reference of one's own to the key; null only if there is none. It may be used from any thread.
EvpKey openssl_key(const PrivateKey& key);

// The certificate in OpenSSL's form; null if OpenSSL refuses what our parser took.
X509Ptr openssl_certificate(const Certificate& certificate);

// OpenSSL's certificate as our value, from the bytes as they were received.
Result<Certificate> from_openssl(const X509* certificate);

}  // namespace imprint
