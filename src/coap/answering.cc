#include "coap/answering.h"

#include <algorithm>

namespace imprint::coap {
namespace {

// Of one peer at once: an honest one has one of each, or two.
constexpr std::size_t kMaxUploads = 2, kMaxKept = 2;

Message refusal(Code code, std::string_view why = {}) {
  Message out;
  out.code = code;
  out.payload = to_bytes(why);
  return out;
}

// RFC 7959 section 2.9.3: with the size that would have been taken.
Message too_large(std::size_t most) {
  Message out = refusal(kTooLarge, "coap: the body is too large");
  out.add_number(kSize1, static_cast<std::uint32_t>(most));
  return out;
}

// As much of a text as fits, in whole characters.
Bytes cut(BytesView text, std::size_t most) {
  std::size_t end = std::min(text.size(), most);
  while (end > 0 && end < text.size() && (text[end] & 0xc0U) == 0x80) {
    --end;
  }
  return to_bytes(text.first(end));
}

template <class T>
void drop_oldest(std::vector<T>& all, std::size_t most) {
  if (all.size() > most) {
    all.erase(all.begin());
  }
}

// Malformed block options make the request one; a block option is critical.
Result<std::optional<Block>> block_of(const Message& m, std::uint16_t option) {
  const Option* const found = m.find(option);
  if (found == nullptr) {
    return std::optional<Block>();
  }
  TRY(const Block block, Block::parse(found->value));
  return std::optional(block);
}

}  // namespace

std::variant<Message, Answering::Whole> Answering::take(const Message& message, Instant now) {
  auto request = to_request(message);
  if (!request) {
    return refusal(code_of(request.error()), request.error().what);
  }
  const auto block1 = block_of(message, kBlock1);
  const auto block2 = block_of(message, kBlock2);
  if (!block1 || !block2) {
    return refusal(code_of((block1 ? block2 : block1).error()), "coap: a block option");
  }
  Whole whole;
  whole.asked.method = request->method;
  whole.asked.target = std::string(name(request->method)) + " " + request->path + "?" + request->query + " " +
                       request->accept;  // RFC 7959 section 2.4: blocks of one representation
  whole.asked.if_none_match = request->if_none_match;
  whole.asked.block2 = *block2;
  whole.request = *std::move(request);
  if (*block1) {
    return collect(message, std::move(whole), **block1, now);
  }
  if (*block2 && (*block2)->number > 0) {
    const auto it = std::ranges::find(kept_, whole.asked.target, &Kept::target);
    if (it != kept_.end()) {
      return piece(it->head, it->body.expose(), fitting(**block2));
    }
    if (whole.asked.method != Method::get) {  // asking again would do it again
      return refusal(kIncomplete, "coap: the answer is not kept any more; ask anew");
    }
  }
  if (whole.request.body.size() > max_) {
    return too_large(max_);
  }
  return whole;
}

std::variant<Message, Answering::Whole> Answering::collect(const Message& message, Whole whole, const Block& block,
                                                           Instant now) {
  if (block.more && message.payload.size() != block.size()) {
    return refusal(kBadRequest, "coap: a block that is not full");
  }
  const std::string target = whole.asked.target + " " + whole.request.content_type;  // section 2.3: of one format
  auto it = std::ranges::find(uploads_, target, &Upload::target);
  if (block.number == 0) {  // a new body, whatever was there
    if (it != uploads_.end()) {
      uploads_.erase(it);
    }
    uploads_.push_back({target, {}, now + lifetime_});
    drop_oldest(uploads_, kMaxUploads);
    it = uploads_.end() - 1;
  }
  if (it == uploads_.end() || it->body.size() != block.offset()) {
    return refusal(kIncomplete, "coap: an earlier block is missing; start with the first");
  }
  const std::uint32_t promised = message.number(kSize1).value_or(0);
  if (it->body.size() + message.payload.size() > max_ || promised > max_) {
    uploads_.erase(it);
    return too_large(max_);
  }
  it->body.insert(it->body.end(), message.payload.begin(), message.payload.end());
  it->until = now + lifetime_;
  if (block.more) {
    Message go_on;
    go_on.code = kContinue;
    go_on.add_number(kBlock1, Block{block.number, true, std::min(block.exponent, exponent_)}.encode());
    return go_on;
  }
  whole.request.body = std::move(it->body);
  uploads_.erase(it);
  whole.asked.block1 = block;
  return whole;
}

Block Answering::fitting(Block wanted) const {
  if (wanted.exponent > exponent_) {  // the same place, in smaller steps
    wanted.number <<= static_cast<unsigned>(wanted.exponent - exponent_);
    wanted.exponent = exponent_;
  }
  return wanted;
}

Message Answering::piece(const Message& head, BytesView body, Block block) const {
  if (block.offset() >= body.size() && block.number > 0) {
    return refusal(kBadRequest, "coap: a block after the end");
  }
  Message out = head;
  const std::size_t size = std::min(block.size(), body.size() - block.offset());
  block.more = block.offset() + size < body.size();
  const auto from = body.begin() + static_cast<std::ptrdiff_t>(block.offset());
  out.payload.assign(from, from + static_cast<std::ptrdiff_t>(size));
  out.add_number(kBlock2, block.encode());
  if (block.number == 0) {
    out.add_number(kSize2, static_cast<std::uint32_t>(body.size()));
  }
  return out;
}

Message Answering::answer(const Asked& asked, const Response& response, Instant now) {
  Message head = to_message(response, asked.method);
  if (head.code == kServerError && response.status / 100 == 2) {
    return head;  // in no form that CoAP has: nothing of it goes out
  }
  if (asked.block1) {
    head.add_number(kBlock1, asked.block1->encode());
  }
  std::erase_if(kept_, [&](const Kept& k) { return k.target == asked.target; });
  if (head.code == kContent && !response.etag.empty() && response.etag == asked.if_none_match) {
    head.code = kValid;  // RFC 7252 section 5.6.2: what the asker holds is still good
    std::erase_if(head.options, [](const Option& o) { return o.number == kContentFormat; });
    return head;
  }
  const Block wanted = fitting(asked.block2.value_or(Block{0, false, exponent_}));
  if (class_of(head.code) != 2) {
    head.payload = cut(response.body, wanted.size());  // a diagnostic: what does not fit is left out
    return head;
  }
  if (response.body.size() <= wanted.size() && wanted.number == 0 && !asked.block2) {
    head.payload = response.body;
    return head;
  }
  Message first = piece(head, response.body, wanted);
  std::erase_if(head.options, [](const Option& o) { return o.number == kBlock1; });
  if (response.body.size() > wanted.size()) {
    kept_.push_back({asked.target, std::move(head), Secret(BytesView(response.body)), now + lifetime_});
    drop_oldest(kept_, kMaxKept);
  }
  return first;
}

std::optional<Instant> Answering::deadline() const {
  std::optional<Instant> first;
  for (const Upload& u : uploads_) {
    first = first ? std::min(*first, u.until) : u.until;
  }
  for (const Kept& k : kept_) {
    first = first ? std::min(*first, k.until) : k.until;
  }
  return first;
}

void Answering::expire(Instant now) {
  std::erase_if(uploads_, [now](const Upload& u) { return u.until <= now; });
  std::erase_if(kept_, [now](const Kept& k) { return k.until <= now; });
}

}  // namespace imprint::coap
