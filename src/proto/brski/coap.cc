#include "proto/brski/coap.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>

#include "proto/brski/coap_rules.h"
#include "proto/brski/paths.h"

namespace imprint::brski {
namespace {

constexpr std::string_view kCorePath = "/.well-known/core", kLinkFormat = "application/link-format";
constexpr std::string_view kVoucherType = "application/voucher+cose";
constexpr std::string_view kJoinPort = "brski-jp";  // an attribute

constexpr std::array kRoots{PathRoot{kRoot, false, true}, PathRoot{kShortRoot, false, true}};

const PathRow& row_of(Operation operation) {
  const PathRow* const row = path_row(operation);
  assert(row != nullptr && !row->short_name.empty());
  return *row;
}

// They come first in the table.
std::span<const PathRow> rows_over_coap() {
  const std::span<const PathRow> rows = path_rows();
  const auto end = std::ranges::find(rows, std::string_view(), &PathRow::short_name);
  return rows.first(static_cast<std::size_t>(end - rows.begin()));
}

// Where it is found out for an operation over CoAP.
std::string CoapResources::*place_of(Operation operation) {
  switch (operation) {
    case Operation::voucher_status:
      return &CoapResources::voucher_status;
    case Operation::enrol_status:
      return &CoapResources::enrol_status;
    default:
      assert(operation == Operation::request_voucher);
      return &CoapResources::request_voucher;
  }
}

std::string joined(std::string_view base, std::string_view name) {
  std::string out(base.empty() || base == "/" ? kRoot : base);
  while (out.size() > 1 && out.back() == '/') {
    out.pop_back();
  }
  return out.append("/").append(name);
}

// RFC 7252 section 12.1.2; RFC 8132 section 4; RFC 8516 section 3: the codes that there are.
int coap_status(int status) {
  constexpr std::array kSame{200, 400, 401, 402, 403, 404, 405, 406, 408, 409,
                             412, 413, 415, 422, 429, 500, 501, 502, 503, 504};
  if (std::ranges::find(kSame, status) != kSame.end()) {
    return status;
  }
  return status >= 500 ? 500 : status >= 400 ? 400 : status >= 300 ? 502 : 500;
}

std::string origin(std::string_view scheme, const CoapOffer& offer, std::uint16_t port) {
  std::string host = offer.host.substr(0, offer.host.find('%'));  // the name of an interface is ours alone
  host = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return std::string(scheme) + "://" + host + ":" + std::to_string(port);
}

std::vector<Link> links_in(const Response& answer) {
  if (answer.status != 200 || (!answer.content_type.empty() && answer.content_type != kLinkFormat)) {
    return {};
  }
  auto links = parse_links(as_text(answer.body));
  return links ? *std::move(links) : std::vector<Link>{};
}

std::uint16_t port_in(std::string_view text) {
  std::uint16_t out = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && stop == text.data() + text.size() ? out : std::uint16_t{0};
}

// A target with an authority, in one of these schemes; port 0: none is known.
std::optional<Uri> absolute(const Link& link, std::initializer_list<std::string_view> schemes) {
  auto uri = Uri::parse(link.target);
  const bool good = uri && std::ranges::find(schemes, std::string_view(uri->scheme)) != schemes.end();
  return good ? std::optional(*std::move(uri)) : std::nullopt;
}

void add(std::vector<CoapFound>& to, CoapFound one) {
  if (one.port != 0 && to.size() < kMaxFound && std::ranges::find(to, one) == to.end()) {
    to.push_back(std::move(one));
  }
}

// The port for pledges that a link names, in the words of either draft; 0: it is none of these links.
std::uint16_t join_port(const Link& link) {
  const bool own = link.target.empty() || (link.target.starts_with('/') && !link.target.starts_with("//"));
  if (const std::string* const port = link.find(kJoinPort); port != nullptr && own) {
    return port_in(*port);
  }
  const auto uri = link.has_type("brski.jp") ? absolute(link, {"coaps"}) : std::nullopt;
  return uri ? uri->port : std::uint16_t{0};
}

// The path that a link has on this very server.
Result<std::string> path_on(const Uri& server, const Link& link) {
  const bool relative = link.target.starts_with('/') && !link.target.starts_with("//");
  const auto uri = Uri::parse(relative ? "coaps://" + server.authority() + link.target : link.target);
  const Error elsewhere{Fault::unauthentic, kLinksElsewhere};
  CHECK_OR(uri && uri->scheme == "coaps" && uri->query.empty(), elsewhere);
  CHECK_OR(uri->host == server.host && uri->port == server.port, elsewhere);
  return uri->path;
}

}  // namespace

Result<Operation> parse_coap_request(const Request& request) {
  const PathRow* const row = find_path(request.path, kRoots);
  CHECK_OR(row != nullptr, Error{Fault::unsupported, kCoapPath});
  CHECK_OR(request.method == Method::post, Error{Fault::unexpected, kCoapMethod});
  if (row->operation == Operation::request_voucher) {
    CHECK_OR(request.content_type == kVoucherType, Error{Fault::unsupported, kCoapFormat});
    CHECK_OR(request.accept.empty() || request.accept == kVoucherType, Error{Fault::unsupported, kCoapAccept});
  } else {
    CHECK_OR(request.content_type == kCborType || request.content_type == kJsonType,
             Error{Fault::unsupported, kCoapFormat});
  }
  return row->operation;
}

Response coap_refusal(const Error& error) {
  Response out;
  out.content_type = "text/plain; charset=utf-8";
  out.body = to_bytes(error.what);
  out.status = error.rule == &kCoapPath                                        ? 404
               : error.rule == &kCoapMethod || error.rule == &kDiscoveryMethod ? 405
               : error.rule == &kCoapAccept || error.rule == &kDiscoveryAccept ? 406
               : error.rule == &kCoapFormat                                    ? 415
                                                                               : 400;
  return out;
}

Response to_coap(Response answer, Operation operation) {
  if (answer.status == 202) {
    answer.status = 503;
    answer.content_type.clear();
    answer.body.clear();
    return answer;
  }
  const bool thanks = answer.status == 204 || (answer.status == 200 && operation != Operation::request_voucher);
  if (thanks) {
    return Response{200};
  }
  answer.status = coap_status(answer.status);
  answer.location.clear();
  return answer;
}

Request make_coap_request(std::string_view base, Operation operation, Bytes body) {
  const PathRow& row = row_of(operation);
  const bool voucher = operation == Operation::request_voucher;
  Request out;
  out.method = Method::post;
  out.path = joined(base, row.short_name);
  out.content_type = voucher ? kVoucherType : kCborType;
  out.accept = voucher ? kVoucherType : std::string_view();
  out.body = std::move(body);
  return out;
}

Response from_coap(Response answer) {
  if (answer.status == 503) {
    answer.status = 202;
  }
  return answer;
}

std::vector<Link> registrar_resources() {
  std::vector<Link> out{{"/b", {{"rt", "brski"}}}};
  for (const PathRow& row : rows_over_coap()) {
    out.push_back({joined(kShortRoot, row.short_name),
                   {{"rt", std::string(row.resource_type)}, {"ct", std::string(row.formats)}}});
  }
  return out;
}

std::vector<Link> registrar_links(const CoapOffer& offer) {
  std::vector<Link> out;
  if (offer.coaps != 0) {
    out.push_back({origin("coaps", offer, offer.coaps) + "/b", {{"rt", "brski"}}});
  }
  if (offer.jpy != 0) {
    out.push_back({origin("jpy", offer, offer.jpy), {{"rt", "brski.rjp"}}});
  }
  if (offer.coaps != 0 && offer.old_names) {
    out.push_back({origin("coaps", offer, offer.coaps) + "/b", {{"rt", "brski.rs"}}});
  }
  if (offer.jpy != 0 && offer.old_names) {
    out.push_back({origin("coaps+jpy", offer, offer.jpy) + "/b", {{"rt", "brski.rjpy"}}});
  }
  return out;
}

std::vector<Link> join_proxy_links(const CoapOffer& offer) {
  std::vector<Link> out;
  if (offer.join != 0) {
    out.push_back({"", {{std::string(kJoinPort), std::to_string(offer.join)}}});
  }
  if (offer.join != 0 && offer.old_names) {
    out.push_back({origin("coaps", offer, offer.join), {{"rt", "brski.jp"}}});
  }
  return out;
}

Response list_resources(const Request& request, const std::vector<Link>& links) {
  CHECK_OR(request.path == kCorePath, coap_refusal(Error{Fault::unsupported, kCoapPath}));
  CHECK_OR(request.method == Method::get, coap_refusal(Error{Fault::unexpected, kDiscoveryMethod}));
  CHECK_OR(request.accept.empty() || request.accept == kLinkFormat,
           coap_refusal(Error{Fault::unsupported, kDiscoveryAccept}));
  return Response{200, std::string(kLinkFormat), to_bytes(encode_links(select_links(links, request.query)))};
}

bool is_silent(const Response& to_group) { return to_group.status != 200 || to_group.body.empty(); }

Request find_by_coap(CoapWanted what) {
  Request out;
  out.path = kCorePath;
  out.query = what == CoapWanted::join_proxies       ? "brski-jp=*"
              : what == CoapWanted::old_join_proxies ? "rt=brski.jp"
                                                     : "rt=brski*";
  out.accept = kLinkFormat;
  return out;
}

const std::string& CoapResources::path(Operation operation) const { return this->*place_of(operation); }

Result<CoapResources> resources_in(const Uri& server, const Response& answer) {
  CHECK_OR(answer.status == 200, Error{Fault::refused, kLinksRefused});
  TRY(const std::vector<Link> links, parse_links(as_text(answer.body)));
  const auto find = [&](std::string_view type) {
    return std::ranges::find_if(links, [type](const Link& link) { return link.has_type(type); });
  };
  std::string base;
  if (const auto link = find("brski"); link != links.end()) {
    TRY(base, path_on(server, *link));
  }
  CoapResources out;
  for (const PathRow& row : rows_over_coap()) {
    std::string& path = out.*place_of(row.operation);
    path = joined(base, row.short_name);
    if (const auto link = find(row.resource_type); link != links.end()) {
      TRY(path, path_on(server, *link));
    }
  }
  return out;
}

std::vector<CoapFound> join_proxies_in(const Response& answer, std::string_view sender) {
  std::vector<CoapFound> out;
  for (const Link& link : links_in(answer)) {
    add(out, {CoapFound::Way::coaps, std::string(sender), join_port(link)});
  }
  return out;
}

std::vector<CoapFound> registrars_in(const Response& answer) {
  std::vector<CoapFound> out;
  for (const Link& link : links_in(answer)) {
    const bool jpy = link.has_type("brski.rjp") || link.has_type("brski.rjpy");
    const bool coaps = link.has_type("brski") || link.has_type("brski.rs");
    const auto uri = jpy ? absolute(link, {"jpy", "coaps+jpy"}) : coaps ? absolute(link, {"coaps"}) : std::nullopt;
    if (uri) {
      add(out, {jpy ? CoapFound::Way::jpy : CoapFound::Way::coaps, uri->host, uri->port});
    }
  }
  return out;
}

const CoapFound* preferred(std::span<const CoapFound> found) {
  const auto jpy = std::ranges::find(found, CoapFound::Way::jpy, &CoapFound::way);
  return jpy != found.end() ? &*jpy : found.empty() ? nullptr : &found.front();
}

}  // namespace imprint::brski
