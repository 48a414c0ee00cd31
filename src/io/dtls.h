// DTLS 1.2 (RFC 6347) without sockets: what an engine has to do. Datagrams go in and come out by hand.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/datagram_path.h"
#include "role/session.h"

namespace imprint::io {

// The largest datagram that we send: IPv6's least MTU (RFC 8200 section 5) without the headers of IPv6 and UDP.
inline constexpr std::size_t kDtlsMtu = 1280 - 48;
// The same for who speaks through stateless join proxies, which wrap it (38 bytes at most).
inline constexpr std::size_t kWrappedMtu = kDtlsMtu - 38;

// Finds the key that belongs to an identity; nothing: unknown.
using PskKeys = std::function<std::optional<Secret>(std::string_view identity)>;

// A server proves itself by a certificate, or by pre-shared keys, or by either, as the client asks for.
struct DtlsServerOptions {
  std::vector<Certificate> chain = {};  // own certificate first; empty: pre-shared keys only
  PrivateKey key = {};
  std::vector<Certificate> anchors = {};               // for client certificates
  std::vector<Certificate> expired_counts_below = {};  // as in TlsServerOptions
  // Whether a client that does not prove itself by a pre-shared key must have a certificate (RFC 9148 section 3: it
  // authenticates every operation). One that is presented must verify in any case.
  bool client_certificate_needed = true;
  PskKeys psk = {};                 // none: no suite with pre-shared keys
  std::size_t mtu = kDtlsMtu;       // of datagrams sent, in bytes, 512 to 4096
  Duration retransmit_first{1000};  // then twice as long each time, up to a minute (RFC 6347 section 4.2.4.1)
};

// With an identity for a pre-shared key only suites with such keys are offered, else only those with certificates.
struct DtlsClientOptions {
  Trust trust = Trust::anchors;
  std::vector<Certificate> anchors = {};
  std::vector<Certificate> chain = {};  // own certificate first; empty: none is presented
  PrivateKey key = {};
  std::string psk_identity = {};  // at most 128 bytes
  Secret psk = {};                // at most 256 bytes
  bool names_anchors = false;     // the server is told their names (RFC 6066 section 6)
  bool judges_time = true;        // see Open
  std::size_t mtu = kDtlsMtu;
  // The largest records, in bytes of content, that we can take: 512 or 1024 (RFC 6066 section 4); else nothing is
  // asked.
  std::size_t max_record = 0;
  Duration retransmit_first{1000};
};

// One association. After each call that may have changed something, its owner takes what came of it, in this order:
// datagrams to send, the state, messages received; then it asks for the timeout.
class DtlsConnection {
 public:
  enum class State : std::uint8_t { handshaking, open, closed };

  DtlsConnection();
  DtlsConnection(const DtlsConnection&) = delete;
  DtlsConnection& operator=(const DtlsConnection&) = delete;
  virtual ~DtlsConnection();

  // A number that this process has not used before; the session's too.
  std::uint64_t id() const { return id_; }

  // Makes our first flight. Once, before all else.
  virtual void start() = 0;
  // A datagram from the peer, or from anybody who writes its address: what does not fit is dropped without a word.
  virtual void receive(BytesView datagram) = 0;
  // One message is one record is one datagram. Faults: unexpected (not open), malformed (empty), limit (larger than
  // max_message()).
  virtual Status send(BytesView plaintext) = 0;
  virtual std::size_t max_message() const = 0;  // in bytes; 0 unless open

  virtual std::optional<Bytes> take_datagram() = 0;
  // What arrived, each message once, not always in the order sent. At most 64 are kept, the rest is dropped.
  virtual std::optional<Bytes> take_message() = 0;

  virtual State state() const = 0;
  // Why it is closed; nothing: in order, by either side. Faults: unauthentic (path, key, an alert that says so; no
  // certificate though one is needed), expired, refused (a certificate for another purpose), malformed (another alert
  // or protocol error), unreachable (no answer to any retransmission; given up).
  virtual std::optional<Error> error() const = 0;
  // Null until it is open, and there after.
  virtual SessionRef session() const = 0;

  // How long until expire() is due, if at all: zero when it is late.
  virtual std::optional<Duration> timeout() const = 0;
  // Sends the last flight again if that is due.
  virtual void expire() = 0;
  // The owner's time for the handshake is over: closes with unreachable. Without effect once it is open.
  virtual void give_up() = 0;
  // Says close_notify, if it is open, and closes.
  virtual void close() = 0;

 private:
  std::uint64_t id_;
};

// What an acceptor makes of a datagram: one of these, or nothing.
struct DtlsAnswer {
  std::optional<Bytes> reply;                  // for the address that it came from
  std::unique_ptr<DtlsConnection> connection;  // not started: nothing is computed yet
};

// The server's side toward addresses that it does not know: it answers a ClientHello by a cookie and keeps nothing
// until the cookie comes back from the same address, and with the same header (RFC 6347 section 4.2.1). The reply is
// shorter than the hello.
class DtlsAcceptor {
 public:
  DtlsAcceptor() = default;
  DtlsAcceptor(const DtlsAcceptor&) = delete;
  DtlsAcceptor& operator=(const DtlsAcceptor&) = delete;
  virtual ~DtlsAcceptor();

  virtual DtlsAnswer accept(const DatagramPath& from, BytesView datagram, Instant now) = 0;
};

// What is fixed for many associations: our own credentials, whom we believe. One per loop.
class DtlsContext {
 public:
  DtlsContext() = default;
  DtlsContext(const DtlsContext&) = delete;
  DtlsContext& operator=(const DtlsContext&) = delete;
  virtual ~DtlsContext();

  // What they give stays usable without the context.
  virtual std::unique_ptr<DtlsAcceptor> acceptor() = 0;
  // `host` is whom we mean to reach; sent as SNI unless it is an address or the trust is provisional.
  virtual std::unique_ptr<DtlsConnection> connect(const std::string& host) = 0;
};

}  // namespace imprint::io
