#include "io/coap_search.h"

#include <utility>

#include "coap/mapping.h"

namespace imprint::io {
namespace {

constexpr std::size_t kMaxAnswers = 32;
constexpr std::size_t kToken = 8;  // the most there is: who has not heard the question cannot answer it

}  // namespace

Result<std::unique_ptr<CoapSearch>> CoapSearch::open(Loop& loop, Rng& rng, const Interface& interface,
                                                     const Where& where, Heard heard) {
  std::unique_ptr<CoapSearch> out(new CoapSearch(loop, rng, interface, where, std::move(heard)));
  TRY(out->group_, Address::parse(where.group, where.port));
  out->group_.scope = out->group_.v6 ? interface.index : 0;
  CoapSearch* const self = out.get();
  // A port of our own: answers go there, to nobody else on this machine.
  TRY(out->socket_, MulticastSocket::join(loop, interface, {where.group, 0, where.hop_limit},
                                          [self](const Address& from, BytesView d) { self->receive(from, d); }));
  return out;
}

Status CoapSearch::ask(const Request& what) {
  TRY(coap::Message message, coap::to_message(what));
  Bytes luck(kToken + 2);
  rng_.fill(luck);
  message.type = coap::Type::non_confirmable;  // section 8.1
  message.id = static_cast<std::uint16_t>(luck[kToken] << 8U | luck[kToken + 1]);
  message.token.assign(luck.begin(), luck.begin() + kToken);
  token_ = message.token;
  answers_ = 0;
  return socket_->send_to(group_, message.encode());
}

void CoapSearch::receive(const Address& from, BytesView datagram) {
  const auto message = coap::Message::parse(datagram);
  const bool ours = message && !token_.empty() && message->token == token_ && message->type != coap::Type::reset &&
                    answers_ < kMaxAnswers;
  if (!ours || (where_.near_only && !interface_.is_near(from))) {
    return;
  }
  auto answer = coap::to_response(*message);
  if (!answer) {
    return;
  }
  ++answers_;
  // Later: the socket is in use, and whoever hears of it may have had enough.
  loop_.post([this, here = std::weak_ptr<bool>(here_), token = token_, from, what = *std::move(answer)] {
    if (!here.expired() && token == token_) {
      const Heard heard = heard_;  // it may destroy this search, and with it the function
      heard(from, what);
    }
  });
}

}  // namespace imprint::io
