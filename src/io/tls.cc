#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>

#include "crypto/openssl_bridge.h"
#include "io/loop.h"

namespace imprint::io {
namespace {

// TLS 1.2 suites with forward secrecy and an AEAD only.
constexpr const char* kSuites12 = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-CCM:@SECLEVEL=2";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr long kMaxPeerChainBytes = 32 * 1024;
constexpr int kMaxPeerChain = 10;
constexpr std::string_view kAlpn = "\x08http/1.1";

int check_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// The X509_V_ERR that makes OpenSSL send the alert which says the most to the peer's operator.
int verify_error(Fault fault) {
  switch (fault) {
    case Fault::expired:
      return X509_V_ERR_CERT_HAS_EXPIRED;  // certificate_expired
    case Fault::refused:
      return X509_V_ERR_INVALID_PURPOSE;  // unsupported_certificate
    case Fault::unauthentic:
      return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;  // unknown_ca
    default:
      return X509_V_ERR_CERT_REJECTED;  // bad_certificate
  }
}

Result<std::vector<Certificate>> presented_chain(X509_STORE_CTX* store) {
  std::vector<Certificate> out;
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  CHECK_OR(sk_X509_num(sent) <= kMaxPeerChain, Error{Fault::limit, "tls: a certificate chain of more than 10"});
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    TRY(Certificate one, from_openssl(sk_X509_value(sent, i)));
    out.push_back(std::move(one));
  }
  CHECK_OR(!out.empty(), Error{Fault::malformed, "tls: an empty certificate chain"});
  return out;
}

// Whether the path ends at one of these anchors, and nothing in it is still to begin.
bool only_late(const CertificateChain& chain, const std::vector<Certificate>& anchors, Instant now) {
  const auto begun = [now](const Certificate& c) { return c.not_before <= now; };
  return std::ranges::find(anchors, chain.anchor) != anchors.end() && begun(chain.leaf) && begun(chain.anchor) &&
         std::ranges::all_of(chain.via, begun);
}

// The certificates as OpenSSL has read them go straight back to it.
Result<Verified<CertificateChain>> prove(X509_STORE_CTX* store, const std::vector<Certificate>& presented,
                                         const TlsContext& context, Purpose purpose) {
  const STACK_OF(X509)* raw = X509_STORE_CTX_get0_untrusted(store);
  std::vector<Received> sent;
  for (std::size_t i = 0; i < presented.size(); ++i) {
    sent.push_back({&presented[i], sk_X509_value(raw, static_cast<int>(i))});
  }
  ChainRules rules{.purpose = purpose, .at = wall_clock()};
  auto proven = verify_received(sent, context.anchors(), rules);
  if (proven || proven.error().fault != Fault::expired || context.expired_counts_below().empty()) {
    return proven;
  }
  rules.check_time = false;
  TRY(auto late, verify_received(sent, context.anchors(), rules));
  CHECK_OR(only_late(*late, context.expired_counts_below(), rules.at), proven.error());
  return late;
}

Status check_peer(X509_STORE_CTX* store, const SSL* ssl, const TlsContext& context, PeerCheck& check) {
  TRY(check.presented, presented_chain(store));
  if (context.verifies()) {
    const Purpose purpose = SSL_is_server(ssl) == 1 ? Purpose::tls_client : Purpose::tls_server;
    TRY(auto proven, prove(store, check.presented, context, purpose));
    check.proven = std::move(proven);
  }
  return Ok{};
}

// Replaces OpenSSL's own path validation by crypto::verify_chain.
int on_peer_chain(X509_STORE_CTX* store, void* arg) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* check = static_cast<PeerCheck*>(SSL_get_ex_data(ssl, check_index()));
  assert(check != nullptr);
  const Status status = check_peer(store, ssl, *static_cast<const TlsContext*>(arg), *check);
  if (!status) {
    check->refusal = status.error();
    X509_STORE_CTX_set_error(store, verify_error(status.error().fault));
    return 0;
  }
  if (SSL_is_server(ssl) == 1) {
    SSL_set_num_tickets(ssl, 0);  // see on_ticket()
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

// Resumption is only for clients without a certificate. A ticket holds the client's own certificate but not the
// intermediate ones, so its path could not be verified again, and a proof from an earlier connection may be out of
// date: anchors change. A client with a certificate gets a full handshake each time.
SSL_TICKET_RETURN on_ticket(SSL* /*ssl*/, SSL_SESSION* session, const unsigned char* /*name*/, size_t /*size*/,
                            SSL_TICKET_STATUS status, void* /*arg*/) {
  if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT) {
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  if (SSL_SESSION_get0_peer(session) != nullptr) {
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

bool set_identity(SSL_CTX* ctx, const std::vector<Certificate>& chain, const PrivateKey& key) {
  const X509Ptr own = chain.empty() ? nullptr : openssl_certificate(chain.front());
  const EvpKey own_key = openssl_key(key);
  if (own == nullptr || own_key == nullptr || SSL_CTX_use_certificate(ctx, own.get()) != 1 ||
      SSL_CTX_use_PrivateKey(ctx, own_key.get()) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
    return false;
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    const X509Ptr next = openssl_certificate(chain[i]);
    if (next == nullptr || SSL_CTX_add1_chain_cert(ctx, next.get()) != 1) {
      return false;
    }
  }
  return true;
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

Fault alert_fault(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
      return Fault::unauthentic;
    case SSL_AD_CERTIFICATE_EXPIRED:
      return Fault::expired;
    default:
      return Fault::malformed;
  }
}

Result<std::unique_ptr<const Anchors>> load_anchors(std::vector<Certificate> certificates) {
  TRY(Anchors loaded, Anchors::load(std::move(certificates)));
  return std::make_unique<const Anchors>(std::move(loaded));
}

}  // namespace

TlsContext::TlsContext(ssl_ctx_st* ctx, std::unique_ptr<const Anchors> anchors, bool verifies,
                       std::vector<Certificate> expired_counts_below)
    : ctx_(ctx),
      anchors_(std::move(anchors)),
      verifies_(verifies),
      expired_counts_below_(std::move(expired_counts_below)) {}

Result<std::shared_ptr<TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  TRY(auto anchors, load_anchors(options.anchors));
  SSL_CTX* ctx = SSL_CTX_new(TLS_server_method());
  CHECK_OR(ctx != nullptr, Error{Fault::internal, "tls: no context"});
  std::shared_ptr<TlsContext> out(new TlsContext(ctx, std::move(anchors), true, options.expired_counts_below));
  const bool good = set_common(ctx) && set_server(ctx, options);
  ERR_clear_error();
  CHECK_OR(good, Error{Fault::internal, "tls: the server's key and certificates cannot be used"});
  SSL_CTX_set_cert_verify_callback(ctx, on_peer_chain, out.get());
  return out;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(Trust trust, std::vector<Certificate> anchors,
                                                       const std::vector<Certificate>& chain, const PrivateKey& key) {
  TRY(auto loaded, load_anchors(std::move(anchors)));
  SSL_CTX* ctx = SSL_CTX_new(TLS_client_method());
  CHECK_OR(ctx != nullptr, Error{Fault::internal, "tls: no context"});
  std::shared_ptr<TlsContext> out(new TlsContext(ctx, std::move(loaded), trust == Trust::anchors, {}));
  const bool good = set_common(ctx) && (chain.empty() || set_identity(ctx, chain, key));
  ERR_clear_error();
  CHECK_OR(good, Error{Fault::internal, "tls: the client's key and certificates cannot be used"});
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(ctx, on_peer_chain, out.get());
  return out;
}

TlsContext::~TlsContext() { SSL_CTX_free(ctx_); }

void watch_peer(ssl_st* ssl, PeerCheck* check) { SSL_set_ex_data(ssl, check_index(), check); }

Bytes channel_binding(ssl_st* ssl) {
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  if (SSL_version(ssl) == TLS1_3_VERSION) {
    Bytes out(32);
    const std::uint8_t none = 0;  // the context is there, with no bytes in it: not the same as no context
    const int good = SSL_export_keying_material(ssl, out.data(), out.size(), kLabel.data(), kLabel.size(), &none, 0, 1);
    return good == 1 ? out : Bytes{};
  }
  if (SSL_get_extms_support(ssl) != 1) {
    return {};
  }
  // The first Finished of a full handshake is the client's, of a resumed one the server's.
  const bool ours = (SSL_is_server(ssl) == 1) == (SSL_session_reused(ssl) == 1);
  Bytes out(EVP_MAX_MD_SIZE);
  const std::size_t size =
      ours ? SSL_get_finished(ssl, out.data(), out.size()) : SSL_get_peer_finished(ssl, out.data(), out.size());
  out.resize(std::min(size, out.size()));
  return out;
}

Error take_tls_error() {
  const unsigned long first = ERR_peek_error();
  ERR_clear_error();
  const int reason = ERR_GET_REASON(first);
  if (first == 0 || ERR_GET_LIB(first) == ERR_LIB_SYS || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return {Fault::unreachable, "tls: the peer left"};
  }
  const char* words = ERR_reason_error_string(first);  // static text of OpenSSL
  const Fault fault = reason >= SSL_AD_REASON_OFFSET ? alert_fault(reason - SSL_AD_REASON_OFFSET) : Fault::malformed;
  return {fault, words == nullptr ? "tls: protocol error" : words};
}

}  // namespace imprint::io
