// Many DTLS associations on one UDP port.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/dtls.h"
#include "io/loop.h"

namespace imprint::io {

// A second port of the same address, where join proxies bring the datagrams of many, each with a header by which the
// answer finds its way. The context's MTU has to leave room for it (kWrappedMtu).
struct DtlsWrapped {
  std::uint16_t port = 0;  // 0: any free one, see wrapped_port()
  Envelope envelope;
};

struct DtlsListenOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6 literal; no wildcard on a machine with several addresses
  std::uint16_t port = 0;             // 0: any free one, see port()
  bool reuse_port = false;            // several loops on one port
  std::shared_ptr<DtlsContext> dtls;
  std::optional<DtlsWrapped> wrapped = {};
  // Beyond, the longest idle association of somebody unknown makes room; if there is none, the new one is shed.
  std::size_t max_associations = 20000;
  std::size_t max_of_one = 16;       // associations of one certificate or key; beyond, its quietest one ends
  std::size_t max_handshakes = 512;  // in flight; beyond: silent ones and long ones make room, else the new one is shed
  Duration handshake_timeout{30000};
  Duration idle_timeout{300000};  // since the last message that the peer sent
};

// Counted since the start, for metrics. `accepted` are hellos with a right cookie, `shed` those that found no place and
// the associations that ended to make room. Bytes are those of datagrams.
struct DtlsServerStats {
  std::uint64_t accepted = 0, handshakes = 0, handshake_failures = 0, shed = 0, cookies = 0, datagrams_in = 0,
                datagrams_out = 0, bytes_in = 0, bytes_out = 0;
  std::uint64_t unreadable = 0;  // datagrams at the port for join proxies that wrap nothing
  std::size_t open = 0;          // associations, those in their handshakes included
};

// All on the loop's thread. The server must not be destroyed inside one of its handlers; all else may be called there.
// A path, an address or a proxy's with a header, has one open association. A new handshake from there leaves it alone
// until the handshake is complete, and then replaces it: anybody can write a hello, only the client can finish (RFC
// 6347 section 4.2.8).
class DtlsServer {
 public:
  struct Handlers {
    std::function<void(std::uint64_t id, const SessionRef&)> opened;
    std::function<void(std::uint64_t id, BytesView message)> message;  // the bytes are wiped after the call
    // An open association has ended, not by close(): no Error if the peer said so in order. Faults: stale (replaced by
    // the client's new one), unreachable (idle), limit (made room), others as DtlsConnection::error().
    std::function<void(std::uint64_t id, std::optional<Error>)> closed;
    std::function<void(std::uint64_t id, const Error&)> handshake_failed;  // why no session came to be; may be empty
  };
  // Errors: those of UdpSocket::bind.
  static Result<std::unique_ptr<DtlsServer>> listen(Loop& loop, DtlsListenOptions options, Handlers handlers);
  DtlsServer() = default;
  DtlsServer(const DtlsServer&) = delete;
  DtlsServer& operator=(const DtlsServer&) = delete;
  virtual ~DtlsServer();

  virtual std::uint16_t port() const = 0;
  virtual std::uint16_t wrapped_port() const = 0;  // 0: there is none
  // One message, one datagram, which may be lost. Faults: those of DtlsConnection::send; stale (no such association).
  virtual Status send(std::uint64_t id, BytesView message) = 0;
  virtual std::size_t max_message(std::uint64_t id) const = 0;  // in bytes; 0 if there is no such association
  // Says close_notify; `closed` is not called.
  virtual void close(std::uint64_t id) = 0;
  // Later handshakes use this context (certificate renewed, anchors changed). Open associations stay.
  virtual void set_context(std::shared_ptr<DtlsContext> dtls) = 0;
  // Begins no new handshake and ends those in flight; `done` once all associations are closed or the grace is over, at
  // which the rest is closed.
  virtual void drain(Duration grace, std::function<void()> done) = 0;
  virtual DtlsServerStats stats() const = 0;
};

}  // namespace imprint::io
