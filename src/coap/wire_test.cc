#include "coap/pair_testing.h"

namespace imprint::coap {
namespace {

Message parsed(const Bytes& datagram) {
  auto m = Message::parse(datagram);
  EXPECT_TRUE(m) << hex(datagram);
  return m ? *m : Message{};
}

Block block(const Message& m, std::uint16_t option) {
  const Option* const found = m.find(option);
  EXPECT_NE(found, nullptr);
  return found == nullptr ? Block{} : *Block::parse(found->value);
}

Message confirmable(Code code, std::uint16_t id, std::initializer_list<std::string_view> path) {
  Message m;
  m.code = code;
  m.id = id;
  m.token = {0x5a};
  for (const std::string_view segment : path) {
    m.add(kUriPath, segment);
  }
  return m;
}

TEST(CoapWire, a_request_and_its_answer_take_one_datagram_each) {
  Pair p;
  ASSERT_TRUE(p.exchange(post("/.well-known/est/sen", pattern(1024))));
  ASSERT_EQ(p.sent_by_client.size(), 1U);
  ASSERT_EQ(p.sent_by_server.size(), 1U);
  const Message answer = parsed(p.sent_by_server.front());
  EXPECT_EQ(answer.type, Type::acknowledgement);
  EXPECT_EQ(text(answer.code), "2.04");
  EXPECT_EQ(answer.id, parsed(p.sent_by_client.front()).id);
}

TEST(CoapWire, a_slow_answer_comes_after_an_empty_acknowledgement) {
  Pair p;
  p.serving_time = Duration(1500);
  ASSERT_TRUE(p.exchange(get("/slow")));
  EXPECT_EQ(p.sent_by_client.size(), 2U);  // the request, and the acknowledgement of the answer
  ASSERT_EQ(p.sent_by_server.size(), 2U);
  EXPECT_EQ(parsed(p.sent_by_server[0]).code, kEmpty);
  EXPECT_EQ(parsed(p.sent_by_server[1]).type, Type::confirmable);
  EXPECT_EQ(parsed(p.sent_by_client[1]).type, Type::acknowledgement);
  EXPECT_EQ(parsed(p.sent_by_client[1]).id, parsed(p.sent_by_server[1]).id);
}

// RFC 9148 appendix A.2: the request in blocks, then the rest of the answer by POST with Block2 and no payload.
TEST(CoapWire, a_body_goes_and_comes_in_blocks) {
  Parameters small;
  small.block_exponent = 2;  // 64 bytes
  Pair p(1, {}, small);
  p.serve = [](const Request&) { return Response{200, "application/pkcs7-mime; smime-type=certs-only", pattern(150)}; };
  const auto answer = p.exchange(post("/est/sen", pattern(200)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, pattern(150));
  EXPECT_EQ(answer->content_type, "application/pkcs7-mime; smime-type=certs-only");
  ASSERT_EQ(p.served.size(), 1U);
  EXPECT_EQ(p.served.front().body, pattern(200));
  ASSERT_EQ(p.sent_by_client.size(), 6U);
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(block(parsed(p.sent_by_client[i]), kBlock1), (Block{i, i < 3, 2}));
    EXPECT_EQ(block(parsed(p.sent_by_server[i]), kBlock1), (Block{i, i < 3, 2}));
    EXPECT_EQ(text(parsed(p.sent_by_server[i]).code), i < 3 ? "2.31" : "2.04");
  }
  EXPECT_EQ(block(parsed(p.sent_by_server[3]), kBlock2), (Block{0, true, 2}));
  for (std::uint32_t i = 4; i < 6; ++i) {
    const Message more = parsed(p.sent_by_client[i]);
    EXPECT_EQ(block(more, kBlock2), (Block{i - 3, false, 2}));
    EXPECT_EQ(more.code, kPost);
    EXPECT_TRUE(more.payload.empty());
    EXPECT_EQ(more.find(kBlock1), nullptr);
    EXPECT_EQ(block(parsed(p.sent_by_server[i]), kBlock2), (Block{i - 3, i < 5, 2}));
  }
}

TEST(CoapWire, the_smaller_block_size_of_two_is_used) {
  for (const auto& [ours, theirs] : {std::pair(6, 2), std::pair(2, 6)}) {
    Pair p;
    Parameters client, server;
    client.block_exponent = static_cast<std::uint8_t>(ours);
    server.block_exponent = static_cast<std::uint8_t>(theirs);
    p.client = Endpoint(client);
    p.server = Endpoint(server);
    const auto answer = p.exchange(post("/est/sen", pattern(3000)));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, pattern(3000));
    EXPECT_EQ(p.served.size(), 1U);
    EXPECT_LE(parsed(p.sent_by_client[1]).payload.size(), 64U);
    EXPECT_LE(parsed(p.sent_by_server.back()).payload.size(), 64U);
  }
}

TEST(CoapWire, a_copy_gets_the_same_bytes_again) {
  Pair p;
  ASSERT_TRUE(p.exchange(post("/x", pattern(10))));
  const Bytes request = p.sent_by_client.front();
  const Bytes answer = p.sent_by_server.front();
  p.to_server(request);
  ASSERT_EQ(p.sent_by_server.size(), 2U);
  EXPECT_EQ(p.sent_by_server.back(), answer);
  EXPECT_EQ(p.served.size(), 1U);
}

TEST(CoapWire, answers_that_nobody_waits_for_are_rejected_or_ignored) {
  Pair p;
  Message stray;
  stray.code = kContent;
  stray.id = 7;
  stray.token = {1, 2, 3};
  p.to_client(stray.encode());
  ASSERT_EQ(p.sent_by_client.size(), 1U);
  EXPECT_EQ(parsed(p.sent_by_client.front()), (Message{Type::reset, kEmpty, 7, {}, {}, {}}));
  stray.type = Type::non_confirmable;
  stray.id = 8;
  p.to_client(stray.encode());
  stray.type = Type::acknowledgement;
  p.to_client(stray.encode());
  EXPECT_EQ(p.sent_by_client.size(), 1U);
}

TEST(CoapWire, a_ping_is_answered_by_a_reset) {
  Pair p;
  p.to_server(Message{Type::confirmable, kEmpty, 99, {}, {}, {}}.encode());
  ASSERT_EQ(p.sent_by_server.size(), 1U);
  EXPECT_EQ(hex(p.sent_by_server.front()), "70000063");
}

TEST(CoapWire, what_is_no_message_is_rejected_if_it_says_who_it_is) {
  Pair p;
  p.to_server(*from_hex("41021234"));  // a token is promised
  EXPECT_EQ(hex(p.sent_by_server.at(0)), "70001234");
  for (const char* text : {"", "40", "400112", "51021234", "81021234", "c0011234", "610212"}) {
    p.to_server(*from_hex(text));
  }
  EXPECT_EQ(p.sent_by_server.size(), 1U);
  EXPECT_TRUE(p.served.empty());
}

struct Refused {
  Message request;
  const char* code;
};

TEST(CoapWire, requests_that_cannot_be_are_refused_with_the_right_code) {
  std::vector<Refused> cases;
  cases.push_back({confirmable(code(0, 9), 1, {"x"}), "4.05"});
  cases.push_back({confirmable(kGet, 2, {"x"}), "4.02"});
  cases.back().request.add(2053, "critical");
  cases.push_back({confirmable(kGet, 3, {"x"}), "5.05"});
  cases.back().request.add(kProxyUri, "coap://other/");
  cases.push_back({confirmable(kGet, 4, {"..", "x"}), "4.00"});
  cases.push_back({confirmable(kPost, 5, {"x"}), "4.08"});  // the second block without a first
  cases.back().request.add_number(kBlock1, Block{1, false, 6}.encode());
  cases.push_back({confirmable(kPost, 6, {"x"}), "4.00"});  // not full, and more to come
  cases.back().request.add_number(kBlock1, Block{0, true, 6}.encode());
  cases.back().request.payload = pattern(1000);
  cases.push_back({confirmable(kPost, 7, {"x"}), "4.13"});  // says how much it will be
  cases.back().request.add_number(kBlock1, Block{0, true, 6}.encode());
  cases.back().request.add_number(kSize1, 1'000'000);
  cases.back().request.payload = pattern(1024);
  cases.push_back({confirmable(kPost, 8, {"x"}), "4.08"});  // the rest of an answer that nobody has
  cases.back().request.add_number(kBlock2, Block{1, false, 6}.encode());
  cases.push_back({confirmable(kPost, 9, {"x"}), "4.00"});  // SZX 7
  cases.back().request.add_number(kBlock1, 7);
  cases.push_back({confirmable(kGet, 10, {"x"}), "4.02"});  // If-Match: a condition that we would not keep
  cases.back().request.add(kIfMatch, "v1");
  Pair p;
  for (const Refused& c : cases) {
    p.to_server(c.request.encode());
    const Message answer = parsed(p.sent_by_server.back());
    EXPECT_EQ(text(answer.code), c.code) << c.request.id;
    EXPECT_EQ(answer.id, c.request.id);
    EXPECT_EQ(answer.token, c.request.token);
  }
  EXPECT_TRUE(p.served.empty());
}

TEST(CoapWire, a_body_without_end_is_cut_off) {
  Pair p;
  Message m = confirmable(kPost, 1, {"x"});
  std::uint32_t blocks = 0;
  for (; blocks < 1000; ++blocks) {
    m.id = static_cast<std::uint16_t>(blocks + 1);
    m.options.resize(1);
    m.add_number(kBlock1, Block{blocks, true, 6}.encode());
    m.payload = pattern(1024);
    p.to_server(m.encode());
    if (parsed(p.sent_by_server.back()).code != kContinue) {
      break;
    }
  }
  EXPECT_EQ(text(parsed(p.sent_by_server.back()).code), "4.13");
  EXPECT_EQ(blocks, Parameters{}.max_body_bytes / 1024);
}

// The server's answers, as a test dictates them, to a client that asks for /x.
class Dictated {
 public:
  explicit Dictated(const Request& what) {
    client.request(what, now, luck, out);
    take();
  }
  // Answers the last request of the client with this code, options and payload.
  void answer(Message m) {
    m.type = Type::acknowledgement;
    m.id = last.id;
    m.token = last.token;
    client.receive(m.encode(), now, luck, out);
    take();
  }
  Message block(Code code, Block b, std::size_t size, std::string_view etag = {}) {
    Message m;
    m.code = code;
    m.add_number(kBlock2, b.encode());
    if (!etag.empty()) {
      m.add(kETag, etag);
    }
    m.payload = pattern(size);
    return m;
  }
  std::optional<Result<Response>> over() const { return over_; }

