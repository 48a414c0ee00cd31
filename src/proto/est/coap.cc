#include "proto/est/coap.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "codec/cbor.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "proto/est/multipart.h"
#include "proto/est/paths.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr std::string_view kCertsOnlyType = "application/pkcs7-mime; smime-type=certs-only";
constexpr std::string_view kOneCertificate = "application/pkix-cert";
constexpr std::string_view kAttributes = "application/csrattrs";
constexpr std::string_view kLinkFormat = "application/link-format";
constexpr std::string_view kPkcs10 = "application/pkcs10";
constexpr std::uint64_t kPkixCertFormat = 287;
constexpr std::array<std::string_view, 2> kRoots{"/.well-known/est/", "/est/"};

struct Row {
  Operation operation;
  std::string_view name;
  Method method;
  std::string_view resource_type;
  std::string_view formats;  // that the answer can have, for discovery
  std::array<std::string_view, 3> accepts;
};
// RFC 9148 table 1 and section 4.3; multipart-core of /crts: draft-ietf-anima-constrained-voucher.
constexpr std::array kRows{
    Row{Operation::cacerts,
        "crts",
        Method::get,
        "ace.est.crts",
        "281 287 62",
        {kCertsOnlyType, kOneCertificate, kMultipartCore}},
    Row{Operation::simpleenroll, "sen", Method::post, "ace.est.sen", "281 287", {kCertsOnlyType, kOneCertificate, {}}},
    Row{Operation::simplereenroll,
        "sren",
        Method::post,
        "ace.est.sren",
        "281 287",
        {kCertsOnlyType, kOneCertificate, {}}},
    Row{Operation::csrattrs, "att", Method::get, "ace.est.att", "285", {kAttributes, {}, {}}},
    Row{Operation::serverkeygen, "skg", Method::post, "ace.est.skg", "62", {kMultipartCore, {}, {}}},
    Row{Operation::serverkeygen, "skc", Method::post, "ace.est.skc", "62", {kMultipartCore, {}, {}}}};

Result<const Row*> find_row(std::string_view operation) {
  const auto* const row = std::ranges::find(kRows, operation, &Row::name);
  CHECK_OR(row != kRows.end(), Error{Fault::unsupported, kNoSuchOperation});
  return row;
}

// Each before its issuer: from the issuer of devices upwards to the root.
std::vector<Certificate> upwards(std::vector<Certificate> in) {
  std::vector<Certificate> out;
  while (!in.empty()) {
    auto next = std::ranges::find_if(in, [&](const Certificate& c) {
      return std::ranges::none_of(in, [&](const Certificate& other) {
        return !(other == c) && other.issuer == c.subject && !(other.subject == c.subject);
      });
    });
    next = next == in.end() ? in.begin() : next;  // a ring: any order
    out.push_back(std::move(*next));
    in.erase(next);
  }
  return out;
}

// The certificates of an answer in another form than certs-only.
Response in_form(Response answer, std::string_view form) {
  const auto certificates = parse_certs_only(answer.body);
  if (!certificates || (form == kOneCertificate && certificates->size() != 1)) {
    return wire_error(Error{Fault::unsupported, kNotInThisForm});
  }
  answer.content_type = form;
  if (form == kOneCertificate) {
    answer.body = certificates->front().der;
    return answer;
  }
  cbor::Writer writer;
  writer.array(certificates->size() * 2);
  for (const Certificate& c : upwards(*certificates)) {
    writer.number(kPkixCertFormat);
    writer.bytes(c.der);
  }
  answer.body = std::move(writer).out();
  return answer;
}

// Key and certificate, this one as certs-only for skg and by itself for skc (RFC 9148 section 4.8).
Response in_parts(Response answer, bool plain_certificate) {
  if (plain_certificate) {
    for (Part& part : answer.parts) {
      const auto certificates =
          part.content_type == kCertsOnlyType ? parse_certs_only(part.body.expose()) : std::vector<Certificate>{};
      if (certificates && certificates->size() == 1) {
        part = {std::string(kOneCertificate), Secret(BytesView(certificates->front().der))};
      }
    }
  }
  auto body = encode_multipart_core(answer.parts);
  CHECK_OR(body, wire_error(body.error()));
  answer.parts.clear();
  answer.content_type = kMultipartCore;
  answer.body = *std::move(body);
  return answer;
}

std::string version_of(BytesView body) { return "\"" + hex(BytesView(sha256(body)).first(8)) + "\""; }

}  // namespace

