// Keys, certificates and known answers that the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "crypto/issue.h"

namespace imprint::testing {

inline constexpr Instant kNow{1'790'000'000'000};  // September 2026
inline constexpr Duration kDay = std::chrono::hours(24);

template <class T>
Fault fault(const Result<T>& result) {
  return result ? Fault::internal : result.error().fault;
}

inline Name name_of(std::string_view text) { return *Name::from_text(text); }
inline GeneralName general(std::string_view text) { return *GeneralName::from_text(text); }

// One key per type for the whole run: making RSA keys is slow.
inline const PrivateKey& key_of(KeyType type) {
  static std::vector<std::pair<KeyType, PrivateKey>> made;
  for (const auto& [known, key] : made) {
    if (known == type) {
      return key;
    }
  }
  made.reserve(16);
  return made.emplace_back(type, *PrivateKey::generate(type)).second;
}

// A certification authority, or an end entity, with its certificate.
struct Party {
  PrivateKey key;
  Certificate certificate;

  // A template for something below this party.
  CertificateTemplate below(const PublicKey& subject, std::string_view name) const {
    CertificateTemplate out;
    out.serial = {0x11};
    out.issuer = certificate.subject;
    out.subject = name_of(name);
    out.not_before = kNow - kDay;
    out.not_after = kNow + kDay;
    out.spki = subject.spki;
    out.authority_key_id = key_identifier(key.public_key());
    return out;
  }
  Certificate issue(const CertificateTemplate& what) const { return *Certificate::parse(*sign_certificate(key, what)); }
};

inline CertificateTemplate as_ca(CertificateTemplate what) {
  what.is_ca = true;
  what.usage = key_usage::kCertSign | key_usage::kCrlSign;
  return what;
}

inline Party make_root(KeyType type, std::string_view name = "CN=Root") {
  Party out{*PrivateKey::generate(type), {}};
  out.certificate.subject = name_of(name);
  out.certificate = out.issue(as_ca(out.below(out.key.public_key(), name)));
  return out;
}

inline Party make_ca_below(const Party& above, std::string_view name) {
  Party out{*PrivateKey::generate(KeyType::p256), {}};
  out.certificate = above.issue(as_ca(above.below(out.key.public_key(), name)));
  return out;
}

// One of the vectors in a file of tests/data; each names its source.
inline Json vector_in(const std::string& file, std::string_view id) {
  static std::map<std::string, Json> read;
  auto at = read.find(file);
  if (at == read.end()) {
    std::ifstream in(IMPRINT_TEST_DATA "/" + file);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    at = read.emplace(file, *parse_json(text)).first;
  }
  for (const Json& one : at->second["vectors"]) {
    if (one["id"] == id) {
      return one;
    }
  }
  return {};
}

inline Json vector_of(std::string_view id) { return vector_in("est.json", id); }

inline Bytes der_of(std::string_view id) { return *from_hex(vector_of(id)["der"].get<std::string>()); }

}  // namespace imprint::testing
