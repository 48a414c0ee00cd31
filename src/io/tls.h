// TLS 1.2 and 1.3 over OpenSSL: contexts for both sides. The handshake itself belongs to connection.h.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "crypto/x509.h"
#include "role/session.h"

struct ssl_st;
struct ssl_ctx_st;

namespace imprint {
class Anchors;
}

namespace imprint::io {

// How a server treats client certificates: it asks always, demands never (EST wants HTTP authentication to remain
// possible, RFC 7030 section 3.3.2); a certificate that is presented must verify or the handshake fails.
struct TlsServerOptions {
  std::vector<Certificate> chain;  // own certificate first
  PrivateKey key;
  std::vector<Certificate> anchors;  // for client certificates: our own CAs and the makers' roots
  bool ask_client_certificate = true;
  // Below these (makers' roots) a path whose time is over still counts: policy for IDevIDs. One that has not begun
  // never does, nor one of our own CAs'.
  std::vector<Certificate> expired_counts_below;
  bool allow_tls12 = true;
};

// An SSL_CTX with everything that is fixed for its connections. One per loop: OpenSSL's locks do not travel well.
class TlsContext {
 public:
  // Errors: internal (OpenSSL refuses the key, the chain, or the two together).
  static Result<std::shared_ptr<TlsContext>> server(const TlsServerOptions& options);
  // For one outgoing connection. `key` belongs to `chain`; with an empty chain no certificate is presented.
  static Result<std::shared_ptr<TlsContext>> client(Trust trust, std::vector<Certificate> anchors,
                                                    const std::vector<Certificate>& chain, const PrivateKey& key);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();
  ssl_ctx_st* get() const { return ctx_; }
  const Anchors& anchors() const { return *anchors_; }
  bool verifies() const { return verifies_; }
  const std::vector<Certificate>& expired_counts_below() const { return expired_counts_below_; }

 private:
  TlsContext(ssl_ctx_st* ctx, std::unique_ptr<const Anchors> anchors, bool verifies,
             std::vector<Certificate> expired_counts_below);
  ssl_ctx_st* ctx_;
  std::unique_ptr<const Anchors> anchors_;
  bool verifies_;
  std::vector<Certificate> expired_counts_below_;
};

// What a handshake finds out about the peer. The path is verified once, here, and its proof goes into the Session.
struct PeerCheck {
  std::vector<Certificate> presented;  // own certificate first
  std::optional<Verified<CertificateChain>> proven;
  std::optional<Error> refusal;  // why the handshake was ended by us
};

// Has the handshake of this connection write its findings there. `check` must stay until the handshake is over.
void watch_peer(ssl_st* ssl, PeerCheck* check);

// What ties a message to this connection, once its handshake is complete: tls-unique on TLS 1.2 (RFC 5929 section 3.1),
// and that only with the extended master secret, without which it is not unique (RFC 7627); tls-exporter on TLS 1.3
// (RFC 9266 section 2). Empty if there is none.
Bytes channel_binding(ssl_st* ssl);

// Takes the first error off OpenSSL's queue and empties it. An alert about a certificate is unauthentic or expired,
// another alert or protocol error malformed, an end of the stream unreachable.
Error take_tls_error();

}  // namespace imprint::io
