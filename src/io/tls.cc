#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>

#include "crypto/openssl_bridge.h"
#include "io/tls_srp.h"

namespace imprint::io {
namespace {

// TLS 1.2 suites with forward secrecy and an AEAD only.
constexpr const char* kSuites12 = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-CCM:@SECLEVEL=2";
const std::string kSuitesWithSrp = std::string(kSuites12) + ":" + kSrpSuites;
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr long kMaxPeerChainBytes = 32 * 1024;
constexpr std::string_view kAlpn = "\x08http/1.1";

// Resumption is only for clients without a certificate. A ticket holds the client's own certificate but not the
// intermediate ones, so its path could not be verified again, and a proof from an earlier connection may be out of
// date: anchors change. A client with a certificate gets a full handshake each time, as does one that proved a secret:
// the secret may have been withdrawn.
SSL_TICKET_RETURN on_ticket(SSL* /*ssl*/, SSL_SESSION* session, const unsigned char* /*name*/, size_t /*size*/,
                            SSL_TICKET_STATUS status, void* /*arg*/) {
  if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT) {
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  if (SSL_SESSION_get0_peer(session) != nullptr || is_srp(SSL_SESSION_get0_cipher(session))) {
    return SSL_TICKET_RETURN_IGNORE;
  }
  return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

int on_new_ticket(SSL* /*ssl*/, void* /*arg*/) { return 1; }

// A peer that names protocols but not ours speaks to the wrong server (RFC 7301 section 3.2).
int on_alpn(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
            void* /*arg*/) {
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(kAlpn.data()),
                                          static_cast<unsigned>(kAlpn.size()), in, in_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool set_common(SSL_CTX* ctx) {
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_NO_AUTO_CHAIN);
  // CLEANSE_PLAINTEXT: passwords and bodies do not stay in OpenSSL's buffers.
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_max_cert_list(ctx, kMaxPeerChainBytes);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);  // tickets only: no memory for those who left
  return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 && SSL_CTX_set_cipher_list(ctx, kSuites12) == 1 &&
         SSL_CTX_set1_groups_list(ctx, kGroups) == 1;
}

bool set_server(SSL_CTX* ctx, const TlsServerOptions& options) {
  static constexpr std::array<unsigned char, 7> kSessionContext{'i', 'm', 'p', 'r', 'i', 'n', 't'};
  SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_alpn_select_cb(ctx, on_alpn, nullptr);
  // No names of CAs are sent along: makers' roots are many, and an empty list lets the client offer what it has.
  SSL_CTX_set_verify(ctx, options.ask_client_certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  return SSL_CTX_set_min_proto_version(ctx, options.allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_session_id_context(ctx, kSessionContext.data(), kSessionContext.size()) == 1 &&
         SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
         SSL_CTX_set_session_ticket_cb(ctx, on_new_ticket, on_ticket, nullptr) == 1 &&
         set_identity(ctx, options.chain, options.key);
}

}  // namespace

TlsContext::TlsContext(ssl_ctx_st* ctx, PeerRules peers) : ctx_(ctx), peers_(std::move(peers)) {}

Result<std::shared_ptr<TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  TRY(PeerRules peers,
      PeerRules::load(options.anchors, options.verify_client_certificate, options.expired_counts_below));
  SSL_CTX* ctx = SSL_CTX_new(TLS_server_method());
  CHECK_OR(ctx != nullptr, Error{Fault::internal, "tls: no context"});
  std::shared_ptr<TlsContext> out(new TlsContext(ctx, std::move(peers)));
  out->find_srp_ = options.find_srp;
  const bool good = set_common(ctx) && set_server(ctx, options) &&
                    (!options.find_srp ||
                     (SSL_CTX_set_cipher_list(ctx, kSuitesWithSrp.c_str()) == 1 && take_srp(ctx, out->find_srp_)));
  ERR_clear_error();
  CHECK_OR(good, Error{Fault::internal, "tls: the server's key and certificates cannot be used"});
  check_peers(ctx, out->peers_);
  return out;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(Trust trust, const std::vector<Certificate>& anchors,
                                                       const std::vector<Certificate>& chain, const PrivateKey& key,
                                                       bool names_anchors, bool judges_time) {
  TRY(PeerRules peers, PeerRules::load(anchors, trust == Trust::anchors, {}));
  peers.judges_time = judges_time;
  SSL_CTX* ctx = SSL_CTX_new(TLS_client_method());
  CHECK_OR(ctx != nullptr, Error{Fault::internal, "tls: no context"});
  std::shared_ptr<TlsContext> out(new TlsContext(ctx, std::move(peers)));
  const bool good = set_common(ctx) && (chain.empty() || set_identity(ctx, chain, key)) &&
                    (!names_anchors || name_anchors(ctx, anchors, out->peers_.told));
  ERR_clear_error();
  CHECK_OR(good, Error{Fault::internal, "tls: the client's key and certificates cannot be used"});
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  check_peers(ctx, out->peers_);
  return out;
}

Result<std::shared_ptr<TlsContext>> TlsContext::srp_client(const Login& login) {
  TRY(PeerRules peers, PeerRules::load({}, true, {}));
  SSL_CTX* ctx = SSL_CTX_new(TLS_client_method());
  CHECK_OR(ctx != nullptr, Error{Fault::internal, "tls: no context"});
  std::shared_ptr<TlsContext> out(new TlsContext(ctx, std::move(peers)));
  out->srp_ = login;
  const bool good = set_common(ctx) && use_srp(ctx, out->srp_);
  ERR_clear_error();
  CHECK_OR(good, Error{Fault::internal, "tls: the secret cannot be used"});
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  check_peers(ctx, out->peers_);
  return out;
}

TlsContext::~TlsContext() { SSL_CTX_free(ctx_); }

}  // namespace imprint::io
