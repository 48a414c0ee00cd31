#include "proto/est/http.h"

#include <algorithm>
#include <array>

#include "codec/base64.h"
#include "proto/est/multipart.h"
#include "proto/est/paths.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr std::string_view kPkcs10Type = "application/pkcs10";

struct Row {
  Operation operation;
  std::string_view name;
  Method method;
};
constexpr std::array kRows{Row{Operation::cacerts, "cacerts", Method::get},
                           Row{Operation::csrattrs, "csrattrs", Method::get},
                           Row{Operation::simpleenroll, "simpleenroll", Method::post},
                           Row{Operation::simplereenroll, "simplereenroll", Method::post},
                           Row{Operation::serverkeygen, "serverkeygen", Method::post},
                           Row{Operation::fullcmc, "fullcmc", Method::post}};

Result<const Row*> find_row(std::string_view operation) {
  const auto* const row = std::ranges::find(kRows, operation, &Row::name);
  CHECK_OR(row != kRows.end(), Error{Fault::unsupported, kNoSuchOperation});
  return row;
}

// Clients of HTTP Digest keep their body until they have a challenge (curl): the role answers a stranger before it
// looks at the request.
bool asks_for_challenge(const Request& request) {
  return request.body.empty() && request.session && !names_somebody(*request.session, request.login);
}

}  // namespace

bool is_media_type(std::string_view content_type, std::string_view type) {
  std::string said(content_type.substr(0, content_type.find(';')));
  std::ranges::transform(said, said.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  while (!said.empty() && said.back() == ' ') {
    said.pop_back();
  }
  return said == type;
}

Result<ServerMessage> parse_request(Exchange from, const Request& request, const ServerConfig& config) {
  TRY(const PathParts target, split_path(request.path, {&kHttpRoot, 1}, config));
  TRY(const Row* const row, find_row(target.operation));
  CHECK_OR(request.method == row->method,
           Error{Fault::unexpected, row->method == Method::post ? kWantsPost : kWantsGet});
  switch (row->operation) {
    case Operation::cacerts:
      return ServerMessage(Server::GetCaCertificates{from, target.label});
    case Operation::csrattrs:
      return ServerMessage(Server::GetCsrAttributes{from, target.label, request.session});
    case Operation::simpleenroll:
    case Operation::simplereenroll:
    case Operation::serverkeygen:
      break;
    case Operation::fullcmc:  // parse_http_request() has taken it
      return Error{Fault::unsupported, kNoSuchOperation};
  }
  CHECK_OR(is_media_type(request.content_type, kPkcs10Type), Error{Fault::unsupported, kWrongType});
  if (asks_for_challenge(request)) {
    return ServerMessage(Server::Enrol{from, request.session, std::nullopt, target.label, false, {}});
  }
  const auto der = decode_body(request.body);
  CHECK_OR(der, Error{der.error().fault, kBodyUnreadable});
  auto csr = CertificateRequest::parse(*der);
  CHECK_OR(csr, Error{Fault::malformed, kRequestUnreadable});
  if (row->operation == Operation::serverkeygen) {
    return ServerMessage(Server::GenerateKey{from, request.session, request.login, target.label, {*std::move(csr)}});
  }
  return ServerMessage(Server::Enrol{from, request.session, request.login, target.label,
                                     row->operation == Operation::simplereenroll, *std::move(csr)});
}

Response to_http(Response answer, const Request& asked) {
  if (!answer.parts.empty()) {
    answer.content_type = multipart_type();
    answer.body = encode_multipart(answer.parts);
    answer.parts.clear();
    return answer;
  }
  const bool der =
      answer.content_type.starts_with("application/pkcs7-mime") || answer.content_type == "application/csrattrs";
  if (der) {
    const bool lines = asked.user_agent.starts_with("libest");
    answer.body = to_bytes(lines ? base64_lines(answer.body) : base64(answer.body) + "\n");
  }
  return answer;
}

Result<std::vector<Part>> parts_in(const Response& answer) {
  if (!answer.parts.empty()) {
    return answer.parts;
  }
  return answer.content_type == kMultipartCore ? parse_multipart_core(answer.body)
                                               : parse_multipart(answer.content_type, answer.body);
}

Response wire_error(const Error& error) {
  Response out;
  out.content_type = "text/plain; charset=utf-8";
  switch (error.fault) {
    case Fault::malformed:
      out.status = 400;
      break;
    case Fault::unexpected:
      out.status = error.rule == &kWantsGet || error.rule == &kWantsPost ? 405 : 400;
      if (out.status == 405) {
        out.allow = error.rule == &kWantsPost ? "POST" : "GET, HEAD";  // RFC 9110 section 15.5.6: must be said
      }
      break;
    case Fault::unsupported:
      out.status = error.rule == &kWrongType || error.rule == &kWrongCmcType        ? 415
                   : error.rule == &kNotInThisForm                                  ? 406
                   : error.rule == &kNoSuchOperation || error.rule == &kNoSuchLabel ? 404
                   : error.rule == &kKeysNotMade || error.rule == &kFullNotSigned   ? 501
                                                                                    : 400;
      break;
    case Fault::unauthentic:
      // Not 401: that needs a challenge (RFC 9110 section 15.5.2), and no password renews a certificate.
      out.status = error.rule == &kRenewalUnproven ? 403 : 400;
      break;
    case Fault::refused:
    case Fault::expired:
      out.status = 403;
      break;
    case Fault::limit:
      out.status = 413;
      break;
    case Fault::stale:
    case Fault::conflict:
      out.status = 409;
      break;
    case Fault::unreachable:
      out.status = 503;
      out.retry_after_s = 5;
      break;
    case Fault::internal:
      out.status = 500;
      break;
  }
  std::string text(error.what);
  if (error.rule != nullptr) {
    text.append(" (")
        .append(error.rule->id)
        .append(", ")
        .append(error.rule->source)
        .append("); ")
        .append(error.rule->next);
  }
  out.body = to_bytes(text + "\n");
  return out;
}

std::string_view name(Operation operation) { return std::ranges::find(kRows, operation, &Row::operation)->name; }

std::string path(std::string_view base, std::string_view label, Operation operation) {
  std::string out(base == "/" || base.empty() ? kHttpRoot.substr(0, kHttpRoot.size() - 1) : base);
  while (out.size() > 1 && out.back() == '/') {
    out.pop_back();
  }
  if (!label.empty()) {
    out.append("/").append(label);
  }
  return out.append("/").append(name(operation));
}

std::string base_of(std::string_view path, std::string_view label, Operation operation) {
  const std::string tail =
      "/" + (label.empty() ? std::string{} : std::string(label) + "/") + std::string(name(operation));
  if (path.ends_with(tail)) {
    path.remove_suffix(tail.size());
  }
  return std::string(path);
}

Request make_request(std::string_view base, std::string_view label, Operation operation, BytesView csr) {
  Request out;
  out.path = path(base, label, operation);
  if (!csr.empty()) {
    out.method = Method::post;
    out.content_type = operation == Operation::fullcmc ? kCmcRequestType : kPkcs10Type;
    out.body = encode_body(csr);
  }
  return out;
}

}  // namespace imprint::est
