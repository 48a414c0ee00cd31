// Pledges, join proxies of ours and the owner's EST server over CoAPS, over loopback sockets, in one process.
#include <algorithm>

#include "io/coaps_client.h"
#include "io/dtls_openssl.h"
#include "proto/brski/jpy.h"
#include "runtime/join_paths.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

// A port that was free a moment ago.
std::uint16_t free_port(io::Loop& loop) {
  const auto socket = io::UdpSocket::bind(loop, {}, {[](const io::Address&, BytesView) {}, nullptr});
  return (*socket)->port();
}

class JoinWire : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    io::DtlsServerOptions dtls;
    dtls.key = *PrivateKey::generate(KeyType::p256);
    dtls.chain = {*site::issue_server(site_->ca, dtls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")},
                                      loop_.now(), kYear, rng_)};
    dtls.anchors = {site_->ca.certificate, maker_.certificate};
    dtls.mtu = io::kWrappedMtu;
    jpy_port_ = free_port(loop_);
    server_ = std::make_unique<EstServer>(loop_, *store_, rng_, journal_, site_);
    io::CoapsServerOptions options;
    options.listen.dtls = *io::openssl_dtls_server(dtls);
    options.listen.wrapped = io::DtlsWrapped{jpy_port_, jpy_envelope()};
    ASSERT_TRUE(server_->listen(loop_, std::move(options)));
    credential_ = idevid("dev-1", storage_);
    client_ = io::make_coaps_client(
        loop_, guard_, rng_, {}, [this](const std::string& id) { return storage_.key(id); }, [](std::uint64_t) {});
  }
  void TearDown() override {
    client_.reset();
    proxy_.reset();
    Wire::TearDown();
  }

  void stateless() {
    io::UdpJoinProxyOptions options;
    options.registrar = *io::Address::parse("127.0.0.1", jpy_port_);
    options.max_per_second = options.max_of_address_per_second = 10000;  // all come from one
    proxy_ = *io::UdpJoinProxy::stateless(loop_, options, jpy_return_envelope(rng_));
  }
  void stateful(std::size_t ways = 2) {
    io::UdpJoinProxyOptions options;
    options.registrar = *io::Address::parse("127.0.0.1", server_->port());
    options.max_of_address = ways;
    proxy_ = *io::UdpJoinProxy::stateful(loop_, options);
  }

  // Opens an association through the proxy; what came of it, later.
  struct Attempt {
    std::optional<Result<SessionRef>> session;
    std::optional<Result<Response>> answer;
  };
  void start(Attempt& attempt) {
    Open what;
    what.to = *Uri::parse("coaps://127.0.0.1:" + std::to_string(proxy_->port()));
    what.anchors = {site_->ca.certificate};
    what.as = credential_;
    client_->open(std::move(what), [this, &attempt](Result<SessionRef> r) {
      attempt.session = std::move(r);
      if (*attempt.session) {
        Request ask = est::make_coap_request("", "", est::Operation::cacerts);
        client_->request((**attempt.session)->id, std::move(ask),
                         [&attempt](Result<Response> answer) { attempt.answer = std::move(answer); });
      }
    });
  }
  bool until(const std::function<bool()>& condition, Duration time = std::chrono::seconds(30)) {
    for (const Instant end = loop_.now() + time; !condition() && loop_.now() < end;) {
      const std::uint64_t tick = loop_.after(Duration(2), [this] { loop_.stop(); });
      loop_.run();
      loop_.cancel(tick);
    }
    return condition();
  }
  static bool gave_the_ca(const Attempt& attempt, const Certificate& ca) {
    if (!attempt.answer || !*attempt.answer || (*attempt.answer)->status != 200) {
      return false;
    }
    const auto certificates = parse_certs_only((*attempt.answer)->body);
    return certificates && certificates->size() == 1 && certificates->front() == ca;
  }

  MemoryStorage storage_;
  Credential credential_;
  std::uint16_t jpy_port_ = 0;
  std::unique_ptr<io::UdpJoinProxy> proxy_;
  std::unique_ptr<io::RequestClient> client_;
};

