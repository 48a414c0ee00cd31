// cBRSKI's sockets without its roles, for tests against other implementations: a CoAPS server with a registrar's
// resources, both join proxies before it, and discovery in the open. All on loopback, but for a link of its own.
//   brski_coap_peer CERTIFICATE KEY ANCHORS [VOUCHER [REGISTRAR [INTERFACE]]]
// Prints the ports, then a line for what happens. rv answers VOUCHER, or "come again" without one ("-"); a stateless
// proxy leads to the port REGISTRAR, where a test plays the registrar. On INTERFACE there is a stateless join proxy at
// its link-local address, which ff02::fd is told of.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "crypto/random.h"
#include "io/coap_responder.h"
#include "io/coaps_server.h"
#include "io/dtls_openssl.h"
#include "proto/brski/coap.h"
#include "runtime/join_paths.h"

namespace {

using namespace imprint;

constexpr const char* kHost = "127.0.0.1";

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Result<io::DtlsServerOptions> credentials(const std::vector<std::string>& args) {
  io::DtlsServerOptions out;
  TRY(out.chain, parse_pem_certificates(text_of(args.at(1))));
  TRY(out.key, PrivateKey::parse_pem(Secret(std::string_view(text_of(args.at(2))))));
  TRY(out.anchors, parse_pem_certificates(text_of(args.at(3))));
  out.mtu = io::kWrappedMtu;
  return out;
}

// What a registrar says that believes everything.
Response answer(const Request& request, const std::string& voucher) {
  if (request.path == "/.well-known/core") {
    return brski::list_resources(request, brski::registrar_resources());
  }
  const auto operation = brski::parse_coap_request(request);
  if (!operation) {
    return brski::coap_refusal(operation.error());
  }
  std::printf("asked %s %s\n", request.path.c_str(), hex(request.body).c_str());
  Response out{204};
  if (*operation == brski::Operation::request_voucher) {
    out = voucher.empty() ? Response{202} : Response{200, "application/voucher+cose", to_bytes(voucher)};
    out.retry_after_s = voucher.empty() ? std::optional<std::int64_t>(7) : std::nullopt;
  }
  return brski::to_coap(std::move(out), *operation);
}

class Peer {
 public:
  Status start(const std::vector<std::string>& args) {
    TRY(const io::DtlsServerOptions own, credentials(args));
    voucher_ = args.size() > 4 && args[4] != "-" ? text_of(args[4]) : "";
    io::CoapsServerOptions options;
    TRY(options.listen.dtls, io::openssl_dtls_server(own));
    options.listen.wrapped = io::DtlsWrapped{0, jpy_envelope()};
    io::CoapsServer::Handlers handlers;
    handlers.request = [this](Exchange from, const Request& r) { coaps_->reply(from, answer(r, voucher_)); };
    handlers.gone = [](Exchange) {};
    TRY(coaps_, io::CoapsServer::listen(loop_, rng_, std::move(options), std::move(handlers)));
    std::printf("coaps %d\njpy %d\n", int{coaps_->port()}, int{coaps_->wrapped_port()});
    TRY([[maybe_unused]] const Ok proxies, start_proxies(args));
    TRY([[maybe_unused]] const Ok found, start_discovery());
    if (args.size() > 6) {
      TRY([[maybe_unused]] const Ok linked, start_on_link(args[6]));
    }
    std::printf("ready\n");
    return Ok{};
  }
  void run() {
    loop_.on_signal(SIGTERM, [this] { loop_.stop(); });
    loop_.run();
  }

 private:
  Status start_proxies(const std::vector<std::string>& args) {
    io::UdpJoinProxyOptions options;
    options.max_of_address = options.max_of_interface = 1000;  // a client that is begun again and again has new ports
    TRY(options.registrar, io::Address::parse(kHost, coaps_->port()));
    TRY(stateful_, io::UdpJoinProxy::stateful(loop_, options));
    TRY(options.registrar, io::Address::parse(kHost, coaps_->wrapped_port()));
    TRY(stateless_, io::UdpJoinProxy::stateless(loop_, options, jpy_return_envelope(rng_)));
    std::printf("stateful %d\nstateless %d\n", int{stateful_->port()}, int{stateless_->port()});
    if (args.size() > 5) {
      TRY(options.registrar, io::Address::parse(kHost, static_cast<std::uint16_t>(std::stoi(args[5]))));
      TRY(aside_, io::UdpJoinProxy::stateless(loop_, options, jpy_return_envelope(rng_)));
      std::printf("aside %d\n", int{aside_->port()});
    }
    return Ok{};
  }

  static io::CoapResponder::Answer tell(std::vector<Link> links) {
    return [links = std::move(links)](const Request& request, bool to_group) {
      Response out = brski::list_resources(request, links);
      return to_group && brski::is_silent(out) ? std::nullopt : std::optional(std::move(out));
    };
  }

  // Each says what it is: by unicast, and in CoAP's group of IPv4, since loopback has none of IPv6.
  Status start_discovery() {
    const brski::CoapOffer offer{
        .host = kHost, .coaps = coaps_->port(), .jpy = coaps_->wrapped_port(), .join = stateless_->port()};
    TRY(registrar_, io::CoapResponder::listen(loop_, rng_, {}, {}, tell(brski::registrar_links(offer))));
    TRY(proxy_, io::CoapResponder::listen(loop_, rng_, {}, {}, tell(brski::join_proxy_links(offer))));
    TRY(const io::Interface lo, io::Interface::find("lo"));
    const std::uint16_t port =
        registrar_->port() == 65535 ? std::uint16_t{65534} : std::uint16_t(registrar_->port() + 1);
    TRY(group_,
        io::CoapResponder::join(loop_, rng_, lo, {"224.0.1.187", port}, {}, tell(brski::join_proxy_links(offer))));
    std::printf("registrar %d\nproxy %d\ngroup %d\n", int{registrar_->port()}, int{proxy_->port()}, int{port});
    return Ok{};
  }

  Status start_on_link(const std::string& name) {
    TRY(const io::Interface link, io::Interface::find(name));
    const auto own = std::ranges::find_if(link.addresses, [](const io::Address& a) { return a.v6 && a.scope != 0; });
    CHECK_OR(own != link.addresses.end(), Error{Fault::unreachable, "no link-local address there"});
    io::UdpJoinProxyOptions options;
    options.listen.address = own->literal();
    TRY(options.registrar, io::Address::parse(kHost, coaps_->wrapped_port()));
    TRY(linked_, io::UdpJoinProxy::stateless(loop_, options, jpy_return_envelope(rng_)));
    const brski::CoapOffer offer{.host = own->literal(), .join = linked_->port()};
    TRY(there_, io::CoapResponder::join(loop_, rng_, link, {"ff02::fd", 5683}, {}, tell(join_proxy_links(offer))));
    std::printf("linked %d\n", int{linked_->port()});
    return Ok{};
  }

  io::Loop loop_;
  SystemRng rng_;
  std::string voucher_;
  std::unique_ptr<io::CoapsServer> coaps_;
  std::unique_ptr<io::UdpJoinProxy> stateful_, stateless_, aside_, linked_;
  std::unique_ptr<io::CoapResponder> registrar_, proxy_, group_, there_;
};

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::vector<std::string> args(argv, argv + argc);
  if (args.size() < 4) {
    std::fprintf(stderr, "usage: see the head of brski_coap_peer.cc\n");
    return 2;
  }
  Peer peer;
  if (const Status started = peer.start(args); !started) {
    std::printf("failed: %s\n", std::string(started.error().what).c_str());
    return 1;
  }
  peer.run();
  return 0;
}
