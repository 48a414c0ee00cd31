#include "bench/floor.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>

#include "bench/machine.h"

namespace imprint::bench {
namespace {

constexpr long kMtu = 1232;
constexpr long kValidity_s = 365L * 24 * 3600;

using Ssl = std::unique_ptr<SSL, Free<SSL_free>>;
using Request = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using OctetString = std::unique_ptr<ASN1_OCTET_STRING, Free<ASN1_OCTET_STRING_free>>;

// One suite for both ends over DTLS, the one that RFC 9148 section 3 has everybody support.
constexpr const char* kDtlsSuite = "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0";  // CCM8 is below level 1 by its tag alone

void set_transport(SSL_CTX* context, Transport transport) {
  if (transport == Transport::tls13) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set1_groups_list(context, "X25519");
    return;
  }
  SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, kDtlsSuite);
  SSL_CTX_set1_groups_list(context, "X25519:P-256");  // below TLS 1.3 the certificate's curve has to be named, too
  SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
}

ServerContext client_context(Transport transport) {
  ServerContext out(SSL_CTX_new(transport == Transport::tls13 ? TLS_client_method() : DTLS_client_method()));
  set_transport(out.get(), transport);
  SSL_CTX_set_mode(out.get(), SSL_MODE_NO_AUTO_CHAIN);
  return out;
}

// Both halves on one thread, joined by memory; only the server's is timed.
bool shake_hands(SSL_CTX* server_context, SSL_CTX* client_context, const Applicant& who, double& server_s) {
  BIO* server_end = nullptr;
  BIO* client_end = nullptr;
  if (BIO_new_bio_pair(&server_end, 64 * 1024, &client_end, 64 * 1024) != 1) {
    return false;
  }
  const Ssl client(SSL_new(client_context));
  SSL_set_bio(client.get(), client_end, client_end);
  SSL_set_connect_state(client.get());
  SSL_set_mtu(client.get(), kMtu);  // without meaning over TLS
  SSL_use_certificate(client.get(), who.certificate.get());
  SSL_use_PrivateKey(client.get(), who.key.get());
  Ssl server;
  {
    const Stopwatch time(server_s);
    server.reset(SSL_new(server_context));
    SSL_set_bio(server.get(), server_end, server_end);
    SSL_set_accept_state(server.get());
    SSL_set_mtu(server.get(), kMtu);
  }
  for (int i = 0; i < 10 && SSL_is_init_finished(server.get()) == 0; ++i) {
    SSL_do_handshake(client.get());
    const Stopwatch time(server_s);
    SSL_do_handshake(server.get());
  }
  const bool good = SSL_is_init_finished(server.get()) == 1 && SSL_get0_peer_certificate(server.get()) != nullptr;
  const Stopwatch time(server_s);
  server.reset();
  return good;
}

// What is the same in every certificate is made once.
class Issuer {
 public:
  explicit Issuer(const ServerIdentity& server) : server_(server) {
    X509V3_CTX about;
    X509V3_set_ctx(&about, server.ca.get(), server.ca.get(), nullptr, nullptr, 0);
    same_[0].reset(X509V3_EXT_conf_nid(nullptr, &about, NID_authority_key_identifier, "keyid"));
    same_[1].reset(X509V3_EXT_conf_nid(nullptr, &about, NID_key_usage, "critical,digitalSignature"));
    same_[2].reset(X509V3_EXT_conf_nid(nullptr, &about, NID_ext_key_usage, "clientAuth"));
  }

  bool issue(X509_REQ* request, const X509_NAME* subject) const {
    const X509Ptr out(X509_new());
    X509* raw = out.get();
    return X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
           X509_set_issuer_name(raw, X509_get_subject_name(server_.ca.get())) == 1 &&
           X509_set_subject_name(raw, subject) == 1 && X509_gmtime_adj(X509_getm_notBefore(raw), -300) != nullptr &&
           X509_gmtime_adj(X509_getm_notAfter(raw), kValidity_s) != nullptr &&
           X509_set_pubkey(raw, X509_REQ_get0_pubkey(request)) == 1 && add_extensions(raw) &&
           X509_sign(raw, server_.ca_key.get(), EVP_sha256()) > 0 && encodes(raw);
  }

