// The join proxy of RFC 8995 section 4: a circuit proxy that makes itself known on a link, while its registrar is
// there.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/resolver.h"
#include "io/tcp_probe.h"
#include "io/tcp_proxy.h"
#include "runtime/discovery_port.h"

namespace imprint {

class JoinProxy {
 public:
  struct Options {
    std::string registrar;  // an address, or a name that is resolved again and again
    std::uint16_t registrar_port = 0;
    // In place of both: an interface of the owner's own network, where registrars announce themselves (RFC 8995
    // section 4.3). Whoever is there is believed.
    std::string find;
    io::TcpProxyOptions proxy;
    std::optional<DiscoveryPort::Options> announce;  // none: nobody is told
    std::string instance;                            // of the service on DNS-SD
    Duration probe_every = std::chrono::seconds(10);
    Duration probe_longest = std::chrono::seconds(3);
    unsigned misses = 2;  // so many probes in a row fail, and the registrar counts as lost
  };
  // Where a registrar may be, and who says so.
  struct Named {
    io::Address at;
    std::string source;
    bool operator==(const Named&) const = default;
  };
  // What happens, for people and logs.
  struct Event {
    enum class Kind : std::uint8_t {
      registrar_found,
      registrar_lost,
      announced,  // detail: interface and name
      withdrawn,
      not_announced,  // detail: why
      opened,         // a connection
      closed,         // detail: how
      turned_away,    // detail: why
    };
    Kind kind = Kind::opened;
    std::string who;  // the registrar's or the device's address
    std::string detail;
    std::uint64_t connection = 0, bytes_up = 0, bytes_down = 0;
  };

  // Errors: those of Listener::open() and DiscoveryPort::open().
  static Result<std::unique_ptr<JoinProxy>> start(io::Loop& loop, Rng& rng, Options options,
                                                  std::function<void(const Event&)> told);
  JoinProxy(const JoinProxy&) = delete;
  JoinProxy& operator=(const JoinProxy&) = delete;
  ~JoinProxy();

  std::uint16_t port() const { return proxy_->port(); }
  bool registrar_there() const { return there_; }
  bool announces() const { return discovery_ && discovery_->announces(); }
  const io::TcpProxy::Stats& stats() const { return proxy_->stats(); }
  // Announces nothing any more, takes nobody, and calls back when all have ended, at the latest after `grace`.
  void stop(Duration grace, std::function<void()> stopped);

 private:
  JoinProxy(io::Loop& loop, Options options, std::function<void(const Event&)> told);
  Status open(Rng& rng);
  io::TcpProxy::Handlers handlers();
  void look_soon();
  void resolve();
  void probe(const Result<std::vector<std::string>>& addresses);
  void probe_all(const std::vector<Named>& named);
  void probed(const io::Address& to, bool there);
  void found(const io::Address& at);
  void missed();
  void announce();
  void withdraw();
  void tell(const Event& event) const;

  io::Loop& loop_;
  Options options_;
  std::function<void(const Event&)> told_;
  io::Resolver resolver_;
  std::unique_ptr<io::TcpProxy> proxy_;
  std::unique_ptr<DiscoveryPort> discovery_;
  std::unique_ptr<DiscoveryPort> finder_;  // of registrars
  std::unique_ptr<io::TcpProbe> probe_;
  std::vector<io::Address> to_try_;  // not probed yet this time
  std::vector<io::Address> failed_;  // of those that are named now: the one that failed last is the last
  io::Address registrar_;
  bool there_ = false, stopping_ = false, hurries_ = false;
  unsigned missed_ = 0;
  std::uint64_t timer_ = 0;
};

// Where registrars are that take TCP, as they were heard on this interface: by floods of AN_join_registrar from its own
// networks, then by DNS-SD, there only in these networks. `own` are the machine's addresses: whoever is on the link
// does not make the proxy a way into its own machine.
std::vector<JoinProxy::Named> registrars_in(const std::vector<brski::Heard>& floods,
                                            const std::vector<brski::Browser::Found>& services,
                                            const io::Interface& link, const std::vector<io::Address>& own);

// The machine's addresses, on all its interfaces.
std::vector<io::Address> own_addresses();
// A host's address, and not one of this machine's: unspecified, loopback, multicast and broadcast are nobody's, nor is
// IPv6 whose first half is zero, which is an IPv4 address in disguise or one of the machine's. Loopback counts among
// programs of one machine.
bool may_be_elsewhere(const io::Address& at, const io::Interface& link, const std::vector<io::Address>& own);

// Whom to try this time, at most 8, and of one source at most two: the one that was there the last time, then in turns
// those that have not failed and those that have, these in the order of `failed`.
std::vector<io::Address> next_to_try(const std::vector<JoinProxy::Named>& named, const io::Address& last,
                                     const std::vector<io::Address>& failed);

// For logs: "registrar-found", "opened".
std::string_view name(JoinProxy::Event::Kind kind);

}  // namespace imprint
