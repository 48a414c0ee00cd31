// Requests and responses as CoAP writes them (RFC 7252 sections 5 and 6). Statuses are those of HTTP, mapped as
// RFC 8075 section 7 does; blocks, tokens and message ids are not seen here.
#pragma once

#include "codec/coap.h"
#include "role/session.h"

namespace imprint::coap {

// What a request of a peer asks. Path and query are put together again with percent-encoding where a segment needs it.
// Errors: unsupported (a critical option that we do not know: 4.02; another method: 4.05), malformed (an option with an
// impossible value), refused (a proxy is asked for: 5.05).
Result<Request> to_request(const Message& message);

// Method, path, query, Content-Format, Accept and ETag of a request of ours; the payload is not set. malformed: a path
// or query with a bad percent-encoding or a segment of more than 255 bytes; unsupported: a method or a media type
// without a number.
Result<Message> to_message(const Request& request);

// Code, Content-Format, ETag and Max-Age of an answer; the payload is not set. An error's text goes without a
// Content-Format (diagnostic payload, section 5.5.2). A media type without a number is our own fault: 5.00.
Message to_message(const Response& response, Method asked);

// What a peer answered. 2.04 and 2.05 are 200, 2.03 is 304; other classes have the same numbers as on HTTP. Max-Age of
// 5.03 is retry_after_s (60 if absent, section 5.10.5). malformed: not the code of a response.
Result<Response> to_response(const Message& message);

// The code that tells a peer about a refusal of to_request().
Code code_of(const Error& error);

}  // namespace imprint::coap
