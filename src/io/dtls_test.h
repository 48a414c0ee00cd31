// What the tests of DTLS share: two ends in one process, with a link between them that a test can spoil.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define IMPRINT_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IMPRINT_ASAN
#endif
#endif
#ifdef IMPRINT_ASAN
#include <sanitizer/allocator_interface.h>
#else
#include <malloc.h>
#endif

#include <thread>

#include "base/rng.h"
#include "io/dtls_openssl.h"
#include "io/io_test.h"

namespace imprint::io {

inline DtlsServerOptions dtls_server_options() {
  DtlsServerOptions out;
  out.chain = {pki().server.certificate};
  out.key = pki().server.key;
  out.anchors = {pki().maker.certificate};
  return out;
}

inline DtlsClientOptions dtls_client_options() {
  DtlsClientOptions out;
  out.anchors = {pki().ca.certificate};
  out.chain = pki().device_chain();
  out.key = pki().device.key;
  return out;
}

inline PskKeys one_psk(std::string identity, std::string_view key) {
  return [identity = std::move(identity), secret = Secret(key)](std::string_view asked) {
    return asked == identity ? std::optional(secret) : std::nullopt;
  };
}

inline DtlsServerOptions psk_server_options() {
  DtlsServerOptions out;
  out.psk = one_psk("urn:dev:1", "0123456789abcdef");
  return out;
}

inline DtlsClientOptions psk_client_options(std::string identity = "urn:dev:1",
                                            std::string_view key = "0123456789abcdef") {
  DtlsClientOptions out;
  out.psk_identity = std::move(identity);
  out.psk = Secret(key);
  return out;
}

// Memory that this process holds at the moment. The sanitizer brings an allocator of its own, which mallinfo2() does
// not know.
inline std::size_t allocated_bytes() {
#ifdef IMPRINT_ASAN
  return __sanitizer_get_current_allocated_bytes();
#else
  return mallinfo2().uordblks;
#endif
}

inline Address address_of(std::uint16_t port) { return *Address::parse("192.0.2.1", port); }

// A client and a server's acceptor, and datagrams between them. A filter may drop (nothing), change or double (several)
// what one side sends.
class DtlsPair {
 public:
  using Filter = std::function<std::vector<Bytes>(Bytes datagram, bool to_server)>;

  explicit DtlsPair(const DtlsServerOptions& server_options = dtls_server_options(),
                    const DtlsClientOptions& client_options = dtls_client_options()) {
    acceptor = (*openssl_dtls_server(server_options))->acceptor();
    client = (*openssl_dtls_client(client_options))->connect("server.example");
    client->start();
  }

  // Carries datagrams until there are no more on the way.
  void carry() {
    for (bool moved = true; moved;) {
      moved = false;
      while (auto datagram = client->take_datagram()) {
        moved = true;
        for (const Bytes& one : filter(*std::move(datagram), true)) {
          to_server(one);
        }
      }
      while (auto datagram = next_for_client()) {
        moved = true;
        for (const Bytes& one : filter(*std::move(datagram), false)) {
          client->receive(one);
        }
      }
    }
  }

  void to_server(BytesView datagram) {
    if (server != nullptr) {
      server->receive(datagram);
      return;
    }
    DtlsAnswer answer = acceptor->accept(address, datagram, now);
    if (answer.reply) {
      replies.push_back(*answer.reply);
    }
    if (answer.connection != nullptr) {
      server = std::move(answer.connection);
      server->start();
    }
  }

  // Until both are no longer in their handshakes; timers run as they must. False after ten seconds.
  bool settle() {
    for (const Instant end = wall_clock() + Duration(10000); wall_clock() < end;) {
      carry();
      const bool shaking = client->state() == DtlsConnection::State::handshaking || server == nullptr ||
                           server->state() == DtlsConnection::State::handshaking;
      if (!shaking) {
        return true;
      }
      std::this_thread::sleep_for(Duration(1));
      client->expire();
      if (server != nullptr) {
        server->expire();
      }
    }
    return false;
  }

  bool open() const {
    return client->state() == DtlsConnection::State::open && server != nullptr &&
           server->state() == DtlsConnection::State::open;
  }

  Filter filter = [](Bytes datagram, bool) { return std::vector<Bytes>{std::move(datagram)}; };
  Address address = address_of(7);
  Instant now = wall_clock();
  std::unique_ptr<DtlsAcceptor> acceptor;
  std::unique_ptr<DtlsConnection> client, server;  // the latter once its cookie came back
  std::vector<Bytes> replies;

 private:
  std::optional<Bytes> next_for_client() {
    if (!replies.empty()) {
      Bytes out = std::move(replies.front());
      replies.erase(replies.begin());
      return out;
    }
    return server == nullptr ? std::nullopt : server->take_datagram();
  }
};

}  // namespace imprint::io
