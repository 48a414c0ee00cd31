// EST over HTTP: which path carries which message. Tables, no decisions.
#pragma once

#include "proto/est/server.h"

namespace imprint::est {

// What an HTTP request asks of the server role. `path` outside /.well-known/est/ is EST-OPERATION as well.
using ServerMessage =
    std::variant<Server::GetCaCertificates, Server::GetCsrAttributes, Server::Enrol, Server::GenerateKey>;
Result<ServerMessage> parse_request(Exchange from, const Request& request, const ServerConfig& config);

// Whether a Content-Type is this media type, in lower case; parameters are passed over (RFC 9110 section 8.3.1).
bool is_media_type(std::string_view content_type, std::string_view type);

// The form that an answer takes on HTTP: DER as base64 (RFC 8951 section 3.1 leaves the lines open). One unbroken line,
// because strongSwan 5.9.8 reads no other; in lines of 64 for libest, which reads no long one.
Response to_http(Response answer, const Request& asked);

// The parts of an answer: as the binding split them, or of its multipart body, of either form. Parts' bodies are as
// sent.
Result<std::vector<Part>> parts_in(const Response& answer);

// The answer to a request that was refused, in this protocol's own codes (RFC 7030 section 4.2.3; RFC 8951 section 5).
Response wire_error(const Error& error);

// The paths of the client side.
enum class Operation : std::uint8_t { cacerts, csrattrs, simpleenroll, simplereenroll, serverkeygen, fullcmc };
std::string_view name(Operation operation);
std::string path(std::string_view base, std::string_view label, Operation operation);

// The base of a path that path() made: without operation and label. What does not end so is taken as a base.
std::string base_of(std::string_view path, std::string_view label, Operation operation);

inline constexpr std::string_view kCmcRequestType = "application/pkcs7-mime; smime-type=CMC-request";

// A request of the client: GET, or POST with a PKCS#10 body, or a Full PKI Request's.
Request make_request(std::string_view base, std::string_view label, Operation operation, BytesView csr = {});

}  // namespace imprint::est
