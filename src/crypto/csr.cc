#include "crypto/csr.h"

#include <algorithm>

#include "crypto/parts.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxAttributes = 32;
constexpr std::size_t kMaxText = 255;

constexpr std::string_view kChallengePassword = "1.2.840.113549.1.9.7";
constexpr std::string_view kExtensionRequest = "1.2.840.113549.1.9.14";
constexpr std::string_view kOtpChallenge = "1.2.840.113549.1.9.16.2.56";
constexpr std::string_view kRevocationChallenge = "1.2.840.113549.1.9.16.2.57";
constexpr std::string_view kIdentityLinking = "1.2.840.113549.1.9.16.2.58";
constexpr std::string_view kChangeSubjectName = "1.3.6.1.5.5.7.7.36";
constexpr std::string_view kCapabilities = "1.2.840.113549.1.9.15";
constexpr std::string_view kDecryptKey = "1.2.840.113549.1.9.16.2.37";
constexpr std::string_view kAsymmetricDecryptKey = "1.2.840.113549.1.9.16.2.54";
constexpr std::size_t kMaxKeyId = 64;
constexpr std::size_t kMaxCapabilities = 64;

using parts::Signed;

// RFC 2986 section 4.2.
Result<Signed> split(BytesView der) {
  der::Reader outer(der);
  der::Reader parts(outer.next(der::kSequence).content);
  Signed out;
  out.body = parts.next(der::kSequence);
  out.algorithm = parts.next(der::kSequence).whole;
  out.signature = parts::octets_of_bits(parts.next(der::kBitString).content);
  CHECK_OR(outer.done() && parts.done() && !out.signature.empty(), Error{Fault::malformed, "csr: structure"});
  return out;
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<std::uint8_t>(c) & 0xc0U) != 0x80U; }));
}

Result<std::string> read_text(const der::Item& value) {
  const std::optional<std::string> text = parts::string_text(value);
  CHECK_OR(text && !text->empty() && characters(*text) <= kMaxText, Error{Fault::malformed, "csr: text attribute"});
  return *text;
}

// RFC 6402 section 2.8: SEQUENCE { subject Name OPTIONAL, subjectAlt GeneralNames OPTIONAL }, at least one present.
// Both are untagged SEQUENCEs, so a lone one is told by its content: RDNs are SETs, general names have context tags,
// and only a Name may be empty. Erratum 3943 (held for update) gives subjectAlt the tag [1]; that is taken as well.
Result<ChangeSubjectName> read_change(const der::Item& value) {
  const Error bad{Fault::malformed, "csr: ChangeSubjectName"};
  CHECK_OR(value.tag == der::kSequence, bad);
  der::Reader in(value.content);
  ChangeSubjectName out;
  const auto next_names = [&in] { return in.has(der::context(1)) ? in.next() : in.next(der::kSequence); };
  der::Item next = next_names();
  CHECK_OR(in.good(), bad);
  if (next.tag == der::kSequence && (next.content.empty() || next.content.front() == der::kSet)) {
    TRY(out.subject, Name::parse(next.whole));
    if (in.empty()) {
      return out;
    }
    next = next_names();
  }
  TRY(out.alt_names, parts::parse_general_names(next.content));
  CHECK_OR(in.done(), bad);
  return out;
}

Result<Bytes> read_key_id(const der::Item& value) {
  CHECK_OR(value.tag == der::kOctetString && !value.content.empty() && value.content.size() <= kMaxKeyId,
           Error{Fault::malformed, "csr: key identifier"});
  return to_bytes(value.content);
}

// SEQUENCE OF SEQUENCE { capabilityID, parameters ANY OPTIONAL }: the algorithms that we use need no parameters' look.
Result<std::vector<std::string>> read_capabilities(const der::Item& value) {
  const Error bad{Fault::malformed, "csr: SMIMECapabilities"};
  CHECK_OR(value.tag == der::kSequence, bad);
  der::Reader list(value.content);
  std::vector<std::string> out;
  while (!list.empty()) {
    CHECK_OR(out.size() < kMaxCapabilities, Error{Fault::limit, "csr: SMIMECapabilities"});
    der::Reader one(list.next(der::kSequence).content);
    TRY(std::string id, der::parse_oid(one.next(der::kOid).content));
    CHECK_OR(list.good() && one.good(), bad);
    out.push_back(std::move(id));
  }
  return out;
}

