// How a registrar makes itself known on one interface: by GRASP to devices and join proxies (RFC 8995 sections 4.1.1
// and 4.3), by DNS-SD (section 8.6), and to those who ask CoAP's group (draft-ietf-anima-constrained-voucher).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/coap_responder.h"
#include "io/coap_search.h"
#include "runtime/discovery_port.h"

namespace imprint {

// Which address of an interface leads to a listener: the listener's own, or for one at all addresses any of its family.
struct Reach {
  bool any = false;                // all addresses of the interface
  std::optional<io::Address> one;  // this one
};
// None if the listener cannot be reached by this interface.
std::optional<Reach> reach_of(const std::string& listen, const io::Interface& link);

class RegistrarVoice {
 public:
  struct Options {
    std::string interface;
    std::string instance;                     // its name on DNS-SD
    std::string listen, coaps_listen;         // addresses of the listeners, as literals
    std::uint16_t port = 0;                   // of EST and BRSKI over HTTPS
    std::uint16_t coaps_port = 0, jpy = 0;    // 0: none
    std::uint16_t coap_port = io::kCoapPort;  // where CoAP's group is asked
    Duration look_again = std::chrono::seconds(10);
  };
  struct Event {
    enum class Kind : std::uint8_t { announced, not_announced, withdrawn };
    Kind kind = Kind::announced;
    std::string interface, detail;  // the name of the service, or why not
  };

  // All on the loop's thread, or before it runs. An interface that comes, goes or changes its addresses is looked at
  // again and again; `told` hears of it. `rng` stays. Errors: malformed (no interface has this name).
  static Result<std::unique_ptr<RegistrarVoice>> start(io::Loop& loop, Rng& rng, Options options,
                                                       std::function<void(const Event&)> told);
  RegistrarVoice(const RegistrarVoice&) = delete;
  RegistrarVoice& operator=(const RegistrarVoice&) = delete;
  ~RegistrarVoice();  // says good-bye

  bool announces() const { return !ports_.empty(); }

 private:
  RegistrarVoice(io::Loop& loop, Rng& rng, Options options, std::function<void(const Event&)> told)
      : loop_(loop), rng_(rng), options_(std::move(options)), told_(std::move(told)) {}
  void look();
  void speak(const io::Interface& link);
  Status speak_https(const io::Interface& link);
  Status speak_coaps(const io::Interface& link);
  Status make_coaps(const io::Interface& link, const Reach& reach);
  using Ports = std::vector<std::unique_ptr<DiscoveryPort>>;
  Status add(Ports& to, const DiscoveryPort::Options& how, const DiscoveryPort::Announcement& what);
  Status answer(const io::Interface& link, const Reach& reach, const std::string& group, bool beyond);
  void fall_silent();
  void tell(Event::Kind kind, std::string detail) const;
  void refused(std::string why);

  io::Loop& loop_;
  Rng& rng_;
  Options options_;
  std::function<void(const Event&)> told_;
  std::vector<io::Address> addresses_;  // of the interface, when it was looked at last
  Ports ports_, coap_ports_;
  std::vector<std::string> refused_;  // told already, at these addresses
  std::vector<std::unique_ptr<io::CoapResponder>> responders_;
  std::uint64_t timer_ = 0;
};

}  // namespace imprint
