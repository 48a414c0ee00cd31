#include "coap/asking.h"

#include <algorithm>

namespace imprint::coap {
namespace {

using Outcome = std::optional<Result<Response>>;

Outcome broken(std::string_view what) { return Result<Response>(Error{Fault::malformed, what}); }

std::optional<Result<Block>> block_of(const Message& m, std::uint16_t option) {
  const Option* const found = m.find(option);
  return found == nullptr ? std::nullopt : std::optional(Block::parse(found->value));
}

bool same_version(const Message& a, const Message& b) {
  const Option* const first = a.find(kETag);
  const Option* const second = b.find(kETag);
  return first == nullptr || second == nullptr ? first == second : first->value == second->value;
}

}  // namespace

Result<Asking> Asking::make(const Request& what, const Parameters& parameters) {
  CHECK_OR(what.body.size() <= parameters.max_body_bytes, Error{Fault::limit, "coap: a request too large"});
  Asking out(parameters);
  TRY(out.head_, to_message(what));
  out.body_ = what.body;
  out.in_blocks_ = !out.fits_one();
  return out;
}

Message Asking::next() const {
  Message out = head_;
  if (first_) {  // RFC 7959 section 3.3: the rest of the answer is asked for without a payload
    const Block want{static_cast<std::uint32_t>(got_.size() / Block{0, false, wanted_}.size()), false, wanted_};
    out.add_number(kBlock2, want.encode());
    return out;
  }
  if (!in_blocks_) {
    out.payload = body_;
  } else {
    const std::size_t size = step();
    const Block block{static_cast<std::uint32_t>(sent_ / Block{0, false, exponent_}.size()),
                      sent_ + size < body_.size(), exponent_};
    out.add_number(kBlock1, block.encode());
    if (sent_ == 0) {
      out.add_number(kSize1, static_cast<std::uint32_t>(body_.size()));
    }
    const auto from = body_.begin() + static_cast<std::ptrdiff_t>(sent_);
    out.payload.assign(from, from + static_cast<std::ptrdiff_t>(size));
  }
  if (wanted_ < 6) {  // smaller blocks than a peer would choose by itself
    out.add_number(kBlock2, Block{0, false, wanted_}.encode());
  }
  return out;
}

Outcome Asking::take(const Message& answer) {
  if (first_) {
    return take_block(answer);
  }
  const auto block1 = block_of(answer, kBlock1);
  if (block1 && !*block1) {
    return broken("coap: Block1 of an answer");
  }
  const bool smaller = block1 && (*block1)->exponent < exponent_;
  if (answer.code == kTooLarge && smaller && sent_ == 0 && !body_.empty()) {
    exponent_ = (*block1)->exponent;  // RFC 7959 section 2.9.3: the size that the peer can take
    in_blocks_ = true;
    return std::nullopt;
  }
  if (answer.code == kIncomplete && in_blocks_ && !again_) {
    return start_over();
  }
  return in_blocks_ && class_of(answer.code) == 2 ? take_while_sending(answer) : take_block(answer);
}

Outcome Asking::start_over() {
  again_ = true;
  sent_ = 0;
  first_.reset();
  got_.clear();
  return std::nullopt;
}

Outcome Asking::take_while_sending(const Message& answer) {
  const auto block1 = block_of(answer, kBlock1);
  const bool last = sent_ + step() == body_.size();
  const auto number = static_cast<std::uint32_t>(sent_ / Block{0, false, exponent_}.size());
  if (!block1 || (*block1)->number != number || (answer.code == kContinue) == last) {
    return broken("coap: an answer to another block than was sent");
  }
  if (last) {
    return take_block(answer);
  }
  sent_ += step();
  exponent_ = std::min(exponent_, (*block1)->exponent);
  return std::nullopt;
}

Outcome Asking::take_block(const Message& answer) {
  const auto block2 = block_of(answer, kBlock2);
  if (block2 && !*block2) {
    return broken("coap: Block2 of an answer");
  }
  if (!first_ && !block2) {
    if (answer.payload.size() > max_) {
      return Result<Response>(Error{Fault::limit, "coap: an answer too large"});
    }
    return to_response(answer);
  }
  if (first_ && class_of(answer.code) != 2) {  // the rest is not to be had
    if (answer.code == kIncomplete && !again_ && head_.code == kGet) {
      return start_over();
    }
    return to_response(answer);
  }
  if (!block2) {
    return broken("coap: a part of an answer without Block2");
  }
  return collect(answer, **block2);
}

Outcome Asking::collect(const Message& answer, const Block& block) {
  if (first_ && (answer.code != first_->code || !same_version(*first_, answer))) {
    if (!again_ && head_.code == kGet) {
      return start_over();
    }
    return Result<Response>(Error{Fault::conflict, "coap: the answer changed while it was read"});
  }
  const bool whole = answer.payload.size() == block.size() || (!block.more && answer.payload.size() < block.size());
  if (block.offset() != got_.size() || !whole) {
    return broken("coap: blocks of an answer that do not fit together");
  }
  if (got_.size() + answer.payload.size() > max_) {
    return Result<Response>(Error{Fault::limit, "coap: an answer too large"});
  }
  got_.insert(got_.end(), answer.payload.begin(), answer.payload.end());
  if (!first_) {
    first_ = answer;
  }
  wanted_ = std::min(wanted_, block.exponent);
  if (block.more) {
    return std::nullopt;
  }
  Message all = *std::exchange(first_, std::nullopt);
  all.payload = std::move(got_);
  return to_response(all);
}

}  // namespace imprint::coap