// An attribute with one value that we give a meaning to. Others are left alone.
Status read_attribute(std::string_view id, const der::Item& value, CertificateRequest& out) {
  if (id == kExtensionRequest) {
    return parts::take_extensions(value.whole, out);
  }
  if (id == kChallengePassword) {
    TRY(out.challenge_password, read_text(value));
  } else if (id == kIdentityLinking) {
    TRY(out.identity_linking, read_text(value));
  } else if (id == kOtpChallenge) {
    TRY(out.otp_challenge, read_text(value));
  } else if (id == kRevocationChallenge) {
    TRY(out.revocation_challenge, read_text(value));
  } else if (id == kChangeSubjectName) {
    TRY(out.change_names, read_change(value));
  } else if (id == kCapabilities) {
    TRY(out.wrapping.capabilities, read_capabilities(value));
  } else if (id == kDecryptKey) {
    TRY(out.wrapping.shared_key_id, read_key_id(value));
  } else if (id == kAsymmetricDecryptKey) {
    TRY(out.wrapping.own_key_id, read_key_id(value));
  }
  return Ok{};
}

bool known_attribute(std::string_view id) {
  return id == kExtensionRequest || id == kChallengePassword || id == kIdentityLinking || id == kOtpChallenge ||
         id == kRevocationChallenge || id == kChangeSubjectName || id == kCapabilities || id == kDecryptKey ||
         id == kAsymmetricDecryptKey;
}

Status read_attributes(der::Reader attributes, CertificateRequest& out) {
  std::vector<std::string> seen;
  while (!attributes.empty()) {
    CHECK_OR(seen.size() < kMaxAttributes, Error{Fault::limit, "csr: attributes"});
    der::Reader in(attributes.next(der::kSequence).content);
    TRY(std::string id, der::parse_oid(in.next(der::kOid).content));
    der::Reader values(in.next(der::kSet).content);
    const der::Item value = values.next();
    CHECK_OR(in.done() && values.good(), Error{Fault::malformed, "csr: attribute"});
    CHECK_OR(std::find(seen.begin(), seen.end(), id) == seen.end(), Error{Fault::malformed, "csr: attribute twice"});
    CHECK_OR(values.empty() || !known_attribute(id), Error{Fault::malformed, "csr: attribute with several values"});
    TRY([[maybe_unused]] const Ok read, read_attribute(id, value, out));
    seen.push_back(std::move(id));
  }
  CHECK_OR(attributes.good(), Error{Fault::malformed, "csr: attributes"});
  return Ok{};
}

Bytes attribute(std::string_view id, BytesView value) { return der::sequence({der::oid(id), der::set_of({value})}); }

// PrintableString where it can be: RFC 2985 section 5.4.1 asks for that, and old parsers know nothing else.
Bytes directory_string(std::string_view text) {
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
  return der::text(printable ? der::kPrintable : der::kUtf8, text);
}

Bytes encode_change(const ChangeSubjectName& change) {
  const Bytes subject = change.subject ? change.subject->der : Bytes();
  const Bytes names = change.alt_names ? parts::encode_general_names(*change.alt_names) : Bytes();
  return der::sequence({subject, names});
}

Bytes encode_capabilities(const std::vector<std::string>& capabilities) {
  Bytes list;
  for (const std::string& id : capabilities) {
    const Bytes one = der::sequence({der::oid(id)});
    list.insert(list.end(), one.begin(), one.end());
  }
  return der::item(der::kSequence, list);
}

void add_wrapping(const KeyWrapping& wrapping, std::vector<Bytes>& out) {
  if (!wrapping.capabilities.empty()) {
    out.push_back(attribute(kCapabilities, encode_capabilities(wrapping.capabilities)));
  }
  if (wrapping.shared_key_id) {
    out.push_back(attribute(kDecryptKey, der::item(der::kOctetString, *wrapping.shared_key_id)));
  }
  if (wrapping.own_key_id) {
    out.push_back(attribute(kAsymmetricDecryptKey, der::item(der::kOctetString, *wrapping.own_key_id)));
  }
}

std::vector<Extension> wanted_extensions(const RequestTemplate& what) {
  std::vector<Extension> out;
  if (what.usage) {
    out.push_back({std::string(parts::kKeyUsage), true, parts::encode_key_usage(*what.usage)});
  }
  if (!what.extended.empty()) {
    out.push_back({std::string(parts::kExtendedKeyUsage), false, parts::encode_extended(what.extended)});
  }
  if (!what.alt_names.empty()) {
    out.push_back(
        {std::string(parts::kSubjectAltName), what.subject.empty(), parts::encode_general_names(what.alt_names)});
  }
  out.insert(out.end(), what.other_extensions.begin(), what.other_extensions.end());
  return out;
}

