// Two endpoints on a link that a test controls, in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "coap/endpoint.h"

namespace imprint::coap {

// What the link does to each datagram, by chance.
struct LinkFaults {
  double loss = 0, copies = 0;
  std::int64_t delay_ms = 10, jitter_ms = 0;  // more jitter than delay: datagrams overtake each other
};

class Pair {
 public:
  explicit Pair(std::uint64_t seed = 1, LinkFaults faults = {}, const Parameters& parameters = {})
      : client(parameters), server(parameters), seed_(seed), luck_(seed), faults_(faults) {}

  // What the server answers; called once for each whole request that it hears.
  std::function<Response(const Request&)> serve = [](const Request& r) {
    return Response{200, r.content_type, r.body};
  };
  // How long it takes to answer; copies of the request may come meanwhile.
  Duration serving_time{0};

  // When each copy of a datagram arrives; none: it is lost. By chance, unless a test says otherwise.
  std::function<std::vector<Duration>()> fate = [this] {
    std::vector<Duration> out(luck_.chance(faults_.loss) ? 0 : luck_.chance(faults_.copies) ? 2 : 1);
    for (Duration& delay : out) {
      const auto late = static_cast<std::int64_t>(luck_.below(static_cast<std::uint64_t>(faults_.jitter_ms) + 1));
      delay = Duration(faults_.delay_ms + late);
    }
    return out;
  };

  std::uint64_t ask(const Request& what) {
    Endpoint::Out out;
    const std::uint64_t number = client.request(what, now, luck_, out);
    carry(out, true);
    return number;
  }

  // Until nothing is under way any more, or the client has all its answers. False: it would go on for ever.
  bool run() {
    for (unsigned i = 0; i < 100'000; ++i) {
      if (!step()) {
        return true;
      }
    }
    return false;
  }

  // The answer to the only request that was asked.
  Result<Response> exchange(const Request& what) {
    const std::uint64_t number = ask(what);
    EXPECT_TRUE(run()) << "seed " << seed_;
    const auto it = answers.find(number);
    return it != answers.end() ? it->second : Result<Response>(Error{Fault::internal, "never answered"});
  }

  void to_server(const Bytes& datagram) { arrive({now, datagram, true}); }
  void to_client(const Bytes& datagram) { arrive({now, datagram, false}); }

  Endpoint client, server;
  Instant now{1'000'000};
  std::vector<Request> served;
  std::map<std::uint64_t, Result<Response>> answers;
  std::vector<Bytes> sent_by_client, sent_by_server;  // before the link got at them

 private:
  struct Flight {
    Instant at;
    Bytes datagram;
    bool to_server = false;
  };
  struct Busy {
    Instant until;
    std::uint64_t number = 0;
    Response answer;
  };

  void carry(Endpoint::Out& out, bool from_client) {
    for (Bytes& datagram : out.datagrams) {
      (from_client ? sent_by_client : sent_by_server).push_back(datagram);
      for (const Duration delay : fate()) {
        flights_.push_back({now + delay, datagram, from_client});
      }
    }
    for (Endpoint::Event& event : out.events) {
      if (auto* const asked = std::get_if<Endpoint::Asked>(&event)) {
        EXPECT_FALSE(from_client) << "the client was asked";
        Response answer = serve(asked->request);
        served.push_back(std::move(asked->request));
        busy_.push_back({now + serving_time, asked->number, std::move(answer)});
      } else {
        const auto& answered = std::get<Endpoint::Answered>(event);
        EXPECT_TRUE(answers.emplace(answered.number, answered.answer).second) << "answered twice";
      }
    }
  }

  void arrive(const Flight& flight) {
    Endpoint::Out out;
    (flight.to_server ? server : client).receive(flight.datagram, now, luck_, out);
    carry(out, !flight.to_server);
  }

  // The next thing that happens; false if only forgetting is left.
  bool step() {
    const auto flight = std::ranges::min_element(flights_, {}, [](const Flight& f) { return f.at; });
    const auto busy = std::ranges::min_element(busy_, {}, [](const Busy& b) { return b.until; });
    if (flight == flights_.end() && busy == busy_.end() && client.idle()) {
      return false;
    }
    Instant next = kNoEnd;
    const auto sooner = [&next](std::optional<Instant> at) { next = at ? std::min(next, *at) : next; };
    sooner(flight != flights_.end() ? std::optional(flight->at) : std::nullopt);
    sooner(busy != busy_.end() ? std::optional(busy->until) : std::nullopt);
    sooner(client.deadline());
    sooner(server.deadline());
    now = std::max(now, next);
    if (flight != flights_.end() && flight->at <= now) {
      const Flight arrived = *flight;
      flights_.erase(flight);
      arrive(arrived);
      return true;
    }
    if (busy != busy_.end() && busy->until <= now) {
      const Busy done = *busy;
      busy_.erase(busy);
      Endpoint::Out out;
      server.reply(done.number, done.answer, now, luck_, out);
      carry(out, false);
      return true;
    }
    for (Endpoint* const end : {&client, &server}) {
      Endpoint::Out out;
      end->expire(now, luck_, out);
      carry(out, end == &client);
    }
    return true;
  }

  std::uint64_t seed_;
  SeededRng luck_;
  LinkFaults faults_;
  std::vector<Flight> flights_;
  std::vector<Busy> busy_;
};

inline Request get(std::string path) {
  Request out;
  out.path = std::move(path);
  return out;
}

inline Request post(std::string path, Bytes body) {
  Request out;
  out.method = Method::post;
  out.path = std::move(path);
  out.content_type = "application/pkcs10";
  out.body = std::move(body);
  return out;
}

// Bytes that are all different enough to notice a block in the wrong place.
inline Bytes pattern(std::size_t size) {
  Bytes out(size);
  SeededRng(size).fill(out);
  return out;
}

}  // namespace imprint::coap
