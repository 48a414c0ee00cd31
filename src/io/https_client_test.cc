#include "io/https_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io_test.h"

namespace imprint::io {
namespace {

TEST(Client, two_requests_on_one_session_are_answered_in_order) {
  Rig rig;
  const auto session = rig.open_anonymous();
  ASSERT_TRUE(session);
  std::vector<std::string> seen;
  for (const char* path : {"/1", "/2", "/3"}) {
    Request r;
    r.path = path;
    rig.client->request((*session)->id, r, [&](Result<Response> got) { seen.emplace_back(as_text(got->body)); });
  }
  EXPECT_TRUE(rig.until([&] { return seen.size() == 3; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"seen /1", "seen /2", "seen /3"}));
  EXPECT_EQ(rig.server->stats().accepted, 1U);
}

// Contexts are kept between connections: none may take another one's identity, trust or anchors.
TEST(Client, each_connection_is_as_whom_and_with_whom_it_was_asked_for) {
  Rig rig;
  const Identity other = make_identity({.name = "other"}, &pki().line);
  const std::vector<Certificate> others = {other.certificate, pki().line.certificate};
  const auto seen = [&](const Result<SessionRef>& session) {
    EXPECT_TRUE(session);
    EXPECT_TRUE(session && rig.get((*session)->id, "/"));
    return rig.requests.empty() ? std::vector<Certificate>() : rig.requests.back().session->presented;
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(seen(rig.open_as(pki().device, pki().device_chain())), pki().device_chain());
    EXPECT_EQ(seen(rig.open_as(other, others)), others) << "of the same name, with another key";
    EXPECT_TRUE(seen(rig.open_anonymous()).empty());
    Open what{.trust = Trust::provisional, .anchors = {}, .as = std::nullopt};
    const auto unproven = rig.open(what);
    ASSERT_TRUE(unproven);
    EXPECT_FALSE((*unproven)->proven);
    what.trust = Trust::anchors;
    what.anchors = {pki().maker.certificate};
    EXPECT_FALSE(rig.open(what)) << "not below these";
    const auto proven = rig.open_anonymous();
    ASSERT_TRUE(proven);
    EXPECT_TRUE((*proven)->proven);
  }
}

TEST(Client, an_answer_may_come_later) {
  Rig rig;
  rig.answer = [&](Exchange e, const Request&) -> std::optional<Response> {
    rig.loop.after(Duration(20), [&rig, e] {
      Response late;
      late.status = 202;
      late.retry_after_s = 7;
      rig.server->reply(e, late);
      rig.server->reply(e, late);  // answered already: dropped
    });
    return std::nullopt;
  };
  const auto session = rig.open_anonymous();
  const auto response = rig.get((*session)->id, "/x");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 202);
  EXPECT_EQ(response->retry_after_s, 7);
}

TEST(Client, a_server_that_closes_mid_answer_makes_the_session_lost) {
  Rig rig;
  rig.answer = [&](Exchange e, const Request&) -> std::optional<Response> {
    rig.loop.post([&rig, e] { rig.server->end_stream(e); });
    return std::nullopt;
  };
  const auto session = rig.open_anonymous();
  const auto response = rig.get((*session)->id, "/x");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().fault, Fault::unreachable);
  EXPECT_TRUE(rig.until([&] { return rig.lost.size() == 1; }));
  const auto again = rig.get((*session)->id, "/x");
  EXPECT_EQ(again.error().fault, Fault::unreachable);
}

TEST(Client, closing_a_session_ends_its_requests_and_is_no_loss) {
  Rig rig;
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  const auto session = rig.open_anonymous();
  std::optional<Result<Response>> got;
  Request r;
  r.path = "/x";
  rig.client->request((*session)->id, r, [&](Result<Response> a) { got = std::move(a); });
  EXPECT_TRUE(rig.until([&] { return rig.exchanges.size() == 1; }));
  rig.client->close((*session)->id);
  EXPECT_TRUE(rig.until([&] { return got.has_value() && !rig.gone.empty(); }));
  EXPECT_EQ(got->error().fault, Fault::unreachable);
  EXPECT_EQ(rig.gone, rig.exchanges);
  EXPECT_TRUE(rig.lost.empty());
}

