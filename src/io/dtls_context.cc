#include "io/dtls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <string_view>

namespace imprint::io {
namespace {

constexpr const char* kCertificateSuites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8";
// OpenSSL 3.0 has ECDHE with pre-shared keys for CBC and ChaCha20 only.
constexpr const char* kPskSuites = "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256:PSK-AES128-CCM:PSK-AES128-CCM8";
// Below TLS 1.3 they are the curves of certificates, too (RFC 8422 section 5.1.1), so P-384 is there for credentials on
// it. It comes last: a key exchange on it costs several times as much, and RFC 9148 section 3 wants P-256.
constexpr const char* kGroups = "P-256:X25519:P-384";
constexpr long kMaxPeerChainBytes = 16 * 1024;
constexpr std::size_t kMinMtu = 512, kMaxMtu = 4096;  // OpenSSL gathers flights in 4096 bytes
constexpr std::size_t kMaxPskIdentity = 128, kMaxPsk = 256;

using SecurityCallback = int (*)(const SSL*, const SSL_CTX*, int, int, int, void*, void*);
SecurityCallback usual_security = nullptr;

// Level 2, but for the suites with CCM8, which count as 64 bits by the length of their tags (RFC 9148 section 3 wants
// them).
int security(const SSL* ssl, const SSL_CTX* ctx, int what, int bits, int nid, void* other, void* arg) {
  const bool suite =
      what == SSL_SECOP_CIPHER_SUPPORTED || what == SSL_SECOP_CIPHER_SHARED || what == SSL_SECOP_CIPHER_CHECK;
  if (suite && other != nullptr) {
    const std::string_view name = SSL_CIPHER_get_name(static_cast<const SSL_CIPHER*>(other));
    if (name.ends_with("-AES128-CCM8")) {
      return 1;
    }
  }
  return usual_security(ssl, ctx, what, bits, nid, other, arg);
}

// What the server is told that our records may hold.
std::uint8_t record_code(std::size_t max_record) {
  constexpr std::size_t kLarge = 1024, kSmall = 512;
  return max_record == kLarge   ? TLSEXT_max_fragment_length_1024
         : max_record == kSmall ? TLSEXT_max_fragment_length_512
                                : TLSEXT_max_fragment_length_DISABLED;
}

bool set_common(SSL_CTX* ctx, std::size_t mtu, bool certificates, bool psk) {
  static const SecurityCallback usual = usual_security = SSL_CTX_get_security_callback(ctx);
  static_cast<void>(usual);
  SSL_CTX_set_security_level(ctx, 2);
  SSL_CTX_set_security_callback(ctx, security);
  SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT |
                               SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(ctx, kMaxPeerChainBytes);
  std::string suites = certificates ? kCertificateSuites : "";
  if (psk) {
    suites += (suites.empty() ? "" : ":") + std::string(kPskSuites);
  }
  return SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) == 1 &&
         SSL_CTX_set_max_send_fragment(ctx, static_cast<long>(mtu)) == 1 &&
         SSL_CTX_set_cipher_list(ctx, suites.c_str()) == 1 && SSL_CTX_set1_groups_list(ctx, kGroups) == 1;
}

Result<std::shared_ptr<OpenSslDtls>> new_context(const SSL_METHOD* method, PeerRules peers, std::size_t mtu) {
  CHECK_OR(mtu >= kMinMtu && mtu <= kMaxMtu, Error{Fault::limit, "dtls: an MTU below 512 or above 4096"});
  auto out = std::make_shared<OpenSslDtls>();
  out->ctx = SSL_CTX_new(method);
  CHECK_OR(out->ctx != nullptr, Error{Fault::internal, "dtls: no context"});
  out->peers = std::move(peers);
  out->mtu = mtu;
  check_peers(out->ctx, out->peers);
  return out;
}

int read_datagram(BIO* bio, char* out, std::size_t size, std::size_t* done) {
  auto* datagrams = static_cast<Datagrams*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (!datagrams->in) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const BytesView in = datagrams->in->first(std::min(size, datagrams->in->size()));
  std::ranges::copy(in, out);
  *done = in.size();
  datagrams->in.reset();
  return 1;
}

int write_datagram(BIO* bio, const char* in, std::size_t size, std::size_t* done) {
  static_cast<Datagrams*>(BIO_get_data(bio))->out.push_back(to_bytes(std::string_view(in, size)));
  *done = size;
  return 1;
}

// The MTU is set on the connection, and timers are asked for there: OpenSSL's other questions have no answer here.
long control(BIO* /*bio*/, int what, long /*number*/, void* /*pointer*/) { return what == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* make_method() {
  BIO_METHOD* out = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams");
  if (out != nullptr) {
    BIO_meth_set_read_ex(out, read_datagram);
    BIO_meth_set_write_ex(out, write_datagram);
    BIO_meth_set_ctrl(out, control);
  }
  return out;
}

}  // namespace

OpenSslDtls::~OpenSslDtls() { SSL_CTX_free(ctx); }

Result<std::shared_ptr<OpenSslDtls>> OpenSslDtls::server(const DtlsServerOptions& options) {
  const bool certificates = !options.chain.empty();
  const bool psk = options.psk != nullptr;
  CHECK_OR(certificates || psk, Error{Fault::internal, "dtls: neither a certificate nor pre-shared keys"});
  TRY(PeerRules peers, PeerRules::load(options.anchors, true, options.expired_counts_below));
  TRY(auto out, new_context(DTLS_server_method(), std::move(peers), options.mtu));
  const bool good = set_common(out->ctx, options.mtu, certificates, psk) &&
                    (!certificates || set_identity(out->ctx, options.chain, options.key));
  ERR_clear_error();
  CHECK_OR(good, Error{Fault::internal, "dtls: the server's key and certificates cannot be used"});
  SSL_CTX_set_options(out->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_COOKIE_EXCHANGE);
  SSL_CTX_set_verify(
      out->ctx, SSL_VERIFY_PEER | (options.client_certificate_needed ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  out->find_psk = options.psk;
  out->retransmit_first = options.retransmit_first;
  return out;
}

Result<std::shared_ptr<OpenSslDtls>> OpenSslDtls::client(const DtlsClientOptions& options) {
  const bool psk = !options.psk_identity.empty();
  CHECK_OR(
      options.psk_identity.size() <= kMaxPskIdentity && options.psk.size() <= kMaxPsk && psk != options.psk.empty(),
      Error{Fault::limit, "dtls: the pre-shared key or its identity"});
  const bool verifies = options.trust == Trust::anchors;
  TRY(PeerRules peers, PeerRules::load(options.anchors, verifies, {}));
  peers.judges_time = options.judges_time;
  TRY(auto out, new_context(DTLS_client_method(), std::move(peers), options.mtu));
  const bool good = set_common(out->ctx, options.mtu, !psk, psk) &&
                    (options.chain.empty() || set_identity(out->ctx, options.chain, options.key)) &&
                    SSL_CTX_set_tlsext_max_fragment_length(out->ctx, record_code(options.max_record)) == 1 &&
                    (!options.names_anchors || name_anchors(out->ctx, options.anchors, out->peers.told));
  ERR_clear_error();
  CHECK_OR(good, Error{Fault::internal, "dtls: the client's key and certificates cannot be used"});
  SSL_CTX_set_verify(out->ctx, SSL_VERIFY_PEER, nullptr);
  out->psk_identity = options.psk_identity;
  out->psk = options.psk;
  out->trust = options.trust;
  out->retransmit_first = options.retransmit_first;
  return out;
}

bio_st* datagram_bio(Datagrams* datagrams) {
  static const BIO_METHOD* const method = make_method();
  BIO* out = method == nullptr ? nullptr : BIO_new(method);
  if (out != nullptr) {
    BIO_set_data(out, datagrams);
    BIO_set_init(out, 1);
  }
  return out;
}

}  // namespace imprint::io