Bytes encode_attributes(const RequestTemplate& what) {
  std::vector<Bytes> all;
  const std::vector<Extension> extensions = wanted_extensions(what);
  if (!extensions.empty()) {
    all.push_back(attribute(kExtensionRequest, parts::encode_extensions(extensions)));
  }
  if (what.challenge_password) {
    all.push_back(attribute(kChallengePassword, directory_string(*what.challenge_password)));
  }
  if (what.identity_linking) {
    all.push_back(attribute(kIdentityLinking, directory_string(*what.identity_linking)));
  }
  if (what.otp_challenge) {
    all.push_back(attribute(kOtpChallenge, directory_string(*what.otp_challenge)));
  }
  if (what.change_names) {
    all.push_back(attribute(kChangeSubjectName, encode_change(*what.change_names)));
  }
  add_wrapping(what.wrapping, all);
  std::sort(all.begin(), all.end());
  Bytes content;
  for (const Bytes& one : all) {
    content.insert(content.end(), one.begin(), one.end());
  }
  return der::item(der::context(0), content);
}

}  // namespace

Status parts::take_extensions(BytesView der, CertificateRequest& out) {
  TRY(const std::vector<Extension> extensions, parse_extensions(der));
  Known known;
  for (const Extension& e : extensions) {
    TRY(const bool taken, take_known(e, known));
    if (!taken) {
      out.other_extensions.push_back(e);
    }
  }
  out.alt_names = std::move(known.alt_names);
  out.alt_names_der = std::move(known.alt_names_der);
  out.usage = known.usage;
  out.extended = std::move(known.extended);
  return Ok{};
}

Result<CertificateRequest> CertificateRequest::parse(BytesView der) {
  CHECK_OR(der.size() <= parts::kMaxDer, Error{Fault::limit, "csr: size"});
  TRY(const Signed parts, split(der));
  der::Reader in(parts.body.content);
  const BytesView version = in.next(der::kInteger).content;
  CHECK_OR(version.size() == 1 && version[0] == 0, Error{Fault::malformed, "csr: version"});
  CertificateRequest out;
  TRY(out.subject, Name::parse(in.next(der::kSequence).whole));
  TRY(out.key, PublicKey::parse(in.next(der::kSequence).whole));
  // The attributes are not optional in RFC 2986, but some requesters leave an empty set out.
  if (const std::optional<der::Item> attributes = in.maybe(der::context(0))) {
    TRY([[maybe_unused]] const Ok read, read_attributes(der::Reader(attributes->content), out));
  }
  CHECK_OR(in.done(), Error{Fault::malformed, "csr: fields"});
  out.der = to_bytes(der);
  return out;
}

// The only maker of Verified<CertificateRequest>.
template <>
struct Checker<CertificateRequest> {
  static Result<Verified<CertificateRequest>> check(const CertificateRequest& request) {
    const bool crmf = request.form == CertificateRequest::Form::crmf;
    TRY(const Signed parts, crmf ? parts::split_crmf(request.der) : split(request.der));
    TRY([[maybe_unused]] const Ok good,
        verify_signature(request.key, parts.algorithm, parts.body.whole, parts.signature));
    return Verified<CertificateRequest>(request);
  }
};

Result<Verified<CertificateRequest>> verify_possession(const CertificateRequest& request) {
  return Checker<CertificateRequest>::check(request);
}

Result<Bytes> make_request(const PrivateKey& key, const RequestTemplate& what) {
  CHECK_OR(bool(key), Error{Fault::internal, "private key: none"});
  const Bytes subject = what.subject.der.empty() ? der::sequence({}) : what.subject.der;
  const Bytes body = der::sequence({der::integer(0), subject, key.public_key().spki, encode_attributes(what)});
  TRY(const Bytes signature, key.sign(body));
  const std::uint8_t unused_bits = 0;
  const Bytes bits = der::item(der::kBitString, der::concat({{&unused_bits, 1}, signature}));
  Bytes out = der::sequence({body, key.signature_algorithm(), bits});
  // What we would refuse to read, nobody should be sent: limits, values of texts, names twice.
  TRY([[maybe_unused]] const CertificateRequest readable, CertificateRequest::parse(out));
  return out;
}

}  // namespace imprint
