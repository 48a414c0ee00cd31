#include "crypto/x509.h"

#include <algorithm>

#include "codec/base64.h"
#include "crypto/parts.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxPem = std::size_t{1} << 20U;
constexpr std::size_t kMaxCertificates = 256;
constexpr std::size_t kMaxSerial = 20;
constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";

// 0, 1, 2 for v1, v2, v3 (RFC 5280 section 4.1.2.1); the default is not written.
Result<unsigned> read_version(der::Reader& in) {
  const std::optional<der::Item> tagged = in.maybe(der::context(0));
  if (!tagged) {
    return 0U;
  }
  der::Reader inner(tagged->content);
  const BytesView number = inner.next(der::kInteger).content;
  CHECK_OR(inner.done() && number.size() == 1 && (number[0] == 1 || number[0] == 2),
           Error{Fault::malformed, "certificate: version"});
  return number[0];
}

Status read_basic_constraints(BytesView value, Certificate& out) {
  const Error bad{Fault::malformed, "certificate: basicConstraints"};
  der::Reader outer(value);
  der::Reader in(outer.next(der::kSequence).content);
  if (const std::optional<der::Item> ca = in.maybe(der::kBoolean)) {
    CHECK_OR(ca->content.size() == 1 && (ca->content[0] == 0xff || ca->content[0] == 0), bad);
    out.is_ca = ca->content[0] == 0xff;
  }
  if (const std::optional<der::Item> length = in.maybe(der::kInteger)) {
    CHECK_OR(length->content.size() == 1 && length->content[0] < 0x80, bad);
  }
  CHECK_OR(outer.done() && in.done(), bad);
  return Ok{};
}

Status read_extensions(BytesView der, Certificate& out) {
  TRY(const std::vector<Extension> extensions, parts::parse_extensions(der));
  parts::Known known;
  for (const Extension& e : extensions) {
    TRY(const bool taken, parts::take_known(e, known));
    if (!taken && e.oid == parts::kBasicConstraints) {
      TRY([[maybe_unused]] const Ok read, read_basic_constraints(e.value, out));
    } else if (!taken && e.oid == parts::kSubjectKeyId) {
      der::Reader in(e.value);
      out.key_id = to_bytes(in.next(der::kOctetString).content);
      CHECK_OR(in.done() && !out.key_id.empty(), Error{Fault::malformed, "certificate: subjectKeyIdentifier"});
    }
  }
  out.alt_names = std::move(known.alt_names);
  out.alt_names_der = std::move(known.alt_names_der);
  out.usage = known.usage;
  out.extended = std::move(known.extended);
  return Ok{};
}

// The fields of TBSCertificate in their order, RFC 5280 section 4.1.
Status read_fields(der::Reader& in, BytesView outer_algorithm, Certificate& out) {
  TRY(const unsigned version, read_version(in));
  out.serial = to_bytes(parts::positive(in.next(der::kInteger).content));
  CHECK_OR(!out.serial.empty() && out.serial.size() <= kMaxSerial, Error{Fault::malformed, "certificate: serial"});
  // RFC 5280 section 4.1.1.2: both places must name the same algorithm.
  CHECK_OR(equal(in.next(der::kSequence).whole, outer_algorithm), Error{Fault::malformed, "certificate: algorithm"});
  TRY(out.issuer, Name::parse(in.next(der::kSequence).whole));
  der::Reader validity(in.next(der::kSequence).content);
  out.not_before = parts::read_time(validity);
  out.not_after = parts::read_time(validity);
  CHECK_OR(validity.done(), Error{Fault::malformed, "certificate: validity"});
  TRY(out.subject, Name::parse(in.next(der::kSequence).whole));
  TRY(out.key, PublicKey::parse(in.next(der::kSequence).whole));
  if (version > 0) {
    in.maybe(der::context_primitive(1));
    in.maybe(der::context_primitive(2));
  }
  if (version == 2 && in.has(der::context(3))) {
    TRY([[maybe_unused]] const Ok read, read_extensions(in.next().content, out));
  }
  CHECK_OR(in.done(), Error{Fault::malformed, "certificate: fields"});
  return Ok{};
}

}  // namespace

Result<Certificate> Certificate::parse(BytesView der) {
  CHECK_OR(der.size() <= parts::kMaxDer, Error{Fault::limit, "certificate: size"});
  der::Reader outer(der);
  der::Reader parts(outer.next(der::kSequence).content);
  der::Reader fields(parts.next(der::kSequence).content);
  const BytesView algorithm = parts.next(der::kSequence).whole;
  const BytesView signature = parts::octets_of_bits(parts.next(der::kBitString).content);
  CHECK_OR(outer.done() && parts.done() && !signature.empty(), Error{Fault::malformed, "certificate: structure"});
  Certificate out;
  TRY([[maybe_unused]] const Ok read, read_fields(fields, algorithm, out));
  out.der = to_bytes(der);
  return out;
}

Sha256 Certificate::fingerprint() const { return sha256(der); }

Result<std::vector<Certificate>> parse_pem_certificates(std::string_view pem) {
  CHECK_OR(pem.size() <= kMaxPem, Error{Fault::limit, "certificates: size"});
  std::vector<Certificate> out;
  for (std::size_t at = pem.find(kBegin); at != std::string_view::npos; at = pem.find(kBegin)) {
    CHECK_OR(out.size() < kMaxCertificates, Error{Fault::limit, "certificates: number"});
    pem.remove_prefix(at + kBegin.size());
    const std::size_t end = pem.find(kEnd);
    CHECK_OR(end != std::string_view::npos, Error{Fault::malformed, "certificates: no END line"});
    TRY(const Bytes der, parse_base64(pem.substr(0, end)));
    TRY(Certificate one, Certificate::parse(der));
    out.push_back(std::move(one));
    pem.remove_prefix(end + kEnd.size());
  }
  return out;
}

std::string to_pem(const Certificate& certificate) {
  return std::string(kBegin) + "\n" + base64_lines(certificate.der) + std::string(kEnd) + "\n";
}

}  // namespace imprint
