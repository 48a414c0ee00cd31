// CoAP toward one peer, as client and server at once (RFC 7252, RFC 7959): requests and responses above, datagrams
// below. No socket, no clock, no luck of its own; a value, so that a copy goes its own way. Where the peer is, and what
// protects the datagrams, is the owner's business: one Endpoint belongs to one DTLS connection or one address.
#pragma once

#include <map>
#include <variant>

#include "coap/answering.h"
#include "coap/asking.h"
#include "role/turn.h"

namespace imprint::coap {

class Endpoint {
 public:
  explicit Endpoint(const Parameters& parameters = {})
      : parameters_(parameters), messaging_(parameters), answering_(parameters) {}

  // The peer asks; answer by reply(). Each request is told once, however often its datagrams come.
  struct Asked {
    std::uint64_t number = 0;  // counted from 1 in this Endpoint
    Request request;
  };
  // A request of ours is over. Errors: unreachable (never acknowledged, or acknowledged and not answered in time),
  // refused (the peer rejected the message), and those of Asking::take().
  struct Answered {
    std::uint64_t number = 0;
    Result<Response> answer;
  };
  using Event = std::variant<Asked, Answered>;
  struct Out {
    Datagrams datagrams;  // in order
    std::vector<Event> events;
  };

  void receive(BytesView datagram, Instant now, Rng& rng, Out& out);
  // Asks the peer; gives the number under which it will be answered. Errors are told in the same way, later.
  std::uint64_t request(const Request& what, Instant now, Rng& rng, Out& out);
  // Nobody waits for this answer any more.
  void cancel(std::uint64_t number, Instant now, Rng& rng, Out& out);
  // Answers a request of the peer, once; false if there is none of this number.
  bool reply(std::uint64_t number, const Response& response, Instant now, Rng& rng, Out& out);

  std::optional<Instant> deadline() const;
  void expire(Instant now, Rng& rng, Out& out);

  bool idle() const { return ours_.empty() && theirs_.empty(); }  // nobody waits for anything

 private:
  struct Ours {
    Asking asking;
    Bytes token;
    Instant until;  // for the answer
  };
  struct Theirs {
    Answering::Asked asked;
    Bytes token;
    std::uint16_t id = 0;
    bool confirmable = true;
    bool acknowledged = false;
    Instant acknowledge_at;
  };

  void take_request(const Message& message, Instant now, Rng& rng, Out& out);
  void take_response(const Message& message, Instant now, Rng& rng, Out& out);
  void answer_at_once(const Message& request, Message response, Rng& rng, Out& out);
  void ask(std::uint64_t number, Ours& ours, Messaging::Turn turn, Instant now, Rng& rng, Out& out);
  void over(std::uint64_t number, Result<Response> answer, Out& out);
  void acknowledge_late(Instant now, Out& out);

  Parameters parameters_;
  Messaging messaging_;
  Answering answering_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Ours> ours_;
  std::map<std::uint64_t, Theirs> theirs_;
};

}  // namespace imprint::coap
