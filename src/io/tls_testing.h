// For tests of TLS: a client that is not ours.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <string>
#include <thread>

#include "io/io_test.h"

namespace imprint::io {

// A plain OpenSSL client on a thread of its own: what our own client never does can be tried with it.
struct OtherClient {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_SESSION* kept = nullptr;  // to be resumed
  bool reused = false;
  std::string protocol, suite;
  Bytes finished;  // what tls-unique is made from, by our own reading of RFC 5929

  OtherClient() = default;
  OtherClient(const OtherClient&) = delete;
  OtherClient& operator=(const OtherClient&) = delete;
  ~OtherClient() {
    SSL_SESSION_free(kept);
    SSL_CTX_free(context);
  }

  // One request on one connection; whether an answer came.
  bool ask(Rig& rig) {
    bool answered = false, over = false;
    std::thread thread([&] {
      answered = talk(rig.server->port());
      rig.loop.post([&] { over = true; });
    });
    rig.until([&] { return over; });
    thread.join();
    return answered;
  }

 private:
  bool talk(std::uint16_t port) {
    BIO* bio = BIO_new_connect(("127.0.0.1:" + std::to_string(port)).c_str());
    SSL* ssl = SSL_new(context);
    const bool connected = BIO_do_connect(bio) == 1;
    SSL_set_bio(ssl, bio, bio);
    if (kept != nullptr) {
      SSL_set_session(ssl, kept);
    }
    std::array<char, 4096> buffer{};
    constexpr std::string_view kAsk = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const bool answered = connected && SSL_connect(ssl) == 1 && SSL_write(ssl, kAsk.data(), kAsk.size()) > 0 &&
                          SSL_read(ssl, buffer.data(), buffer.size()) > 0;
    reused = SSL_session_reused(ssl) == 1;
    protocol = SSL_get_version(ssl);
    suite = SSL_get_cipher_name(ssl);
    finished.resize(64);
    finished.resize(reused ? SSL_get_peer_finished(ssl, finished.data(), 64)
                           : SSL_get_finished(ssl, finished.data(), 64));
    SSL_SESSION_free(kept);
    kept = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    return answered;
  }
};

}  // namespace imprint::io
