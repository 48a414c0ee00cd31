#include "crypto/issue.h"

#include <algorithm>

#include "crypto/parts.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxSerial = 20;
// Keeps the list below the 16 MiB that our DER writer takes.
constexpr std::size_t kMaxRevoked = 200'000;

Bytes identifier_of(BytesView spki) { return sha1_identifier(parts::key_bits(spki)); }

bool valid_serial(BytesView serial) { return !serial.empty() && serial.size() <= kMaxSerial && serial.front() != 0; }

Bytes authority_value(BytesView key_id) { return der::sequence({der::item(der::context_primitive(0), key_id)}); }

Bytes basic_value(const CertificateTemplate& what) {
  const std::uint8_t yes = 0xff;
  const Bytes length = what.path_length ? der::integer(*what.path_length) : Bytes();
  return der::sequence({der::item(der::kBoolean, {&yes, 1}), length});
}

std::vector<Extension> make_extensions(const CertificateTemplate& what) {
  std::vector<Extension> out;
  const auto add = [&out](std::string_view id, bool critical, Bytes value) {
    out.push_back({std::string(id), critical, std::move(value)});
  };
  add(parts::kSubjectKeyId, false, der::item(der::kOctetString, identifier_of(what.spki)));
  if (!what.authority_key_id.empty()) {
    add(parts::kAuthorityKeyId, false, authority_value(what.authority_key_id));
  }
  if (what.is_ca) {
    add(parts::kBasicConstraints, true, basic_value(what));
  }
  if (what.usage) {
    add(parts::kKeyUsage, true, parts::encode_key_usage(*what.usage));
  }
  if (!what.extended.empty()) {
    add(parts::kExtendedKeyUsage, false, parts::encode_extended(what.extended));
  }
  if (!what.alt_names.empty()) {
    add(parts::kSubjectAltName, what.subject.empty(), parts::encode_general_names(what.alt_names));
  }
  out.insert(out.end(), what.other_extensions.begin(), what.other_extensions.end());
  return out;
}

bool has_twice(const std::vector<Extension>& extensions) {
  for (auto one = extensions.begin(); one != extensions.end(); ++one) {
    if (std::any_of(one + 1, extensions.end(), [one](const Extension& e) { return e.oid == one->oid; })) {
      return true;
    }
  }
  return false;
}

Bytes name_der(const Name& name) { return name.der.empty() ? der::sequence({}) : name.der; }

Result<Bytes> sign_body(const PrivateKey& issuer, BytesView body) {
  TRY(const Bytes signature, issuer.sign(body));
  const std::uint8_t unused_bits = 0;
  const Bytes bits = der::item(der::kBitString, der::concat({{&unused_bits, 1}, signature}));
  return der::sequence({body, issuer.signature_algorithm(), bits});
}

Status check(const CertificateTemplate& what) {
  CHECK_OR(valid_serial(what.serial), Error{Fault::malformed, "issue: serial"});
  CHECK_OR(what.not_before <= what.not_after, Error{Fault::malformed, "issue: validity"});
  CHECK_OR(!what.issuer.empty(), Error{Fault::malformed, "issue: issuer without a name"});
  CHECK_OR(!what.subject.empty() || !what.alt_names.empty(), Error{Fault::malformed, "issue: subject without a name"});
  CHECK_OR(!what.path_length || (what.is_ca && *what.path_length < 0x80),
           Error{Fault::malformed, "issue: path length"});
  CHECK_OR(!what.usage || *what.usage != 0, Error{Fault::malformed, "issue: no key usage"});
  CHECK_OR(!parts::key_bits(what.spki).empty(), Error{Fault::malformed, "issue: public key"});
  const bool oids =
      std::all_of(what.extended.begin(), what.extended.end(), [](const std::string& o) { return der::valid_oid(o); }) &&
      std::all_of(what.other_extensions.begin(), what.other_extensions.end(),
                  [](const Extension& e) { return der::valid_oid(e.oid); });
  CHECK_OR(oids, Error{Fault::malformed, "issue: object identifier"});
  return Ok{};
}

