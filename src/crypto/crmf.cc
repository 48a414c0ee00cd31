// Certificate request messages (RFC 4211), as CMC carries them beside PKCS#10. The module's tags are implicit, but for
// Name, which is a CHOICE.
#include "crypto/parts.h"

namespace imprint {
namespace {

const Error kBad{Fault::malformed, "crmf: structure"};
const Error kUnsupported{Fault::unsupported, "crmf: a field or control that we do not know"};

// RFC 4211 section 5: what a requester must leave out is refused; issuer and validity are wishes that the CA passes
// over.
Status read_template(BytesView content, CertificateRequest& out) {
  der::Reader in(content);
  bool subject = false, key = false;
  unsigned before = 0;  // of the field before, plus one: DER has them in order, each once
  while (!in.empty()) {
    const der::Item field = in.next();
    const unsigned number = (field.tag & 0x1fU) + 1U;
    CHECK_OR(in.good() && number > before, kBad);
    before = number;
    switch (field.tag) {
      case der::context_primitive(0):  // version
      case der::context(3):            // issuer
      case der::context(4):            // validity
        break;
      case der::context(5): {
        TRY(out.subject, Name::parse(field.content));
        subject = true;
        break;
      }
      case der::context(6): {
        TRY(out.key, PublicKey::parse(der::item(der::kSequence, field.content)));
        key = true;
        break;
      }
      case der::context(9): {
        TRY(Ok{}, parts::take_extensions(der::item(der::kSequence, field.content), out));
        break;
      }
      default:
        return kUnsupported;
    }
  }
  CHECK_OR(subject && key, Error{Fault::malformed, "crmf: no subject or no key"});
  return Ok{};
}

}  // namespace

// The signature is over the whole CertRequest, if subject and key are in it (RFC 4211 section 4.1).
Result<parts::Signed> parts::split_crmf(BytesView der) {
  der::Reader outer(der);
  der::Reader message(outer.next(der::kSequence).content);
  Signed out;
  out.body = message.next(der::kSequence);
  const std::optional<der::Item> proof = message.maybe(der::context(1));
  CHECK_OR(message.good() && proof, Error{Fault::unsupported, "crmf: no signature as proof of possession"});
  CHECK_OR(message.empty(), Error{Fault::unsupported, "crmf: regInfo"});
  der::Reader fields(proof->content);
  CHECK_OR(!fields.has(der::context(0)), Error{Fault::unsupported, "crmf: poposkInput"});
  out.algorithm = fields.next(der::kSequence).whole;
  out.signature = octets_of_bits(fields.next(der::kBitString).content);
  CHECK_OR(outer.done() && message.done() && fields.done() && !out.signature.empty(), kBad);
  return out;
}

Result<CertificateRequest> CertificateRequest::parse_crmf(BytesView der) {
  CHECK_OR(der.size() <= parts::kMaxDer, Error{Fault::limit, "crmf: size"});
  TRY(const parts::Signed signed_parts, parts::split_crmf(der));
  der::Reader request(signed_parts.body.content);
  request.next(der::kInteger);
  const BytesView fields = request.next(der::kSequence).content;
  CHECK_OR(request.good(), kBad);
  CHECK_OR(request.done(), kUnsupported);  // controls
  CertificateRequest out;
  out.form = Form::crmf;
  TRY(Ok{}, read_template(fields, out));
  out.der = to_bytes(der);
  return out;
}

}  // namespace imprint