 private:
  static bool set_serial(X509* raw) {
    std::array<unsigned char, 16> octets{};
    if (RAND_bytes(octets.data(), static_cast<int>(octets.size())) != 1) {
      return false;
    }
    octets[0] = static_cast<unsigned char>((octets[0] & 0x7fU) | 0x40U);
    return ASN1_STRING_set(X509_get_serialNumber(raw), octets.data(), static_cast<int>(octets.size())) == 1;
  }

  bool add_extensions(X509* raw) const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    const OctetString inner(ASN1_OCTET_STRING_new());
    if (X509_pubkey_digest(raw, EVP_sha1(), digest.data(), &length) != 1 ||
        ASN1_OCTET_STRING_set(inner.get(), digest.data(), static_cast<int>(length)) != 1 ||
        X509_add1_ext_i2d(raw, NID_subject_key_identifier, inner.get(), 0, X509V3_ADD_DEFAULT) != 1) {
      return false;
    }
    for (const ExtensionPtr& one : same_) {
      if (one == nullptr || X509_add_ext(raw, one.get(), -1) != 1) {
        return false;
      }
    }
    return true;
  }

  static bool encodes(X509* raw) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(raw, &der);
    OPENSSL_free(der);
    return size > 0;
  }

  const ServerIdentity& server_;
  std::array<ExtensionPtr, 3> same_;
};

// From the request's bytes to the certificate's, as a server with OpenSSL's API would go.
bool check_and_issue(const Issuer& issuer, const Enrolment& what, FloorResult& out) {
  Request request;
  {
    const Stopwatch time(out.request_s);
    const unsigned char* in = what.der.data();
    request.reset(d2i_X509_REQ(nullptr, &in, static_cast<long>(what.der.size())));
    if (!request || X509_REQ_verify(request.get(), X509_REQ_get0_pubkey(request.get())) != 1) {
      return false;
    }
  }
  const Stopwatch time(out.certificate_s);
  return issuer.issue(request.get(), X509_REQ_get_subject_name(request.get()));
}

}  // namespace

void FreeContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

ServerContext plain_server_context(const ServerIdentity& server, Transport transport) {
  ServerContext out(SSL_CTX_new(transport == Transport::tls13 ? TLS_server_method() : DTLS_server_method()));
  SSL_CTX* raw = out.get();
  set_transport(raw, transport);
  SSL_CTX_set_mode(raw, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_num_tickets(raw, 0);  // as the measured server does for clients with a certificate
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_use_certificate(raw, server.certificate.get());
  SSL_CTX_use_PrivateKey(raw, server.key.get());
  for (const X509Ptr& one : server.above) {
    SSL_CTX_add1_chain_cert(raw, one.get());
  }
  X509_STORE_add_cert(SSL_CTX_get_cert_store(raw), server.maker.get());
  ERR_clear_error();
  return out;
}

void FloorResult::add(const FloorResult& other) {
  done += other.done;
  handshake_s += other.handshake_s;
  request_s += other.request_s;
  certificate_s += other.certificate_s;
}

Result<FloorResult> run_floor(const ServerIdentity& server, const std::vector<Applicant>& applicants,
                              const std::vector<Enrolment>& requests, double seconds, Transport transport) {
  const ServerContext server_context = plain_server_context(server, transport);
  const ServerContext clients = client_context(transport);
  const Issuer issuer(server);
  FloorResult out;
  for (const double end = now_s() + seconds; now_s() < end; ++out.done) {
    const Enrolment& what = requests[out.done % requests.size()];
    const bool good = shake_hands(server_context.get(), clients.get(), applicants[what.applicant], out.handshake_s) &&
                      check_and_issue(issuer, what, out);
    ERR_clear_error();
    CHECK_OR(good, Error{Fault::internal, "bench: the floor"});
  }
  return out;
}

}  // namespace imprint::bench
