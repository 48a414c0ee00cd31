// A join proxy for constrained pledges: their datagrams go on to the registrar, with or without a state for each, and
// CoAP discovery tells them of it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/coap_responder.h"
#include "io/resolver.h"
#include "runtime/coap_registrar_finder.h"
#include "runtime/join_paths.h"

namespace imprint {

class CoapJoinProxy {
 public:
  struct Options {
    io::UdpJoinProxyOptions proxy;  // its registrar has the port of CoAPS; stateless: that for join proxies (JPY)
    bool stateless = false;
    std::string registrar;  // its name, which is resolved again and again; empty: it stays where it is
    // In place of its address: an interface of the owner's own network, where registrars make themselves known. Whoever
    // is there is believed. While none is, nobody who asks hears of us.
    std::string find;
    std::uint16_t find_port = io::kCoapPort;      // of CoAP's group there
    std::string announce;                         // interface: who asks CoAP's group there hears of us; empty: none
    std::optional<io::UdpSocket::Where> answers;  // where questions are answered as well, by unicast
    Duration resolve_every = std::chrono::seconds(60);
    Duration look_every = std::chrono::seconds(10);  // whether the one that was found is still made known
    std::function<void(bool there, const io::Address& registrar)> told = {};  // when one is found, and lost
  };
  // Errors: those of UdpJoinProxy, Interface::find, CoapResponder and CoapRegistrarFinder. `rng` stays.
  static Result<std::unique_ptr<CoapJoinProxy>> start(io::Loop& loop, Rng& rng, Options options);
  CoapJoinProxy(const CoapJoinProxy&) = delete;
  CoapJoinProxy& operator=(const CoapJoinProxy&) = delete;
  ~CoapJoinProxy();

  std::uint16_t port() const { return proxy_->port(); }
  std::uint16_t answers_port() const { return unicast_ ? unicast_->port() : std::uint16_t{0}; }  // 0: none
  bool registrar_there() const { return there_; }
  const io::Address& registrar() const { return options_.proxy.registrar; }
  io::UdpJoinProxyStats stats() const { return proxy_->stats(); }

 private:
  CoapJoinProxy(io::Loop& loop, Options options);
  Status open(Rng& rng);
  Status open_group(Rng& rng, const io::CoapResponder::Answer& answer);
  io::CoapResponder::Answer tell_of(const brski::CoapOffer& offer) const;
  void resolve_later();
  void take(const Result<std::vector<std::string>>& addresses);
  void look();
  void look_again();
  void tell() const;

  io::Loop& loop_;
  Options options_;
  io::Resolver resolver_;
  std::unique_ptr<io::UdpJoinProxy> proxy_;
  std::unique_ptr<io::CoapResponder> group_, unicast_;
  std::unique_ptr<CoapRegistrarFinder> finder_;
  bool there_ = true;
  std::uint64_t timer_ = 0;
};

// The address where pledges of this interface come: its link-local one of IPv6, else any it has. Errors: those of
// Interface::find; unreachable (it has none).
Result<std::string> join_address_on(const std::string& interface);

}  // namespace imprint
