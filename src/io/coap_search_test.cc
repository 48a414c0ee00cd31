#include "io/coap_search.h"

#include <gtest/gtest.h>

#include <set>

#include "crypto/random.h"
#include "io/coap_responder.h"

namespace imprint::io {
namespace {

// IPv6 has no groups on the loopback interface; CoAP's group of IPv4 does the same there.
class SearchRig : public testing::Test {
 protected:
  void SetUp() override {
    port_ = (*UdpSocket::bind(loop_, {}, {[](const Address&, BytesView) {}, nullptr}))->port();
  }
  std::unique_ptr<CoapResponder> member(std::string answer) {
    return *CoapResponder::join(loop_, rng_, lo_, {kGroup, port_}, {.leisure = Duration(30)},
                                [answer](const Request& r, bool to_group) {
                                  return r.path == "/x" ? std::optional(Response{200, "", to_bytes(answer)})
                                         : to_group     ? std::nullopt
                                                        : std::optional(Response{404});
                                });
  }
  std::unique_ptr<CoapSearch> search(bool near_only = true) {
    return *CoapSearch::open(loop_, rng_, lo_, {.group = kGroup, .port = port_, .near_only = near_only},
                             [this](const Address& from, const Response& r) {
                               heard_.emplace(as_text(r.body));
                               from_ = from;
                             });
  }
  static Request get(std::string path = "/x") {
    Request out;
    out.path = std::move(path);
    return out;
  }
  bool until(const std::function<bool()>& condition, Duration time = Duration(5000)) {
    for (const Instant end = loop_.now() + time; !condition() && loop_.now() < end;) {
      const std::uint64_t tick = loop_.after(Duration(2), [this] { loop_.stop(); });
      loop_.run();
      loop_.cancel(tick);
    }
    return condition();
  }

  static constexpr const char* kGroup = "224.0.1.187";
  Loop loop_;
  SystemRng rng_;
  Interface lo_ = *Interface::find("lo");
  std::uint16_t port_ = 0;
  std::multiset<std::string> heard_;
  Address from_;
};

TEST_F(SearchRig, everybody_of_the_group_who_has_it_answers) {
  const auto one = member("one"), other = member("other");
  const auto asker = search();
  ASSERT_TRUE(asker->ask(get()));
  EXPECT_TRUE(until([&] { return heard_.size() == 2; }));
  EXPECT_EQ(heard_, (std::multiset<std::string>{"one", "other"}));
  EXPECT_EQ(from_.literal(), "127.0.0.1");
  EXPECT_EQ(from_.port, port_);
}

TEST_F(SearchRig, who_has_it_not_is_silent) {
  const auto one = member("one");
  const auto asker = search();
  ASSERT_TRUE(asker->ask(get("/y")));
  EXPECT_TRUE(until([&] { return one->stats().silent == 1; }));
  until([] { return false; }, Duration(60));
  EXPECT_TRUE(heard_.empty());
}

TEST_F(SearchRig, answers_to_an_earlier_question_do_not_count) {
  const auto one = member("one");
  const auto asker = search();
  ASSERT_TRUE(asker->ask(get()));
  ASSERT_TRUE(asker->ask(get()));
  EXPECT_TRUE(until([&] { return one->stats().answered == 2; }));
  until([] { return false; }, Duration(30));
  EXPECT_EQ(heard_.size(), 1U);
}

TEST_F(SearchRig, what_was_not_asked_is_not_heard) {
  std::optional<Bytes> question;
  Address asker_there;
  const auto listener = *MulticastSocket::join(loop_, lo_, {kGroup, port_}, [&](const Address& from, BytesView d) {
    question = to_bytes(d);
    asker_there = from;
  });
  const auto asker = search();
  ASSERT_TRUE(asker->ask(get()));
  ASSERT_TRUE(until([&] { return question.has_value(); }));
  coap::Message answer = *coap::Message::parse(*question);
  EXPECT_EQ(answer.type, coap::Type::non_confirmable);
  EXPECT_EQ(answer.token.size(), 8U);
  answer.options.clear();
  answer.code = coap::kContent;
  answer.payload = to_bytes("good");
  const auto say = [&](const coap::Message& m) { ASSERT_TRUE(listener->send_to(asker_there, m.encode())); };
  coap::Message other = answer;
  other.token[0] ^= 1;
  say(other);
  other = answer;
  other.code = coap::kGet;
  say(other);
  other = answer;
  other.type = coap::Type::reset;
  other.payload = to_bytes("reset");
  say(other);
  say(answer);
  EXPECT_TRUE(until([&] { return !heard_.empty(); }));
  EXPECT_EQ(heard_, std::multiset<std::string>{"good"});
  for (int i = 0; i < 40; ++i) {
    say(answer);
  }
  until([] { return false; }, Duration(60));
  EXPECT_EQ(heard_.size(), 32U) << "so many and no more";
}

TEST_F(SearchRig, answers_from_other_networks_do_not_count) {
  lo_.prefixes.assign(lo_.prefixes.size(), 0);  // as if this were no neighbour
  const auto one = member("one");
  const auto asker = search(), anywhere = search(false);
  ASSERT_TRUE(asker->ask(get()));
  until([&] { return one->stats().answered == 1; });
  until([] { return false; }, Duration(30));
  EXPECT_TRUE(heard_.empty());
  ASSERT_TRUE(anywhere->ask(get()));
  EXPECT_TRUE(until([&] { return heard_.size() == 1; }));
}

TEST_F(SearchRig, a_search_may_end_when_it_has_heard_enough) {
  const auto one = member("one"), other = member("other");
  std::unique_ptr<CoapSearch> asker;
  int heard = 0;
  asker = *CoapSearch::open(loop_, rng_, lo_, {.group = kGroup, .port = port_}, [&](const Address&, const Response&) {
    ++heard;
    asker.reset();
  });
  ASSERT_TRUE(asker->ask(get()));
  EXPECT_TRUE(until([&] { return heard == 1; }));
  until([] { return false; }, Duration(60));
  EXPECT_EQ(heard, 1);
}

}  // namespace
}  // namespace imprint::io
