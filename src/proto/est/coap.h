// EST over CoAP (RFC 9148): which path carries which message, in which Content-Format. Tables, no decisions. Media
// types stand for Content-Formats, statuses for codes (coap/mapping.h).
#pragma once

#include "codec/link_format.h"
#include "proto/est/http.h"

namespace imprint::est {

// What a CoAP request asks of the server role: SHORT below /.well-known/est/ or /est/, with a label before it if
// wanted. EST-ACCEPT if the answer cannot be given in the form that is accepted.
Result<ServerMessage> parse_coap_request(Exchange from, const Request& request, const ServerConfig& config);

// The form that an answer takes on CoAP: raw DER, one certificate or several as the asker accepts; "come again" is 5.03
// with Max-Age (RFC 9148 section 4.7), no wishes are 4.04 (section 4.5).
Response to_coap(Response answer, const Request& asked);

// The resources as /.well-known/core lists them (RFC 9148 section 4.1), those without a label; skg and skc if the
// server makes keys there.
std::vector<Link> coap_resources(const ServerConfig& config);

// The answer to GET /.well-known/core: the links that the query selects, in link format.
Response discovery(const Request& request, const ServerConfig& config);

// The client's side of that: the question, and what an answer of `server` makes of its URI: the base of its resources
// in the path, maybe another port. Errors: refused (no answer, or no such link), malformed (links, or a target that is
// no path of EST), unauthentic (another host).
Request discovery_request();
Result<Uri> discovered(const Uri& server, const Response& answer);

// A request of the client, below `base` (/.well-known/est if it is empty or "/").
Request make_coap_request(std::string_view base, std::string_view label, Operation operation, BytesView csr = {});

// A request to this server in the binding that its scheme names, "coaps" or "https"; the URI's path is the base.
Request request_to(const Uri& server, std::string_view label, Operation operation, BytesView csr = {});

}  // namespace imprint::est
