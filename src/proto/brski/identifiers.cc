#include <algorithm>

#include "codec/der.h"
#include "crypto/issue.h"
#include "proto/brski/extensions.h"
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

}  // namespace

Bytes issuer_key_id(BytesView idevid_issuer) {
  der::Reader outer(idevid_issuer);
  const auto octets = outer.maybe(der::kOctetString);
  const BytesView authority = octets && outer.done() ? octets->content : idevid_issuer;
  const BytesView id = key_id_in(authority);
  return to_bytes(id.empty() ? idevid_issuer : id);
}

Bytes issuer_key_id(const Certificate& idevid) {
  const BytesView id = key_id_in(extension_in(idevid, kAuthorityKeyId).value_or(BytesView()));
  return id.empty() ? key_identifier(idevid.key) : to_bytes(id);
}

Bytes encode_idevid_issuer(BytesView key_id) {
  return der::item(der::kOctetString, der::sequence({der::item(der::context_primitive(0), key_id)}));
}

bool names_masa(const Certificate& certificate) { return extension_in(certificate, kMasaUrl).has_value(); }

bool names_device(const Certificate& certificate) {
  const bool module = std::ranges::any_of(certificate.alt_names, [](const GeneralName& name) {
    der::Reader in(name.value);
    const auto type = der::parse_oid(in.next(der::kOid).content);
    return name.kind == GeneralName::Kind::other && type && *type == kHardwareModuleName;
  });
  return module || names_masa(certificate) || !serial_of(certificate).empty();
}

bool names_status(const Certificate& certificate) {
  return extension_in(certificate, kListDistribution) || extension_in(certificate, kAuthorityAccess);
}

std::string serial_of(const Certificate& idevid) { return idevid.subject.first("serialNumber"); }

}  // namespace imprint::brski