TEST(Client, an_answer_larger_than_the_limit_is_a_limit) {
  HttpsClientOptions small;
  small.max_response_bytes = 5;
  Rig rig(pki().server_options(), {}, small);
  const auto session = rig.open_anonymous();
  const auto response = rig.get((*session)->id, "/x");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().fault, Fault::limit);
}

TEST(Client, a_server_that_does_not_answer_is_unreachable) {
  HttpsClientOptions options;
  options.request_timeout = Duration(50);
  Rig rig(pki().server_options(), {}, options);
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  const auto session = rig.open_anonymous();
  const auto response = rig.get((*session)->id, "/x");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().fault, Fault::unreachable);
}

TEST(Client, names_are_resolved_and_the_guard_has_the_last_word) {
  Rig rig;
  Open open{.ticket = 0,
            .to = *Uri::parse("https://localhost:" + std::to_string(rig.server->port())),
            .trust = Trust::anchors,
            .anchors = {pki().ca.certificate},
            .as = std::nullopt};
  const auto session = rig.open(open);
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->host, "localhost");
  rig.guard = Guard();
  const auto refused = rig.open(open);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
}

// The contexts of connections are kept: one that judges no time must not serve an Open that does.
TEST(Client, without_a_clock_no_server_is_too_old_and_with_one_it_is) {
  const Identity old = make_identity({.name = "server",
                                      .alt_names = {"ip:127.0.0.1"},
                                      .from = wall_clock() - 48 * kHour,
                                      .until = wall_clock() - 24 * kHour},
                                     &pki().ca);
  Rig rig({.chain = {old.certificate}, .key = old.key, .anchors = {pki().maker.certificate}});
  Open open{.ticket = 0, .to = {}, .trust = Trust::anchors, .anchors = {pki().ca.certificate}, .as = std::nullopt};
  for (const bool judges : {true, false, true, false}) {
    open.judges_time = judges;
    const auto session = rig.open(open);
    EXPECT_EQ(static_cast<bool>(session), !judges);
    if (judges) {
      EXPECT_EQ(session.error().fault, Fault::expired);
    }
  }
  open.anchors = {pki().maker.certificate};
  EXPECT_FALSE(rig.open(open)) << "the path counts all the same";
}

TEST(Client, nobody_at_the_port_is_unreachable) {
  Rig rig;
  Open open{.ticket = 0, .to = rig.uri(), .trust = Trust::anchors, .anchors = {}, .as = std::nullopt};
  rig.server.reset();
  const auto session = rig.open(open);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().fault, Fault::unreachable);
}

TEST(Client, a_server_that_never_shakes_hands_is_given_up) {
  HttpsClientOptions options;
  options.connect_timeout = Duration(50);
  Rig rig(pki().server_options(), {}, options);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  const auto session = rig.open({.ticket = 0,
                                 .to = *Uri::parse("https://127.0.0.1:" + std::to_string(ntohs(at.sin_port))),
                                 .trust = Trust::anchors,
                                 .anchors = {},
                                 .as = std::nullopt});
  close(fd);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().fault, Fault::unreachable);
}

TEST(Client, a_request_that_would_break_its_own_first_line_is_not_sent) {
  Rig rig;
  const auto session = rig.open_anonymous();
  for (const char* path : {"", "x", "/a b", "/a\r\nX: y"}) {
    EXPECT_EQ(rig.get((*session)->id, path).error().fault, Fault::malformed) << path;
  }
  EXPECT_TRUE(rig.requests.empty());
}

TEST(Loop, work_is_done_in_order_and_timers_can_be_cancelled) {
  Loop loop;
  std::vector<int> seen;
  const std::uint64_t never = loop.after(Duration(1), [&] { seen.push_back(9); });
  loop.cancel(never);
  loop.after(Duration(20), [&] { loop.stop(); });
  loop.post([&] { seen.push_back(1); });
  loop.post([&] { seen.push_back(2); });
  loop.run();
  EXPECT_EQ(seen, (std::vector{1, 2}));
  loop.stop();
  loop.run();  // stopped before it began: returns at once
}

}  // namespace
}  // namespace imprint::io
