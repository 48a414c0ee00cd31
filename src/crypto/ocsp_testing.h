// Questions about certificates as a relying party writes them, for tests.
#pragma once

#include "codec/der.h"
#include "crypto/ocsp.h"

namespace imprint {

// A certID of RFC 6960 section 4.1.1, with SHA-256.
inline Bytes cert_id(const Certificate& issuer, BytesView serial) {
  der::Reader outer(issuer.key.spki);
  der::Reader fields(outer.next(der::kSequence).content);
  fields.next(der::kSequence);
  const BytesView key = fields.next(der::kBitString).content.subspan(1);  // without the count of unused bits
  const Bytes algorithm = der::sequence({der::oid("2.16.840.1.101.3.4.2.1")});
  return der::sequence({algorithm, der::item(der::kOctetString, sha256(issuer.subject.der)),
                        der::item(der::kOctetString, sha256(key)), der::integer(serial)});
}

// An OCSPRequest about certificates of one issuer.
inline Bytes ocsp_question(const Certificate& issuer, const std::vector<Bytes>& serials, BytesView nonce = {}) {
  Bytes list;
  for (const Bytes& serial : serials) {
    const Bytes one = der::sequence({cert_id(issuer, serial)});
    list.insert(list.end(), one.begin(), one.end());
  }
  Bytes extensions;
  if (!nonce.empty()) {
    const Bytes value = der::item(der::kOctetString, der::item(der::kOctetString, nonce));
    extensions = der::item(der::context(2), der::sequence({der::sequence({der::oid("1.3.6.1.5.5.7.48.1.2"), value})}));
  }
  return der::sequence({der::sequence({der::item(der::kSequence, list), extensions})});
}

// responseStatus of an OCSPResponse; -1 if it is none.
inline int ocsp_status(BytesView response) {
  der::Reader outer(response);
  der::Reader fields(outer.next(der::kSequence).content);
  constexpr std::uint8_t kEnumerated = 0x0a;
  const BytesView status = fields.next(kEnumerated).content;
  return outer.done() && status.size() == 1 ? status[0] : -1;
}

}  // namespace imprint
