// TLS-SRP (RFC 5054): both sides prove a password to each other in the handshake, without certificates, and nothing of
// it travels. TLS 1.2 only.
#pragma once

#include <string>

#include "crypto/srp.h"
#include "role/session.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_cipher_st;

namespace imprint::io {

struct PeerCheck;

// The suites, for OpenSSL's list; last in a server's.
inline constexpr const char* kSrpSuites = "SRP-AES-256-CBC-SHA:SRP-AES-128-CBC-SHA";

// Has handshakes of this context take users of SRP, besides what else it takes. `find` must live as long as it does.
bool take_srp(ssl_ctx_st* ctx, const FindSrpSecret& find);

// Has handshakes of this context prove this login by SRP and nothing else. It must live as long as the context.
bool use_srp(ssl_ctx_st* ctx, const Login& login);

// Whether the suite is one of those, without certificates.
bool is_srp(const ssl_cipher_st* suite);

// Whose secret the two sides have proven to each other in this handshake, now complete; empty if it was none of SRP. A
// name that was sent along with other suites proves nothing.
std::string srp_user(const ssl_st* ssl);

}  // namespace imprint::io
