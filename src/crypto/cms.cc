#include "crypto/cms.h"

#include "codec/der.h"
#include "crypto/certs_only_ber.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxMessage = std::size_t{64} << 10U;
constexpr std::size_t kMaxCertificates = 32;
constexpr std::string_view kData = "1.2.840.113549.1.7.1";
constexpr std::string_view kSignedData = "1.2.840.113549.1.7.2";

Result<std::vector<Certificate>> read_certificates(der::Reader in) {
  std::vector<Certificate> out;
  while (!in.empty()) {
    CHECK_OR(out.size() < kMaxCertificates, Error{Fault::limit, "certs-only: certificates"});
    TRY(Certificate one, Certificate::parse(in.next(der::kSequence).whole));
    out.push_back(std::move(one));
  }
  CHECK_OR(in.good() && !out.empty(), Error{Fault::malformed, "certs-only: no certificate"});
  return out;
}

// Of indefinite length (X.690 section 8.1.3.6): BER, and never DER.
bool is_indefinite(BytesView message) {
  constexpr std::uint8_t kIndefinite = 0x80;
  return message.size() > 2 && message[0] == der::kSequence && message[1] == kIndefinite;
}

Result<std::vector<Certificate>> parse_der(BytesView message) {
  const Error bad{Fault::malformed, "certs-only: structure"};
  der::Reader outer(message);
  der::Reader info(outer.next(der::kSequence).content);
  TRY(const std::string type, der::parse_oid(info.next(der::kOid).content));
  CHECK_OR(type == kSignedData, Error{Fault::malformed, "certs-only: not signed-data"});
  der::Reader tagged(info.next(der::context(0)).content);
  der::Reader in(tagged.next(der::kSequence).content);
  in.next(der::kInteger);
  in.next(der::kSet);
  der::Reader content(in.next(der::kSequence).content);
  content.next(der::kOid);
  CHECK_OR(content.done(), Error{Fault::malformed, "certs-only: has content"});
  const BytesView certificates = in.next(der::context(0)).content;
  in.maybe(der::context(1));  // revocation lists
  const BytesView signers = in.next(der::kSet).content;
  CHECK_OR(outer.done() && info.done() && tagged.done() && in.done(), bad);
  CHECK_OR(signers.empty(), Error{Fault::malformed, "certs-only: has signers"});
  return read_certificates(der::Reader(certificates));
}

}  // namespace

Bytes encode_certs_only(const std::vector<Bytes>& certificates) {
  // Kept in the caller's order although a SET OF has none: clients take the first for their own.
  Bytes all;
  for (const Bytes& one : certificates) {
    all.insert(all.end(), one.begin(), one.end());
  }
  const Bytes signed_data = der::sequence({der::integer(1), der::set_of({}), der::sequence({der::oid(kData)}),
                                           der::item(der::context(0), all), der::set_of({})});
  return der::sequence({der::oid(kSignedData), der::item(der::context(0), signed_data)});
}

Result<std::vector<Certificate>> parse_certs_only(BytesView message) {
  CHECK_OR(message.size() <= kMaxMessage, Error{Fault::limit, "certs-only: size"});
  if (is_indefinite(message)) {
    TRY(const Bytes der, certs_only_in_der(message));
    return parse_der(der);
  }
  return parse_der(message);
}

}  // namespace imprint