TEST_F(JoinWire, a_device_asks_est_through_the_stateless_proxy) {
  stateless();
  Attempt one;
  start(one);
  ASSERT_TRUE(until([&] { return one.answer.has_value(); }));
  ASSERT_TRUE(*one.answer) << (*one.answer).error().what;
  EXPECT_TRUE(gave_the_ca(one, site_->ca.certificate));
  EXPECT_GT(proxy_->stats().from_pledges, 3U);
  EXPECT_EQ(proxy_->stats().unreadable, 0U);
  EXPECT_EQ(server_->coaps_stats().dtls.unreadable, 0U);
  EXPECT_EQ(server_->coaps_stats().dtls.handshakes, 1U);
}

TEST_F(JoinWire, a_device_asks_est_through_the_stateful_proxy) {
  stateful();
  Attempt one;
  start(one);
  ASSERT_TRUE(until([&] { return one.answer.has_value(); }));
  EXPECT_TRUE(gave_the_ca(one, site_->ca.certificate));
  EXPECT_EQ(proxy_->stats().open, 1U);
}

TEST_F(JoinWire, fifty_devices_behind_one_stateless_proxy_are_served) {
  stateless();
  constexpr std::size_t kMany = 50;
  std::vector<Credential> all;
  for (std::size_t i = 0; i < kMany; ++i) {
    all.push_back(idevid("dev-" + std::to_string(i), storage_));
    all.back().key_id = "key-" + std::to_string(i);
    storage_.add_key(all.back().key_id, *storage_.key("idevid"));
  }
  std::vector<Attempt> attempts(kMany);
  for (std::size_t i = 0; i < kMany; ++i) {
    credential_ = all[i];
    start(attempts[i]);
  }
  ASSERT_TRUE(
      until([&] { return std::ranges::all_of(attempts, [](const Attempt& a) { return a.answer.has_value(); }); }));
  for (const Attempt& one : attempts) {
    EXPECT_TRUE(gave_the_ca(one, site_->ca.certificate));
  }
  EXPECT_EQ(server_->coaps_stats().dtls.handshakes, kMany);
  EXPECT_EQ(server_->coaps_stats().dtls.open, kMany);
}

TEST_F(JoinWire, answers_with_a_header_that_was_not_sealed_reach_nobody) {
  std::vector<Bytes> at_registrar;
  io::Address proxy_there;
  const auto registrar = *io::UdpSocket::bind(loop_, {},
                                              {[&](const io::Address& from, BytesView d) {
                                                 at_registrar.push_back(to_bytes(d));
                                                 proxy_there = from;
                                               },
                                               nullptr});
  io::UdpJoinProxyOptions options;
  options.registrar = *io::Address::parse("127.0.0.1", registrar->port());
  proxy_ = *io::UdpJoinProxy::stateless(loop_, options, jpy_return_envelope(rng_));
  std::vector<Bytes> at_pledge;
  const auto pledge =
      *io::UdpSocket::connect(loop_, *io::Address::parse("127.0.0.1", proxy_->port()),
                              {[&](const io::Address&, BytesView d) { at_pledge.push_back(to_bytes(d)); }, nullptr});
  ASSERT_TRUE(pledge->send(view("hello")));
  ASSERT_TRUE(until([&] { return at_registrar.size() == 1; }));
  const auto message = brski::Jpy::parse(at_registrar[0]);
  ASSERT_TRUE(message);
  EXPECT_EQ(as_text(message->content), "hello");
  EXPECT_EQ(message->header.size(), 20U);

  Bytes forged = to_bytes(message->header);
  forged.back() ^= 1;
  ASSERT_TRUE(registrar->send_to(proxy_there, brski::Jpy{forged, view("forged")}.encode()));
  ASSERT_TRUE(registrar->send_to(proxy_there, view("no message")));
  ASSERT_TRUE(until([&] { return proxy_->stats().unreadable == 2; }));
  EXPECT_TRUE(at_pledge.empty());
  ASSERT_TRUE(registrar->send_to(proxy_there, brski::Jpy{message->header, view("welcome")}.encode()));
  ASSERT_TRUE(until([&] { return at_pledge.size() == 1; }));
  EXPECT_EQ(as_text(at_pledge[0]), "welcome");
}

}  // namespace
}  // namespace imprint
