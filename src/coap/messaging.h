// The message layer (RFC 7252 section 4): confirmable messages arrive or their sender is told, none is taken twice.
// No socket, no clock: datagrams and the time come in, datagrams go out. A value: a copy goes its own way.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/instant.h"
#include "base/rng.h"
#include "codec/coap.h"

namespace imprint::coap {

// RFC 7252 section 4.8, and bounds of ours.
struct Parameters {
  Duration ack_timeout{2000};  // before the first retransmission: up to half as much again, by chance
  unsigned max_retransmit = 4;
  std::size_t nstart = 1;              // confirmable messages on their way at once
  Duration exchange_lifetime{247000};  // how long a message id stands for one message
  Duration response_timeout{247000};   // for an answer to a request that the peer has acknowledged
  Duration piggyback{500};             // an answer that takes longer gets an acknowledgement sent ahead of it
  std::uint8_t block_exponent = 6;     // blocks of 2^(n + 4) bytes
  std::size_t max_body_bytes = 64 * 1024;
  std::size_t max_requests = 64;  // of ours that wait, and of the peer that are not answered yet
};

using Datagrams = std::vector<Bytes>;

class Messaging {
 public:
  explicit Messaging(const Parameters& parameters) : parameters_(parameters) {}

  // What a datagram means to the layer above; nothing if it was a copy, an acknowledgement that nobody waits for, or no
  // message at all.
  struct Heard {
    std::optional<Message> message;             // a request or a response that has not been heard before
    std::optional<std::uint64_t> acknowledged;  // the message of ours that has arrived: its tag
    std::optional<std::uint64_t> rejected;      // the message of ours that the peer has no use for: its tag
  };
  Heard receive(BytesView datagram, Instant now, Datagrams& out);

  // Sends a message under a fresh id: a confirmable one by flush(), when its turn has come, again until it is
  // acknowledged. What goes on with a transfer comes before what begins one, so that a peer has few of them at once.
  enum class Turn : std::uint8_t { goes_on, begins };
  void send(std::uint64_t tag, Message message, Turn turn, Rng& rng, Datagrams& out);
  // To be called after all else: sends what waits, as far as NSTART allows.
  void flush(Instant now, Rng& rng, Datagrams& out);
  // Acknowledges a message that was heard; `response` may be empty, or the answer itself, with its token and options.
  void acknowledge(std::uint16_t id, Message response, Datagrams& out);
  // Tells the peer that a message cannot be used (section 4.2).
  void reject(std::uint16_t id, Datagrams& out);
  // Nobody needs this message to arrive any more.
  void forget(std::uint64_t tag);

  // When expire() is to be called next, if nothing happens before.
  std::optional<Instant> deadline() const;
  // Retransmits what is due; gives the tags of messages that were never acknowledged.
  std::vector<std::uint64_t> expire(Instant now, Datagrams& out);

 private:
  struct Outstanding {
    std::uint64_t tag = 0;
    std::uint16_t id = 0;
    Bytes datagram;
    Instant due;
    Duration timeout{};
    unsigned left = 0;  // retransmissions
  };
  struct Waiting {
    std::uint64_t tag = 0;
    Message message;
  };
  struct Seen {
    std::uint16_t id = 0;
    Instant until;
    Bytes answer;  // what a copy gets; empty: none has been given yet, or it is too old
  };

  std::uint16_t fresh_id(Rng& rng);
  bool heard_before(const Message& m, Instant now, Datagrams& out);
  void remember_answer(std::uint16_t id, const Bytes& datagram);
  std::optional<std::uint64_t> settle(std::uint16_t id);

  Parameters parameters_;
  std::optional<std::uint16_t> next_id_;
  std::vector<Outstanding> outstanding_;
  std::deque<Waiting> waiting_;
  std::deque<Seen> seen_;  // in the order of arrival
};

}  // namespace imprint::coap
