// Makers, devices and rules for tests of the MASA book.
#pragma once

#include "codec/der.h"
#include "crypto/crypto_test.h"
#include "site/masa_catalogue.h"

namespace imprint::site::testing {

using namespace imprint::testing;

// A device of a maker's CA.
struct Made {
  std::string subject = "CN=lamp,serialNumber=L-100";
  std::string masa;      // its own address; empty: none
  std::string hardware;  // hwSerialNum of type 1.3.6.1.4.1.99999.1; empty: none
};

inline Certificate make_device(const Party& ca, const Made& made = {}) {
  CertificateTemplate what = ca.below(key_of(KeyType::p256).public_key(), made.subject);
  if (!made.masa.empty()) {
    what.other_extensions.push_back({"1.3.6.1.5.5.7.1.32", false, der::text(der::kIa5, made.masa)});
  }
  if (!made.hardware.empty()) {
    const Bytes value =
        der::sequence({der::oid("1.3.6.1.4.1.99999.1"), der::item(der::kOctetString, view(made.hardware))});
    what.alt_names.push_back(
        {GeneralName::Kind::other, der::concat({der::oid("1.3.6.1.5.5.7.8.4"), der::item(der::context(0), value)})});
  }
  return ca.issue(what);
}

inline SerialPattern glob(std::string_view text) { return *SerialPattern::glob(text); }
inline SerialPattern range(std::string_view first, std::string_view last) { return *SerialPattern::range(first, last); }

inline MasaRule rule_to(std::string_view name, std::string_view url, MasaMatch match = {}) {
  MasaRule out;
  out.name = name;
  out.from = "test";
  out.match = std::move(match);
  if (!url.empty()) {
    out.url = *brski::masa_url(url);
  }
  return out;
}

}  // namespace imprint::site::testing
