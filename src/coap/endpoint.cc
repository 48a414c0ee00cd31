#include "coap/endpoint.h"

#include <algorithm>

namespace imprint::coap {
namespace {

using Turn = Messaging::Turn;

constexpr std::size_t kTokenBytes = 8;     // not to be guessed, and never used twice (RFC 9175 section 4.2)
constexpr std::uint64_t kNobodyWaits = 0;  // the tag of a response: whether it arrives is the peer's concern
constexpr std::int64_t kBusyRetry_s = 5;

bool is_request(Code c) { return class_of(c) == 0; }

}  // namespace

void Endpoint::receive(BytesView datagram, Instant now, Rng& rng, Out& out) {
  const Messaging::Heard heard = messaging_.receive(datagram, now, out.datagrams);
  if (heard.rejected && *heard.rejected != kNobodyWaits) {
    over(*heard.rejected, Error{Fault::refused, "coap: the peer rejected the message"}, out);
  }
  if (heard.message && is_request(heard.message->code)) {
    take_request(*heard.message, now, rng, out);
  } else if (heard.message) {
    take_response(*heard.message, now, rng, out);
  }
  messaging_.flush(now, rng, out.datagrams);
}

void Endpoint::take_request(const Message& message, Instant now, Rng& rng, Out& out) {
  auto outcome = answering_.take(message, now);
  if (auto* const at_once = std::get_if<Message>(&outcome)) {
    answer_at_once(message, std::move(*at_once), rng, out);
    return;
  }
  if (theirs_.size() >= parameters_.max_requests) {
    Response busy;
    busy.status = 503;
    busy.retry_after_s = kBusyRetry_s;
    answer_at_once(message, to_message(busy, Method::get), rng, out);
    return;
  }
  auto& whole = std::get<Answering::Whole>(outcome);
  const std::uint64_t number = next_++;
  theirs_.emplace(number, Theirs{std::move(whole.asked), message.token, message.id, message.type == Type::confirmable,
                                 false, now + parameters_.piggyback});
  out.events.emplace_back(Asked{number, std::move(whole.request)});
}

void Endpoint::answer_at_once(const Message& request, Message response, Rng& rng, Out& out) {
  response.token = request.token;
  if (request.type == Type::confirmable) {
    messaging_.acknowledge(request.id, std::move(response), out.datagrams);
  } else {
    response.type = Type::non_confirmable;
    messaging_.send(kNobodyWaits, std::move(response), Turn::goes_on, rng, out.datagrams);
  }
}

bool Endpoint::reply(std::uint64_t number, const Response& response, Instant now, Rng& rng, Out& out) {
  const auto it = theirs_.find(number);
  if (it == theirs_.end()) {
    return false;
  }
  const Theirs asker = std::move(it->second);
  theirs_.erase(it);
  Message message = answering_.answer(asker.asked, response, now);
  message.token = asker.token;
  if (asker.confirmable && !asker.acknowledged) {
    messaging_.acknowledge(asker.id, std::move(message), out.datagrams);
  } else {
    message.type = asker.confirmable ? Type::confirmable : Type::non_confirmable;
    messaging_.send(kNobodyWaits, std::move(message), Turn::goes_on, rng, out.datagrams);
    messaging_.flush(now, rng, out.datagrams);
  }
  return true;
}

std::uint64_t Endpoint::request(const Request& what, Instant now, Rng& rng, Out& out) {
  const std::uint64_t number = next_++;
  auto asking = ours_.size() < parameters_.max_requests
                    ? Asking::make(what, parameters_)
                    : Result<Asking>(Error{Fault::limit, "coap: too many requests wait"});
  if (!asking) {
    out.events.emplace_back(Answered{number, asking.error()});
    return number;
  }
  const auto it = ours_.emplace(number, Ours{*std::move(asking), {}, {}}).first;
  ask(number, it->second, Turn::begins, now, rng, out);
  messaging_.flush(now, rng, out.datagrams);
  return number;
}

void Endpoint::ask(std::uint64_t number, Ours& ours, Turn turn, Instant now, Rng& rng, Out& out) {
  ours.token.resize(kTokenBytes);
  rng.fill(ours.token);
  ours.until = now + parameters_.response_timeout;
  Message message = ours.asking.next();
  message.token = ours.token;
  messaging_.send(number, std::move(message), turn, rng, out.datagrams);
}

void Endpoint::take_response(const Message& message, Instant now, Rng& rng, Out& out) {
  const auto it = std::ranges::find_if(ours_, [&](const auto& o) { return o.second.token == message.token; });
  if (it == ours_.end()) {
    if (message.type == Type::confirmable) {
      messaging_.reject(message.id, out.datagrams);
    }
    return;
  }
  if (message.type == Type::confirmable) {
    messaging_.acknowledge(message.id, {}, out.datagrams);
  }
  const bool understood = std::ranges::none_of(message.options, [](const Option& o) {
    return critical(o.number) && o.number != kBlock1 && o.number != kBlock2;
  });
  if (!understood) {  // RFC 7252 section 5.4.1
    over(it->first, Error{Fault::malformed, "coap: a critical option in an answer"}, out);
    return;
  }
  if (auto answer = it->second.asking.take(message)) {
    over(it->first, *std::move(answer), out);
  } else {
    ask(it->first, it->second, Turn::goes_on, now, rng, out);
  }
}

void Endpoint::over(std::uint64_t number, Result<Response> answer, Out& out) {
  if (ours_.erase(number) != 0) {
    messaging_.forget(number);
    out.events.emplace_back(Answered{number, std::move(answer)});
  }
}

void Endpoint::cancel(std::uint64_t number, Instant now, Rng& rng, Out& out) {
  if (ours_.erase(number) != 0) {
    messaging_.forget(number);
  }
  messaging_.flush(now, rng, out.datagrams);
}

std::optional<Instant> Endpoint::deadline() const {
  std::optional<Instant> first;
  const auto sooner = [&first](std::optional<Instant> other) {
    first = first && other ? std::min(*first, *other) : first ? first : other;
  };
  sooner(messaging_.deadline());
  sooner(answering_.deadline());
  for (const auto& [number, ours] : ours_) {
    sooner(ours.until);
  }
  for (const auto& [number, theirs] : theirs_) {
    sooner(theirs.confirmable && !theirs.acknowledged ? std::optional(theirs.acknowledge_at) : std::nullopt);
  }
  return first;
}

void Endpoint::expire(Instant now, Rng& rng, Out& out) {
  for (const std::uint64_t lost : messaging_.expire(now, out.datagrams)) {
    over(lost, Error{Fault::unreachable, "coap: the peer does not answer"}, out);
  }
  answering_.expire(now);
  acknowledge_late(now, out);
  std::vector<std::uint64_t> late;
  for (const auto& [number, ours] : ours_) {
    if (ours.until <= now) {
      late.push_back(number);
    }
  }
  for (const std::uint64_t number : late) {
    over(number, Error{Fault::unreachable, "coap: no answer in time"}, out);
  }
  messaging_.flush(now, rng, out.datagrams);
}

void Endpoint::acknowledge_late(Instant now, Out& out) {
  for (auto& [number, theirs] : theirs_) {
    if (theirs.confirmable && !theirs.acknowledged && theirs.acknowledge_at <= now) {
      theirs.acknowledged = true;
      messaging_.acknowledge(theirs.id, {}, out.datagrams);
    }
  }
}

}  // namespace imprint::coap
