// HTTP/1.1 messages (RFC 9112) without sockets: bytes in, messages out, over Debian's http_parser.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "role/session.h"

namespace imprint::io {

struct HttpLimits {
  std::size_t header_bytes = 16 * 1024;
  std::size_t body_bytes = 16 * 1024;
};

// What to answer when a request cannot be read: a status and a sentence.
struct HttpRefusal {
  int status = 400;
  std::string_view why;
};

// Reads requests from a byte stream: chunked or with Content-Length, kept alive, pipelined. Both framings at once,
// obs-fold, several Host or Content-Length headers and bad targets are refused (request smuggling).
class HttpRequestParser {
 public:
  explicit HttpRequestParser(HttpLimits limits);
  ~HttpRequestParser();
  HttpRequestParser(const HttpRequestParser&) = delete;
  HttpRequestParser& operator=(const HttpRequestParser&) = delete;

  // Takes bytes up to the end of one request; says how many it used. After a refusal the connection is to be closed.
  std::size_t feed(BytesView in);
  // The request, once it is complete; then the parser is ready for the next.
  std::optional<Request> take();
  const std::optional<HttpRefusal>& refusal() const;
  bool keep_alive() const;      // of the request taken last
  bool head() const;            // the request read last is a HEAD, taken as a GET: its answer has no body
  bool wants_continue() const;  // headers are read and say Expect: 100-continue
  bool in_message() const;      // some bytes of a request have come
  // The request whose head is read and whose body is not, or not all of it; else null.
  const Request* without_body() const;
  // The body of that request may have so many bytes at most; more than the limits say is not allowed by it.
  void limit_body(std::size_t bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class HttpResponseParser {
 public:
  explicit HttpResponseParser(HttpLimits limits);
  ~HttpResponseParser();
  HttpResponseParser(const HttpResponseParser&) = delete;
  HttpResponseParser& operator=(const HttpResponseParser&) = delete;

  // As above; interim answers (1xx) are skipped. We send no HEAD, so an answer's framing says all. `end` marks that the
  // peer closed in good order, which ends a body without a length.
  std::size_t feed(BytesView in);
  void end();
  // Retry-After as seconds, from its number or, with `now`, its HTTP-date.
  std::optional<Response> take(Instant now);
  bool failed() const;
  bool too_large() const;  // the reason of failed(): a limit
  bool keep_alive() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The bytes of a message. `host` is the Host header's value; Basic credentials are written if the request has a login,
// so the caller wipes the bytes. Bodies of EST get `Content-Transfer-Encoding: base64`, which RFC 8951 abolished and
// old peers want. A header value with control characters is left out.
Bytes encode_request(const Request& request, std::string_view host);
Bytes encode_response(const Response& response, Instant now, bool keep_alive);
// The head of an answer whose body ends with the connection.
Bytes encode_stream_head(const Response& response, Instant now);

// The three date forms of RFC 9110 section 5.6.7.
std::optional<Instant> parse_http_date(std::string_view text);

}  // namespace imprint::io
