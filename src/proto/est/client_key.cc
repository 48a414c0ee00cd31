// The client with a key that the server made (RFC 7030 section 4.4): from the answer's two parts to the installation.
#include <algorithm>

#include "crypto/enveloped.h"
#include "proto/est/anchors.h"
#include "proto/est/client_steps.h"
#include "proto/est/http.h"

namespace imprint::est {
namespace {

using Progress = Client::Progress;
using Turn = Client::Turn;
using steps::fail;

// The two parts, told apart by their types: the order is not laid down.
struct KeyAnswer {
  bool wrapped = false;
  Secret key;
  std::vector<Certificate> certificates;
};

Result<Secret> decoded(const Part& part) {
  TRY(Bytes der, decode_body(part.body.expose()));
  Secret out{BytesView(der)};
  wipe(der);
  return out;
}

Result<KeyAnswer> read_answer(const Response& answer) {
  TRY(const std::vector<Part> parts, parts_in(answer));
  KeyAnswer out;
  for (const Part& part : parts) {
    const bool clear = part.content_type.starts_with("application/pkcs8");
    const bool wrapped = part.content_type.find("server-generated-key") != std::string::npos;
    if (clear || wrapped) {
      CHECK_OR(out.key.empty(), Error{Fault::malformed, "answer: two keys"});
      TRY(out.key, decoded(part));
      out.wrapped = wrapped;
    } else {
      Response certificates;
      certificates.body = to_bytes(part.body.expose());
      TRY(out.certificates, certificates_in(certificates));
    }
  }
  CHECK_OR(!out.key.empty() && !out.certificates.empty(), Error{Fault::malformed, "answer: parts"});
  return out;
}

// The certificate is for this key, which is as strong as what was asked for; then it may be kept.
OneOf<Client::Keeping, Client::Failed> keep(Progress p, const PrivateKey& key,
                                            const std::vector<Certificate>& certificates, Turn& t) {
  using Next = OneOf<Client::Keeping, Client::Failed>;
  if (!holds(strength_bits(key.public_key().type) >= strength_bits(p.key->key.type))) {
    return Next(fail(Fault::refused, kKeyWeak, std::string(name(key.public_key().type))));
  }
  const auto chain = verify_answer(key.public_key(), certificates, p.issuers, p.anchors, steps::time_of(p, t));
  if (!chain) {
    return Next(Client::Failed{chain.error(), {}});
  }
  const auto pkcs8 = encode_pkcs8(key);
  if (!pkcs8) {
    return Next(fail(pkcs8.error().fault, kKey));
  }
  const auto ticket = t.ask(KeepKey{*pkcs8});
  return Next(Client::Keeping{std::move(p), *chain, ticket});
}

}  // namespace

namespace steps {

std::variant<Client::Unwrapping, Client::Keeping, Client::Failed> take_server_key(Progress p, SessionRef tls,
                                                                                  const Response& answer, Turn& t) {
  using Next = std::variant<Client::Unwrapping, Client::Keeping, Client::Failed>;
  auto parts = read_answer(answer);
  if (!parts) {
    return Next(fail(parts.error().fault, kKeyAnswer));
  }
  if (p.plan->wrap) {
    if (!holds(parts->wrapped)) {
      return Next(fail(Fault::refused, kKeyInClear));
    }
    const auto ticket = t.ask(OpenEnvelope{to_bytes(parts->key.expose()), p.plan->wrap->key_id});
    return Next(Client::Unwrapping{std::move(p), std::move(tls), std::move(parts->certificates), ticket});
  }
  const auto key = parts->wrapped ? Error{Fault::unexpected, kKeyEnvelope} : parse_pkcs8(parts->key);
  if (!key) {
    return Next(fail(key.error().fault, kKeyAnswer));
  }
  return std::visit([](auto&& next) { return Next(std::forward<decltype(next)>(next)); },
                    keep(std::move(p), *key, parts->certificates, t));
}

}  // namespace steps

Result<OneOf<Client::Keeping, Client::Failed>> Client::on(const Unwrapping& s, const Done<Secret>& d, Turn& t) const {
  using Next = OneOf<Keeping, Failed>;
  if (!d.answer) {
    return Next(fail(d.answer.error().fault, kKeyEnvelope, std::string(d.answer.error().what)));
  }
  const auto inside = open_signed_key(*d.answer);
  if (!inside) {
    const Error& why = inside.error();
    const bool of_signature = why.fault == Fault::unauthentic || why.fault == Fault::unsupported;
    return Next(fail(why.fault, of_signature ? kKeySigner : kKeyEnvelope, std::string(why.what)));
  }
  if (!holds(steps::speaks_for_owner(inside->signer, inside->along, s.p, *s.tls, steps::time_of(s.p, t)))) {
    return Next(fail(Fault::unauthentic, kKeySigner, inside->signer.subject.text));
  }
  return keep(s.p, inside->key, s.certificates, t);
}

Result<OneOf<Client::Enrolled, Client::Failed>> Client::on(const Keeping& s, const Done<KeyRef>& d, Turn& t) const {
  using Next = OneOf<Enrolled, Failed>;
  if (!d.answer) {
    return Next(fail(d.answer.error().fault, kKey));
  }
  Enrolled next = steps::install(s.p, *d.answer, s.chain, t);
  // Less than with a key of one's own: what it signs need not be the device's word.
  t.learn({"key-known:" + hex(sha256(d.answer->key.spki)), Topic::possession,
           "my owner made my key and could know it still", s.chain->leaf.not_after},
          s.chain, {anchor_belief(s.chain->anchor)});
  return Next(std::move(next));
}

}  // namespace imprint::est
