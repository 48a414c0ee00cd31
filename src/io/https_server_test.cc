#include "io/https_server.h"

#include "base/rng.h"
#include "io/raw_test.h"

namespace imprint::io {
namespace {

TEST(Server, refusals_are_plain_text_and_close) {
  Rig rig(Rig::Plain{}, {});
  EXPECT_TRUE(answer_to(rig, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 Bad Request\r\n"));
  const std::string large = answer_to(rig, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n");
  EXPECT_TRUE(large.starts_with("HTTP/1.1 413 "));
  EXPECT_NE(large.find("Content-Type: text/plain\r\n"), std::string::npos);
  EXPECT_NE(large.find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(large.find("(HTTP-TOO-LARGE, "), std::string::npos);
  EXPECT_TRUE(answer_to(rig, "GET /" + std::string(20000, 'a')).starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(rig.requests.empty());
  EXPECT_EQ(rig.server->stats().bad_requests, 3U);
}

TEST(Server, what_follows_a_refusal_is_never_looked_at) {
  Rig rig(Rig::Plain{}, {});
  const std::string text = answer_to(rig, "GET / HTTP/1.1\r\n\r\n" + std::string(kGet));
  EXPECT_EQ(text.find("HTTP/1.1", 8), std::string::npos);
  EXPECT_TRUE(rig.requests.empty());
}

TEST(Server, pipelined_requests_are_handed_over_one_at_a_time) {
  Rig rig(Rig::Plain{}, {});
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  Raw raw(rig.server->port());
  raw.send(std::string(kGet) + std::string(kGet) + std::string(kGet));
  for (std::size_t n = 1; n <= 3; ++n) {
    ASSERT_TRUE(rig.until([&] { return rig.exchanges.size() == n; }));
    Response r;
    r.status = 200;
    r.body = to_bytes("answer " + std::to_string(n));
    rig.server->reply(rig.exchanges.back(), r);
  }
  EXPECT_TRUE(rig.until([&] { return raw.read() || raw.text.find("answer 3") != std::string::npos; }));
  EXPECT_LT(raw.text.find("answer 1"), raw.text.find("answer 2"));
  EXPECT_EQ(rig.requests.size(), 3U);
}

TEST(Server, expect_is_answered_before_the_body_comes) {
  Rig rig(Rig::Plain{}, {});
  Raw raw(rig.server->port());
  raw.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_TRUE(rig.until([&] { return raw.read() || !raw.text.empty(); }));
  EXPECT_EQ(raw.text, "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("hi");
  EXPECT_TRUE(rig.until([&] { return raw.read() || raw.text.find("seen /") != std::string::npos; }));
  EXPECT_EQ(as_text(rig.requests.at(0).body), "hi");
}

TEST(Server, a_head_is_answered_without_a_body) {
  Rig rig(Rig::Plain{}, {});
  const std::string text = answer_to(rig, "HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(text.find("Content-Length: 7\r\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
  EXPECT_EQ(rig.requests.at(0).method, Method::get);
}

TEST(Server, a_refusal_after_a_head_has_its_body) {
  Rig rig(Rig::Plain{}, {});
  EXPECT_NE(answer_to(rig, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n").find("(HTTP-REQUEST, "),
            std::string::npos);
}

TEST(Server, a_stream_that_is_asked_for_by_head_ends_with_its_head) {
  Rig rig(Rig::Plain{}, {});
  rig.answer = [&](Exchange e, const Request&) {
    EXPECT_FALSE(rig.server->start_stream(e, Response{200, "text/event-stream"}));
    return std::nullopt;
  };
  EXPECT_TRUE(answer_to(rig, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\n"));
}

TEST(Server, slow_requests_get_408_and_idle_connections_are_closed) {
  Rig rig(Rig::Plain{}, quick());
  Raw slow(rig.server->port());
  Raw idle(rig.server->port());
  slow.send("GET / HTTP/1.1\r\nHo");
  const Instant start = rig.loop.now();
  EXPECT_TRUE(rig.until([&] { return slow.read(); }));
  EXPECT_TRUE(slow.text.starts_with("HTTP/1.1 408 ")) << slow.text;
  EXPECT_TRUE(rig.until([&] { return idle.read(); }));
  EXPECT_TRUE(idle.text.empty());
  EXPECT_GE(rig.loop.now() - start, Duration(140));
}

TEST(Server, bytes_that_trickle_do_not_prolong_a_request) {
  Rig rig(Rig::Plain{}, quick());
  Raw slow(rig.server->port());
  slow.send("GET / HTTP/1.1\r\nA: ");
  const Instant start = rig.loop.now();
  EXPECT_TRUE(rig.until([&] {
    slow.send("x");
    return slow.read();
  }));
  EXPECT_LT(rig.loop.now() - start, Duration(2000));
}

TEST(Server, a_handshake_that_stands_still_is_ended) {
  Rig rig(pki().server_options(), quick());
  Raw raw(rig.server->port());
  EXPECT_TRUE(rig.until([&] { return raw.read(); }));
  EXPECT_EQ(rig.handshake_failures.at(0).fault, Fault::unreachable);
  EXPECT_EQ(rig.server->stats().open, 0U);
}

TEST(Server, an_asker_that_leaves_is_told_of) {
  Rig rig(Rig::Plain{}, {});
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  Raw raw(rig.server->port());
  raw.send(kGet);
  EXPECT_TRUE(rig.until([&] { return rig.exchanges.size() == 1; }));
  raw.leave();
  EXPECT_TRUE(rig.until([&] { return rig.gone == rig.exchanges; }));
  rig.server->reply(rig.exchanges.at(0), {});
}

TEST(Server, handshakes_beyond_the_limit_wait_their_turn) {
  HttpsServerOptions options = quick();
  options.max_handshakes = 1;
  Rig rig(pki().server_options(), options);
  Raw silent(rig.server->port());
  EXPECT_TRUE(rig.until([&] { return rig.server->stats().open == 1; }));
  EXPECT_TRUE(rig.open_anonymous());  // once the silent one has been ended
  EXPECT_EQ(rig.handshake_failures.size(), 1U);
}

TEST(Server, silent_connections_keep_nobody_out) {
  HttpsServerOptions options;
  options.max_handshakes = 4;
  options.handshake_timeout = std::chrono::minutes(1);
  Rig rig(pki().server_options(), options);
  std::vector<std::unique_ptr<Raw>> silent;
  for (int i = 0; i < 12; ++i) {
    silent.push_back(std::make_unique<Raw>(rig.server->port()));
  }
  const auto session = rig.open_anonymous();
  ASSERT_TRUE(session) << session.error().what;
  EXPECT_TRUE(rig.get((*session)->id, "/a"));
  EXPECT_GE(rig.handshake_failures.size(), 8U);
}

TEST(Server, a_port_in_use_is_a_conflict) {
  Rig rig(Rig::Plain{}, {});
  HttpsServerOptions options;
  options.port = rig.server->port();
  EXPECT_EQ(HttpsServer::listen(rig.loop, options, {}).error().fault, Fault::conflict);
  options.address = "localhost";
  EXPECT_EQ(HttpsServer::listen(rig.loop, options, {}).error().fault, Fault::malformed);
}

TEST(Server, a_stream_goes_on_until_it_is_ended_or_not_read) {
  Rig rig(Rig::Plain{}, {});
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  Raw raw(rig.server->port());
  raw.send(kGet);
  EXPECT_TRUE(rig.until([&] { return rig.exchanges.size() == 1; }));
  Response head;
  head.status = 200;
  head.content_type = "text/event-stream";
  ASSERT_TRUE(rig.server->start_stream(rig.exchanges[0], head));
  ASSERT_TRUE(rig.server->stream(rig.exchanges[0], "data: 1\n\n"));
  ASSERT_TRUE(rig.server->stream(rig.exchanges[0], "data: 2\n\n"));
  rig.server->end_stream(rig.exchanges[0]);
  EXPECT_FALSE(rig.server->stream(rig.exchanges[0], "data: 3\n\n"));
  EXPECT_TRUE(rig.until([&] { return raw.read(); }));
  EXPECT_TRUE(raw.text.ends_with("data: 1\n\ndata: 2\n\n"));

  Raw deaf(rig.server->port());
  deaf.send(kGet);
  EXPECT_TRUE(rig.until([&] { return rig.exchanges.size() == 2; }));
  ASSERT_TRUE(rig.server->start_stream(rig.exchanges[1], head));
  const std::string much(256 * 1024, 'x');
  int taken = 0;
  while (taken < 200 && rig.server->stream(rig.exchanges[1], much)) {
    ++taken;
  }
  EXPECT_LT(taken, 200);
  EXPECT_TRUE(rig.until([&] { return rig.server->stats().open == 0; }));
}

TEST(Server, draining_answers_what_is_asked_and_takes_nothing_new) {
  Rig rig;
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  const auto busy = rig.open_anonymous();
  const auto idle = rig.open_anonymous();
  std::optional<Result<Response>> got;
  Request r;
  r.path = "/x";
  rig.client->request((*busy)->id, r, [&](Result<Response> a) { got = std::move(a); });
  ASSERT_TRUE(rig.until([&] { return rig.exchanges.size() == 1; }));
  bool done = false;
  rig.server->drain(Duration(5000), [&] { done = true; });
  EXPECT_TRUE(rig.until([&] { return rig.lost == std::vector{(*idle)->id}; }));
  EXPECT_FALSE(rig.open_anonymous());
  EXPECT_FALSE(done);
  Response ok;
  ok.status = 200;
  rig.server->reply(rig.exchanges.at(0), ok);
  EXPECT_TRUE(rig.until([&] { return done && got.has_value(); }));
  EXPECT_TRUE(*got);
}

TEST(Server, draining_ends_with_the_grace) {
  Rig rig;
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  const auto session = rig.open_anonymous();
  Request r;
  r.path = "/x";
  rig.client->request((*session)->id, r, [](const Result<Response>&) {});
  ASSERT_TRUE(rig.until([&] { return rig.exchanges.size() == 1; }));
  bool done = false;
  rig.server->drain(Duration(50), [&] { done = true; });
  EXPECT_TRUE(rig.until([&] { return done; }));
  EXPECT_EQ(rig.gone.size(), 1U);
}

TEST(Server, a_thousand_garbage_streams_at_a_tls_port_do_no_harm) {
  Rig rig;
  SeededRng rng(5);
  constexpr std::array<std::uint8_t, 9> kHello{0x16, 0x03, 0x01, 0x00, 0x80, 0x01, 0x00, 0x00, 0x7c};
  for (int i = 0; i < 1000; ++i) {
    Bytes noise(1 + rng.below(200));
    rng.fill(noise);
    if (rng.chance(0.5)) {
      noise.insert(noise.begin(), kHello.begin(), kHello.end());
    }
    Raw raw(rig.server->port());
    raw.send(noise);
    if (rng.chance(0.2)) {
      ASSERT_TRUE(rig.until([&] { return rig.server->stats().accepted == static_cast<std::uint64_t>(i) + 1; }));
    }
  }
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().open == 0 && rig.server->stats().accepted == 1000; }));
  EXPECT_EQ(rig.server->stats().handshake_failures, 1000U);
  EXPECT_TRUE(rig.open_anonymous());
}

}  // namespace
}  // namespace imprint::io
