#define OPENSSL_SUPPRESS_DEPRECATED  // OpenSSL 3.0 has SRP, and no other way to it
#include "io/tls_srp.h"

#include <openssl/srp.h>
#include <openssl/ssl.h>

#include <memory>

#include "io/tls_peer.h"

namespace imprint::io {
namespace {

struct FreeNumber {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
};
using NumberPtr = std::unique_ptr<BIGNUM, FreeNumber>;

NumberPtr number(BytesView bytes) {
  return NumberPtr(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
}

// The salt goes out as a number does, without zero bytes in front: none begins with one.
bool set_verifier(SSL* ssl, const SrpVerifier& verifier) {
  const SRP_gN* const group = SRP_get_default_gN(std::to_string(kSrpBits).c_str());
  const NumberPtr salt = number(verifier.salt);
  const NumberPtr proof = number(verifier.verifier.expose());
  return group != nullptr && salt != nullptr && proof != nullptr &&
         SSL_set_srp_server_param(ssl, group->N, group->g, salt.get(), proof.get(), nullptr) == 1;
}

// Called once a suite of SRP has been chosen.
int on_user(SSL* ssl, int* alert, void* arg) {
  const auto& find = *static_cast<const FindSrpSecret*>(arg);
  const char* const user = SSL_get_srp_username(ssl);
  PeerCheck* const check = watched_peer(ssl);
  if (user == nullptr) {
    *alert = SSL_AD_UNKNOWN_PSK_IDENTITY;  // RFC 5054 section 2.5.1.2
    return SSL3_AL_FATAL;
  }
  const Result<SrpSecret> found = find(user);
  if (!found || check == nullptr || !set_verifier(ssl, found->verifier)) {
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL3_AL_FATAL;
  }
  check->srp_record = found->record;
  return SSL_ERROR_NONE;
}

// OpenSSL wipes and frees what it is given.
char* on_password(SSL* /*ssl*/, void* arg) {
  const BytesView password = static_cast<const Login*>(arg)->password.expose();
  return OPENSSL_strndup(reinterpret_cast<const char*>(password.data()), password.size());
}

}  // namespace

bool take_srp(ssl_ctx_st* ctx, const FindSrpSecret& find) {
  return SSL_CTX_set_srp_username_callback(ctx, on_user) == 1 &&
         SSL_CTX_set_srp_cb_arg(ctx, const_cast<FindSrpSecret*>(&find)) == 1;
}

bool use_srp(ssl_ctx_st* ctx, const Login& login) {
  std::string user = login.user;  // OpenSSL copies it
  return SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(ctx, kSrpSuites) == 1 &&
         SSL_CTX_set_srp_username(ctx, user.data()) == 1 && SSL_CTX_set_srp_strength(ctx, int{kSrpBits}) == 1 &&
         SSL_CTX_set_srp_client_pwd_callback(ctx, on_password) == 1 &&
         SSL_CTX_set_srp_cb_arg(ctx, const_cast<Login*>(&login)) == 1;
}

bool is_srp(const ssl_cipher_st* suite) {
  return suite != nullptr && SSL_CIPHER_get_kx_nid(suite) == NID_kx_srp &&
         SSL_CIPHER_get_auth_nid(suite) == NID_auth_srp;
}

std::string srp_user(const ssl_st* ssl) {
  const char* const user = is_srp(SSL_get_current_cipher(ssl)) ? SSL_get_srp_username(const_cast<SSL*>(ssl)) : nullptr;
  return user == nullptr ? std::string() : std::string(user);
}

}  // namespace imprint::io
