// SignedData in the toy's form: type, content, algorithm, signature, the signer's key identifier, certificates.
#include "crypto/signed_data.h"

#include "codec/der.h"
#include "crypto/issue.h"

namespace imprint {
namespace {

const Error kBad{Fault::malformed, "toy signed data"};

struct Parts {
  BytesView type, content, algorithm, signature, signer, along;
};

Result<Parts> split(BytesView message) {
  der::Reader outer(message);
  der::Reader in(outer.next(der::kSequence).content);
  const Parts out{in.next(der::kOid).content,         in.next(der::kOctetString).content, in.next(der::kSequence).whole,
                  in.next(der::kOctetString).content, in.next(der::kOctetString).content, in.next(der::kSet).content};
  CHECK_OR(outer.done() && in.done(), kBad);
  return out;
}

}  // namespace

bool signs_cms(KeyType type) { return type != KeyType::ed25519; }

Result<Secret> sign_content(std::string_view type, BytesView content, const Signer& by,
                            const std::vector<Certificate>& more) {
  TRY(const Bytes signature, by.key.sign(content));
  Bytes along;
  for (const auto* const list : {&by.chain, &more}) {
    for (const Certificate& c : *list) {
      along.insert(along.end(), c.der.begin(), c.der.end());
    }
  }
  const Bytes out =
      der::sequence({der::oid(type), der::item(der::kOctetString, content), by.key.signature_algorithm(),
                     der::item(der::kOctetString, signature),
                     der::item(der::kOctetString, key_identifier(by.key.public_key())), der::item(der::kSet, along)});
  return Secret(BytesView(out));
}

Result<SignedContent> parse_signed(BytesView message) {
  TRY(const Parts parts, split(message));
  SignedContent out;
  TRY(out.type, der::parse_oid(parts.type));
  out.content = Secret(parts.content);
  out.signer_key_id = to_bytes(parts.signer);
  der::Reader along(parts.along);
  while (!along.empty()) {
    TRY(Certificate one, Certificate::parse(along.next(der::kSequence).whole));
    if (key_identifier(one.key) == out.signer_key_id) {
      out.signers.push_back(one);
    }
    out.along.push_back(std::move(one));
  }
  return out;
}

Status verify_signed(BytesView message, const PublicKey& key) {
  TRY(const Parts parts, split(message));
  return verify_signature(key, parts.algorithm, parts.content, parts.signature);
}

Status verify_signed(BytesView message, const Certificate& by) { return verify_signed(message, by.key); }

}  // namespace imprint
