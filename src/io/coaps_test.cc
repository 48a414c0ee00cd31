// CoAPS over loopback sockets: server and client, and the client that chooses by scheme.
#include <gtest/gtest.h>

#include "crypto/random.h"
#include "io/any_client.h"
#include "io/coaps_server.h"
#include "io/dtls_test.h"

namespace imprint::io {
namespace {

class CoapsRig {
 public:
  explicit CoapsRig(CoapsServerOptions options = {}) {
    guard.allow_loopback();
    options.listen.dtls = *openssl_dtls_server(dtls_server_options());
    CoapsServer::Handlers handlers;
    handlers.request = [this](Exchange from, const Request& request) {
      asked.push_back(request);
      if (const auto answer = serve(request)) {
        server->reply(from, *answer);
      } else {
        waiting.push_back(from);
      }
    };
    handlers.gone = [this](Exchange from) { gone.push_back(from); };
    server = *CoapsServer::listen(loop, rng, std::move(options), std::move(handlers));
    client = make_any_client(
        loop, guard, rng, [](const std::string&) -> Result<PrivateKey> { return pki().device.key; },
        [this](std::uint64_t session) { lost.push_back(session); });
  }

  Result<SessionRef> open() {
    Open what;
    what.to = *Uri::parse("coaps://127.0.0.1:" + std::to_string(server->port()));
    what.anchors = {pki().ca.certificate};
    what.as = Credential{"device", pki().device_chain()};
    std::optional<Result<SessionRef>> got;
    client->open(std::move(what), [&got](Result<SessionRef> r) { got = std::move(r); });
    until([&got] { return got.has_value(); });
    return got ? *got : Error{Fault::internal, "test: nothing came"};
  }
  void start(std::uint64_t session, Bytes body) {
    Request what;
    what.method = Method::post;
    what.path = "/x";
    what.body = std::move(body);
    told.reset();
    client->request(session, std::move(what), [this](Result<Response> r) { told = std::move(r); });
  }
  Result<Response> ask(std::uint64_t session, Bytes body) {
    start(session, std::move(body));
    until([this] { return told.has_value(); });
    return told ? *told : Error{Fault::internal, "test: nothing came"};
  }
  // Runs the loop until the condition holds; false after ten seconds.
  bool until(const std::function<bool()>& condition) {
    for (const Instant end = loop.now() + Duration(10000); !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }

  std::function<std::optional<Response>(const Request&)> serve = [](const Request& r) {
    return std::optional(Response{200, "application/octet-stream", r.body});
  };
  Loop loop;
  SystemRng rng;
  Guard guard;
  std::vector<Request> asked;
  std::vector<Exchange> waiting, gone;
  std::vector<std::uint64_t> lost;
  std::optional<Result<Response>> told;
  std::unique_ptr<CoapsServer> server;
  std::unique_ptr<RequestClient> client;
};

TEST(Coaps, a_request_carries_who_asks_and_bodies_of_any_size_come_back) {
  CoapsRig rig;
  const auto session = rig.open();
  ASSERT_TRUE(session);
  for (const std::size_t size : {0U, 1U, 1024U, 1025U, 20'000U}) {
    const auto answer = rig.ask((*session)->id, Bytes(size, 7));
    ASSERT_TRUE(answer) << size << ' ' << answer.error().what;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, Bytes(size, 7));
  }
  ASSERT_EQ(rig.asked.size(), 5U);
  ASSERT_TRUE(rig.asked.front().session->proven);
  EXPECT_EQ((*rig.asked.front().session->proven)->leaf, pki().device.certificate);
  EXPECT_EQ(rig.asked.front().session->channel_binding, (*session)->channel_binding);
  EXPECT_EQ(rig.server->stats().requests, 5U);
}

TEST(Coaps, an_answer_that_takes_long_still_comes) {
  CoapsRig rig;
  rig.serve = [](const Request&) { return std::optional<Response>(); };
  const auto session = rig.open();
  ASSERT_TRUE(session);
  rig.start((*session)->id, Bytes(10, 1));
  rig.loop.after(Duration(1200), [&rig] { rig.server->reply(rig.waiting.at(0), Response{404}); });
  ASSERT_TRUE(rig.until([&rig] { return rig.told.has_value(); }));
  ASSERT_TRUE(*rig.told);
  EXPECT_EQ((*rig.told)->status, 404);
  EXPECT_EQ(rig.asked.size(), 1U);
}

TEST(Coaps, a_client_that_leaves_is_told_to_whoever_was_to_answer) {
  CoapsRig rig;
  rig.serve = [](const Request&) { return std::optional<Response>(); };
  const auto session = rig.open();
  ASSERT_TRUE(session);
  rig.start((*session)->id, Bytes(10, 1));
  ASSERT_TRUE(rig.until([&rig] { return !rig.waiting.empty(); }));
  rig.client->close((*session)->id);
  ASSERT_TRUE(rig.until([&rig] { return !rig.gone.empty(); }));
  EXPECT_EQ(rig.gone.front(), rig.waiting.front());
  rig.server->reply(rig.waiting.front(), Response{200});  // nobody is there: nothing happens
  ASSERT_TRUE(rig.until([&rig] { return rig.told.has_value(); }));
  EXPECT_EQ(rig.told->error().fault, Fault::unreachable);
}

TEST(Coaps, new_credentials_end_the_connections_of_before_but_not_in_the_middle) {
  CoapsRig rig;
  rig.serve = [](const Request&) { return std::optional<Response>(); };
  const auto idle = rig.open(), busy = rig.open();
  ASSERT_TRUE(idle && busy);
  rig.start((*busy)->id, Bytes(10, 1));
  ASSERT_TRUE(rig.until([&rig] { return !rig.waiting.empty(); }));
  rig.server->set_context(*openssl_dtls_server(dtls_server_options()));
  ASSERT_TRUE(rig.until([&rig] { return !rig.lost.empty(); }));
  EXPECT_EQ(rig.lost, std::vector{(*idle)->id});
  rig.server->reply(rig.waiting.front(), Response{200});
  ASSERT_TRUE(rig.until([&rig] { return rig.told.has_value(); }));
  EXPECT_TRUE(*rig.told);
  EXPECT_FALSE(rig.ask((*idle)->id, {}));
  EXPECT_TRUE(rig.open());
}

TEST(Coaps, new_credentials_let_nobody_ask_more_on_an_association_of_before) {
  CoapsRig rig;
  rig.serve = [](const Request&) { return std::optional<Response>(); };
  const auto session = rig.open();
  ASSERT_TRUE(session);
  rig.start((*session)->id, Bytes(10, 1));
  ASSERT_TRUE(rig.until([&rig] { return !rig.waiting.empty(); }));
  rig.server->set_context(*openssl_dtls_server(dtls_server_options()));
  rig.server->reply(rig.waiting.front(), Response{200});
  ASSERT_TRUE(rig.until([&rig] { return rig.told.has_value(); }));
  ASSERT_TRUE(*rig.told);
  rig.start((*session)->id, Bytes(10, 2));
  ASSERT_TRUE(rig.until([&rig] { return rig.told.has_value(); }));
  EXPECT_FALSE(*rig.told);
  EXPECT_EQ(rig.asked.size(), 1U) << "the second request was handed over";
}

TEST(Coaps, an_old_association_is_asked_no_more) {
  CoapsServerOptions options;
  options.max_age = Duration(0);
  CoapsRig rig(std::move(options));
  const auto session = rig.open();
  ASSERT_TRUE(session);
  EXPECT_FALSE(rig.ask((*session)->id, Bytes(10, 1)));
  EXPECT_TRUE(rig.asked.empty());
}

TEST(Coaps, a_server_that_is_gone_ends_the_request) {
  CoapsRig rig;
  const auto session = rig.open();
  ASSERT_TRUE(session);
  rig.server.reset();
  const auto answer = rig.ask((*session)->id, Bytes(10, 1));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().fault, Fault::unreachable);
}

TEST(Coaps, draining_answers_what_was_asked) {
  CoapsRig rig;
  rig.serve = [](const Request&) { return std::optional<Response>(); };
  const auto session = rig.open();
  ASSERT_TRUE(session);
  rig.start((*session)->id, Bytes(10, 1));
  ASSERT_TRUE(rig.until([&rig] { return !rig.waiting.empty(); }));
  bool drained = false;
  rig.server->drain(Duration(8000), [&drained] { drained = true; });
  rig.server->reply(rig.waiting.front(), Response{200});
  ASSERT_TRUE(rig.until([&rig] { return rig.told.has_value(); }));
  EXPECT_TRUE(*rig.told);
  EXPECT_TRUE(rig.until([&drained] { return drained; }));
}

TEST(Coaps, another_scheme_is_refused) {
  CoapsRig rig;
  Open what;
  what.to = *Uri::parse("coap://127.0.0.1");
  std::optional<Result<SessionRef>> got;
  rig.client->open(std::move(what), [&got](Result<SessionRef> r) { got = std::move(r); });
  ASSERT_TRUE(rig.until([&got] { return got.has_value(); }));
  EXPECT_EQ(got->error().fault, Fault::unsupported);
}

}  // namespace
}  // namespace imprint::io
