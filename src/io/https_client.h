// Outgoing HTTPS connections of one loop: a session first, then requests on it, never a hidden reconnect.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/guard.h"
#include "io/loop.h"
#include "role/turn.h"

namespace imprint::io {

struct HttpsClientOptions {
  Duration connect_timeout{10000};
  Duration request_timeout{30000};
  std::size_t max_response_bytes = 256 * 1024;
};

// Every answer comes from the loop, later, never inside the call; none comes once the client is destroyed, which must
// not happen inside an answer.
class HttpsClient {
 public:
  // Finds the private key that a Credential names.
  using Keys = std::function<Result<PrivateKey>(const std::string& key_id)>;
  static std::unique_ptr<HttpsClient> make(Loop& loop, const Guard& guard, HttpsClientOptions options, Keys keys,
                                           std::function<void(std::uint64_t session)> lost);
  HttpsClient() = default;
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;
  virtual ~HttpsClient();

  // Connects and completes the handshake. With Trust::anchors the peer's path is verified (purpose tls_server) before
  // anything is sent, and the Session carries the proof; with Trust::provisional only the peer's possession of its key.
  // The host name is not compared here: who may speak for whom is the role's decision. Errors: unreachable, unauthentic
  // (path, or an alert that says so), expired, refused (guard; a certificate for another purpose), unsupported (not
  // https), malformed (TLS alert or protocol error, in words in the log). On TLS 1.3 the peer judges our certificate
  // after this side is done: its refusal shows as `lost`, with the alert in the words of the waiting request's error.
  virtual void open(Open what, std::function<void(Result<SessionRef>)> done) = 0;
  // One request at a time a session; a second one waits its turn. Errors: why the session ended, if it has; unreachable
  // (the connection ended before the answer, or none came in time), limit (answer too large; 64 requests wait),
  // malformed (not HTTP; Method::other; a path or query with characters that would end the first line).
  virtual void request(std::uint64_t session, Request what, std::function<void(Result<Response>)> done) = 0;
  // Requests that wait end with unreachable; `lost` is not called.
  virtual void close(std::uint64_t session) = 0;
};

}  // namespace imprint::io
