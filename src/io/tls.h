// TLS 1.2 and 1.3 over OpenSSL: contexts for both sides. The handshake itself belongs to connection.h.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "crypto/srp.h"
#include "crypto/x509.h"
#include "io/tls_peer.h"
#include "role/session.h"

struct ssl_ctx_st;

namespace imprint::io {

// How a server treats client certificates: it asks always, demands never (EST wants HTTP authentication to remain
// possible, RFC 7030 section 3.3.2); a certificate that is presented must verify or the handshake fails.
struct TlsServerOptions {
  std::vector<Certificate> chain;  // own certificate first
  PrivateKey key;
  std::vector<Certificate> anchors;  // for client certificates: our own CAs and the makers' roots
  bool ask_client_certificate = true;
  // Off: whoever holds the key of some certificate gets in, and Session::presented has it, unproven. For a front that
  // judges certificates itself, and says what is wrong with one.
  bool verify_client_certificate = true;
  // Below these (makers' roots) a path whose time is over still counts: policy for IDevIDs. One that has not begun
  // never does, nor one of our own CAs'.
  std::vector<Certificate> expired_counts_below;
  bool allow_tls12 = true;
  FindSrpSecret find_srp = {};  // users of TLS-SRP are taken, on TLS 1.2; empty: they are not
};

// An SSL_CTX with everything that is fixed for its connections. One per loop: OpenSSL's locks do not travel well.
class TlsContext {
 public:
  // Errors: internal (OpenSSL refuses the key, the chain, or the two together).
  static Result<std::shared_ptr<TlsContext>> server(const TlsServerOptions& options);
  // For one outgoing connection. `key` belongs to `chain`; with an empty chain no certificate is presented. The server
  // is told the names of the anchors if `names_anchors` says so; without `judges_time` our clock does not count.
  static Result<std::shared_ptr<TlsContext>> client(Trust trust, const std::vector<Certificate>& anchors,
                                                    const std::vector<Certificate>& chain, const PrivateKey& key,
                                                    bool names_anchors = false, bool judges_time = true);
  // For one outgoing connection on which both sides prove this secret to each other by TLS-SRP, and no certificates.
  static Result<std::shared_ptr<TlsContext>> srp_client(const Login& login);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();
  ssl_ctx_st* get() const { return ctx_; }

 private:
  TlsContext(ssl_ctx_st* ctx, PeerRules peers);
  ssl_ctx_st* ctx_;
  PeerRules peers_;
  FindSrpSecret find_srp_;  // of a server
  Login srp_;               // of a client
};

}  // namespace imprint::io
