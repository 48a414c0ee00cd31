// What TLS and DTLS share over OpenSSL: our own certificate, the check of the peer's, and what a handshake came to.
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

// How the path of a peer's certificate is judged.
struct PeerRules {
  // Errors: those of Anchors::load.
  static Result<PeerRules> load(std::vector<Certificate> anchors, bool verifies,
                                std::vector<Certificate> expired_counts_below);

  std::shared_ptr<const Anchors> anchors;
  bool verifies = true;
  bool judges_time = true;                        // see Open
  std::vector<Certificate> expired_counts_below;  // see TlsServerOptions
  Bytes told;                                     // see name_anchors()
};

// Has all handshakes of this context judge their peers by these rules, which must live as long as it does.
void check_peers(ssl_ctx_st* ctx, const PeerRules& rules);

// Presents this chain (own certificate first). False: OpenSSL refuses the key, the chain, or the two together.
bool set_identity(ssl_ctx_st* ctx, const std::vector<Certificate>& chain, const PrivateKey& key);

// Tells servers by which CAs they will be judged, so that they can choose among their chains: trusted_ca_keys on
// TLS 1.2 (RFC 6066 section 6; the names of the CAs), certificate_authorities on TLS 1.3 (RFC 8446 section 4.2.4).
// `told` keeps what is sent and must live as long as the context. False: OpenSSL refuses it.
bool name_anchors(ssl_ctx_st* ctx, const std::vector<Certificate>& anchors, Bytes& told);

// What a handshake finds out about the peer. The path is verified once, here, and its proof goes into the Session.
struct PeerCheck {
  std::vector<Certificate> presented;  // own certificate first
  std::optional<Verified<CertificateChain>> proven;
  std::optional<Error> refusal;  // why the handshake was ended by us
  Bytes srp_record;              // of the secret that was asked for by TLS-SRP
};

// Has the handshake of this connection write its findings there. `check` must stay until the handshake is over.
void watch_peer(ssl_st* ssl, PeerCheck* check);
// Where they are written; null without watch_peer().
PeerCheck* watched_peer(const ssl_st* ssl);

// What ties a message to this connection, once its handshake is complete: tls-unique on TLS 1.2 (RFC 5929 section 3.1),
// and that only with the extended master secret, without which it is not unique (RFC 7627); tls-exporter on TLS 1.3
// (RFC 9266 section 2). Empty if there is none.
Bytes channel_binding(ssl_st* ssl);

// Takes the first error off OpenSSL's queue and empties it. An alert about a certificate or a key is unauthentic or
// expired, as is a peer that has none though it must; another alert or protocol error is malformed, an end of the
// stream unreachable.
Error take_tls_error();

}  // namespace imprint::io
