// A DTLS server or client that echoes lines, for tests against other implementations.
//   dtls_echo server CERTIFICATE KEY ANCHORS | dtls_echo server-psk IDENTITY HEX
//   dtls_echo client PORT CERTIFICATE KEY ANCHORS | dtls_echo client-psk PORT IDENTITY HEX
// A server prints its port, then a line for what happens. A client sends one line, prints what comes back and ends.
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "io/dtls_client.h"
#include "io/dtls_openssl.h"
#include "io/dtls_server.h"

namespace {

using namespace imprint;
using namespace imprint::io;

constexpr std::string_view kLine = "a line for the peer\n";

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

Result<std::vector<Certificate>> certificates(const std::string& path) { return parse_pem_certificates(text_of(path)); }

int fail(const Error& why) {
  std::printf("failed: %s: %s\n", std::string(name(why.fault)).c_str(), std::string(why.what).c_str());
  return 1;
}

Result<DtlsServerOptions> server_options(const std::vector<std::string>& args) {
  DtlsServerOptions out;
  if (args[1] == "server-psk") {
    const auto key = from_hex(args.at(3));
    CHECK_OR(key, Error{Fault::malformed, "not hexadecimal"});
    out.psk = [identity = args.at(2), secret = Secret(*key)](std::string_view asked) {
      return asked == identity ? std::optional(secret) : std::nullopt;
    };
    return out;
  }
  TRY(out.chain, certificates(args.at(2)));
  TRY(out.key, PrivateKey::parse_pem(Secret(std::string_view(text_of(args.at(3))))));
  TRY(out.anchors, certificates(args.at(4)));
  return out;
}

int serve(const std::vector<std::string>& args) {
  const auto options = server_options(args);
  if (!options) {
    return fail(options.error());
  }
  const auto context = openssl_dtls_server(*options);
  if (!context) {
    return fail(context.error());
  }
  Loop loop;
  loop.on_signal(SIGTERM, [&loop] { loop.stop(); });
  std::unique_ptr<DtlsServer> server;
  DtlsServer::Handlers handlers;
  handlers.opened = [](std::uint64_t, const SessionRef& s) {
    std::printf("opened %s %s\n", s->proven ? "certificate" : "key", s->psk_identity.c_str());
  };
  handlers.message = [&server](std::uint64_t id, BytesView message) { static_cast<void>(server->send(id, message)); };
  handlers.closed = [](std::uint64_t, std::optional<Error> why) {
    std::printf("closed %s\n", why ? std::string(why->what).c_str() : "in order");
  };
  handlers.handshake_failed = [](std::uint64_t, const Error& why) {
    std::printf("failed %s\n", std::string(name(why.fault)).c_str());
  };
  DtlsListenOptions where;
  where.dtls = *context;
  auto listening = DtlsServer::listen(loop, where, std::move(handlers));
  if (!listening) {
    return fail(listening.error());
  }
  server = *std::move(listening);
  std::printf("port %d\n", int{server->port()});
  loop.run();
  return 0;
}

Result<DtlsOpen> what_to_open(const std::vector<std::string>& args, PrivateKey& key) {
  DtlsOpen out;
  TRY(out.to, Uri::parse("coaps://127.0.0.1:" + args.at(2)));
  if (args[1] == "client-psk") {
    const auto psk = from_hex(args.at(4));
    CHECK_OR(psk, Error{Fault::malformed, "not hexadecimal"});
    out.psk = Psk{args.at(3), Secret(*psk)};
    return out;
  }
  TRY(auto chain, certificates(args.at(3)));
  TRY(key, PrivateKey::parse_pem(Secret(std::string_view(text_of(args.at(4))))));
  TRY(out.anchors, certificates(args.at(5)));
  out.as = Credential{"own", std::move(chain)};
  return out;
}

int connect(const std::vector<std::string>& args) {
  PrivateKey key;
  const auto what = what_to_open(args, key);
  if (!what) {
    return fail(what.error());
  }
  Loop loop;
  Guard guard;
  guard.allow_loopback();
  int status = 1;
  DtlsClient::Handlers handlers;
  std::unique_ptr<DtlsClient> client;
  handlers.message = [&](std::uint64_t id, BytesView message) {
    std::printf("%s", std::string(as_text(message)).c_str());
    status = 0;
    client->close(id);
    loop.stop();
  };
  handlers.closed = [&](std::uint64_t, std::optional<Error> why) {
    std::printf("closed %s\n", why ? std::string(why->what).c_str() : "in order");
    loop.stop();
  };
  client = DtlsClient::make(
      loop, guard, {}, [&key](const std::string&) -> Result<PrivateKey> { return key; }, std::move(handlers));
  client->open(*what, [&](Result<SessionRef> session) {
    if (!session) {
      fail(session.error());
      loop.stop();
      return;
    }
    std::printf("opened %s\n", (*session)->proven ? "certificate" : "key");
    static_cast<void>(client->send((*session)->id, view(kLine)));
  });
  loop.after(Duration(20000), [&loop] { loop.stop(); });
  loop.run();
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::vector<std::string> args(argv, argv + argc);
  const bool server = args.size() >= 4 && args[1].starts_with("server");
  const bool client = args.size() >= 5 && args[1].starts_with("client");
  if (!server && !client) {
    std::fprintf(stderr, "usage: see the head of dtls_echo.cc\n");
    return 2;
  }
  return server ? serve(args) : connect(args);
}
