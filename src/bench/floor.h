// The least that one enrolment costs with plain OpenSSL and nothing else: the server's half of a mutual handshake in
// memory (TLS 1.3, or DTLS 1.2 for CoAPS), the check of a request, and the signature of a certificate.
#pragma once

#include "bench/work.h"

namespace imprint::bench {

// What both the floor and the bare server are made of: the keys and certificates of the server that is measured.
struct ServerIdentity {
  X509Ptr certificate;
  EvpKey key;
  std::vector<X509Ptr> above;  // sent after the certificate
  X509Ptr maker;               // the anchor of the clients' certificates
  X509Ptr ca;                  // who issues
  EvpKey ca_key;
};

struct FloorResult {
  std::uint64_t done = 0;
  double handshake_s = 0, request_s = 0, certificate_s = 0;  // processor time of the server's half, in all

  double total_s() const { return handshake_s + request_s + certificate_s; }
  void add(const FloorResult& other);
};

enum class Transport : std::uint8_t { tls13, dtls12 };

// Runs for this long on the calling thread. Fault::internal if OpenSSL refuses something.
Result<FloorResult> run_floor(const ServerIdentity& server, const std::vector<Applicant>& applicants,
                              const std::vector<Enrolment>& requests, double seconds,
                              Transport transport = Transport::tls13);

// The context of a server that asks for a client certificate and verifies it by OpenSSL's own means.
struct FreeContext {
  void operator()(ssl_ctx_st* context) const;
};
using ServerContext = std::unique_ptr<ssl_ctx_st, FreeContext>;
ServerContext plain_server_context(const ServerIdentity& server, Transport transport = Transport::tls13);

}  // namespace imprint::bench
