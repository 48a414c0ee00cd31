#include "io/coap_responder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "coap/mapping.h"

namespace imprint::io {
namespace {

using coap::Message;
using coap::Type;

bool is_request(const Message& m) { return coap::class_of(m.code) == 0 && m.code != coap::kEmpty; }

Message refusal(coap::Code code) {
  Message out;
  out.code = code;
  return out;
}

// The part of an answer that was asked for (RFC 7959 section 2.4): nothing has to be kept for the next one.
Message in_block(Message head, BytesView body, const Message& question) {
  coap::Block block;
  if (const coap::Option* const wanted = question.find(coap::kBlock2)) {
    const auto read = coap::Block::parse(wanted->value);
    CHECK_OR(read, refusal(coap::kBadOption));
    block = *read;
    block.more = false;
  } else if (body.size() <= block.size()) {
    head.payload = to_bytes(body);
    return head;
  }
  CHECK_OR(block.number == 0 || block.offset() < body.size(), refusal(coap::kBadRequest));
  const BytesView rest = body.subspan(block.offset());
  const BytesView piece = rest.first(std::min(block.size(), rest.size()));
  block.more = piece.size() < rest.size();
  head.payload = to_bytes(piece);
  head.add_number(coap::kBlock2, block.encode());
  return head;
}

}  // namespace

CoapResponder::CoapResponder(Loop& loop, Rng& rng, CoapResponderOptions options, Answer answer, Send send)
    : loop_(loop), rng_(rng), options_(options), answer_(std::move(answer)), send_(std::move(send)) {}

CoapResponder::~CoapResponder() {
  for (const std::uint64_t timer : waiting_) {
    loop_.cancel(timer);
  }
}

Result<std::unique_ptr<CoapResponder>> CoapResponder::listen(Loop& loop, Rng& rng, const UdpSocket::Where& where,
                                                             CoapResponderOptions options, Answer answer) {
  auto out = std::make_unique<CoapResponder>(loop, rng, options, std::move(answer), nullptr);
  CoapResponder* const self = out.get();
  UdpSocket::Handlers handlers{[self](const Address& from, BytesView d) { self->take(from, d, false); }, nullptr};
  TRY(out->socket_, UdpSocket::bind(loop, where, std::move(handlers)));
  out->send_ = [self](const Address& to, BytesView d) {
    // It may be lost here as it may be on the way: who asks asks again.
    [[maybe_unused]] const Status sent = self->socket_->send_to(to, d);
  };
  return out;
}

Result<std::unique_ptr<CoapResponder>> CoapResponder::join(Loop& loop, Rng& rng, const Interface& interface,
                                                           const MulticastSocket::Where& where,
                                                           CoapResponderOptions options, Answer answer) {
  auto out = std::make_unique<CoapResponder>(loop, rng, options, std::move(answer), nullptr);
  CoapResponder* const self = out.get();
  TRY(out->group_, MulticastSocket::join(loop, interface, where,
                                         [self](const Address& from, BytesView d) { self->take(from, d, true); }));
  out->send_ = [self](const Address& to, BytesView d) {
    [[maybe_unused]] const Status sent = self->group_->send_to(to, d);
  };
  return out;
}

void CoapResponder::take(const Address& from, BytesView datagram, bool at_group) {
  const auto question = Message::parse(datagram);
  const bool good = question && is_request(*question) &&
                    (question->type == Type::non_confirmable || question->type == Type::confirmable);
  if (!good) {
    ++stats_.unreadable;
    return;
  }
  const bool to_group = at_group && question->type == Type::non_confirmable;
  auto answer = answer_to(*question, to_group);
  if (!answer) {
    ++stats_.silent;
    return;
  }
  if (!within_limit()) {
    ++stats_.over_limit;
    return;
  }
  std::array<std::uint8_t, 2> id{};
  rng_.fill(id);
  const bool confirmable = question->type == Type::confirmable;
  answer->type = confirmable ? Type::acknowledgement : Type::non_confirmable;
  answer->id = confirmable ? question->id : static_cast<std::uint16_t>(id[0] << 8U | id[1]);
  answer->token = question->token;
  if (to_group) {
    send_later(from, answer->encode());
  } else {
    ++stats_.answered;
    send_(from, answer->encode());
  }
}

std::optional<Message> CoapResponder::answer_to(const Message& question, bool to_group) {
  const auto request = coap::to_request(question);
  if (!request) {
    return to_group ? std::nullopt : std::optional(refusal(coap::code_of(request.error())));
  }
  const auto response = answer_(*request, to_group);
  if (!response) {
    return std::nullopt;
  }
  return in_block(coap::to_message(*response, request->method), response->body, question);
}

bool CoapResponder::within_limit() {
  const Instant now = steady_clock();
  if (now - second_ >= Duration(1000)) {
    second_ = now;
    in_second_ = 0;
  }
  return ++in_second_ <= options_.max_per_second;
}

void CoapResponder::send_later(const Address& to, Bytes datagram) {
  if (waiting_.size() >= options_.max_waiting) {
    ++stats_.over_limit;
    return;
  }
  std::array<std::uint8_t, 3> luck{};
  rng_.fill(luck);
  const std::uint32_t draw = std::uint32_t{luck[0]} << 16U | std::uint32_t{luck[1]} << 8U | luck[2];
  const Duration delay((options_.leisure.count() * static_cast<std::int64_t>(draw)) >> 24U);
  const auto timer = std::make_shared<std::uint64_t>(0);
  *timer = loop_.after(delay, [this, to, timer, d = std::move(datagram)] {
    waiting_.erase(*timer);
    ++stats_.answered;
    send_(to, d);
  });
  waiting_.insert(*timer);
}

}  // namespace imprint::io
