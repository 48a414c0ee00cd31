// Connections in memory behave as those over sockets do.
#include "sim/network.h"

#include <gtest/gtest.h>

#include "site/ca.h"

namespace imprint::sim {
namespace {

constexpr Instant kStart{1'790'000'000'000};
constexpr Duration kYear = std::chrono::hours(24 * 365);

class NetworkTest : public ::testing::Test {
 protected:
  NetworkTest()
      : ca_(*site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), kStart, kYear, rng_)),
        other_(*site::make_root(KeyType::p256, *Name::from_text("CN=Other"), kStart, kYear, rng_)) {}

  void listen() {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    const Certificate own =
        *site::issue_server(ca_, key.public_key(), {*GeneralName::from_text("dns:owner.example")}, kStart, kYear, rng_);
    io::HttpsServer::Handlers handlers;
    handlers.request = [this](Exchange from, Request request) {
      ++served_;
      seen_ = request.session;
      if (answering_) {
        Response out;
        out.status = 200;
        server_->reply(from, out);
      }
    };
    handlers.gone = [this](Exchange) { ++gone_; };
    server_ = network_.server({443, {own}, {ca_.certificate}}, std::move(handlers));
  }
  void connect() {
    client_ = network_.client(
        [](const std::string&) -> Result<PrivateKey> {
          return Error{Fault::internal, "no key"};
        },
        [this](std::uint64_t) { ++lost_; });
  }
  void run() {
    while (clock_.step(kStart + kYear)) {
    }
  }
  Result<SessionRef> open(Open what) {
    what.to = *Uri::parse("https://owner.example");
    Result<SessionRef> out = Error{Fault::internal, "no answer"};
    client_->open(std::move(what), [&](Result<SessionRef> answer) { out = std::move(answer); });
    run();
    return out;
  }
  Open trusting(const site::Ca& ca) {
    Open out;
    out.anchors = {ca.certificate};
    return out;
  }
  Result<Response> get(std::uint64_t session) {
    Request what;
    what.path = "/";
    Result<Response> out = Error{Fault::internal, "no answer"};
    client_->request(session, what, [&](Result<Response> answer) { out = std::move(answer); });
    run();
    return out;
  }
  static Fault fault(const auto& result) { return result ? Fault::internal : result.error().fault; }

  SeededRng rng_{3};
  Clock clock_{kStart};
  Network network_{clock_, rng_, {}};
  site::Ca ca_, other_;
  std::unique_ptr<io::HttpsServer> server_;
  std::unique_ptr<io::HttpsClient> client_;
  SessionRef seen_;
  int served_ = 0, gone_ = 0, lost_ = 0;
  bool answering_ = true;
};

TEST_F(NetworkTest, both_ends_see_the_same_channel) {
  listen();
  connect();
  const auto session = open(trusting(ca_));
  ASSERT_TRUE(session);
  EXPECT_TRUE((*session)->proven);
  const auto answer = get((*session)->id);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(seen_->channel_binding, (*session)->channel_binding);
  EXPECT_FALSE(seen_->proven);
}

TEST_F(NetworkTest, nobody_is_there) {
  connect();
  EXPECT_EQ(fault(open(trusting(ca_))), Fault::unreachable);
}

TEST_F(NetworkTest, a_server_that_the_client_does_not_trust) {
  listen();
  connect();
  EXPECT_EQ(fault(open(trusting(other_))), Fault::unauthentic);
}

TEST_F(NetworkTest, a_client_certificate_that_does_not_verify) {
  listen();
  client_ = network_.client([](const std::string&) { return PrivateKey::generate(KeyType::p256); }, {});
  Open what = trusting(ca_);
  what.as = Credential{"key", {other_.certificate}};
  EXPECT_EQ(fault(open(what)), Fault::unauthentic);
}

TEST_F(NetworkTest, a_server_without_power) {
  listen();
  connect();
  const auto session = open(trusting(ca_));
  ASSERT_TRUE(session);
  server_.reset();
  EXPECT_EQ(fault(get((*session)->id)), Fault::unreachable);
  EXPECT_EQ(lost_, 1);
  EXPECT_EQ(served_, 0);
}

TEST_F(NetworkTest, a_client_that_leaves_before_the_answer) {
  answering_ = false;
  listen();
  connect();
  const auto session = open(trusting(ca_));
  ASSERT_TRUE(session);
  Request what;
  what.path = "/";
  client_->request((*session)->id, what, [](const Result<Response>&) { FAIL() << "it has no power"; });
  ASSERT_TRUE(clock_.step(kStart + kYear));
  client_.reset();
  run();
  EXPECT_EQ(served_, 1);
  EXPECT_EQ(gone_, 1);
}

TEST_F(NetworkTest, an_answer_that_does_not_come) {
  answering_ = false;
  listen();
  connect();
  const auto session = open(trusting(ca_));
  ASSERT_TRUE(session);
  const Instant before = clock_.now();
  EXPECT_EQ(fault(get((*session)->id)), Fault::unreachable);
  EXPECT_GE(clock_.now() - before, Duration(30'000));
}

TEST_F(NetworkTest, a_doubled_request_is_served_twice_and_answered_once) {
  listen();
  connect();
  const auto session = open(trusting(ca_));
  ASSERT_TRUE(session);
  network_.link().set({.duplicate = 1});
  int answers = 0;
  Request what;
  what.path = "/";
  client_->request((*session)->id, what, [&](const Result<Response>&) { ++answers; });
  run();
  EXPECT_EQ(served_, 2);
  EXPECT_EQ(answers, 1);
}

}  // namespace
}  // namespace imprint::sim
