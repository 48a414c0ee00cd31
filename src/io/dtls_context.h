// What OpenSSL's side of DTLS is made of: contexts and datagrams. Only dtls_openssl.cc uses it.
#pragma once

#include "io/dtls.h"
#include "io/tls_peer.h"

struct bio_st;

namespace imprint::io {

// An SSL_CTX with all that is fixed for its associations.
struct OpenSslDtls {
  static Result<std::shared_ptr<OpenSslDtls>> server(const DtlsServerOptions& options);
  static Result<std::shared_ptr<OpenSslDtls>> client(const DtlsClientOptions& options);
  OpenSslDtls() = default;
  OpenSslDtls(const OpenSslDtls&) = delete;
  OpenSslDtls& operator=(const OpenSslDtls&) = delete;
  ~OpenSslDtls();

  ssl_ctx_st* ctx = nullptr;
  PeerRules peers;
  PskKeys find_psk;          // of a server
  std::string psk_identity;  // of a client
  Secret psk;
  Trust trust = Trust::anchors;
  std::size_t mtu = kDtlsMtu;
  Duration retransmit_first{1000};
};

// Where OpenSSL reads and writes. Memory BIOs would run datagrams together.
struct Datagrams {
  std::optional<BytesView> in;  // the one that is being received
  std::vector<Bytes> out;       // a few at most; empty ones cost nothing, as those of a deque would
};

// A BIO of these: one read takes the datagram, one write makes one. Null if there is no memory. The datagrams must live
// longer.
bio_st* datagram_bio(Datagrams* datagrams);

}  // namespace imprint::io
