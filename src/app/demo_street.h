// All that is around the owner's site in `imprint demo`: the makers with their MASAs, and the join proxies through
// which devices come that have no address yet. On one thread of its own.
#pragma once

#include <memory>
#include <thread>

#include "app/demo_maker.h"
#include "crypto/random.h"
#include "io/loop.h"
#include "runtime/coap_join_proxy.h"
#include "runtime/join_proxy.h"

namespace imprint::app {

class DemoStreet {
 public:
  // Makers of these names, listening; nothing runs yet.
  static OrProblem<std::unique_ptr<DemoStreet>> open(const std::string& data, const std::vector<FleetPart>& parts);
  DemoStreet() = default;
  DemoStreet(const DemoStreet&) = delete;
  DemoStreet& operator=(const DemoStreet&) = delete;
  ~DemoStreet();

  // Join proxies before the owner's registrar, which answers by now: over TCP at `https`, and over UDP at `join` (JPY).
  // A port that is 0 gets none.
  OrProblem<Ok> add_proxies(std::uint16_t https, std::uint16_t join);
  void run();  // from then on the thread serves

  DemoMaker* maker(std::string_view name) const;  // null: nobody is called so
  std::vector<DemoMakerFacts> facts() const;
  std::uint16_t tls_proxy() const { return tls_ ? tls_->port() : std::uint16_t{0}; }
  std::uint16_t coaps_proxy() const { return coaps_ ? coaps_->port() : std::uint16_t{0}; }

 private:
  io::Loop loop_;
  SystemRng rng_;
  std::vector<std::unique_ptr<DemoMaker>> makers_;
  std::unique_ptr<JoinProxy> tls_;
  std::unique_ptr<CoapJoinProxy> coaps_;
  bool waits_ = false;  // for the registrar, before the thread begins
  std::thread thread_;
};

}  // namespace imprint::app
