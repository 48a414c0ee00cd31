// What a device hears on one interface of those who could lead it to its owner: floods of join proxies, services on
// multicast DNS, and answers to questions by CoAP (RFC 8995 section 4.1 and appendix B;
// draft-ietf-anima-constrained-voucher). Nothing of it is authentic.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "io/coap_search.h"
#include "proto/brski/coap.h"
#include "proto/brski/pledge.h"
#include "runtime/discovery_port.h"

namespace imprint {

// ---- from what was heard to where it leads. Only what is on the interface's own link counts: an announcement must not
// send the device through the network. ----

struct HeardOn {
  const io::Interface& link;
  bool https = true, coaps = false;  // what the device speaks
  Instant steady, wall;              // now, by both clocks
};
std::vector<brski::Announced> announced_by(const brski::Heard& flood, const HeardOn& on);
// At most two addresses of one service, the link-local one of IPv6 first.
std::vector<brski::Announced> announced_by(const brski::Browser::Found& service, const HeardOn& on);
// An answer to CoAP's group, and who gave it; it counts until `until`.
std::vector<brski::Announced> announced_by(const Response& answer, const io::Address& from, const HeardOn& on,
                                           Instant until);

class RegistrarEars {
 public:
  struct Options {
    std::string interface;
    bool https = true, coaps = false;
  };
  // `changed` is called from the loop whenever something was heard. `rng` stays. Errors: those of DiscoveryPort::open()
  // and CoapSearch::open().
  static Result<std::unique_ptr<RegistrarEars>> open(io::Loop& loop, Rng& rng, Options options,
                                                     std::function<void()> changed);
  RegistrarEars(const RegistrarEars&) = delete;
  RegistrarEars& operator=(const RegistrarEars&) = delete;
  ~RegistrarEars();

  // What holds now: join proxies before registrars.
  std::vector<brski::Announced> announced();

 private:
  RegistrarEars(io::Loop& loop, Options options, std::function<void()> changed)
      : loop_(loop), options_(std::move(options)), changed_(std::move(changed)) {}
  Status open_coap(Rng& rng);
  void ask();
  void make_room();
  void take(const io::Address& from, const Response& answer);
  HeardOn on() const;

  io::Loop& loop_;
  Options options_;
  std::function<void()> changed_;
  std::unique_ptr<DiscoveryPort> port_;
  std::unique_ptr<io::CoapSearch> for_proxies_, for_others_;
  std::vector<brski::Announced> by_coap_;
  Duration pause_{1000};  // before the next question
  std::uint64_t timer_ = 0;
};

}  // namespace imprint
