// An HTTPS (or, for the loopback admin socket, HTTP) server on one loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/loop.h"
#include "io/requests.h"
#include "io/tls.h"

namespace imprint::io {

struct HttpsServerOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6 literal
  std::uint16_t port = 0;             // 0: any free one, see port()
  bool reuse_port = false;            // several loops on one port
  std::shared_ptr<TlsContext> tls;    // none: plain HTTP
  std::size_t max_body_bytes = 16 * 1024;
  std::size_t max_header_bytes = 16 * 1024;
  // Beyond, the longest idle connection of somebody unknown makes room; if there is none, the new one is closed at
  // once.
  std::size_t max_connections = 10000;
  std::size_t max_handshakes =
      512;  // in flight; beyond: silent ones make room, else new ones wait in the kernel's queue
  Duration handshake_timeout{10000};
  // Between requests, for a request that does not get complete, and for answers that are not read.
  Duration idle_timeout{30000};
  Duration max_age{600000};             // of a connection: then its next answer is the last
  std::size_t max_posts_unknown = 100;  // on a connection, of somebody unknown: then its next answer is the last
};

// Counted since the start, for metrics. `shed` are connections that were turned away or ended to make room. Bytes are
// those of HTTP, without TLS around them.
struct HttpsServerStats {
  std::uint64_t accepted = 0, shed = 0, handshakes = 0, handshake_failures = 0, requests = 0, bad_requests = 0,
                bytes_in = 0, bytes_out = 0;
  std::size_t open = 0;
};

class HttpsServer : public RequestServer {
 public:
  struct Handlers {
    std::function<void(Exchange, Request)> request;  // on the loop's thread; answer now or later by reply()
    // The head of a request has come, and its body has not, or not all of it. An answer refuses the body and ends the
    // connection; the request is then not handed over. May be empty.
    std::function<std::optional<Response>(const Request& head)> body_comes;
    // How large its body may be, below max_body_bytes; asked then, too. May be empty.
    std::function<std::size_t(const Request& head)> body_limit;
    std::function<void(Exchange)> gone;                                         // the asker left before it was answered
    std::function<void(std::uint64_t session, const Error&)> handshake_failed;  // why no session came to be
  };
  // Fault::conflict if the address is in use.
  static Result<std::unique_ptr<HttpsServer>> listen(Loop& loop, HttpsServerOptions options, Handlers handlers);
  HttpsServer() = default;
  ~HttpsServer() override;

  // reply() adds Date, Content-Length, Connection and, for Retry-After, WWW-Authenticate and Location, the headers of
  // the Response. Starts an answer without an end (server-sent events): headers now, then pieces of the body, which
  // ends with the connection (so that HTTP/1.0 clients understand it too); false once the asker has left or reads so
  // slowly that 1 MiB waits, and at the start if it asked for the head alone.
  virtual bool start_stream(Exchange to, const Response& head) = 0;
  virtual bool stream(Exchange to, std::string_view chunk) = 0;
  virtual void end_stream(Exchange to) = 0;
  // Octets of a stream that its asker has not taken yet: who streams much waits while there are many.
  virtual std::size_t waiting(Exchange /*to*/) const { return 0; }
  // New connections use this context from now on (certificate renewed, anchors changed). Those of before end: at once
  // if they are idle, else with their next answer.
  virtual void set_tls(std::shared_ptr<TlsContext> tls) = 0;
  virtual HttpsServerStats stats() const = 0;
  // Where the peer of a session that is open comes from, as a numeric literal; empty if nobody can say.
  virtual std::string address_of(std::uint64_t /*session*/) const { return {}; }
};

}  // namespace imprint::io
