// Join proxies for pledges that speak DTLS (draft-ietf-anima-constrained-join-proxy): datagrams of those who have no
// address in the network yet go on to the registrar, and its answers back. The proxy reads none of them.
#pragma once

#include <memory>

#include "io/datagram_path.h"
#include "io/udp.h"

namespace imprint::io {

struct UdpJoinProxyOptions {
  UdpSocket::Where listen;          // where pledges come: a link-local address of one interface ("fe80::1%eth0")
  Address registrar;                // port 0: not known yet; what comes before set_registrar() is dropped
  std::size_t max_datagram = 1500;  // in bytes, of a pledge or the registrar; larger ones are dropped
  // Stateful: how long a pledge's way is kept after the registrar's last datagram, and how many there are. One without
  // an answer for so long makes room for another pledge.
  Duration idle{30000}, unanswered{5000};
  std::size_t max_of_address = 2, max_of_interface = 10;
  // Stateless: datagrams of pledges within a second; beyond they are dropped, for the sake of the network behind. One
  // address has a part of them.
  std::size_t max_per_second = 200, max_of_address_per_second = 50;
};

// Counted since the start, for metrics. Bytes are those of datagrams as pledges send and get them.
struct UdpJoinProxyStats {
  std::uint64_t from_pledges = 0, to_pledges = 0, bytes_from_pledges = 0, bytes_to_pledges = 0;
  std::uint64_t over_limit = 0;   // dropped: too many ways, too many datagrams, too large
  std::uint64_t unreadable = 0;   // stateless: dropped, not an answer to what we have sent
  std::uint64_t lost = 0;         // the kernel did not take them
  std::uint64_t unreachable = 0;  // stateful: nobody has the registrar's port; the pledge's way has ended by it
  std::size_t open = 0;           // stateful: ways of pledges
};

// How a stateless proxy wraps a pledge's datagram for the registrar, and knows from its answer where it goes. Errors
// drop the datagram without a word.
struct ReturnEnvelope {
  struct Returned {
    Address to;
    BytesView content;
  };
  std::function<Bytes(const Address& pledge, BytesView datagram, Instant now)> wrap;
  std::function<Result<Returned>(BytesView datagram, Instant now)> open;
};

// All on the loop's thread. What is said of ICMP in the draft is not done, to send or relay it takes a raw socket:
// over a limit and toward a registrar that is away, pledges hear nothing and go by their timers.
class UdpJoinProxy {
 public:
  // A socket of its own toward the registrar for each address and port of a pledge. Errors: those of UdpSocket::bind.
  static Result<std::unique_ptr<UdpJoinProxy>> stateful(Loop& loop, UdpJoinProxyOptions options);
  // One socket toward the registrar for all. Errors: those of UdpSocket::bind and connect.
  static Result<std::unique_ptr<UdpJoinProxy>> stateless(Loop& loop, UdpJoinProxyOptions options,
                                                         ReturnEnvelope envelope);
  UdpJoinProxy() = default;
  UdpJoinProxy(const UdpJoinProxy&) = delete;
  UdpJoinProxy& operator=(const UdpJoinProxy&) = delete;
  virtual ~UdpJoinProxy();

  virtual std::uint16_t port() const = 0;  // for pledges
  // Later datagrams go there. Stateful: ways to the one of before end. Errors: those of UdpSocket::connect; then all is
  // as it was.
  virtual Status set_registrar(const Address& registrar) = 0;
  virtual UdpJoinProxyStats stats() const = 0;
};

}  // namespace imprint::io
