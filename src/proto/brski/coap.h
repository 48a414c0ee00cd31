// BRSKI over CoAP (draft-ietf-anima-constrained-voucher): which path carries which operation, in which Content-Format,
// and how registrar and join proxy are found by CoAP. Tables, no decisions. Media types stand for Content-Formats,
// statuses for codes (coap/mapping.h).
#pragma once

#include <span>

#include "codec/link_format.h"
#include "codec/uri.h"
#include "proto/brski/wire.h"

namespace imprint::brski {

inline constexpr std::string_view kShortRoot = "/b/";  // beside /.well-known/brski/

// ---- a registrar's resources ----

// What a CoAP request asks: rv, vs or es below kRoot or kShortRoot. Errors: unsupported
// (kCoapPath: no such resource; kCoapFormat: a body in another form; kCoapAccept), unexpected (kCoapMethod).
Result<Operation> parse_coap_request(const Request& request);

// The answer to a request that parse_coap_request() or list_resources() refuses: 4.04, 4.05, 4.06, 4.15.
Response coap_refusal(const Error& error);

// The form that an answer takes on CoAP: "come again" is 5.03 with Max-Age, thanks for a status are 2.04 without a
// body, and what has no code of its own becomes that of its class: 4.00, 5.00 (5.02 for a redirection).
Response to_coap(Response answer, Operation operation);

// ---- a pledge's requests ----

// Below `base` ("/b"; /.well-known/brski if it is empty or "/"). Only request_voucher, voucher_status and enrol_status.
Request make_coap_request(std::string_view base, Operation operation, Bytes body);

// What a registrar answered, as over HTTP: 5.03 is 202, "come again". Whether the voucher is one is not looked at.
Response from_coap(Response answer);

// ---- discovery ----

// Where a registrar or a join proxy can be found, for those who ask all at once (RFC 7252 section 8).
struct CoapOffer {
  std::string host = {};    // our own address as a literal, without brackets
  std::uint16_t coaps = 0;  // port of the registrar, or of a stateful proxy's way to it; 0: none
  std::uint16_t jpy = 0;    // port for messages of stateless join proxies; 0: none
  std::uint16_t join = 0;   // port of a join proxy, for pledges; 0: none
  bool old_names = true;    // also in the words of draft-ietf-anima-brski-discovery
};

// The resources in the registrar's own list, to those who are in an association with it.
std::vector<Link> registrar_resources();
// What a registrar says about itself in the open: rt=brski, rt=brski.rjp. Paths are asked for inside.
std::vector<Link> registrar_links(const CoapOffer& offer);
// What a join proxy says to pledges: <>;brski-jp=PORT, and rt=brski.jp.
std::vector<Link> join_proxy_links(const CoapOffer& offer);

// The answer to GET /.well-known/core: those links that the query selects, in link format; 4.04 at any other path. An
// empty list is an answer too, but not to a group: see is_silent().
Response list_resources(const Request& request, const std::vector<Link>& links);
// Whether who asked a group gets no answer at all (RFC 7252 section 8.2; RFC 6690 section 4.1).
bool is_silent(const Response& to_group);

enum class CoapWanted : std::uint8_t { resources, join_proxies, old_join_proxies, registrars };
// The question: rt=brski* (resources, registrars), brski-jp=* or, in old words, rt=brski.jp.
Request find_by_coap(CoapWanted what);

// Where a registrar has its resources, by its own list; those that it does not list are below /.well-known/brski.
struct CoapResources {
  std::string request_voucher, voucher_status, enrol_status;
  bool operator==(const CoapResources&) const = default;
  const std::string& path(Operation operation) const;
};
// Errors: refused (kLinksRefused), malformed (links), unauthentic (kLinksElsewhere: another host or port, or no path).
Result<CoapResources> resources_in(const Uri& server, const Response& answer);

// A way to go on, found in an answer. Nothing here is authentic: the voucher will be.
struct CoapFound {
  enum class Way : std::uint8_t { coaps, jpy };
  Way way = Way::coaps;
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const CoapFound&) const = default;
};
inline constexpr std::size_t kMaxFound = 8;  // of one answer
// The join proxies in an answer of `sender`, an address literal: always on that very host. Other links are passed over.
std::vector<CoapFound> join_proxies_in(const Response& answer, std::string_view sender);
// The registrars in an answer, by both drafts' names; a port for JPY has no default.
std::vector<CoapFound> registrars_in(const Response& answer);
// Which one a join proxy goes to: the first for JPY, which needs no state, else the first of all; null if there is
// none.
const CoapFound* preferred(std::span<const CoapFound> found);

}  // namespace imprint::brski
