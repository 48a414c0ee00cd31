// What a connection may do before and after its asker is known.
#include "proto/est/http.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

class Limits : public Wire {
 protected:
  // A connection without a client certificate.
  SessionRef open() {
    std::optional<Result<SessionRef>> got;
    client_->open({.ticket = 0,
                   .to = *Uri::parse("https://127.0.0.1:" + std::to_string(server_->port())),
                   .trust = Trust::anchors,
                   .anchors = {site_->ca.certificate},
                   .as = std::nullopt},
                  [&](Result<SessionRef> r) { finish(got, std::move(r)); });
    loop_.run();
    return **got;
  }
  // The status of the answer; 0 if the connection ends without one.
  int ask(const SessionRef& session, Request what) {
    std::optional<Result<Response>> got;
    client_->request(session->id, std::move(what), [&](Result<Response> r) { finish(got, std::move(r)); });
    loop_.run();
    return *got ? (**got).status : 0;
  }
  template <class T>
  void finish(std::optional<T>& got, T&& value) {
    got = std::forward<T>(value);
    loop_.stop();
  }
  Request enrolment(const Secret& password) {
    RequestTemplate wanted;
    wanted.subject = *Name::from_text("CN=dev-1");
    const Bytes csr = *make_request(*PrivateKey::generate(KeyType::p256), wanted);
    Request out = est::make_request("", "", est::Operation::simpleenroll, csr);
    out.login = Login{"dev-1", password};
    return out;
  }

  std::unique_ptr<io::HttpsClient> client_ = io::HttpsClient::make(
      loop_, guard_, {}, [](const std::string&) -> Result<PrivateKey> { return PrivateKey{}; }, [](std::uint64_t) {});
};

TEST_F(Limits, only_somebody_known_may_post_again_and_again) {
  io::HttpsServerOptions options;
  options.max_posts_unknown = 1;
  listen(std::move(options));
  register_device("dev-1", nullptr);
  const Secret token("9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA");
  const DeviceSecret secret{"dev-1", "dev-1", false, site::secret_mac(site_->policy.pepper, "dev-1", token), false};
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret(secret); }));
  const Request question = est::make_request("", "", est::Operation::cacerts);

  const SessionRef unknown = open();
  EXPECT_EQ(ask(unknown, question), 200);
  EXPECT_EQ(ask(unknown, enrolment(Secret("a guess"))), 401);
  EXPECT_EQ(ask(unknown, question), 0);

  const SessionRef known = open();
  EXPECT_EQ(ask(known, enrolment(token)), 200);
  EXPECT_EQ(ask(known, enrolment(Secret("a guess"))), 401);
  EXPECT_EQ(ask(known, question), 200);
}

}  // namespace
}  // namespace imprint
