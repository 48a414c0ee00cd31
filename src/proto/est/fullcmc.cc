#include "proto/est/fullcmc.h"

#include <algorithm>
#include <span>

#include "codec/base64.h"
#include "codec/der.h"
#include "crypto/cms.h"
#include "crypto/issue.h"
#include "proto/est/paths.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr std::string_view kSubjectKeyId = "2.5.29.14";

constexpr std::size_t kMostSigners = 4;  // certificates for one identifier that are tried

Error refuse(const Error& why, const Rule& unsupported) {
  return {why.fault, why.fault == Fault::unsupported   ? unsupported
                     : why.fault == Fault::unauthentic ? kCmcSignature
                                                       : kCmcUnreadable};
}

bool below(const std::vector<Certificate>& anchors, const Certificate& anchor) {
  return std::ranges::find(anchors, anchor) != anchors.end();
}

bool is_linked(const CertificateRequest& request, const Session& session) {
  const std::string wanted = base64(session.channel_binding);
  const auto says = [&wanted](const std::optional<std::string>& value) {
    return value && same(view(*value), view(wanted));
  };
  return !session.channel_binding.empty() && (says(request.challenge_password) || says(request.identity_linking));
}

// A signature proves who asks if the key that made it may do so in a handshake, too.
bool may_ask(const Certificate& certificate) {
  return !certificate.usage || (*certificate.usage & key_usage::kDigitalSignature) != 0;
}

// This certificate of the owner's has signed the message, and may.
Result<Verified<CertificateChain>> signed_by(const Certificate& one, const SignedContent& content, BytesView body,
                                             const ServerConfig& config, Instant now) {
  const ChainRules rules{Purpose::tls_client, now, true};
  TRY(Verified<CertificateChain> chain, verify_chain(one, content.along, config.owner_anchors, rules));
  CHECK_OR(may_ask(one), Error{Fault::refused, kCmcSigner});
  CHECK_OR(verify_signed(body, one.key), Error{Fault::unauthentic, kCmcSignature});
  return chain;
}

// The session with what a signature by one of the owner's certificates proves. What costs least is looked at first, and
// a stranger is not told what was wrong.
Result<SessionRef> proven_by(const SignedContent& content, BytesView body, const CertificateRequest& request,
                             const Session& session, const ServerConfig& config, Instant now) {
  CHECK_OR(is_linked(request, session), Error{Fault::refused, kCmcSigner});
  for (const Certificate& one : std::span(content.signers).first(std::min(content.signers.size(), kMostSigners))) {
    if (auto chain = signed_by(one, content, body, config, now)) {
      auto out = std::make_shared<Session>(session);
      out->proven = *std::move(chain);
      out->by_message = true;
      return SessionRef(std::move(out));
    }
  }
  return Error{Fault::refused, kCmcSigner};
}

// RFC 5272 section 3.2: a signer without certificate is named by the identifier that the request asks for.
bool names_own_key(const SignedContent& content, const CertificateRequest& request) {
  const auto wanted = std::ranges::find(request.other_extensions, kSubjectKeyId, &Extension::oid);
  if (content.signer_key_id.empty() || wanted == request.other_extensions.end()) {
    return false;
  }
  der::Reader value(wanted->value);
  return equal(value.next(der::kOctetString).content, content.signer_key_id) && value.done();
}

Result<Server::Enrol> read_message(Exchange from, const Request& request, BytesView body, std::string_view label,
                                   const ServerConfig& config, Instant now, FullExchange& exchange) {
  const auto content = parse_signed(body);
  CHECK_OR(content, refuse(content.error(), kCmcAlgorithm));
  CHECK_OR(content->type == kPkiData, Error{Fault::malformed, kCmcUnreadable});
  PkiData data = parse_pki_data(content->content.expose());
  exchange = {data.ids, data.body_part, data.no_support, std::nullopt};
  CHECK_OR(!data.no_support, Error{Fault::unsupported, kCmcUnsupported});
  CHECK_OR(data.request, refuse(data.request.error(), kCmcUnsupported));
  Server::Enrol out{from, request.session, request.login, std::string(label), false, *std::move(data.request)};
  const Session& session = *request.session;
  if (content->signers.empty()) {
    CHECK_OR(names_own_key(*content, out.request), Error{Fault::unauthentic, kCmcOwnKey});
    const bool somebody = names_somebody(session, request.login);  // the role challenges nobody, before any signature
    CHECK_OR(!somebody || verify_signed(body, out.request.key), Error{Fault::unauthentic, kCmcSignature});
    return out;
  }
  if (session.proven) {
    const auto signer = verified_signer(body, *content, (*session.proven)->leaf);
    CHECK_OR(signer, Error{Fault::unauthentic, kCmcSignature});
    CHECK_OR(*signer == (*session.proven)->leaf, Error{Fault::refused, kCmcSigner});
  } else {
    TRY(out.session, proven_by(*content, body, out.request, session, config, now));
  }
  const CertificateChain& who = **out.session->proven;
  const bool same_names = static_cast<bool>(check_renewal_names(out.request, who.leaf));
  out.renewal = out.session->by_message || (below(config.owner_anchors, who.anchor) && same_names);
  return out;
}

std::optional<CmcFailure> failure_of(int status) {
  switch (status) {
    case 200:
    case 202:
      return std::nullopt;
    case 401:
    case 403:
      return CmcFailure::bad_identity;
    case 500:
      return CmcFailure::internal_ca_error;
    case 503:
      return CmcFailure::try_later;
    default:
      return CmcFailure::bad_request;
  }
}

