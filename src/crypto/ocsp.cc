#include "crypto/ocsp.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "crypto/parts.h"

namespace imprint {
namespace {

constexpr std::uint8_t kEnumerated = 0x0a;
constexpr std::size_t kMaxSerial = 20;
constexpr std::size_t kMaxHash = 64;
constexpr std::string_view kSha1 = "1.3.14.3.2.26", kSha256 = "2.16.840.1.101.3.4.2.1";

Error malformed(std::string_view what) { return {Fault::malformed, what}; }

// ---- what is asked ----

CertId::Hash hash_named(std::string_view oid) {
  return oid == kSha1 ? CertId::Hash::sha1 : oid == kSha256 ? CertId::Hash::sha256 : CertId::Hash::other;
}

Result<CertId> read_cert_id(const der::Item& whole) {
  CertId out;
  out.der = to_bytes(whole.whole);
  der::Reader in(whole.content);
  der::Reader algorithm(in.next(der::kSequence).content);
  TRY(const std::string oid, der::parse_oid(algorithm.next(der::kOid).content));
  algorithm.maybe(der::kNull);
  out.hash = hash_named(oid);
  out.issuer_name_hash = to_bytes(in.next(der::kOctetString).content);
  out.issuer_key_hash = to_bytes(in.next(der::kOctetString).content);
  const BytesView serial = in.next(der::kInteger).content;
  CHECK_OR(in.done() && algorithm.done(), malformed("ocsp: certID"));
  CHECK_OR(out.issuer_name_hash.size() <= kMaxHash && out.issuer_key_hash.size() <= kMaxHash &&
               serial.size() <= kMaxSerial + 1 && !serial.empty(),
           malformed("ocsp: certID size"));
  const BytesView positive = parts::positive(serial);
  out.serial = positive.size() <= kMaxSerial ? to_bytes(positive) : Bytes();
  return out;
}

Result<std::vector<CertId>> read_list(BytesView content) {
  std::vector<CertId> out;
  der::Reader list(content);
  while (list.good() && !list.empty()) {
    CHECK_OR(out.size() < OcspRequest::kMaxAsked, Error{Fault::limit, "ocsp: number of certificates"});
    der::Reader one(list.next(der::kSequence).content);
    TRY(CertId id, read_cert_id(one.next(der::kSequence)));
    one.maybe(der::context(0));  // extensions of this question alone: none that we know
    CHECK_OR(one.done(), malformed("ocsp: request"));
    out.push_back(std::move(id));
  }
  CHECK_OR(list.done() && !out.empty(), malformed("ocsp: requestList"));
  return out;
}

Status read_extensions(BytesView content, OcspRequest& out) {
  TRY(const std::vector<Extension> extensions, parts::parse_extensions(content));
  for (const Extension& each : extensions) {
    if (each.oid == parts::kOcspNonce) {
      der::Reader in(each.value);
      out.nonce = to_bytes(in.next(der::kOctetString).content);
      CHECK_OR(in.done() && !out.nonce.empty() && out.nonce.size() <= OcspRequest::kMaxNonce, malformed("ocsp: nonce"));
      continue;
    }
    CHECK_OR(!each.critical, Error{Fault::unsupported, "ocsp: critical extension"});
  }
  return Ok{};
}

// ---- what is answered ----

// GeneralizedTime, also before 2050 (RFC 6960 section 4.2.2.1).
Bytes encode_time(Instant when) {
  using namespace std::chrono;
  const sys_seconds at{floor<seconds>(milliseconds(when.ms))};
  const sys_days day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%04d%02u%02u%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return der::text(der::kGeneralizedTime, text.data());
}

Bytes encode_value(const CertificateStatus& status) {
  switch (status.value) {
    case CertificateStatus::Value::good:
      return der::item(der::context_primitive(0), {});
    case CertificateStatus::Value::unknown:
      return der::item(der::context_primitive(2), {});
    case CertificateStatus::Value::revoked:
      break;
  }
  Bytes reason;
  if (status.reason != RevocationReason::unspecified) {  // said by leaving it out, as in a list
    const auto code = static_cast<std::uint8_t>(status.reason);
    reason = der::item(der::context(0), der::item(kEnumerated, {&code, 1}));
  }
  return der::item(der::context(1), der::concat({encode_time(status.revoked), reason}));
}

Bytes encode_statuses(const OcspTemplate& what) {
  const Bytes this_update = encode_time(what.this_update);
  const Bytes next_update = der::item(der::context(0), encode_time(what.next_update));
  Bytes out;
  for (const CertificateStatus& each : what.statuses) {
    const Bytes one = der::sequence({each.cert_id, encode_value(each), this_update, next_update});
    out.insert(out.end(), one.begin(), one.end());
  }
  return der::item(der::kSequence, out);
}

Bytes encode_response(std::uint8_t status, BytesView response_bytes) {
  return der::sequence({der::item(kEnumerated, {&status, 1}), response_bytes});
}

}  // namespace

bool CertId::names_issuer(const Certificate& issuer) const {
  const BytesView key = parts::key_bits(issuer.key.spki);
  switch (hash) {
    case Hash::sha1:
      return issuer_name_hash == sha1_identifier(issuer.subject.der) && issuer_key_hash == sha1_identifier(key);
    case Hash::sha256:
      return equal(issuer_name_hash, sha256(issuer.subject.der)) && equal(issuer_key_hash, sha256(key));
    case Hash::other:
      break;
  }
  return false;
}

Result<OcspRequest> OcspRequest::parse(BytesView der) {
  CHECK_OR(der.size() <= kMaxBytes, Error{Fault::limit, "ocsp: size"});
  der::Reader outer(der);
  der::Reader parts(outer.next(der::kSequence).content);
  der::Reader fields(parts.next(der::kSequence).content);
  parts.maybe(der::context(0));  // the asker's signature
  if (const auto version = fields.maybe(der::context(0))) {
    der::Reader in(version->content);
    const BytesView number = in.next(der::kInteger).content;
    CHECK_OR(in.done() && number.size() == 1, malformed("ocsp: version"));
    CHECK_OR(number[0] == 0, Error{Fault::unsupported, "ocsp: version"});
  }
  fields.maybe(der::context(1));  // the asker's name
  const der::Item list = fields.next(der::kSequence);
  const auto extensions = fields.maybe(der::context(2));
  CHECK_OR(outer.done() && parts.done() && fields.done(), malformed("ocsp: structure"));
  OcspRequest out;
  TRY(out.asked, read_list(list.content));
  if (extensions) {
    TRY([[maybe_unused]] const Ok read, read_extensions(extensions->content, out));
  }
  return out;
}

Bytes encode_ocsp_failure(OcspFailure why) { return encode_response(static_cast<std::uint8_t>(why), {}); }

Result<Bytes> sign_ocsp_response(const PrivateKey& key, const Certificate& signer, const OcspTemplate& what) {
  CHECK_OR(bool(key), Error{Fault::internal, "private key: none"});
  CHECK_OR(!what.statuses.empty() && what.statuses.size() <= OcspRequest::kMaxAsked,
           Error{Fault::malformed, "ocsp: number of statuses"});
  const Bytes responder =
      der::item(der::context(2), der::item(der::kOctetString, sha1_identifier(parts::key_bits(signer.key.spki))));
  Bytes extensions;
  if (!what.nonce.empty()) {
    const Extension nonce{std::string(parts::kOcspNonce), false, der::item(der::kOctetString, what.nonce)};
    extensions = der::item(der::context(1), parts::encode_extensions({nonce}));
  }
  const Bytes data = der::sequence({responder, encode_time(what.this_update), encode_statuses(what), extensions});
  TRY(const Bytes signature, key.sign(data));
  const std::uint8_t unused_bits = 0;
  const Bytes bits = der::item(der::kBitString, der::concat({{&unused_bits, 1}, signature}));
  const Bytes certificates = der::item(der::context(0), der::sequence({signer.der}));
  const Bytes basic = der::sequence({data, key.signature_algorithm(), bits, certificates});
  const Bytes typed = der::sequence({der::oid(parts::kOcspBasic), der::item(der::kOctetString, basic)});
  constexpr std::uint8_t kSuccessful = 0;
  return encode_response(kSuccessful, der::item(der::context(0), typed));
}

}  // namespace imprint
