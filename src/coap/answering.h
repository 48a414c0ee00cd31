// The peer's requests on their way through blocks (RFC 7959): bodies are put together before anybody is asked, answers
// are cut and kept until they are fetched. Nobody is asked twice for one request.
#pragma once

#include <optional>
#include <variant>

#include "coap/mapping.h"
#include "coap/messaging.h"

namespace imprint::coap {

class Answering {
 public:
  explicit Answering(const Parameters& parameters)
      : exponent_(parameters.block_exponent),
        max_(parameters.max_body_bytes),
        lifetime_(parameters.exchange_lifetime) {}

  // What an answer has to fit to: taken from the request that was asked.
  struct Asked {
    Method method = Method::get;
    std::string target;           // method, path and query
    std::string if_none_match;    // the version that the asker holds
    std::optional<Block> block1;  // of the request's last block
    std::optional<Block> block2;  // what the asker wants first
  };
  struct Whole {
    Asked asked;
    Request request;  // without its session
  };
  // A new request's message: an answer to it at once (2.31, a further block, a refusal), or a whole request.
  std::variant<Message, Whole> take(const Message& message, Instant now);

  // The answer in the form that goes back; what does not fit in its first block is kept.
  Message answer(const Asked& asked, const Response& response, Instant now);

  // When something that is kept is no longer wanted; expire() drops it.
  std::optional<Instant> deadline() const;
  void expire(Instant now);

 private:
  struct Upload {
    std::string target;
    Bytes body;
    Instant until;
  };
  struct Kept {
    std::string target;
    Message head;  // without payload and Block2
    Secret body;   // it may be a key
    Instant until;
  };

  std::variant<Message, Whole> collect(const Message& message, Whole whole, const Block& block, Instant now);
  Message piece(const Message& head, BytesView body, Block block) const;
  Block fitting(Block wanted) const;

  std::uint8_t exponent_;
  std::size_t max_;
  Duration lifetime_;
  std::vector<Upload> uploads_;  // the latest last
  std::vector<Kept> kept_;       // the latest last
};

}  // namespace imprint::coap