std::string first_line(BytesView body) { return std::string(as_text(body).substr(0, as_text(body).find('\n'))); }

Result<std::pair<PkiResponse, SignedContent>> open_answer(BytesView body) {
  TRY(SignedContent content, parse_signed(body));
  CHECK_OR(content.type == kPkiResponse, Error{Fault::malformed, kCmcAnswer});
  TRY(PkiResponse said, parse_pki_response(content.content.expose()));
  return std::pair{std::move(said), std::move(content)};
}

}  // namespace

HttpRequest parse_http_request(Exchange from, const Request& request, const ServerConfig& config, Instant now,
                               bool signs) {
  const auto target = split_path(request.path, {&kHttpRoot, 1}, config);
  if (!target || target->operation != name(Operation::fullcmc)) {
    return {std::nullopt, parse_request(from, request, config)};
  }
  const auto refused = [](Fault fault, const Rule& rule) { return HttpRequest{std::nullopt, Error{fault, rule}}; };
  CHECK_OR(request.method == Method::post, refused(Fault::unexpected, kWantsPost));
  CHECK_OR(signs, refused(Fault::unsupported, kFullNotSigned));
  CHECK_OR(is_media_type(request.content_type, "application/pkcs7-mime"), refused(Fault::unsupported, kWrongCmcType));
  const auto body = decode_body(request.body);
  CHECK_OR(body, refused(body.error().fault, kBodyUnreadable));
  FullExchange exchange;
  auto message = read_message(from, request, *body, target->label, config, now, exchange);
  if (!message) {
    blame(exchange, message.error());
    const bool stranger = !request.session->proven;
    return {stranger ? std::nullopt : std::optional(std::move(exchange)), message.error()};
  }
  return {std::move(exchange), ServerMessage(*std::move(message))};
}

bool wants_envelope(const std::optional<FullExchange>& full, const Response& answer) {
  return full && answer.status != 401;
}

void blame(FullExchange& exchange, const Error& error) {
  if (error.rule == &kCmcSignature) {  // RFC 5272 section 3.2.1.3.4
    exchange.failure = CmcFailure::bad_message_check;
    exchange.body_part = 0;
  } else if (error.rule == &kPossession) {
    exchange.failure = CmcFailure::pop_failed;
  } else if (error.rule == &kCmcAlgorithm) {
    exchange.failure = CmcFailure::bad_algorithm;
  }
}

Result<Response> to_full_response(const FullExchange& exchange, const Response& answer, const Signer& by,
                                  BytesView nonce, Instant now) {
  PkiResponse said;
  said.ids = {exchange.ids.transaction, to_bytes(nonce)};
  said.recipient_nonce = exchange.ids.nonce;
  said.body_part = exchange.body_part;
  said.failure = exchange.failure ? exchange.failure : failure_of(answer.status);
  std::vector<Certificate> certificates;
  if (answer.status == 200) {
    TRY(certificates, parse_certs_only(answer.body));
  } else if (answer.status == 202) {
    said.status = CmcStatus::pending;
    said.pending_until = now + std::chrono::seconds(answer.retry_after_s.value_or(0));
  } else {
    said.status = exchange.no_support ? CmcStatus::no_support : CmcStatus::failed;
    said.failure = exchange.no_support ? std::nullopt : said.failure;
    said.text = first_line(answer.body);
  }
  TRY(const Secret body, sign_content(kPkiResponse, encode_pki_response(said), by, certificates));
  Response out = answer;
  out.content_type = kCmcResponseType;
  out.body = to_bytes(body.expose());
  return out;
}

Result<Bytes> make_full_request(const PrivateKey& key, const RequestTemplate& what, const CmcIds& ids,
                                const std::optional<Signer>& by) {
  RequestTemplate inner = what;
  if (!by) {
    const Bytes id = key_identifier(key.public_key());
    Bytes value{0x04, static_cast<std::uint8_t>(id.size())};  // an OCTET STRING of 20 bytes
    value.insert(value.end(), id.begin(), id.end());
    inner.other_extensions.push_back({std::string(kSubjectKeyId), false, std::move(value)});
  }
  TRY(const Bytes request, make_request(key, inner));
  TRY(const Secret out, sign_content(kPkiData, encode_pki_data(ids, request), by ? *by : Signer{key, {}}));
  return to_bytes(out.expose());
}

Result<FullAnswer> read_full_answer(const Response& answer, const CmcIds& ids) {
  TRY(const Bytes body, decode_body(answer.body));
  if (auto simple = parse_certs_only(body)) {
    return FullAnswer{std::nullopt, *std::move(simple)};
  }
  TRY(auto opened, open_answer(body));
  const auto& [said, content] = opened;
  TRY(Certificate signer, verified_signer(body, content));
  CHECK_OR(said.ids.transaction == ids.transaction, Error{Fault::unauthentic, kCmcAnswer});
  CHECK_OR(said.recipient_nonce == ids.nonce, Error{Fault::unauthentic, kCmcAnswer});
  CHECK_OR(said.status == CmcStatus::success, Error{Fault::refused, kRefused});
  return FullAnswer{std::move(signer), content.along};
}

std::string full_refusal(const Response& answer) {
  const auto body = decode_body(answer.body);
  const auto opened = body ? open_answer(*body) : Error{Fault::malformed, kCmcAnswer};
  if (!opened || opened->first.status == CmcStatus::success) {
    return {};
  }
  const auto& failure = opened->first.failure;
  return std::string(failure ? name(*failure) : "noSupport") +
         (opened->first.text.empty() ? "" : ": " + opened->first.text);
}

}  // namespace imprint::est
