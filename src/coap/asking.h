// One request of ours on its way through blocks (RFC 7959): its body out in as many as it takes, the answer's back in.
#pragma once

#include <optional>

#include "coap/mapping.h"
#include "coap/messaging.h"

namespace imprint::coap {

class Asking {
 public:
  // Errors: see to_message(Request); limit: a body above Parameters::max_body_bytes.
  static Result<Asking> make(const Request& what, const Parameters& parameters);

  // What is to be sent now, without type, id and token.
  Message next() const;
  // Takes the peer's answer to next(). Nothing: next() is to be sent again, it is another one now. Errors: malformed
  // (blocks that do not fit together), limit (an answer above max_body_bytes), conflict (it changed while it was read).
  std::optional<Result<Response>> take(const Message& answer);

 private:
  explicit Asking(const Parameters& parameters)
      : exponent_(parameters.block_exponent), wanted_(parameters.block_exponent), max_(parameters.max_body_bytes) {}

  std::optional<Result<Response>> take_while_sending(const Message& answer);
  std::optional<Result<Response>> take_block(const Message& answer);
  std::optional<Result<Response>> collect(const Message& answer, const Block& block);
  bool fits_one() const { return body_.size() <= Block{0, false, exponent_}.size() && !in_blocks_; }
  std::size_t step() const { return std::min(Block{0, false, exponent_}.size(), body_.size() - sent_); }
  std::optional<Result<Response>> start_over();

  Message head_;  // method and options but for blocks
  Bytes body_;
  std::size_t sent_ = 0;  // bytes of the body that the peer has
  bool in_blocks_ = false;
  std::uint8_t exponent_;  // of the blocks that we send
  std::uint8_t wanted_;    // of the blocks that we ask for
  std::size_t max_;
  std::optional<Message> first_;  // the answer's first block: code and options
  Bytes got_;
  bool again_ = false;  // it was started over once
};

}  // namespace imprint::coap
