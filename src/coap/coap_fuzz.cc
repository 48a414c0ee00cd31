// A peer that sends anything, to an endpoint that asks and answers; time passes in between. What is a message must be
// encoded to what parses to the same again.
#include <cassert>

#include "base/reader.h"
#include "coap/endpoint.h"

namespace imprint::coap {
namespace {

void answer_all(Endpoint& end, Endpoint::Out& out, Instant now, Rng& rng) {
  std::vector<Endpoint::Event> events = std::move(out.events);
  out = {};
  for (const Endpoint::Event& event : events) {
    if (const auto* const asked = std::get_if<Endpoint::Asked>(&event)) {
      Response answer{200, "application/octet-stream", asked->request.body};
      answer.body.resize(answer.body.size() * 2 + 100);
      end.reply(asked->number, answer, now, rng, out);
    }
  }
}

}  // namespace
}  // namespace imprint::coap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imprint;
  using namespace imprint::coap;
  if (const auto message = Message::parse({data, size})) {
    const auto again = Message::parse(message->encode());
    assert(again && *again == *message);
  }
  Reader script({data, size});
  SeededRng rng(1);
  Instant now{1};
  Endpoint end;
  Endpoint::Out out;
  for (int steps = 0; steps < 64 && !script.empty(); ++steps) {
    const std::uint8_t what = script.u8();
    if (what < 16) {
      Request ask;
      ask.path = "/x";
      ask.method = what % 2 == 0 ? Method::get : Method::post;
      ask.body.resize(what % 2 == 0 ? 0 : std::size_t{what} * 300);
      end.request(ask, now, rng, out);
    } else if (what < 32) {
      now = now + Duration(std::int64_t{1} << what);
      end.expire(now, rng, out);
    } else {
      Bytes datagram = to_bytes(script.take(std::min<std::size_t>(script.left(), what)));
      if (what % 4 == 0 && !out.datagrams.empty() && datagram.size() > 3) {  // an answer to what was sent last
        const auto sent = Message::parse(out.datagrams.back());
        auto reply = Message::parse(datagram);
        if (sent && reply) {
          reply->id = sent->id;
          reply->token = sent->token;
          datagram = reply->encode();
        }
      }
      end.receive(datagram, now, rng, out);
    }
    answer_all(end, out, now, rng);
    assert(out.datagrams.size() < 300);
    if (out.datagrams.size() > 1) {
      out.datagrams.erase(out.datagrams.begin(), out.datagrams.end() - 1);
    }
  }
  return 0;
}
