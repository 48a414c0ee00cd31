// One interface's discovery on real sockets: GRASP floods and multicast DNS, heard and said (proto/brski/discovery.h,
// dnssd_responder.h, dnssd_browser.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/multicast.h"
#include "proto/brski/discovery.h"
#include "proto/brski/dnssd_browser.h"
#include "proto/brski/dnssd_responder.h"

namespace imprint {

class DiscoveryPort {
 public:
  struct Options {
    std::string interface;
    bool grasp = true, mdns = true;
    bool strict = true;                          // floods: of this link alone (RFC 8990 section 2.5.2)
    std::vector<std::string> browse = {};        // service types to find; empty: none
    bool ask = true;                             // for them; false: listen only
    Duration period = std::chrono::seconds(60);  // of our floods
    std::uint32_t ttl_ms = 180000;
    // Our floods come from an address that is good beyond this link, and name it: those of a registrar, with a loop
    // count of 255, are void from a link-local one (RFC 8990 section 2.5.2; RFC 8995 section 4.3).
    bool beyond = false;
  };
  // What is to be known of us on this link.
  struct Announcement {
    std::vector<brski::Objective> objectives;  // by GRASP, each at our address and port
    std::string service;                       // its type, by DNS-SD; empty: not by that
    std::string instance;                      // its name
    std::vector<std::string> text;             // its TXT
    std::uint16_t port = 0;
    std::optional<io::Address> at;  // only this address of ours; none: those of the interface
  };

  // `changed` is called from the loop whenever something was heard. The interface's loopback counts as a link. Errors:
  // those of Interface::find() and MulticastSocket::join(), if neither family can be had.
  static Result<std::unique_ptr<DiscoveryPort>> open(io::Loop& loop, Rng& rng, Options options,
                                                     std::function<void()> changed);
  DiscoveryPort(const DiscoveryPort&) = delete;
  DiscoveryPort& operator=(const DiscoveryPort&) = delete;
  ~DiscoveryPort();  // says good-bye if something is announced

  const io::Interface& interface() const { return interface_; }
  // From now on, until withdraw(). Errors: malformed (no name, nothing to announce with), with the rule;
  // unreachable (the interface has no address that could be announced).
  Status announce(const Announcement& what);
  void withdraw();
  bool announces() const { return announcing_; }
  // The name of our service as it is now; empty without one.
  std::string instance() const { return responder_ ? responder_->service().instance : std::string(); }

  std::vector<brski::Heard> floods();
  std::vector<brski::Browser::Found> services();

 private:
  struct Flooding {  // one family
    std::unique_ptr<io::MulticastSocket> socket;
    brski::Announcer announcer;
  };

  DiscoveryPort(io::Loop& loop, Rng& rng, Options options, io::Interface interface, std::function<void()> changed);
  Status open_sockets();
  Status join(bool v6);
  std::optional<io::Address> own_address(bool v6, const std::optional<io::Address>& wanted) const;
  void take_flood(const io::Address& from, BytesView datagram);
  void take_dns(io::MulticastSocket& by, const io::Address& from, BytesView datagram);
  bool is_near(const io::Address& from) const;
  void work();
  void rearm();
  void say_dns(BytesView message);

  io::Loop& loop_;
  Rng& rng_;
  Options options_;
  io::Interface interface_;
  std::function<void()> changed_;
  std::vector<Flooding> grasp_;
  std::vector<std::unique_ptr<io::MulticastSocket>> mdns_;
  brski::FloodCache cache_;
  std::optional<brski::Browser> browser_;
  std::optional<brski::Responder> responder_;
  std::string host_;
  bool announcing_ = false;
  std::uint64_t timer_ = 0;
};

// The bytes of an address: 16, or 4.
Bytes address_bytes(const io::Address& address);

}  // namespace imprint
