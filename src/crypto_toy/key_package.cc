// Keys in transit, in the toy's form: nothing is encrypted, and everything is there to be compared.
#include "codec/der.h"
#include "crypto/enveloped.h"

namespace imprint {
namespace {

const Error kBad{Fault::malformed, "toy key package"};

Bytes recipient_of(const Recipient& to) {
  const auto* const shared = std::get_if<SharedKey>(&to);
  return shared != nullptr ? shared->id : std::get<Certificate>(to).key.spki;
}

Result<Secret> open_for(BytesView message, BytesView recipient) {
  der::Reader outer(message);
  der::Reader fields(outer.next(der::kSequence).content);
  const BytesView to = fields.next(der::kOctetString).content;
  const BytesView content = fields.next(der::kSequence).whole;
  CHECK_OR(outer.done() && fields.done(), kBad);
  CHECK_OR(equal(to, recipient), Error{Fault::unauthentic, "envelope: not for this key, or damaged"});
  return Secret(content);
}

}  // namespace

Result<Secret> encode_pkcs8(const PrivateKey& key) {
  TRY(const Secret pem, key.to_pem());
  const Bytes out = der::sequence({der::integer(0), der::item(der::kOctetString, pem.expose())});
  return Secret(BytesView(out));
}

Result<PrivateKey> parse_pkcs8(const Secret& der) {
  der::Reader outer(der.expose());
  der::Reader fields(outer.next(der::kSequence).content);
  fields.next(der::kInteger);
  const BytesView pem = fields.next(der::kOctetString).content;
  CHECK_OR(outer.done() && fields.done(), kBad);
  return PrivateKey::parse_pem(Secret(pem));
}

Result<Secret> encode_key_package(const PrivateKey& key) { return encode_pkcs8(key); }
Result<PrivateKey> parse_key_package(const Secret& der) { return parse_pkcs8(der); }

std::vector<std::string> cms_capabilities() { return {std::string(cms_algorithm::kAes128Cbc)}; }

Result<Algorithms> choose_algorithms(const std::vector<std::string>& capabilities, const Recipient&, std::size_t) {
  CHECK_OR(!capabilities.empty(), Error{Fault::unsupported, "envelope: content encryption"});
  return Algorithms{capabilities.front(), capabilities.front()};
}

Result<Bytes> seal_key(const PrivateKey& key, const Recipient& to, const std::vector<std::string>&, const Signer& by) {
  CHECK_OR(!by.chain.empty(), Error{Fault::internal, "envelope: no signer"});
  TRY(const Secret inside, encode_pkcs8(key));
  const Bytes content = der::sequence({inside.expose(), by.chain.front().der});
  return der::sequence({der::item(der::kOctetString, recipient_of(to)), content});
}

Result<Secret> open_envelope(BytesView message, const SharedKey& with) { return open_for(message, with.id); }
Result<Secret> open_envelope(BytesView message, const PrivateKey& with) {
  return open_for(message, with.public_key().spki);
}

Result<SignedKey> open_signed_key(const Secret& content) {
  der::Reader outer(content.expose());
  der::Reader fields(outer.next(der::kSequence).content);
  const BytesView key = fields.next(der::kSequence).whole;
  const BytesView signer = fields.next(der::kSequence).whole;
  CHECK_OR(outer.done() && fields.done(), kBad);
  TRY(PrivateKey inside, parse_pkcs8(Secret(key)));
  TRY(Certificate by, Certificate::parse(signer));
  return SignedKey{std::move(inside), std::move(by), {}};
}

}  // namespace imprint
