// Requests and responses over connections, whatever carries them: HTTPS or CoAPS.
#pragma once

#include <functional>

#include "base/instant.h"
#include "role/turn.h"

namespace imprint::io {

// Takes requests and answers them. All on one schedule's thread; not to be destroyed inside one of its handlers.
class RequestServer {
 public:
  RequestServer() = default;
  RequestServer(const RequestServer&) = delete;
  RequestServer& operator=(const RequestServer&) = delete;
  virtual ~RequestServer();

  virtual std::uint16_t port() const = 0;
  // Answers a request. One whose asker has left is dropped silently.
  virtual void reply(Exchange to, const Response& response) = 0;
  // The asker has proven who it is. Its connection is kept when another has to make room; one whose client certificate
  // was verified is so from the start.
  virtual void known(Exchange /*from*/) {}
  // Takes no new connections and no further requests; `done` once all are answered or the grace is over.
  virtual void drain(Duration grace, std::function<void()> done) = 0;
};

// Opens connections and asks on them. Every answer comes from the schedule, later, never inside the call; none comes
// once the client is destroyed, which must not happen inside an answer.
class RequestClient {
 public:
  RequestClient() = default;
  RequestClient(const RequestClient&) = delete;
  RequestClient& operator=(const RequestClient&) = delete;
  virtual ~RequestClient();

  // Connects and completes the handshake. With Trust::anchors the peer's path is verified (purpose tls_server) before
  // anything is sent, and the Session carries the proof; with Trust::provisional only the peer's possession of its key.
  // The host name is not compared here: who may speak for whom is the role's decision. Errors: unreachable, unauthentic
  // (path, or an alert that says so), expired, refused (guard; a certificate for another purpose), unsupported (another
  // scheme), malformed (alert or protocol error, in words in the log).
  virtual void open(Open what, std::function<void(Result<SessionRef>)> done) = 0;
  // One request at a time a session; a second one waits its turn. Errors: why the session ended, if it has; unreachable
  // (the connection ended before the answer, or none came in time), limit (answer too large; 64 requests wait),
  // malformed (the answer is not of the protocol, or the request cannot be written in it).
  virtual void request(std::uint64_t session, Request what, std::function<void(Result<Response>)> done) = 0;
  // Requests that wait end with unreachable; nobody is told that the session is lost.
  virtual void close(std::uint64_t session) = 0;
};

}  // namespace imprint::io
