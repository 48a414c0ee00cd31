// The misbehaving twins: a server that does one thing wrong towards a good device, and a device that does one thing
// wrong towards a good server. The names of the switches are those that every protocol of this project uses.
#pragma once

#include <algorithm>

#include "codec/base64.h"
#include "crypto/cms.h"
#include "proto/est/pair.h"

namespace imprint::est {

enum class Misdeed : std::uint8_t {
  corrupt,        // one bit, near the end: in a signature, where there is one
  truncate,       // the last byte is missing
  extend,         // a byte too many
  bad_encoding,   // not the format that was announced
  huge_length,    // a length field that promises more than there is
  silence_after,  // no answer
  skip_step,      // a step is left out
  repeat_step,    // the answer to the request before
  wrong_key,      // a certificate or signature of another key
  sig_zero,       // a signature of zeros
  sig_over_other_transcript,
  mac_of_zeros,          // a linking value of zeros
  replay_other_session,  // what was right on another connection
  id_of_other_device,
  expired_cert,
  future_cert,
  wrong_eku,
  self_signed_leaf,
  other_ca_same_name,
  redirect_to_self,
  redirect_loop,
  error_then_success,
  success_without_proof,
};

namespace misbehave {

// A body as DER, changed, and back in the wire's form.
inline void edit_body(Bytes& body, const std::function<void(Bytes&)>& change) {
  auto der = decode_body(body);
  if (der) {
    change(*der);
    body = to_bytes(base64(*der));
  }
}

inline bool edit_octets(Misdeed how, Bytes& body) {
  switch (how) {
    case Misdeed::corrupt:
      edit_body(body, [](Bytes& der) { der[der.size() - 10] ^= 0x01U; });
      return true;
    case Misdeed::truncate:
      edit_body(body, [](Bytes& der) { der.pop_back(); });
      return true;
    case Misdeed::extend:
      edit_body(body, [](Bytes& der) { der.push_back(0); });
      return true;
    case Misdeed::bad_encoding:
      body.insert(body.begin(), '*');
      return true;
    case Misdeed::huge_length:
      body = to_bytes(base64(Bytes{0x30, 0x83, 0xff, 0xff, 0xff, 0x00}));
      return true;
    default:
      return false;
  }
}

inline Response with_certificate(const Certificate& certificate) {
  Response out;
  out.status = 200;
  out.content_type = "application/pkcs7-mime";
  out.body = encode_certs_only({certificate.der});
  return out;
}

inline Response redirect(std::string to) {
  Response out;
  out.status = 302;
  out.location = std::move(to);
  return out;
}

// The octets of a message's signature, at its end, become zeros.
inline void zero_signature(Bytes& message) { std::fill(message.end() - 64, message.end(), std::uint8_t{0}); }

inline bool has_parts(const Response& r) { return r.content_type.starts_with("multipart/"); }

// Of an answer with a key in it, the key's octets; else those of the body.
inline void edit_answer(Misdeed how, Response& r) {
  if (!has_parts(r)) {
    edit_octets(how, r.body);
    return;
  }
  r.parts = *parts_in(r);
  Bytes key = to_bytes(r.parts.front().body.expose());
  edit_octets(how, key);
  r.parts.front().body = Secret(BytesView(key));
}

// A Full PKI Response of the server's own, changed, with this certificate.
inline void say_otherwise(
    Response& r, const Certificate& certificate,
    const std::function<void(PkiResponse&)>& change = [](PkiResponse&) {}) {
  const Bytes body = *decode_body(r.body);
  PkiResponse said = *parse_pki_response(parse_signed(body)->content.expose());
  change(said);
  const Party& by = cast().server;
  r.body = encode_body(
      sign_content(kPkiResponse, encode_pki_response(said), {by.key, {by.certificate}}, {certificate})->expose());
}

// The same answer with this certificate in the place of its own.
inline void put_certificate(Response& r, const Certificate& certificate) {
  if (has_parts(r)) {
    r.parts = *parts_in(r);
    r.parts.back().body = Secret(BytesView(encode_certs_only({certificate.der})));
  } else if (r.content_type == kCmcResponseType) {
    say_otherwise(r, certificate);
  } else {
    r = with_certificate(certificate);
  }
}

// The key that the certificate in this answer has to be for.
inline PublicKey key_wanted(const Response& r, const Request& asked) {
  if (has_parts(r)) {
    const std::vector<Part> parts = *parts_in(r);
    return parse_pkcs8(Secret(BytesView(*decode_body(parts.front().body.expose()))))->public_key();
  }
  const Bytes body = *decode_body(asked.body);
  return r.content_type == kCmcResponseType ? parse_pki_data(parse_signed(body)->content.expose()).request->key
                                            : CertificateRequest::parse(body)->key;
}

}  // namespace misbehave

// Makes the server of this pair do the misdeed in its answers to the operation. False: it does not apply there.
inline bool misbehave_as_server(Pair& p, Operation at, Misdeed how) {
  const std::string tail = "/" + std::string(name(at));
  const bool enrols = at != Operation::cacerts && at != Operation::csrattrs;
  const auto answer = [&p, tail](std::function<void(Response&, const Request&)> change) {
    p.on_response = [tail, change = std::move(change)](Response& r, const Request& asked) {
      if (asked.path.ends_with(tail)) {
        change(r, asked);
      }
    };
    return true;
  };
  const auto certify_with = [&](const Party& by, const Edit& edit) {
    return answer([by, edit](Response& r, const Request& asked) {
      misbehave::put_certificate(r, certify(by, "CN=dev-1", misbehave::key_wanted(r, asked), edit));
    });
  };
  switch (how) {
    case Misdeed::corrupt:
    case Misdeed::truncate:
    case Misdeed::extend:
    case Misdeed::bad_encoding:
    case Misdeed::huge_length:
      return answer([how](Response& r, const Request&) { misbehave::edit_answer(how, r); });
    case Misdeed::sig_zero:  // a simple answer has no signature but the certificate's
      return at == Operation::fullcmc &&
             answer([](Response& r, const Request&) { misbehave::edit_body(r.body, misbehave::zero_signature); });
    case Misdeed::silence_after:
      p.lose_answers[tail] = 1000;
      return true;
    case Misdeed::redirect_to_self:
    case Misdeed::redirect_loop:
      return at != Operation::csrattrs && answer([tail](Response& r, const Request&) {
               r = misbehave::redirect("https://est.example/.well-known/est" + tail);
             });
    case Misdeed::repeat_step:
      return enrols &&
             answer([](Response& r, const Request&) { misbehave::put_certificate(r, cast().owner.certificate); });
    case Misdeed::replay_other_session:
      return at == Operation::fullcmc && answer([](Response& r, const Request&) {
               misbehave::say_otherwise(r, cast().old.certificate, [](PkiResponse& said) {
                 said.ids.transaction = Bytes{1};
                 said.recipient_nonce = Bytes{1};
               });
             });
    case Misdeed::id_of_other_device:
      return enrols &&
             answer([](Response& r, const Request&) { misbehave::put_certificate(r, cast().old.certificate); });
    case Misdeed::wrong_key:
      return enrols && answer([](Response& r, const Request&) {
               misbehave::put_certificate(r, make_below(cast().issuing, "CN=dev-1").certificate);
             });
    case Misdeed::expired_cert:
      return enrols &&
             certify_with(cast().issuing, [](CertificateTemplate& what) { what.not_after = kStart - kDay / 2; });
    case Misdeed::future_cert:
      return enrols && certify_with(cast().issuing, [](CertificateTemplate& what) { what.not_before = kStart + kDay; });
    case Misdeed::self_signed_leaf:
      return enrols && certify_with(make_root("CN=dev-1"), {});
    case Misdeed::other_ca_same_name:
      return (enrols && certify_with(make_root("CN=Owner Issuing CA"), {})) ||
             (at == Operation::cacerts && answer([](Response& r, const Request&) {
                r = misbehave::with_certificate(make_root("CN=Owner Root").certificate);
              }));
    case Misdeed::success_without_proof:
      return at != Operation::csrattrs && answer([](Response& r, const Request&) { r.body.clear(); });
    default:
      return false;
  }
}

// Makes the device of this pair do the misdeed in its request for a certificate. False: it does not apply there.
inline bool misbehave_as_device(Pair& p, Misdeed how) {
  const auto linked = [&p](std::string value) {
    p.on_csr = [value = std::move(value)](RequestTemplate& what) { what.challenge_password = value; };
    return true;
  };
  const auto present = [&p](const Party& who) {
    p.plan.credential = Credential{"idevid", {who.certificate}};
    return true;
  };
  switch (how) {
    case Misdeed::corrupt:
    case Misdeed::truncate:
    case Misdeed::extend:
    case Misdeed::bad_encoding:
    case Misdeed::huge_length:
      p.on_request = [how](Request& r) {
        if (r.method == Method::post) {
          misbehave::edit_octets(how, r.body);
        }
      };
      return true;
    case Misdeed::wrong_key:
      p.on_signed = [](Bytes& csr) {
        // The key of one request under the signature of another.
        const PrivateKey other = *PrivateKey::generate(KeyType::p256);
        Bytes foreign = *make_request(other, {*Name::from_text("CN=dev-1"), {}, {}, {}, {}, {}, {}, {}});
        std::copy(foreign.end() - 60, foreign.end(), csr.end() - 60);
      };
      return true;
    case Misdeed::sig_zero:
      p.on_signed = misbehave::zero_signature;
      return true;
    case Misdeed::sig_over_other_transcript:
      return linked(base64(to_bytes("binding of session 99")));
    case Misdeed::mac_of_zeros:
      return linked(base64(Bytes(32, 0)));
    case Misdeed::replay_other_session: {
      const auto first = std::make_shared<Bytes>();
      p.lose_answers["/simpleenroll"] = 1;
      p.on_signed = [first](Bytes& csr) {
        if (first->empty()) {
          *first = csr;
        }
        csr = *first;
      };
      p.on_decision = [](Decision& d, const Admit&) { d.verdict = Verdict::pending; };
      return true;
    }
    case Misdeed::skip_step:
      p.on_csr = [](RequestTemplate& what) { what.challenge_password.reset(); };
      return true;
    case Misdeed::expired_cert:
      return present(
          make_below(cast().maker, "CN=dev-1", [](CertificateTemplate& what) { what.not_after = kStart - kDay / 2; }));
    case Misdeed::future_cert:
      return present(
          make_below(cast().maker, "CN=dev-1", [](CertificateTemplate& what) { what.not_before = kStart + kDay; }));
    case Misdeed::wrong_eku:
      return present(make_below(cast().maker, "CN=dev-1",
                                [](CertificateTemplate& what) { what.extended = {std::string(eku::kServerAuth)}; }));
    case Misdeed::self_signed_leaf:
      return present(make_root("CN=dev-1"));
    case Misdeed::other_ca_same_name:
      return present(make_below(make_root("CN=Maker"), "CN=dev-1"));
    case Misdeed::success_without_proof:
      p.plan.credential.reset();
      return true;
    default:
      return false;
  }
}

}  // namespace imprint::est
