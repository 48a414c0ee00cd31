// Where registrars take the datagrams of constrained devices, as they make it known on an interface of the owner's own
// network: for join proxies (draft-ietf-anima-constrained-join-proxy). Nothing of it is authentic: whoever is there is
// believed.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "io/coap_search.h"
#include "proto/brski/coap.h"
#include "runtime/join_proxy.h"

namespace imprint {

// ---- from what was heard to where it leads; `own` are the machine's addresses ----

// An answer to CoAP's group: the port of CoAPS, or for a stateless proxy that of its messages (JPY).
std::vector<JoinProxy::Named> coaps_registrars_in(const Response& answer, const io::Address& from,
                                                  brski::CoapFound::Way way, const io::Interface& link,
                                                  const std::vector<io::Address>& own);
// Floods of AN_join_registrar and DNS-SD, which tell of CoAPS alone; services only in the interface's own networks.
std::vector<JoinProxy::Named> coaps_registrars_in(const std::vector<brski::Heard>& floods,
                                                  const std::vector<brski::Browser::Found>& services,
                                                  const io::Interface& link, const std::vector<io::Address>& own);

class CoapRegistrarFinder {
 public:
  struct Options {
    std::string interface;
    brski::CoapFound::Way way = brski::CoapFound::Way::coaps;
    std::uint16_t coap_port = io::kCoapPort;  // where CoAP's group is asked
  };
  // `changed` is called from the loop whenever something was heard. `rng` stays. Errors: those of DiscoveryPort::open()
  // and CoapSearch::open().
  static Result<std::unique_ptr<CoapRegistrarFinder>> open(io::Loop& loop, Rng& rng, Options options,
                                                           std::function<void()> changed);
  CoapRegistrarFinder(const CoapRegistrarFinder&) = delete;
  CoapRegistrarFinder& operator=(const CoapRegistrarFinder&) = delete;
  ~CoapRegistrarFinder();

  // What holds now, each place once: what was answered to us first.
  std::vector<JoinProxy::Named> named();

 private:
  struct Answered {
    JoinProxy::Named what;
    Instant until;
  };
  CoapRegistrarFinder(io::Loop& loop, Options options, std::function<void()> changed)
      : loop_(loop), options_(std::move(options)), changed_(std::move(changed)) {}
  Status open_coap(Rng& rng);
  void ask();
  void take(const io::Address& from, const Response& answer);

  io::Loop& loop_;
  Options options_;
  std::function<void()> changed_;
  std::unique_ptr<DiscoveryPort> port_;
  std::vector<std::unique_ptr<io::CoapSearch>> searches_;
  std::vector<Answered> answered_;
  Duration pause_{1000};  // before the next question
  std::uint64_t timer_ = 0;
};

}  // namespace imprint
