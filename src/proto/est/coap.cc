#include "proto/est/coap.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "codec/cbor.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr std::string_view kCertsOnlyType = "application/pkcs7-mime; smime-type=certs-only";
constexpr std::string_view kOneCertificate = "application/pkix-cert";
constexpr std::string_view kMultipart = "application/multipart-core";
constexpr std::string_view kAttributes = "application/csrattrs";
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
        {kCertsOnlyType, kOneCertificate, kMultipart}},
    Row{Operation::simpleenroll, "sen", Method::post, "ace.est.sen", "281 287", {kCertsOnlyType, kOneCertificate, {}}},
    Row{Operation::simplereenroll,
        "sren",
        Method::post,
        "ace.est.sren",
        "281 287",
        {kCertsOnlyType, kOneCertificate, {}}},
    Row{Operation::csrattrs, "att", Method::get, "ace.est.att", "285", {kAttributes, {}, {}}}};

struct Target {
  std::string label;
  const Row* row = nullptr;
};

Result<Target> find_target(std::string_view path, const ServerConfig& config) {
  const auto* const root = std::ranges::find_if(kRoots, [path](std::string_view r) { return path.starts_with(r); });
  CHECK_OR(root != kRoots.end(), Error{Fault::unsupported, kNoSuchOperation});
  std::string_view rest = path.substr(root->size());
  Target out;
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    out.label = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    CHECK_OR(!out.label.empty() && config.labels.contains(out.label), Error{Fault::unsupported, kNoSuchLabel});
  }
  const auto* const row = std::ranges::find(kRows, rest, &Row::name);
  CHECK_OR(row != kRows.end(), Error{Fault::unsupported, kNoSuchOperation});
  out.row = row;
  return out;
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

std::string version_of(BytesView body) { return "\"" + hex(BytesView(sha256(body)).first(8)) + "\""; }

}  // namespace

Result<ServerMessage> parse_coap_request(Exchange from, const Request& request, const ServerConfig& config) {
  TRY(const Target target, find_target(request.path, config));
  const Row& row = *target.row;
  CHECK_OR(request.method == row.method, Error{Fault::unexpected, row.method == Method::post ? kWantsPost : kWantsGet});
  CHECK_OR(request.accept.empty() || std::ranges::find(row.accepts, request.accept) != row.accepts.end(),
           Error{Fault::unsupported, kNotInThisForm});
  if (row.operation == Operation::cacerts) {
    return ServerMessage(Server::GetCaCertificates{from, target.label});
  }
  if (row.operation == Operation::csrattrs) {
    return ServerMessage(Server::GetCsrAttributes{from, target.label});
  }
  CHECK_OR(request.content_type == kPkcs10, Error{Fault::unsupported, kWrongType});
  auto csr = CertificateRequest::parse(request.body);
  CHECK_OR(csr, Error{Fault::malformed, kRequestUnreadable});
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

const std::vector<Link>& coap_resources() {
  static const std::vector<Link> kLinks = [] {
    std::vector<Link> out{{"/est", {{"rt", "ace.est"}}}};
    for (const Row& row : kRows) {
      out.push_back({"/est/" + std::string(row.name),
                     {{"rt", std::string(row.resource_type)}, {"ct", std::string(row.formats)}}});
    }
    return out;
  }();
  return kLinks;
}

Response discovery(const Request& request) {
  if (!request.accept.empty() && request.accept != "application/link-format") {
    return wire_error(Error{Fault::unsupported, kNotInThisForm});
  }
  Response out{200, "application/link-format", to_bytes(encode_links(select_links(coap_resources(), request.query)))};
  return request.method == Method::get ? out : wire_error(Error{Fault::unexpected, kWantsGet});
}

Request make_coap_request(std::string_view base, std::string_view label, Operation operation, BytesView csr) {
  const auto* const row = std::ranges::find(kRows, operation, &Row::operation);
  assert(row != kRows.end());  // no serverkeygen: the client refuses such a plan
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
