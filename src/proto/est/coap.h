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

// The resources as /.well-known/core lists them (RFC 9148 section 4.1), those without a label.
const std::vector<Link>& coap_resources();

// The answer to GET /.well-known/core: the links that the query selects, in link format.
Response discovery(const Request& request);

// A request of the client, below `base` (/.well-known/est if it is empty or "/").
Request make_coap_request(std::string_view base, std::string_view label, Operation operation, BytesView csr = {});

// The base below which a server's links say that EST is; nothing if they do not name all that is mandatory. Links to
// other hosts or ports are passed over.
std::optional<std::string> base_in(const std::vector<Link>& links);

// A request to this server in the binding that its scheme names, "coaps" or "https"; the URI's path is the base.
Request request_to(const Uri& server, std::string_view label, Operation operation, BytesView csr = {});

}  // namespace imprint::est
