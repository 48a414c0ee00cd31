// What the tests of this folder share: certificates made on the spot, and a server with a client on one loop.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crypto/issue.h"
#include "io/https_client.h"
#include "io/https_server.h"

namespace imprint::io {

inline constexpr Duration kHour{3600 * 1000};

// A key with its certificate.
struct Identity {
  PrivateKey key;
  Certificate certificate;
};

struct Wish {
  std::string name = "test";
  std::vector<std::string> alt_names = {};
  bool is_ca = false;
  Instant from = wall_clock() - kHour, until = wall_clock() + 24 * kHour;
  std::vector<std::string> extended = {};
  KeyType key = KeyType::p256;
};

inline Identity make_identity(const Wish& wish, const Identity* issuer) {
  static std::uint8_t serial = 0;
  Identity out{*PrivateKey::generate(wish.key), {}};
  CertificateTemplate t;
  t.serial = {1, ++serial};
  t.subject = *Name::from_text("CN=" + wish.name);
  t.issuer = issuer == nullptr ? t.subject : issuer->certificate.subject;
  t.not_before = wish.from;
  t.not_after = wish.until;
  t.spki = out.key.public_key().spki;
  for (const std::string& one : wish.alt_names) {
    t.alt_names.push_back(*GeneralName::from_text(one));
  }
  t.usage = wish.is_ca ? key_usage::kCertSign : key_usage::kDigitalSignature;
  t.extended = wish.extended;
  t.is_ca = wish.is_ca;
  t.authority_key_id = key_identifier(issuer == nullptr ? out.key.public_key() : issuer->key.public_key());
  const Result<Bytes> der = sign_certificate(issuer == nullptr ? out.key : issuer->key, t);
  out.certificate = *Certificate::parse(*der);
  return out;
}

// A CA with a server and a client under it, the client below an intermediate CA, as with a maker of devices.
struct Pki {
  Identity ca = make_identity({.name = "Test CA", .is_ca = true}, nullptr);
  Identity maker = make_identity({.name = "Maker CA", .is_ca = true}, nullptr);
  Identity line = make_identity({.name = "Line CA", .is_ca = true}, &maker);
  Identity server = make_identity(
      {.name = "server", .alt_names = {"dns:localhost", "ip:127.0.0.1"}, .extended = {std::string(eku::kServerAuth)}},
      &ca);
  Identity device = make_identity({.name = "device"}, &line);

  std::vector<Certificate> device_chain() const { return {device.certificate, line.certificate}; }
  TlsServerOptions server_options() const {
    return {.chain = {server.certificate}, .key = server.key, .anchors = {maker.certificate}};
  }
};

inline const Pki& pki() {
  static const Pki made;
  return made;
}

// A server that answers by a function, and a client, on one loop that runs until a test has what it waits for.
class Rig {
 public:
  using Answer = std::function<std::optional<Response>(Exchange, const Request&)>;

  explicit Rig(const TlsServerOptions& tls = pki().server_options(), HttpsServerOptions options = {},
               HttpsClientOptions client_options = {}) {
    guard.allow_loopback();
    options.tls = *TlsContext::server(tls);
    start(std::move(options), client_options);
  }
  struct Plain {};
  Rig(Plain /*no TLS*/, HttpsServerOptions options) { start(std::move(options), {}); }

  Uri uri() const { return *Uri::parse("https://127.0.0.1:" + std::to_string(server->port())); }

  Result<SessionRef> open(Open what) {
    std::optional<Result<SessionRef>> got;
    what.to = what.to.host.empty() ? uri() : what.to;
    client->open(std::move(what), [&](Result<SessionRef> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    return got ? *got : Error{Fault::internal, "test: nothing came"};
  }
  Result<SessionRef> open_anonymous() {
    return open(
        {.ticket = 0, .to = {}, .trust = Trust::anchors, .anchors = {pki().ca.certificate}, .as = std::nullopt});
  }
  Result<SessionRef> open_as(const Identity& who, std::vector<Certificate> chain) {
    keys["test"] = who.key;
    return open({.ticket = 0,
                 .to = {},
                 .trust = Trust::anchors,
                 .anchors = {pki().ca.certificate},
                 .as = Credential{"test", std::move(chain)}});
  }
  Result<Response> ask(std::uint64_t session, Request what) {
    std::optional<Result<Response>> got;
    client->request(session, std::move(what), [&](Result<Response> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    return got ? *got : Error{Fault::internal, "test: nothing came"};
  }
  Result<Response> get(std::uint64_t session, std::string path) {
    Request r;
    r.path = std::move(path);
    return ask(session, std::move(r));
  }

  // Runs the loop until the condition holds; false after ten seconds.
  bool until(const std::function<bool()>& condition) {
    for (const Instant end = loop.now() + Duration(10000); !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }

  Loop loop;
  Guard guard;
  std::map<std::string, PrivateKey> keys;
  std::vector<Request> requests;
  std::vector<Exchange> exchanges, gone;
  std::vector<Error> handshake_failures;
  std::vector<std::uint64_t> lost;
  Answer answer = [](Exchange, const Request& r) {
    Response out;
    out.status = 200;
    out.content_type = "text/plain";
    out.body = to_bytes("seen " + r.path);
    return out;
  };
  std::function<std::optional<Response>(const Request&)> body_comes = [](const Request&) { return std::nullopt; };
  std::unique_ptr<HttpsServer> server;
  std::unique_ptr<HttpsClient> client;

 private:
  void start(HttpsServerOptions options, HttpsClientOptions client_options) {
    HttpsServer::Handlers handlers;
    handlers.request = [this](Exchange e, const Request& r) {
      exchanges.push_back(e);
      requests.push_back(r);
      if (const auto response = answer(e, r)) {
        server->reply(e, *response);
      }
    };
    handlers.body_comes = [this](const Request& head) { return body_comes(head); };
    handlers.gone = [this](Exchange e) { gone.push_back(e); };
    handlers.handshake_failed = [this](std::uint64_t, const Error& why) { handshake_failures.push_back(why); };
    server = *HttpsServer::listen(loop, std::move(options), std::move(handlers));
    client = HttpsClient::make(
        loop, guard, client_options, [this](const std::string& id) -> Result<PrivateKey> { return keys.at(id); },
        [this](std::uint64_t id) { lost.push_back(id); });
  }
};

}  // namespace imprint::io