Bytes encode_revoked(const Revoked& one) {
  Bytes extensions;
  // RFC 5280 section 5.3.1: "unspecified" is said by leaving the reason out.
  if (one.reason != RevocationReason::unspecified) {
    constexpr std::uint8_t kEnumerated = 0x0a;
    const auto code = static_cast<std::uint8_t>(one.reason);
    extensions =
        parts::encode_extensions({{std::string(parts::kCrlReason), false, der::item(kEnumerated, {&code, 1})}});
  }
  return der::sequence({der::integer(BytesView(one.serial)), parts::encode_time(one.at), extensions});
}

// DistributionPointName with one URI: fullName [0] in distributionPoint [0].
Bytes distribution_name(std::string_view uri) {
  const Bytes name = der::text(der::context_primitive(6), uri);
  return der::item(der::context(0), der::item(der::context(0), name));
}

}  // namespace

Extension ocsp_access(std::string_view uri) {
  const Bytes place = der::text(der::context_primitive(6), uri);
  return {std::string(parts::kAuthorityAccess), false, der::sequence({der::sequence({der::oid(parts::kOcsp), place})})};
}

Extension list_distribution(std::string_view uri) {
  return {std::string(parts::kListDistribution), false, der::sequence({der::sequence({distribution_name(uri)})})};
}

Extension ocsp_no_check() { return {std::string(parts::kOcspNoCheck), false, der::item(der::kNull, {})}; }

Bytes key_identifier(const PublicKey& key) { return identifier_of(key.spki); }

Result<Bytes> sign_certificate(const PrivateKey& issuer, const CertificateTemplate& what) {
  CHECK_OR(bool(issuer), Error{Fault::internal, "private key: none"});
  TRY([[maybe_unused]] const Ok checked, check(what));
  const std::vector<Extension> extensions = make_extensions(what);
  CHECK_OR(!has_twice(extensions), Error{Fault::malformed, "issue: extension twice"});
  const Bytes body = der::sequence(
      {der::item(der::context(0), der::integer(2)), der::integer(BytesView(what.serial)), issuer.signature_algorithm(),
       what.issuer.der, der::sequence({parts::encode_time(what.not_before), parts::encode_time(what.not_after)}),
       name_der(what.subject), what.spki, der::item(der::context(3), parts::encode_extensions(extensions))});
  CHECK_OR(body.size() <= parts::kMaxDer - 1024, Error{Fault::limit, "issue: size"});
  return sign_body(issuer, body);
}

Result<Bytes> sign_revocation_list(const PrivateKey& issuer, const RevocationListTemplate& what) {
  CHECK_OR(bool(issuer), Error{Fault::internal, "private key: none"});
  CHECK_OR(!what.issuer.empty(), Error{Fault::malformed, "crl: issuer without a name"});
  CHECK_OR(what.revoked.size() <= kMaxRevoked, Error{Fault::limit, "crl: entries"});
  Bytes entries;
  for (const Revoked& one : what.revoked) {
    CHECK_OR(valid_serial(one.serial), Error{Fault::malformed, "crl: serial"});
    const Bytes entry = encode_revoked(one);
    entries.insert(entries.end(), entry.begin(), entry.end());
  }
  std::vector<Extension> extensions;
  if (!what.authority_key_id.empty()) {
    extensions.push_back({std::string(parts::kAuthorityKeyId), false, authority_value(what.authority_key_id)});
  }
  extensions.push_back({std::string(parts::kCrlNumber), false, der::integer(what.number)});
  if (!what.distribution_uri.empty()) {
    extensions.push_back({std::string(parts::kIssuingDistributionPoint), true,
                          der::sequence({distribution_name(what.distribution_uri)})});
  }
  // RFC 5280 section 5.1.2.6: an empty list of entries is left out.
  const Bytes list = entries.empty() ? Bytes() : der::item(der::kSequence, entries);
  const Bytes body = der::sequence({der::integer(1), issuer.signature_algorithm(), what.issuer.der,
                                    parts::encode_time(what.this_update), parts::encode_time(what.next_update), list,
                                    der::item(der::context(0), parts::encode_extensions(extensions))});
  return sign_body(issuer, body);
}

}  // namespace imprint
