// CoAP in the open, for those who look for something: a question in one datagram, the answer in another (RFC 7252
// sections 5 and 8). Nothing is kept of anybody; what must not be heard or changed by others has no place here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "base/rng.h"
#include "codec/coap.h"
#include "io/multicast.h"
#include "io/udp.h"
#include "role/session.h"

namespace imprint::io {

struct CoapResponderOptions {
  // Who asks a group is answered at a moment by chance within this time (RFC 7252 section 8.2). One hop away few
  // answer.
  Duration leisure{500};
  std::size_t max_per_second = 50;  // answers; the address that they go to may be a lie
  std::size_t max_waiting = 16;     // answers to groups that wait for their moment
};

struct CoapResponderStats {
  std::uint64_t answered = 0;
  std::uint64_t silent = 0;      // nothing to say to a group
  std::uint64_t over_limit = 0;  // dropped
  std::uint64_t unreadable = 0;  // no request
};

// All on the loop's thread.
class CoapResponder {
 public:
  // Nothing: silence. Must give the same answer to the same question, or an asker who reads it in blocks gets a
  // mixture.
  using Answer = std::function<std::optional<Response>(const Request&, bool to_group)>;
  using Send = std::function<void(const Address& to, BytesView datagram)>;

  // Over sockets of others: datagrams come by take(), answers go by
  // `send`. `rng` stays.
  CoapResponder(Loop& loop, Rng& rng, CoapResponderOptions options, Answer answer, Send send);
  // The same with a socket of its own, for unicast. Errors: those of UdpSocket::bind.
  static Result<std::unique_ptr<CoapResponder>> listen(Loop& loop, Rng& rng, const UdpSocket::Where& where,
                                                       CoapResponderOptions options, Answer answer);
  // The same for a group on one interface: "ff02::fd", port 5683 (RFC 7252 section 12.8). Who sends to our own address
  // and the group's port is heard, too. Errors: those of MulticastSocket::join.
  static Result<std::unique_ptr<CoapResponder>> join(Loop& loop, Rng& rng, const Interface& interface,
                                                     const MulticastSocket::Where& where, CoapResponderOptions options,
                                                     Answer answer);
  CoapResponder(const CoapResponder&) = delete;
  CoapResponder& operator=(const CoapResponder&) = delete;
  ~CoapResponder();

  // `at_group`: by a socket that takes a group's datagrams and our own. A confirmable one is our own there, since a
  // group is asked by others alone (RFC 7252 section 8.1); it is answered at once.
  void take(const Address& from, BytesView datagram, bool at_group);
  std::uint16_t port() const { return socket_ == nullptr ? std::uint16_t{0} : socket_->port(); }
  const CoapResponderStats& stats() const { return stats_; }

 private:
  std::optional<coap::Message> answer_to(const coap::Message& question, bool to_group);
  bool within_limit();
  void send_later(const Address& to, Bytes datagram);

  Loop& loop_;
  Rng& rng_;
  CoapResponderOptions options_;
  Answer answer_;
  Send send_;
  std::unique_ptr<UdpSocket> socket_;  // at most one of these
  std::unique_ptr<MulticastSocket> group_;
  CoapResponderStats stats_;
  Instant second_;  // the one that is counted in
  std::size_t in_second_ = 0;
  std::set<std::uint64_t> waiting_;  // timers
};

}  // namespace imprint::io
