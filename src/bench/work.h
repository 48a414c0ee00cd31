// What the clients of a measurement carry: their certificates and keys in OpenSSL's form, and requests made beforehand.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "crypto/openssl_bridge.h"

namespace imprint::bench {

// A registered device with its IDevID.
struct Applicant {
  std::string id;
  EvpKey key;
  X509Ptr certificate;
};

// A request for a fresh P-256 key of one applicant, as HTTP carries it.
struct Enrolment {
  std::size_t applicant = 0;
  std::string body;  // base64 of the PKCS#10 request
  Bytes der;
  Bytes spki;  // the key that the certificate must be for
};

// Requests for these names in turn, each with a key of its own, made on as many threads as there are cores.
Result<std::vector<Enrolment>> make_enrolments(const std::vector<std::string>& ids, std::size_t count);

// Hands out each element once; from any thread.
class Supply {
 public:
  explicit Supply(std::vector<Enrolment> all) : all_(std::move(all)) {}
  const Enrolment* next() {
    const std::size_t i = taken_++;
    return i < all_.size() ? &all_[i] : nullptr;
  }

 private:
  std::vector<Enrolment> all_;
  std::atomic<std::size_t> taken_ = 0;
};

}  // namespace imprint::bench
