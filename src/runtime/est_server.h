// The owner's EST server on one loop: HTTPS or CoAPS in, the server role in the middle, policy, CA and store behind.
#pragma once

#include <memory>
#include <unordered_map>

#include "crypto/enveloped.h"
#include "io/coaps_server.h"
#include "io/gate.h"
#include "io/https_server.h"
#include "proto/est/coap.h"
#include "proto/est/fullcmc.h"
#include "runtime/key_thread.h"
#include "runtime/recorder.h"
#include "runtime/registrar.h"
#include "site/ca.h"
#include "site/policy.h"
#include "store/store.h"

namespace imprint {

// Everything that may be exchanged while the server runs (SIGHUP); shared by all loops, never changed in place.
// A CA of before that goes on to say what its certificates are worth.
struct FormerCa {
  site::Ca ca;
  Bytes revocation_list, distributed_list;  // as in EstSite; empty, too, if its key could never be had
  Instant list_ends = {};                   // before EstSite::list_ends: of before, since its key cannot be had now
};

struct EstSite {
  est::ServerConfig est;
  site::Policy policy;
  site::Ca ca;
  std::shared_ptr<site::Signer> signer;  // null: the CA's own key, at once
  Signer key_signer = {};                // of keys that we make and wrap; if it cannot, the CA signs itself
  std::shared_ptr<KeyThread> keys;       // of types that take long; null: every key is made on the loop
  Bytes revocation_list;                 // DER, served at /.well-known/imprint/crl; empty if it is too long
  Bytes distributed_list;                // DER, the same with ca.crl_uri in it; empty without one
  std::vector<FormerCa> former;          // those whose time is not over
  Instant list_signed, list_ends;        // of all lists
  std::shared_ptr<const RegistrarSite> registrar = {};  // of RFC 8995, on the same connections; null: none
};

class EstServer {
 public:
  EstServer(io::Schedule& schedule, store::Store& store, Rng& rng, Journal& journal,
            std::shared_ptr<const EstSite> site);
  EstServer(const EstServer&) = delete;
  EstServer& operator=(const EstServer&) = delete;
  ~EstServer();

  // Over sockets: one of the two, once.
  Status listen(io::Loop& loop, io::HttpsServerOptions options);
  Status listen(io::Loop& loop, io::CoapsServerOptions options);
  // Over anything that calls these handlers and takes the replies: the simulator's links.
  io::HttpsServer::Handlers handlers();
  enum class Binding : std::uint8_t { https, coaps };
  void attach(std::unique_ptr<io::RequestServer> front, Binding binding);
  // Once, before anything is asked: the registrar of EstSite asks MASAs on these connections, which are of
  // this schedule.
  void serve_registrar(std::unique_ptr<io::RequestClient> masa);
  std::uint16_t port() const;
  std::uint16_t wrapped_port() const;  // over CoAPS, for stateless join proxies; 0: there is none
  // On the loop's thread: later requests see this.
  void set_site(std::shared_ptr<const EstSite> site) { site_ = std::move(site); }
  void set_tls(std::shared_ptr<io::TlsContext> tls);     // over HTTPS
  void set_dtls(std::shared_ptr<io::DtlsContext> dtls);  // over CoAPS
  void drain(Duration grace, std::function<void()> done);
  io::HttpsServerStats stats() const;        // over HTTPS
  io::CoapsServerStats coaps_stats() const;  // over CoAPS

  // `acted` is called after every single action of every conversation; it may call halt(): the power is cut, nothing
  // more leaves, and nothing is taken any more.
  void on_acted(std::function<void()> acted);
  void halt();

 private:
  class Conversation;
  void take(Exchange from, Request request);
  std::optional<Response> public_answer(const Request& request) const;
  Response resources(const Request& request) const;
  est::HttpRequest parse(Exchange from, const Request& request) const;
  void reply(Exchange to, const Response& answer, const Request& asked, const std::optional<est::FullExchange>& full);
  Signer answerer() const;
  Response in_envelope(const est::FullExchange& full, const Response& answer);
  void gone(Exchange from);
  void finished(std::uint64_t exchange);

  io::Schedule& schedule_;
  const std::shared_ptr<io::Gate> gate_;  // for the store's and the CA's answers, which may come after we are gone
  store::Store& store_;
  Rng& rng_;
  Journal& journal_;
  std::shared_ptr<const EstSite> site_;
  std::unique_ptr<io::RequestServer> front_;
  Binding binding_ = Binding::https;
  io::HttpsServer* https_ = nullptr;  // front_, if it is one, over a socket
  io::CoapsServer* coaps_ = nullptr;  // the same
  std::unordered_map<std::uint64_t, std::shared_ptr<Conversation>> conversations_;
  std::unique_ptr<RegistrarServer> registrar_;  // of BRSKI; null: none
  std::function<void()> acted_;
  bool halted_ = false;
};

}  // namespace imprint
