#include "proto/est/fullcmc.h"

#include <algorithm>

#include "crypto/cms.h"
#include "crypto/issue.h"
#include "proto/est/paths.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr std::string_view kSubjectKeyId = "2.5.29.14";

Error refuse(const Error& why) {
  return {why.fault, why.fault == Fault::unsupported   ? kCmcUnsupported
                     : why.fault == Fault::unauthentic ? kCmcSignature
                                                       : kCmcUnreadable};
}

bool below(const std::vector<Certificate>& anchors, const Certificate& anchor) {
  return std::ranges::find(anchors, anchor) != anchors.end();
}

bool is_authority(const Certificate& certificate) {
  return std::ranges::find(certificate.extended, eku::kCmcRa) != certificate.extended.end();
}

// Who asks, when a certificate signed: the session with what that proves, or a refusal.
Result<SessionRef> asker(const SessionRef& session, const SignedContent& content, const ServerConfig& config,
                         Instant now) {
  if (session->proven && (*session->proven)->leaf == *content.signer) {
    return session;
  }
  const bool forwarded = session->proven && is_authority((*session->proven)->leaf) &&
                         below(config.owner_anchors, (*session->proven)->anchor);
  CHECK_OR(!session->proven || forwarded, Error{Fault::refused, kCmcSigner});
  auto chain = verify_chain(*content.signer, content.along, config.owner_anchors, {Purpose::any, now, true});
  CHECK_OR(chain, Error{Fault::refused, kCmcSigner});
  auto out = std::make_shared<Session>(*session);
  out->proven = *std::move(chain);
  return SessionRef(std::move(out));
}

Result<Server::Enrol> read_message(Exchange from, const Request& request, BytesView body, std::string_view label,
                                   const ServerConfig& config, Instant now, FullExchange& exchange) {
  const auto content = parse_signed(body);
  CHECK_OR(content, refuse(content.error()));
  CHECK_OR(content->type == kPkiData, Error{Fault::malformed, kCmcUnreadable});
  PkiData data = parse_pki_data(content->content.expose());
  exchange = {data.ids, data.body_part};
  CHECK_OR(!data.batch, Error{Fault::unsupported, kCmcUnsupported});
  CHECK_OR(data.request, refuse(data.request.error()));
  const PublicKey& signed_by = content->signer ? content->signer->key : data.request->key;
  CHECK_OR(verify_signed(body, signed_by), Error{Fault::unauthentic, kCmcSignature});
  Server::Enrol out{from, request.session, request.login, std::string(label), false, *std::move(data.request)};
  if (content->signer) {
    TRY(out.session, asker(request.session, *content, config, now));
    out.renewal = below(config.owner_anchors, (*out.session->proven)->anchor);
  }
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

FullRequest parse_full_request(Exchange from, const Request& request, std::string_view label,
                               const ServerConfig& config, Instant now) {
  FullRequest out{{}, Error{Fault::malformed, kBodyUnreadable}};
  const auto body = decode_body(request.body);
  if (body) {
    out.message = read_message(from, request, *body, label, config, now, out.exchange);
  }
  return out;
}

HttpRequest parse_http_request(Exchange from, const Request& request, const ServerConfig& config, Instant now) {
  const auto target = split_path(request.path, {&kHttpRoot, 1}, config);
  if (!target || target->operation != name(Operation::fullcmc)) {
    return {std::nullopt, parse_request(from, request, config)};
  }
  if (request.method != Method::post) {
    return {std::nullopt, Error{Fault::unexpected, kWantsPost}};
  }
  if (!request.content_type.starts_with("application/pkcs7-mime")) {
    return {std::nullopt, Error{Fault::unsupported, kWrongType}};
  }
  FullRequest full = parse_full_request(from, request, target->label, config, now);
  if (!full.message) {
    return {std::move(full.exchange), full.message.error()};
  }
  return {std::move(full.exchange), ServerMessage(*std::move(full.message))};
}

Result<Response> to_full_response(const FullExchange& exchange, const Response& answer, const Signer& by,
                                  BytesView nonce, Instant now) {
  PkiResponse said;
  said.ids = {exchange.ids.transaction, to_bytes(nonce)};
  said.recipient_nonce = exchange.ids.nonce;
  said.body_part = exchange.body_part;
  said.failure = failure_of(answer.status);
  std::vector<Certificate> certificates;
  if (answer.status == 200) {
    TRY(certificates, parse_certs_only(answer.body));
  } else if (answer.status == 202) {
    said.status = CmcStatus::pending;
    said.pending_until = now + std::chrono::seconds(answer.retry_after_s.value_or(0));
  } else {
    said.status = CmcStatus::failed;
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
  TRY(auto opened, open_answer(body));
  const auto& [said, content] = opened;
  CHECK_OR(content.signer && verify_signed(body, content.signer->key), Error{Fault::unauthentic, kCmcAnswer});
  CHECK_OR(said.ids.transaction == ids.transaction && said.recipient_nonce == ids.nonce,
           Error{Fault::unauthentic, kCmcAnswer});
  CHECK_OR(said.status == CmcStatus::success, Error{Fault::refused, kRefused});
  return FullAnswer{*content.signer, content.along};
}

std::string full_refusal(const Response& answer) {
  const auto body = decode_body(answer.body);
  const auto opened = body ? open_answer(*body) : Error{Fault::malformed, kCmcAnswer};
  if (!opened || !opened->first.failure) {
    return {};
  }
  return std::string(name(*opened->first.failure)) + (opened->first.text.empty() ? "" : ": " + opened->first.text);
}

}  // namespace imprint::est
