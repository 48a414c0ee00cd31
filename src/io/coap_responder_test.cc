#include "io/coap_responder.h"

#include "io/io_test.h"

namespace imprint::io {
namespace {

using coap::Message;
using coap::Type;

// A responder whose answers are kept, and a loop that runs until a test has what it waits for.
class ResponderRig {
 public:
  explicit ResponderRig(CoapResponderOptions options = {})
      : responder(
            loop, rng, options, [this](const Request& r, bool to_group) { return answer(r, to_group); },
            [this](const Address& to, BytesView d) {
              EXPECT_EQ(to, from);
              sent.push_back(*Message::parse(d));
            }) {}

  static Message question(Type type = Type::confirmable) {
    Message out;
    out.type = type;
    out.code = coap::kGet;
    out.id = 0x1234;
    out.token = {7, 8};
    out.add(coap::kUriPath, std::string_view("x"));
    return out;
  }
  void ask(const Message& m, bool to_group = false) { responder.take(from, m.encode(), to_group); }
  bool until(const std::function<bool()>& condition, Duration time = Duration(5000)) {
    for (const Instant end = loop.now() + time; !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }

  std::function<std::optional<Response>(const Request&, bool)> answer = [this](const Request& r, bool) {
    asked.push_back(r);
    return std::optional(Response{200, "application/link-format", body});
  };
  Loop loop;
  SeededRng rng{1};
  Address from = *Address::parse("192.0.2.1", 7);
  Bytes body = to_bytes("<>;x");
  std::vector<Request> asked;
  std::vector<Message> sent;
  CoapResponder responder;
};

TEST(CoapResponder, answers_at_once_in_the_acknowledgement) {
  ResponderRig rig;
  rig.ask(ResponderRig::question());
  ASSERT_EQ(rig.sent.size(), 1U);
  EXPECT_EQ(rig.sent[0].type, Type::acknowledgement);
  EXPECT_EQ(rig.sent[0].id, 0x1234);
  EXPECT_EQ(rig.sent[0].token, (Bytes{7, 8}));
  EXPECT_EQ(coap::text(rig.sent[0].code), "2.05");
  EXPECT_EQ(rig.sent[0].payload, rig.body);
  EXPECT_EQ(rig.sent[0].number(coap::kContentFormat), 40U);
  EXPECT_EQ(rig.asked.at(0).path, "/x");
  EXPECT_EQ(rig.responder.stats().answered, 1U);
}

TEST(CoapResponder, answers_one_that_is_not_confirmable_under_an_id_of_its_own) {
  ResponderRig rig;
  rig.ask(ResponderRig::question(Type::non_confirmable));
  ASSERT_EQ(rig.sent.size(), 1U);
  EXPECT_EQ(rig.sent[0].type, Type::non_confirmable);
  EXPECT_EQ(rig.sent[0].token, (Bytes{7, 8}));
  rig.ask(ResponderRig::question(Type::non_confirmable));
  EXPECT_NE(rig.sent.at(1).id, rig.sent[0].id);
}

TEST(CoapResponder, answers_a_group_later_and_not_all_at_once) {
  CoapResponderOptions options;
  options.leisure = Duration(100);
  ResponderRig rig(options);
  for (int i = 0; i < 3; ++i) {
    rig.ask(ResponderRig::question(Type::non_confirmable), true);
  }
  EXPECT_TRUE(rig.sent.empty());
  EXPECT_TRUE(rig.until([&] { return rig.sent.size() == 3; }));
  EXPECT_EQ(rig.responder.stats().answered, 3U);
}

TEST(CoapResponder, is_silent_to_a_group_when_there_is_nothing_to_say) {
  ResponderRig rig;
  rig.answer = [](const Request&, bool to_group) { return to_group ? std::nullopt : std::optional(Response{404}); };
  rig.ask(ResponderRig::question(Type::non_confirmable), true);
  Message proxied = ResponderRig::question(Type::non_confirmable);
  proxied.add(coap::kProxyUri, std::string_view("coap://x"));
  rig.ask(proxied, true);
  EXPECT_EQ(rig.responder.stats().silent, 2U);
  rig.ask(ResponderRig::question());
  rig.ask(proxied);
  ASSERT_EQ(rig.sent.size(), 2U);
  EXPECT_EQ(coap::text(rig.sent[0].code), "4.04");
  EXPECT_EQ(coap::text(rig.sent[1].code), "5.05");
}

TEST(CoapResponder, a_confirmable_question_at_a_groups_socket_was_for_us_alone) {
  ResponderRig rig;
  bool as_group = true;
  rig.answer = [&](const Request&, bool to_group) {
    as_group = to_group;
    return std::optional(Response{404});
  };
  rig.ask(ResponderRig::question(), true);
  ASSERT_EQ(rig.sent.size(), 1U);
  EXPECT_EQ(rig.sent[0].type, Type::acknowledgement);
  EXPECT_FALSE(as_group);
}

TEST(CoapResponder, hears_requests_alone) {
  ResponderRig rig;
  for (const Type type : {Type::acknowledgement, Type::reset}) {
    rig.ask(ResponderRig::question(type));
  }
  Message answer = ResponderRig::question();
  answer.code = coap::kContent;
  rig.ask(answer);
  rig.responder.take(rig.from, Bytes{0x40, 0, 0, 1}, false);  // ping
  rig.responder.take(rig.from, Bytes{0x16, 0xfe, 0xfd}, false);
  EXPECT_TRUE(rig.asked.empty());
  EXPECT_TRUE(rig.sent.empty());
  EXPECT_EQ(rig.responder.stats().unreadable, 5U);
}

TEST(CoapResponder, gives_what_is_long_in_blocks_and_keeps_nothing) {
  ResponderRig rig;
  rig.body.clear();
  for (int i = 0; i < 100; ++i) {
    rig.body.push_back(static_cast<std::uint8_t>(i));
  }
  Bytes got;
  for (std::uint32_t n = 0; n < 4; ++n) {
    Message m = ResponderRig::question();
    m.add_number(coap::kBlock2, coap::Block{n, false, 1}.encode());
    rig.ask(m);
    const Message& part = rig.sent.back();
    const auto block = coap::Block::parse(part.find(coap::kBlock2)->value);
    ASSERT_TRUE(block);
    EXPECT_EQ(*block, (coap::Block{n, n < 3, 1}));
    got.insert(got.end(), part.payload.begin(), part.payload.end());
  }
  EXPECT_EQ(got, rig.body);
  Message behind = ResponderRig::question();
  behind.add_number(coap::kBlock2, coap::Block{4, false, 1}.encode());
  rig.ask(behind);
  EXPECT_EQ(coap::text(rig.sent.back().code), "4.00");
  Message reserved = ResponderRig::question();
  reserved.add_number(coap::kBlock2, 7);
  rig.ask(reserved);
  EXPECT_EQ(coap::text(rig.sent.back().code), "4.02");
  rig.body.resize(1500);
  rig.ask(ResponderRig::question());
  EXPECT_EQ(rig.sent.back().payload.size(), 1024U);
}

TEST(CoapResponder, answers_so_many_in_a_second) {
  CoapResponderOptions options;
  options.max_per_second = 5;
  ResponderRig rig(options);
  for (int i = 0; i < 9; ++i) {
    rig.ask(ResponderRig::question());
  }
  EXPECT_EQ(rig.sent.size(), 5U);
  EXPECT_EQ(rig.responder.stats().over_limit, 4U);
  rig.loop.after(Duration(1010), [&] { rig.ask(ResponderRig::question()); });
  EXPECT_TRUE(rig.until([&] { return rig.sent.size() == 6; }));
}

TEST(CoapResponder, keeps_few_answers_for_later) {
  CoapResponderOptions options;
  options.max_waiting = 2;
  options.leisure = Duration(10);
  ResponderRig rig(options);
  for (int i = 0; i < 3; ++i) {
    rig.ask(ResponderRig::question(Type::non_confirmable), true);
  }
  EXPECT_EQ(rig.responder.stats().over_limit, 1U);
  EXPECT_TRUE(rig.until([&] { return rig.sent.size() == 2; }));
  rig.ask(ResponderRig::question(Type::non_confirmable), true);
  EXPECT_TRUE(rig.until([&] { return rig.sent.size() == 3; }));
}

TEST(CoapResponder, who_is_gone_sends_nothing_later) {
  Loop loop;
  SeededRng rng(1);
  int sent = 0;
  auto responder = std::make_unique<CoapResponder>(
      loop, rng, CoapResponderOptions{.leisure = Duration(1)},
      [](const Request&, bool) { return std::optional(Response{200}); }, [&](const Address&, BytesView) { ++sent; });
  responder->take(*Address::parse("192.0.2.1", 7), ResponderRig::question(Type::non_confirmable).encode(), true);
  responder.reset();
  loop.after(Duration(30), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(sent, 0);
}

TEST(CoapResponder, serves_a_socket) {
  Loop loop;
  SeededRng rng(1);
  const auto server = CoapResponder::listen(loop, rng, {.address = "127.0.0.1"}, {}, [](const Request& r, bool) {
    return std::optional(Response{200, "text/plain; charset=utf-8", to_bytes(r.path)});
  });
  ASSERT_TRUE(server);
  std::optional<Message> got;
  const auto client = UdpSocket::connect(loop, *Address::parse("127.0.0.1", (*server)->port()),
                                         {[&](const Address&, BytesView d) {
                                            got = *Message::parse(d);
                                            loop.stop();
                                          },
                                          nullptr});
  ASSERT_TRUE((*client)->send(ResponderRig::question().encode()));
  const auto limit = loop.after(Duration(5000), [&] { loop.stop(); });
  loop.run();
  loop.cancel(limit);
  ASSERT_TRUE(got);
  EXPECT_EQ(as_text(got->payload), "/x");
}

}  // namespace
}  // namespace imprint::io