  Endpoint client;
  SeededRng luck{3};
  Instant now{1000};
  Endpoint::Out out;
  Message last;

 private:
  void take() {
    if (!out.datagrams.empty()) {
      last = *Message::parse(out.datagrams.back());
    }
    for (const Endpoint::Event& e : out.events) {
      over_ = std::get<Endpoint::Answered>(e).answer;
    }
    out = {};
  }
  std::optional<Result<Response>> over_;
};

TEST(CoapWire, an_answer_that_changes_while_it_is_read_is_read_once_more_and_then_given_up) {
  Dictated d(get("/x"));
  d.answer(d.block(kContent, {0, true, 6}, 1024, "v1"));
  d.answer(d.block(kContent, {1, false, 6}, 10, "v2"));
  EXPECT_FALSE(d.over());
  EXPECT_EQ(d.last.find(kBlock2), nullptr);  // from the start
  d.answer(d.block(kContent, {0, true, 6}, 1024, "v2"));
  d.answer(d.block(kContent, {1, false, 6}, 10, "v3"));
  ASSERT_TRUE(d.over());
  EXPECT_EQ(d.over()->error().fault, Fault::conflict);
}

TEST(CoapWire, blocks_of_an_answer_that_do_not_fit_are_refused) {
  const auto second = [](const Message& m) {
    Dictated d(get("/x"));
    d.answer(d.block(kContent, {0, true, 6}, 1024));
    d.answer(m);
    return d.over() ? (*d.over() ? "taken" : std::string((*d.over()).error().what)) : "waits";
  };
  Dictated any(get("/x"));
  EXPECT_EQ(second(any.block(kContent, {1, false, 6}, 1024)), "taken");
  EXPECT_NE(second(any.block(kContent, {2, false, 6}, 10)), "taken");
  EXPECT_NE(second(any.block(kContent, {0, true, 6}, 1024)), "taken");
  EXPECT_NE(second(any.block(kContent, {1, true, 6}, 1000)), "taken");
  EXPECT_NE(second(any.block(kChanged, {1, false, 6}, 10)), "taken");
  Message without;
  without.code = kContent;
  EXPECT_NE(second(without), "taken");
}

TEST(CoapWire, an_answer_without_end_is_cut_off) {
  Dictated d(get("/x"));
  std::uint32_t n = 0;
  while (!d.over() && n < 1000) {
    d.answer(d.block(kContent, {n++, true, 6}, 1024));
  }
  ASSERT_TRUE(d.over());
  EXPECT_EQ(d.over()->error().fault, Fault::limit);
}

TEST(CoapWire, a_server_that_forgot_the_first_blocks_gets_them_once_more) {
  Dictated d(post("/x", pattern(2000)));
  Message go_on;
  go_on.code = kContinue;
  go_on.add_number(kBlock1, Block{0, true, 6}.encode());
  d.answer(go_on);
  EXPECT_EQ(block(d.last, kBlock1), (Block{1, false, 6}));
  Message forgot;
  forgot.code = kIncomplete;
  d.answer(forgot);
  EXPECT_EQ(block(d.last, kBlock1), (Block{0, true, 6}));
  d.answer(go_on);
  d.answer(forgot);
  ASSERT_TRUE(d.over());
  EXPECT_EQ((*d.over())->status, 408);
}

TEST(CoapWire, a_server_that_takes_only_small_blocks_gets_small_ones) {
  Dictated d(post("/x", pattern(100)));
  EXPECT_EQ(d.last.find(kBlock1), nullptr);
  Message small;
  small.code = kTooLarge;
  small.add_number(kBlock1, Block{0, false, 1}.encode());
  d.answer(small);
  EXPECT_EQ(block(d.last, kBlock1), (Block{0, true, 1}));
  EXPECT_EQ(d.last.payload.size(), 32U);
}

TEST(CoapWire, an_answer_to_a_block_that_was_not_sent_ends_the_request) {
  Dictated d(post("/x", pattern(2000)));
  Message other;
  other.code = kContinue;
  other.add_number(kBlock1, Block{1, true, 6}.encode());
  d.answer(other);
  ASSERT_TRUE(d.over());
  EXPECT_EQ(d.over()->error().fault, Fault::malformed);
}

TEST(CoapWire, a_critical_option_in_an_answer_ends_the_request) {
  Dictated d(get("/x"));
  Message m;
  m.code = kContent;
  m.add(2053, "?");
  d.answer(m);
  ASSERT_TRUE(d.over());
  EXPECT_FALSE(*d.over());
}

TEST(CoapWire, a_rejected_request_ends_at_once) {
  Dictated d(get("/x"));
  d.client.receive(Message{Type::reset, kEmpty, d.last.id, {}, {}, {}}.encode(), d.now, d.luck, d.out);
  ASSERT_EQ(d.out.events.size(), 1U);
  EXPECT_EQ(std::get<Endpoint::Answered>(d.out.events.front()).answer.error().fault, Fault::refused);
  EXPECT_TRUE(d.client.idle());
}

TEST(CoapWire, a_version_that_the_asker_holds_is_not_sent_again) {
  Pair p;
  p.serve = [](const Request&) {
    Response r{200, "application/octet-stream", pattern(3000)};
    r.etag = "\"0102030405060708\"";
    return r;
  };
  const auto first = p.exchange(get("/crts"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->etag, "\"0102030405060708\"");
  Request again = get("/crts");
  again.if_none_match = first->etag;
  const auto second = p.exchange(again);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 304);
  EXPECT_TRUE(second->body.empty());
  again.if_none_match = "\"ffff\"";
  EXPECT_EQ(p.exchange(again)->body.size(), 3000U);
}

TEST(CoapWire, a_non_confirmable_request_gets_a_non_confirmable_answer) {
  Pair p;
  Message m = confirmable(kGet, 5, {"x"});
  m.type = Type::non_confirmable;
  p.to_server(m.encode());
  ASSERT_TRUE(p.run());
  ASSERT_EQ(p.sent_by_server.size(), 1U);
  EXPECT_EQ(parsed(p.sent_by_server.front()).type, Type::non_confirmable);
  EXPECT_EQ(parsed(p.sent_by_server.front()).token, m.token);
}

TEST(CoapWire, a_peer_that_asks_without_waiting_is_told_to_come_later) {
  Pair p;
  p.serving_time = Duration(10'000);
  for (std::uint16_t id = 1; id <= 100; ++id) {
    p.to_server(confirmable(kGet, id, {"x"}).encode());
  }
  EXPECT_EQ(p.served.size(), Parameters{}.max_requests);
  EXPECT_EQ(text(parsed(p.sent_by_server.back()).code), "5.03");
}

}  // namespace
}  // namespace imprint::coap
