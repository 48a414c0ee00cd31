#include <algorithm>

#include "codec/der.h"
#include "crypto/issue.h"
#include "proto/brski/judge.h"

namespace imprint::brski {
namespace {

constexpr std::string_view kAuthorityKeyId = "2.5.29.35";
constexpr std::string_view kMasaUrl = "1.3.6.1.5.5.7.1.32";  // id-pe-masa-url, RFC 8995 section 2.3.2
constexpr std::string_view kListDistribution = "2.5.29.31", kAuthorityAccess = "1.3.6.1.5.5.7.1.1";
constexpr std::string_view kHardwareModuleName = "1.3.6.1.5.5.7.8.4";  // RFC 4108 section 5

// The key identifier in an AuthorityKeyIdentifier (RFC 5280 section 4.2.1.1); empty if there is none.
BytesView key_id_in(BytesView authority) {
  der::Reader in(authority);
  const der::Item sequence = in.next(der::kSequence);
  der::Reader fields(sequence.content);
  const auto id = fields.maybe(der::context_primitive(0));
  return in.done() && id ? id->content : BytesView();
}

// The extensions of a certificate: behind [3] in its first part.
der::Reader extensions_of(const Certificate& certificate) {
  der::Reader whole(certificate.der);
  der::Reader parts(whole.next(der::kSequence).content);
  der::Reader fields(parts.next(der::kSequence).content);
  while (fields.good() && !fields.empty() && !fields.has(der::context(3))) {
    fields.next();
  }
  der::Reader tagged(fields.next(der::context(3)).content);
  return der::Reader(tagged.next(der::kSequence).content);
}

// The value of an extension; empty if there is none.
BytesView extension_of(const Certificate& certificate, std::string_view wanted) {
  der::Reader extensions = extensions_of(certificate);
  while (extensions.good() && !extensions.empty()) {
    der::Reader one(extensions.next(der::kSequence).content);
    const auto oid = der::parse_oid(one.next(der::kOid).content);
    one.maybe(der::kBoolean);
    const BytesView value = one.next(der::kOctetString).content;
    if (oid && *oid == wanted && one.done()) {
      return value;
    }
  }
  return {};
}

}  // namespace

Bytes issuer_key_id(BytesView idevid_issuer) {
  der::Reader outer(idevid_issuer);
  const auto octets = outer.maybe(der::kOctetString);
  const BytesView authority = octets && outer.done() ? octets->content : idevid_issuer;
  const BytesView id = key_id_in(authority);
  return to_bytes(id.empty() ? idevid_issuer : id);
}

Bytes issuer_key_id(const Certificate& idevid) {
  const BytesView id = key_id_in(extension_of(idevid, kAuthorityKeyId));
  return id.empty() ? key_identifier(idevid.key) : to_bytes(id);
}

Bytes encode_idevid_issuer(BytesView key_id) {
  return der::item(der::kOctetString, der::sequence({der::item(der::context_primitive(0), key_id)}));
}

bool names_masa(const Certificate& certificate) { return !extension_of(certificate, kMasaUrl).empty(); }

bool names_device(const Certificate& certificate) {
  const bool module = std::ranges::any_of(certificate.alt_names, [](const GeneralName& name) {
    der::Reader in(name.value);
    const auto type = der::parse_oid(in.next(der::kOid).content);
    return name.kind == GeneralName::Kind::other && type && *type == kHardwareModuleName;
  });
  return module || names_masa(certificate) || !serial_of(certificate).empty();
}

bool names_status(const Certificate& certificate) {
  return !extension_of(certificate, kListDistribution).empty() || !extension_of(certificate, kAuthorityAccess).empty();
}

std::string serial_of(const Certificate& idevid) { return idevid.subject.first("serialNumber"); }

}  // namespace imprint::brski
