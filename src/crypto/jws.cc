#include "crypto/jws.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/raw_signature.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxText = std::size_t{64} << 10U;
constexpr std::size_t kMaxSignatures = 4;
constexpr std::size_t kMaxCertificates = 32;
constexpr const char* kCreatedOn = "created-on";

const Error kMalformed{Fault::malformed, "jws: structure"};
const Error kHeader{Fault::malformed, "jws: header"};

// The text in a member that must be there. What is no object has no members.
Result<std::string> text_in(const Json& object, const char* name) {
  const auto at = object.find(name);
  CHECK_OR(at != object.end() && at->is_string(), kMalformed);
  return at->get<std::string>();
}

// The text in a member of the header; empty if it is not there.
Result<std::string> text_if(const Json& header, const char* name) {
  const auto at = header.find(name);
  if (at == header.end()) {
    return std::string();
  }
  CHECK_OR(at->is_string(), kHeader);
  return at->get<std::string>();
}

// RFC 7515 section 4.1.11: what must be understood, all of it there; whether it is. `created-on` is what BRSKI-PRM
// adds.
Result<bool> understands_critical(const Json& header) {
  const auto at = header.find("crit");
  if (at == header.end()) {
    return true;
  }
  CHECK_OR(at->is_array() && !at->empty(), kHeader);
  if (at->size() != 1 || at->front() != kCreatedOn) {
    return false;
  }
  CHECK_OR(header.contains(kCreatedOn), kHeader);
  return true;
}

// RFC 7515 section 4.1.6: base64 with the plain alphabet. None is left out, or another would pass for the leaf.
Result<std::vector<Certificate>> read_chain(const Json& header) {
  std::vector<Certificate> out;
  const auto at = header.find("x5c");
  if (at == header.end()) {
    return out;
  }
  CHECK_OR(at->is_array() && !at->empty(), kHeader);
  CHECK_OR(at->size() <= kMaxCertificates, Error{Fault::limit, "jws: certificates"});
  for (const Json& one : *at) {
    CHECK_OR(one.is_string(), kHeader);
    TRY(const Bytes der, parse_base64(one.get_ref<const std::string&>()));
    TRY(Certificate certificate, Certificate::parse(der));
    out.push_back(std::move(certificate));
  }
  return out;
}

// RFC 7515 sections 4.1.11 and 7.2.1: what is not signed neither repeats what is, nor says what is critical.
Status check_unprotected(const Json& in, const Json& header) {
  const auto at = in.find("header");
  if (at == in.end()) {
    return Ok{};
  }
  CHECK_OR(at->is_object() && !at->contains("crit"), kHeader);
  for (const auto& [name, ignored] : at->items()) {
    CHECK_OR(!header.contains(name), kHeader);
  }
  return Ok{};
}

Result<JwsSignature> read_signature(const Json& in, const std::string& payload) {
  TRY(const std::string encoded, text_in(in, "protected"));
  TRY(const std::string made, text_in(in, "signature"));
  TRY(const Bytes text, parse_base64url(encoded));
  TRY(const Json header, parse_json(as_text(text)));
  CHECK_OR(header.is_object(), kHeader);
  TRY([[maybe_unused]] const Ok apart, check_unprotected(in, header));
  JwsSignature out;
  TRY(out.algorithm, text_if(header, "alg"));
  TRY(const bool critical, understands_critical(header));
  out.understood = critical && raw::algorithm(std::string_view(out.algorithm)) != nullptr;
  TRY(out.type, text_if(header, "typ"));
  TRY(out.key_id, text_if(header, "kid"));
  TRY(out.created_on, text_if(header, kCreatedOn));
  TRY(out.chain, read_chain(header));
  TRY(out.signature, parse_base64url(made));
  out.signed_text = encoded + "." + payload;
  return out;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string protected_header(const raw::Algorithm& by, const JwsOptions& options) {
  Json out = {{"alg", by.jose}};
  if (!options.type.empty()) {
    out["typ"] = options.type;
  }
  if (!options.key_id.empty()) {
    out["kid"] = options.key_id;
  }
  for (const Certificate& one : options.chain) {
    out["x5c"].push_back(base64(one.der));
  }
  return dump(out);
}

}  // namespace

Result<Jws> parse_jws(std::string_view text) {
  CHECK_OR(text.size() <= kMaxText, Error{Fault::limit, "jws: size"});
  TRY(const Json message, parse_json(text));
  // RFC 7515 section 7.2.2: members of the flattened form, whose signature another reader might look at instead.
  CHECK_OR(!message.contains("signature") && !message.contains("protected") && !message.contains("header"), kMalformed);
  TRY(const std::string payload, text_in(message, "payload"));
  const auto signatures = message.find("signatures");
  CHECK_OR(signatures != message.end() && signatures->is_array() && !signatures->empty(), kMalformed);
  CHECK_OR(signatures->size() <= kMaxSignatures, Error{Fault::limit, "jws: signatures"});
  Jws out;
  TRY(out.payload, parse_base64url(payload));
  for (const Json& one : *signatures) {
    TRY(JwsSignature signature, read_signature(one, payload));
    out.signatures.push_back(std::move(signature));
  }
  // RFC 7515 section 5.2: which of several has to be good is for the application to say.
  CHECK_OR(std::ranges::any_of(out.signatures, &JwsSignature::understood),
           Error{Fault::unsupported, "jws: no algorithm, or one or a critical member that is not known"});
  return out;
}

Status verify_jws(const JwsSignature& signature, const PublicKey& key) {
  const raw::Algorithm* const by = raw::algorithm(std::string_view(signature.algorithm));
  CHECK_OR(by != nullptr && signature.understood, Error{Fault::unsupported, "jws: algorithm"});
  return raw::verify(*by, key, view(signature.signed_text), signature.signature);
}

Result<std::string> sign_jws(BytesView payload, const PrivateKey& key, const JwsOptions& options) {
  TRY(const raw::Algorithm by, raw::algorithm_of(key));
  CHECK_OR(options.chain.size() <= kMaxCertificates, Error{Fault::limit, "jws: certificates"});
  const std::string header = base64url(view(protected_header(by, options)));
  const std::string body = base64url(payload);
  TRY(const Bytes signature, raw::sign(key, view(header + "." + body)));
  const Json one = {{"protected", header}, {"signature", base64url(signature)}};
  std::string out = dump({{"payload", body}, {"signatures", Json::array({one})}});
  CHECK_OR(out.size() <= kMaxText, Error{Fault::limit, "jws: size"});
  return out;
}

}  // namespace imprint