Result<ServerMessage> parse_coap_request(Exchange from, const Request& request, const ServerConfig& config) {
  TRY(const PathParts target, split_path(request.path, kRoots, config));
  TRY(const Row* const found, find_row(target.operation));
  const Row& row = *found;
  CHECK_OR(request.method == row.method, Error{Fault::unexpected, row.method == Method::post ? kWantsPost : kWantsGet});
  CHECK_OR(request.accept.empty() || std::ranges::find(row.accepts, request.accept) != row.accepts.end(),
           Error{Fault::unsupported, kNotInThisForm});
  if (row.operation == Operation::cacerts) {
    return ServerMessage(Server::GetCaCertificates{from, target.label});
  }
  if (row.operation == Operation::csrattrs) {
    return ServerMessage(Server::GetCsrAttributes{from, target.label, request.session});
  }
  CHECK_OR(request.content_type == kPkcs10, Error{Fault::unsupported, kWrongType});
  auto csr = CertificateRequest::parse(request.body);
  CHECK_OR(csr, Error{Fault::malformed, kRequestUnreadable});
  if (row.operation == Operation::serverkeygen) {
    return ServerMessage(Server::GenerateKey{from, request.session, request.login, target.label, {*std::move(csr)}});
  }
  return ServerMessage(Server::Enrol{from, request.session, request.login, target.label,
                                     row.operation == Operation::simplereenroll, *std::move(csr)});
}

Response to_coap(Response answer, const Request& asked) {
  if (answer.status == 202) {
    answer.status = 503;
  }
  if (answer.status == 204) {
    answer.status = 404;
  }
  if (answer.status != 200) {
    return answer;
  }
  if (!answer.parts.empty()) {
    return in_parts(std::move(answer), asked.path.ends_with("/skc"));
  }
  if (answer.content_type == kCertsOnlyType || answer.content_type == "application/pkcs7-mime") {
    answer.content_type = kCertsOnlyType;
    if (!asked.accept.empty() && asked.accept != kCertsOnlyType) {
      answer = in_form(std::move(answer), asked.accept);
    }
  }
  if (asked.method == Method::get && answer.status == 200) {
    answer.etag = version_of(answer.body);
  }
  return answer;
}

std::vector<Link> coap_resources(const ServerConfig& config) {
  const auto label = config.labels.find({});
  const bool keys = label != config.labels.end() && label->second.server_keys;
  std::vector<Link> out{{"/est", {{"rt", "ace.est"}}}};
  for (const Row& row : kRows) {
    if (row.operation != Operation::serverkeygen || keys) {
      out.push_back({"/est/" + std::string(row.name),
                     {{"rt", std::string(row.resource_type)}, {"ct", std::string(row.formats)}}});
    }
  }
  return out;
}

Response discovery(const Request& request, const ServerConfig& config) {
  if (!request.accept.empty() && request.accept != kLinkFormat) {
    return wire_error(Error{Fault::unsupported, kNotInThisForm});
  }
  const auto links = select_links(coap_resources(config), request.query);
  Response out{200, std::string(kLinkFormat), to_bytes(encode_links(links))};
  return request.method == Method::get ? out : wire_error(Error{Fault::unexpected, kWantsGet});
}

Request discovery_request() {
  Request out;
  out.path = "/.well-known/core";
  out.query = "rt=ace.est*";
  out.accept = kLinkFormat;
  return out;
}

Result<Uri> discovered(const Uri& server, const Response& answer) {
  CHECK_OR(answer.status == 200, Error{Fault::refused, "no list of resources"});
  TRY(const std::vector<Link> links, parse_links(as_text(answer.body)));
  const auto link = std::ranges::find_if(links, [](const Link& l) { return l.has_type("ace.est.crts"); });
  CHECK_OR(link != links.end(), Error{Fault::refused, "no ace.est.crts in the list"});
  Uri out = server;
  out.path = link->target;
  if (!out.path.starts_with('/') || out.path.starts_with("//")) {  // "//" begins another authority
    const auto absolute = Uri::parse(link->target);
    CHECK_OR(absolute && absolute->scheme == "coaps", Error{Fault::malformed, "the target of ace.est.crts"});
    CHECK_OR(absolute->host == server.host, Error{Fault::unauthentic, "the target of ace.est.crts is another host"});
    out = *absolute;
  }
  constexpr std::string_view kTail = "/crts";
  CHECK_OR(out.path.ends_with(kTail), Error{Fault::malformed, "the target of ace.est.crts"});
  out.path.resize(out.path.size() - kTail.size());
  CHECK_OR(out.path.size() > 1 && !out.path.starts_with("//"), Error{Fault::malformed, "the target of ace.est.crts"});
  return out;
}

Request make_coap_request(std::string_view base, std::string_view label, Operation operation, BytesView csr) {
  const auto* const row = std::ranges::find(kRows, operation, &Row::operation);
  assert(row != kRows.end());
  std::string path(base.empty() || base == "/" ? kRoots.front() : base);
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  if (!label.empty()) {
    path.append("/").append(label);
  }
  Request out;
  out.method = row->method;
  out.path = path.append("/").append(row->name);
  out.accept = row->accepts.front();
  if (!csr.empty()) {
    out.content_type = kPkcs10;
    out.body = to_bytes(csr);
  }
  return out;
}

Request request_to(const Uri& server, std::string_view label, Operation operation, BytesView csr) {
  return server.scheme == "coaps" ? make_coap_request(server.path, label, operation, csr)
                                  : make_request(server.path, label, operation, csr);
}

}  // namespace imprint::est
