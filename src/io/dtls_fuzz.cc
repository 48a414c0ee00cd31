// A script for the link between a client and a server in the middle of real handshakes: each step lets a datagram pass,
// drops, doubles, cuts or changes it, or brings bytes of its own. The first byte chooses certificates or a key.
#include <cstdlib>

#include "base/reader.h"
#include "crypto/issue.h"
#include "io/dtls_openssl.h"
#include "io/loop.h"

namespace {

using namespace imprint;
using namespace imprint::io;

constexpr Duration kDay{24 * 3600 * 1000};
constexpr int kMaxSteps = 64;
constexpr std::string_view kWords = "words";

struct Identity {
  PrivateKey key;
  Certificate certificate;
};

Identity make_identity(const Identity* issuer) {
  Identity out{*PrivateKey::generate(KeyType::p256), {}};
  CertificateTemplate t;
  t.serial = {1, issuer == nullptr ? std::uint8_t{1} : std::uint8_t{2}};
  t.subject = *Name::from_text(issuer == nullptr ? "CN=ca" : "CN=end");
  t.issuer = issuer == nullptr ? t.subject : issuer->certificate.subject;
  t.not_before = wall_clock() - kDay;
  t.not_after = wall_clock() + 30 * kDay;
  t.spki = out.key.public_key().spki;
  t.usage = issuer == nullptr ? key_usage::kCertSign : key_usage::kDigitalSignature;
  t.is_ca = issuer == nullptr;
  t.authority_key_id = key_identifier(issuer == nullptr ? out.key.public_key() : issuer->key.public_key());
  out.certificate = *Certificate::parse(*sign_certificate(issuer == nullptr ? out.key : issuer->key, t));
  return out;
}

// Contexts are made once.
struct Sides {
  Sides() {
    const Identity ca = make_identity(nullptr);
    const Identity end = make_identity(&ca);
    const Secret psk(std::string_view("0123456789abcdef"));
    DtlsServerOptions server;
    DtlsClientOptions client;
    server.chain = client.chain = {end.certificate};
    server.key = client.key = end.key;
    server.anchors = client.anchors = {ca.certificate};
    server.psk = [psk](std::string_view id) { return id == "id" ? std::optional(psk) : std::nullopt; };
    by_certificate = *openssl_dtls_client(client);
    client.psk_identity = "id";
    client.psk = psk;
    by_key = *openssl_dtls_client(client);
    accepting = *openssl_dtls_server(server);
  }
  std::shared_ptr<DtlsContext> by_certificate, by_key, accepting;
};

class Script {
 public:
  Script(const Sides& sides, bool by_key)
      : acceptor_(sides.accepting->acceptor()),
        client_((by_key ? sides.by_key : sides.by_certificate)->connect("host")) {
    client_->start();
  }

  void run(Reader& in) {
    for (int i = 0; i < kMaxSteps && !in.empty(); ++i) {
      step(in);
      check(*client_);
      if (server_ != nullptr) {
        check(*server_);
      }
    }
  }

 private:
  void step(Reader& in) {
    const std::uint8_t what = in.u8();
    const bool to_server = (what & 0x80U) != 0;
    std::optional<Bytes> datagram = to_server ? client_->take_datagram() : next_for_client();
    Bytes bytes = datagram.value_or(Bytes{});
    switch (what % 8) {
      case 0:
        return;  // lost
      case 1:
        bytes.resize(std::min<std::size_t>(bytes.size(), in.u16()));
        break;
      case 2:
        if (const std::size_t at = in.u16(); at < bytes.size()) {
          bytes[at] ^= in.u8();
        }
        break;
      case 3:
        deliver(bytes, to_server);
        break;  // twice
      case 4:
        bytes = to_bytes(in.take(std::min<std::size_t>(in.u8(), in.left())));
        break;
      case 5: {
        DtlsConnection* from = to_server ? client_.get() : server_.get();
        if (from != nullptr) {
          [[maybe_unused]] const Status sent = from->send(view(kWords));
        }
        break;
      }
      default:
        break;
    }
    if (!bytes.empty()) {
      deliver(bytes, to_server);
    }
  }

  void deliver(BytesView datagram, bool to_server) {
    if (!to_server) {
      client_->receive(datagram);
    } else if (server_ != nullptr) {
      server_->receive(datagram);
    } else {
      DtlsAnswer answer = acceptor_->accept(address_, datagram, Instant{1});
      if (answer.reply && answer.reply->size() > datagram.size() + 32) {
        std::abort();  // an amplifier
      }
      reply_ = std::move(answer.reply);
      server_ = std::move(answer.connection);
      if (server_ != nullptr) {
        server_->start();
      }
    }
  }

  std::optional<Bytes> next_for_client() {
    if (reply_) {
      return std::exchange(reply_, std::nullopt);
    }
    return server_ == nullptr ? std::nullopt : server_->take_datagram();
  }

  // Nobody gets words that were not sent, and nobody is open toward a peer that has proven nothing.
  static void check(DtlsConnection& c) {
    while (const auto message = c.take_message()) {
      if (*message != to_bytes(kWords)) {
        std::abort();
      }
    }
    const SessionRef session = c.session();
    if (c.state() == DtlsConnection::State::open &&
        (session == nullptr || (!session->proven && session->psk_identity.empty()))) {
      std::abort();
    }
  }

  const Address address_ = *Address::parse("192.0.2.1", 7);
  std::unique_ptr<DtlsAcceptor> acceptor_;
  std::unique_ptr<DtlsConnection> client_, server_;
  std::optional<Bytes> reply_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Sides sides;
  Reader in({data, size});
  Script script(sides, in.u8() % 2 == 0);
  script.run(in);
  return 0;
}
