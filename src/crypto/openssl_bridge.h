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

// A certificate in both forms; both belong to the caller.
struct Received {
  const Certificate* certificate = nullptr;
  X509* openssl = nullptr;
};

// Trust anchors that OpenSSL has read once: reading them again for each handshake costs as much as the handshake.
class Anchors {
 public:
  // Faults: malformed (OpenSSL refuses what our parser took), limit (over 1024).
  static Result<Anchors> load(std::vector<Certificate> certificates);
  Anchors(Anchors&& other) noexcept;
  Anchors& operator=(Anchors&& other) noexcept;
  ~Anchors();

 private:
  friend struct Checker<CertificateChain>;
  struct Impl;
  explicit Anchors(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// verify_chain() (x509.h) for certificates that OpenSSL has read already, the leaf first.
Result<Verified<CertificateChain>> verify_received(const std::vector<Received>& sent, const Anchors& anchors,
                                                   const ChainRules& rules);

}  // namespace imprint
