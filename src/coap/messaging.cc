#include "coap/messaging.h"

#include <algorithm>

namespace imprint::coap {
namespace {

constexpr std::size_t kMaxSeen = 256;    // ids of the peer's latest messages
constexpr std::size_t kMaxAnswers = 16;  // of these, the latest with their answers

bool is_request(Code c) { return class_of(c) == 0 && c != kEmpty; }

// A header that says who sent what, although the rest cannot be read: enough to reject a confirmable message.
std::optional<std::uint16_t> rejectable(BytesView datagram) {
  const bool confirmable = datagram.size() >= 4 && datagram[0] >> 4U == 4;  // version 1, type 0
  return confirmable ? std::optional(static_cast<std::uint16_t>(datagram[2] << 8U | datagram[3])) : std::nullopt;
}

}  // namespace

Messaging::Heard Messaging::receive(BytesView datagram, Instant now, Datagrams& out) {
  auto message = Message::parse(datagram);
  if (!message) {
    if (const auto id = rejectable(datagram)) {
      reject(*id, out);
    }
    return {};
  }
  const bool answers = message->type == Type::acknowledgement || message->type == Type::reset;
  if (answers) {
    const auto tag = settle(message->id);
    if (!tag) {
      return {};
    }
    if (message->type == Type::reset) {
      return {{}, {}, tag};
    }
    const bool empty = message->code == kEmpty;
    return {empty || is_request(message->code) ? std::nullopt : std::optional(*std::move(message)), tag, {}};
  }
  if (message->code == kEmpty) {
    if (message->type == Type::confirmable) {
      reject(message->id, out);  // section 4.3: "CoAP ping"
    }
    return {};
  }
  if (heard_before(*message, now, out)) {
    return {};
  }
  return {*std::move(message), {}, {}};
}

bool Messaging::heard_before(const Message& m, Instant now, Datagrams& out) {
  while (!seen_.empty() && (seen_.front().until <= now || seen_.size() > kMaxSeen)) {
    seen_.pop_front();
  }
  if (const auto it = std::ranges::find(seen_, m.id, &Seen::id); it != seen_.end()) {
    if (!it->answer.empty()) {
      out.push_back(it->answer);
    }
    return true;
  }
  seen_.push_back({m.id, now + parameters_.exchange_lifetime, {}});
  return false;
}

void Messaging::remember_answer(std::uint16_t id, const Bytes& datagram) {
  const auto it = std::ranges::find(seen_, id, &Seen::id);
  if (it == seen_.end()) {
    return;
  }
  it->answer = datagram;
  if (seen_.size() > kMaxAnswers) {
    const auto old = seen_.end() - static_cast<std::ptrdiff_t>(kMaxAnswers) - 1;
    old->answer = {};
  }
}

void Messaging::acknowledge(std::uint16_t id, Message response, Datagrams& out) {
  response.type = Type::acknowledgement;
  response.id = id;
  out.push_back(response.encode());
  remember_answer(id, out.back());
}

void Messaging::reject(std::uint16_t id, Datagrams& out) {
  out.push_back(Message{Type::reset, kEmpty, id, {}, {}, {}}.encode());
  remember_answer(id, out.back());
}

void Messaging::send(std::uint64_t tag, Message message, Turn turn, Rng& rng, Datagrams& out) {
  if (message.type == Type::confirmable) {
    waiting_.insert(turn == Turn::goes_on ? waiting_.begin() : waiting_.end(), {tag, std::move(message)});
  } else {
    message.id = fresh_id(rng);
    out.push_back(message.encode());
  }
}

void Messaging::flush(Instant now, Rng& rng, Datagrams& out) {
  while (!waiting_.empty() && outstanding_.size() < parameters_.nstart) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    next.message.id = fresh_id(rng);
    std::array<std::uint8_t, 2> luck{};
    rng.fill(luck);
    const std::int64_t whole = parameters_.ack_timeout.count();
    const Duration timeout(whole + whole * (luck[0] << 8U | luck[1]) / 0xffff / 2);  // ACK_RANDOM_FACTOR 1.5
    out.push_back(next.message.encode());
    outstanding_.push_back({next.tag, next.message.id, out.back(), now + timeout, timeout, parameters_.max_retransmit});
  }
}

std::optional<std::uint64_t> Messaging::settle(std::uint16_t id) {
  const auto it = std::ranges::find(outstanding_, id, &Outstanding::id);
  if (it == outstanding_.end()) {
    return std::nullopt;
  }
  const std::uint64_t tag = it->tag;
  outstanding_.erase(it);
  return tag;
}

void Messaging::forget(std::uint64_t tag) {
  std::erase_if(outstanding_, [tag](const Outstanding& o) { return o.tag == tag; });
  std::erase_if(waiting_, [tag](const Waiting& w) { return w.tag == tag; });
}

std::uint16_t Messaging::fresh_id(Rng& rng) {
  if (!next_id_) {
    std::array<std::uint8_t, 2> luck{};
    rng.fill(luck);
    next_id_ = static_cast<std::uint16_t>(luck[0] << 8U | luck[1]);
  }
  const std::uint16_t id = *next_id_;
  next_id_ = static_cast<std::uint16_t>(id + 1);
  return id;
}

std::optional<Instant> Messaging::deadline() const {
  std::optional<Instant> first;
  for (const Outstanding& o : outstanding_) {
    first = first ? std::min(*first, o.due) : o.due;
  }
  if (!seen_.empty()) {
    first = first ? std::min(*first, seen_.front().until) : seen_.front().until;
  }
  return first;
}

std::vector<std::uint64_t> Messaging::expire(Instant now, Datagrams& out) {
  std::vector<std::uint64_t> lost;
  for (Outstanding& o : outstanding_) {
    if (o.due > now) {
      continue;
    }
    if (o.left == 0) {
      lost.push_back(o.tag);
      continue;
    }
    --o.left;
    o.timeout *= 2;
    o.due = now + o.timeout;
    out.push_back(o.datagram);
  }
  std::erase_if(outstanding_, [now](const Outstanding& o) { return o.due <= now; });
  while (!seen_.empty() && seen_.front().until <= now) {
    seen_.pop_front();
  }
  return lost;
}

}  // namespace imprint::coap
