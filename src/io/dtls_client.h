// Outgoing DTLS associations of one loop: a session first, then messages on it, never a hidden reconnect.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/dtls.h"
#include "io/guard.h"
#include "io/loop.h"

namespace imprint::io {

struct DtlsClientSettings {
  Duration connect_timeout{30000};  // until the handshake is complete; retransmissions have to fit in
  std::size_t mtu = kDtlsMtu;       // of datagrams sent, in bytes
  std::size_t max_record = 0;       // as in DtlsClientOptions
  Duration retransmit_first{1000};
};

// A pre-shared key and the identity by which the server finds it.
struct Psk {
  std::string identity;
  Secret key;
};

struct DtlsOpen {
  Uri to;  // scheme coaps; port 5684 if none was written (RFC 7252 section 6.2)
  Trust trust = Trust::anchors;
  std::vector<Certificate> anchors = {};
  std::optional<Credential> as = {};
  std::optional<Psk> psk = {};  // then certificates play no part
  bool names_anchors = false;   // see Open
  bool judges_time = true;      // see Open
};

// Every answer comes from the loop, later, never inside the call; none comes once the client is destroyed, which must
// not happen inside an answer.
class DtlsClient {
 public:
  // Finds the private key that a Credential names.
  using Keys = std::function<Result<PrivateKey>(const std::string& key_id)>;
  struct Handlers {
    std::function<void(std::uint64_t id, BytesView message)> message;  // the bytes are wiped after the call
    // An open association has ended, not by close(): no Error if the peer said so in order; unreachable: nobody has
    // that port any more; else as DtlsConnection::error().
    std::function<void(std::uint64_t id, std::optional<Error>)> closed;
  };
  static std::unique_ptr<DtlsClient> make(Loop& loop, const Guard& guard, DtlsClientSettings settings, Keys keys,
                                          Handlers handlers);
  DtlsClient() = default;
  DtlsClient(const DtlsClient&) = delete;
  DtlsClient& operator=(const DtlsClient&) = delete;
  virtual ~DtlsClient();

  // Completes a handshake with the first address of the host that answers. What trust means is as with
  // HttpsClient::open, and the host name is not compared here either. Errors: unreachable, unauthentic (path, key, or
  // an alert that says so), expired, refused (guard; a certificate for another purpose), unsupported (not coaps),
  // malformed (another alert or protocol error), limit (size of the pre-shared key), internal.
  virtual void open(DtlsOpen what, std::function<void(Result<SessionRef>)> done) = 0;
  // One message, one datagram, which may be lost. Faults: those of DtlsConnection::send; stale (no such association).
  virtual Status send(std::uint64_t id, BytesView message) = 0;
  virtual std::size_t max_message(std::uint64_t id) const = 0;  // in bytes; 0 if there is no such association
  // Says close_notify; `closed` is not called.
  virtual void close(std::uint64_t id) = 0;
};

}  // namespace imprint::io
