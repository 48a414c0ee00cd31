// BRSKI for constrained devices over loopback sockets, in one process: pledge, registrar and MASA of ours, vouchers in
// COSE, CoAP over DTLS; directly and through both kinds of join proxies.
#include <algorithm>

#include "coap/mapping.h"
#include "factory/masa_testing.h"
#include "io/coaps_client.h"
#include "io/dtls_openssl.h"
#include "io/https_client.h"
#include "proto/brski/coap.h"
#include "runtime/brski_device.h"
#include "runtime/coap_join_proxy.h"
#include "runtime/masa_server.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

using brski::Operation;
using factory::testing::Party;
using factory::testing::World;

// A port that was free a moment ago.
std::uint16_t free_port(io::Loop& loop) {
  const auto socket = io::UdpSocket::bind(loop, {}, {[](const io::Address&, BytesView) {}, nullptr});
  return (*socket)->port();
}

class CbrskiWire : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    listen_masa();
    listen_registrar();
    storage_.add_key("idevid", lamp_.key);
    client_ = io::make_coaps_client(
        loop_, guard_, rng_, {}, [this](const std::string& id) { return storage_.key(id); }, [](std::uint64_t) {});
  }
  void TearDown() override {
    client_.reset();
    proxy_.reset();
    masa_.reset();
    makers_.reset();
    Wire::TearDown();
  }

  void listen_masa() {
    makers_ = *store::open_maker_sqlite((folder_ / "masa.db").string());
    auto site = std::make_shared<MasaSite>();
    site->config.idevid_anchors = {world_.maker.certificate};
    site->voucher_signer = factory::testing::signer_of(world_.masa, world_.maker);
    site->policy.pepper = Secret("pepper");
    site->name = "Maker";
    ASSERT_TRUE(makers_->write([&](store::MakerWriter& w) -> Status {
      TRY(Ok{}, w.put_customer(world_.account("first", {site_->ca.certificate}), "test"));
      return w.add_device(world_.record(lamp_, "lamp-1", "first"), "test");
    }));
    const Party tls = factory::testing::make_party(world_.now, "CN=masa", &world_.maker, false,
                                                   {std::string(eku::kServerAuth)}, {"ip:127.0.0.1"});
    masa_ = std::make_unique<MasaServer>(loop_, *makers_, rng_, site);
    io::TlsServerOptions context;
    context.key = tls.key;
    context.chain = {tls.certificate};
    context.verify_client_certificate = false;
    io::HttpsServerOptions options;
    options.tls = *io::TlsContext::server(context);
    options.max_body_bytes = kMasaBulkBytes;
    ASSERT_TRUE(masa_->listen(loop_, std::move(options)));
  }

  void listen_registrar() {
    io::DtlsServerOptions dtls;
    dtls.key = *PrivateKey::generate(KeyType::p256);
    dtls.chain = {*site::issue_server(site_->ca, dtls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")},
                                      loop_.now(), kYear, rng_),
                  site_->ca.certificate};
    dtls.anchors = {site_->ca.certificate, world_.maker.certificate};
    dtls.mtu = io::kWrappedMtu;
    own_ = dtls.chain.front();
    auto role = std::make_shared<brski::RegistrarConfig>();
    role->chain = dtls.chain;
    auto registrar = std::make_shared<RegistrarSite>();
    registrar->role = role;
    registrar->signer = {dtls.key, dtls.chain};
    registrar->find_masa = [this](const Certificate&, const std::vector<Certificate>&) -> Result<brski::MasaContact> {
      brski::MasaContact out;
      out.url = *Uri::parse("https://127.0.0.1:" + std::to_string(masa_->port()));
      out.anchors = {world_.maker.certificate};
      out.as = Credential{"registrar", {own_}};
      out.voucher_anchors = {world_.maker.certificate};
      return out;
    };
    site_->registrar = registrar;
    site_->policy.pledge_names = site::pledge_names;
    site_->policy.needs_voucher = [](const Certificate& idevid, const std::vector<Certificate>&) {
      return Result<std::optional<PledgeId>>(site::pledge_id(idevid, {}));
    };
    server_ = std::make_unique<EstServer>(loop_, *store_, rng_, journal_, site_);
    jpy_port_ = free_port(loop_);
    io::CoapsServerOptions options;
    options.listen.dtls = *io::openssl_dtls_server(dtls);
    options.listen.wrapped = io::DtlsWrapped{jpy_port_, jpy_envelope()};
    options.coap.max_body_bytes = brski::kMaxArtifact;
    ASSERT_TRUE(server_->listen(loop_, std::move(options)));
    EXPECT_EQ(server_->wrapped_port(), jpy_port_);
    server_->serve_registrar(io::HttpsClient::make(
        loop_, guard_, {}, [key = dtls.key](const std::string&) -> Result<PrivateKey> { return key; }, nullptr));
  }

  void join_by(bool stateless) {
    CoapJoinProxy::Options options;
    options.stateless = stateless;
    options.proxy.registrar = *io::Address::parse("127.0.0.1", stateless ? jpy_port_ : server_->port());
    options.proxy.max_per_second = 10000;
    proxy_ = *CoapJoinProxy::start(loop_, rng_, options);
  }

  std::shared_ptr<brski::PledgePlan> plan_at(std::uint16_t port) {
    auto plan = std::make_shared<brski::PledgePlan>();
    plan->registrars = {*Uri::parse("coaps://127.0.0.1:" + std::to_string(port))};
    plan->identity = Credential{"idevid", {lamp_.certificate}};
    plan->voucher_anchors = {world_.masa.certificate};
    plan->enrolment.names.subject = lamp_.certificate.subject;
    plan->rounds = 1;
    return plan;
  }

  // Lets the device run to its end, at most half a minute.
  imprint::Run join(const brski::PledgePlanRef& plan) {
    std::optional<imprint::Run> out;
    BrskiDevice::Hooks hooks;
    hooks.ended = [&](const brski::Pledge::State&, const imprint::Run& run, const std::optional<Error>&) {
      out = run;
      loop_.stop();
    };
    BrskiDevice device(loop_, rng_, pledge_over_sockets(loop_, guard_, rng_), storage_, nullptr, "lamp",
                       std::move(hooks));
    loop_.post([&] { device.start(plan); });
    const auto limit = loop_.after(std::chrono::seconds(30), [&] { loop_.stop(); });
    loop_.run();
    loop_.cancel(limit);
    device.halt();
    EXPECT_TRUE(out) << "no end within half a minute";
    return out.value_or(imprint::Run{});
  }

  Response ask(Request what) {
    std::optional<Result<Response>> out;
    Open open;
    open.to = *Uri::parse("coaps://127.0.0.1:" + std::to_string(server_->port()));
    open.trust = Trust::provisional;
    open.as = Credential{"idevid", {lamp_.certificate}};
    client_->open(std::move(open), [&](Result<SessionRef> session) {
      ASSERT_TRUE(session) << session.error().what;
      EXPECT_FALSE((*session)->proven);
      EXPECT_EQ((*session)->presented.front(), own_) << "a stranger's certificate is kept, and proves nothing";
      client_->request((*session)->id, std::move(what), [&](Result<Response> got) {
        out = std::move(got);
        loop_.stop();
      });
    });
    const auto limit = loop_.after(std::chrono::seconds(30), [&] { loop_.stop(); });
    loop_.run();
    loop_.cancel(limit);
    EXPECT_TRUE(out && *out) << "no answer";
    return out && *out ? **out : Response{};
  }

  PledgeRow row() {
    const auto rows = *(*store_->read())->pledges({});
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? PledgeRow{} : rows.front();
  }

  World world_{io::wall_clock()};
  Party lamp_ = world_.device("lamp-1");
  std::unique_ptr<store::MakerStore> makers_;
  std::unique_ptr<MasaServer> masa_;
  std::unique_ptr<CoapJoinProxy> proxy_;
  std::unique_ptr<io::RequestClient> client_;
  MemoryStorage storage_;
  Certificate own_;
  std::uint16_t jpy_port_ = 0;
};

bool among(const std::vector<Certificate>& all, const Certificate& one) {
  return std::ranges::find(all, one) != all.end();
}

TEST_F(CbrskiWire, a_constrained_device_comes_from_its_maker_to_its_owner) {
  register_device("dev-1", &lamp_.certificate);
  const imprint::Run run = join(plan_at(server_->port()));
  ASSERT_EQ(run.result, "operational") << run.rule << " " << run.steps.back().check;
  EXPECT_EQ(run.mode, "coaps");
  EXPECT_EQ(run.counts.connections, 2U) << "one until it is enrolled, one with its own certificate";
  EXPECT_TRUE(std::ranges::none_of(run.steps, [](const RunStep& s) { return s.state == "Wishing"; }));
  EXPECT_EQ(row().stage, PledgeStage::enrolled);
  EXPECT_EQ(row().form, "cose");
  std::vector<std::string> told;
  for (const imprint::Run& one : journal_.runs) {
    if (one.protocol == "brski") {
      told.push_back(one.mode + " " + one.result);
    }
  }
  EXPECT_EQ(told, (std::vector<std::string>{"coaps, voucher vouchered", "coaps, voucher status imprinted",
                                            "coaps, enrolment status operational"}));
}

TEST_F(CbrskiWire, what_is_asked_and_answered_is_as_small_as_it_has_to_be) {
  register_device("dev-1", &lamp_.certificate);
  ASSERT_EQ(join(plan_at(server_->port())).result, "operational");
  const auto asked = brski::parse_artifact(row().request);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->form, brski::Form::cose);
  EXPECT_TRUE(among(asked->along, own_) && among(asked->along, site_->ca.certificate)) << "for the pin";
  EXPECT_TRUE(among(asked->along, lamp_.certificate)) << "nothing comes along in the device's own request";
  const auto prior = brski::parse_artifact(*asked->voucher.prior_signed_voucher_request);
  ASSERT_TRUE(prior);
  EXPECT_TRUE(prior->along.empty());
  EXPECT_TRUE(prior->voucher.proximity_registrar_pubk && !prior->voucher.proximity_registrar_cert);
  EXPECT_EQ(*prior->voucher.proximity_registrar_pubk, own_.key.spki);
  const auto given = brski::parse_artifact(row().voucher);
  const auto got = brski::parse_artifact((*storage_.imprinted())->voucher);
  ASSERT_TRUE(given && got);
  EXPECT_TRUE(among(given->along, world_.masa.certificate)) << "the MASA says who signed";
  EXPECT_EQ(got->along, std::vector{world_.masa.certificate}) << "under its signature, for who has the root alone";
  EXPECT_EQ(got->content, given->content);
}

TEST_F(CbrskiWire, through_a_join_proxy_that_keeps_a_state_for_it) {
  register_device("dev-1", &lamp_.certificate);
  join_by(false);
  const imprint::Run run = join(plan_at(proxy_->port()));
  ASSERT_EQ(run.result, "operational") << run.rule << " " << run.steps.back().check;
  EXPECT_GT(proxy_->stats().from_pledges, 0U);
  EXPECT_GT(proxy_->stats().to_pledges, 0U);
}

TEST_F(CbrskiWire, through_a_join_proxy_that_keeps_none) {
  register_device("dev-1", &lamp_.certificate);
  join_by(true);
  const imprint::Run run = join(plan_at(proxy_->port()));
  ASSERT_EQ(run.result, "operational") << run.rule << " " << run.steps.back().check;
  EXPECT_GT(proxy_->stats().from_pledges, 0U);
  EXPECT_EQ(proxy_->stats().open, 0U);
  EXPECT_EQ(proxy_->stats().unreadable, 0U);
}

TEST_F(CbrskiWire, a_device_that_waits_is_told_when_to_come_again_until_a_person_lets_it_in) {
  site_->policy.unknown = site::Unknown::queue;
  site_->policy.retry_after = std::chrono::seconds(1);
  const auto later = loop_.after(std::chrono::milliseconds(1500), [&] {
    EXPECT_EQ(row().stage, PledgeStage::asked);
    auto device = **(*store_->read())->device(row().device);
    device.admission = Admission::approved;
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.update_device(device, "test", ""); }));
  });
  const imprint::Run run = join(plan_at(server_->port()));
  loop_.cancel(later);
  ASSERT_EQ(run.result, "operational") << run.rule << " " << run.steps.back().check;
  const auto waits = std::ranges::count_if(run.steps, [](const RunStep& s) { return s.state == "Waiting"; });
  EXPECT_GE(waits, 1);
  EXPECT_EQ(run.counts.connections, 2U) << "it waits on the one that it has";
}

TEST_F(CbrskiWire, another_voucher_than_its_makers_is_told_to_the_registrar) {
  register_device("dev-1", &lamp_.certificate);
  auto plan = plan_at(server_->port());
  plan->voucher_anchors = {world_.second.ca.certificate};
  const imprint::Run run = join(plan);
  EXPECT_EQ(run.result, "refused");
  EXPECT_FALSE(*storage_.imprinted());
  EXPECT_NE(row().stage, PledgeStage::enrolled);
  EXPECT_FALSE(row().reason.empty());
}

TEST_F(CbrskiWire, refuses_what_is_not_of_its_forms_and_serves_est_to_nobody_without_a_voucher) {
  register_device("dev-1", &lamp_.certificate);
  Request voucher = brski::make_coap_request("/b", Operation::request_voucher, to_bytes("no voucher"));
  EXPECT_EQ(ask(voucher).status, 400);
  Request other = voucher;
  other.content_type = "application/json";
  EXPECT_EQ(ask(other).status, 415);
  other = voucher;
  other.accept = "application/json";
  EXPECT_EQ(ask(other).status, 406);
  other = voucher;
  other.path = "/b/requestvoucher";
  EXPECT_EQ(ask(other).status, 404);
  other = voucher;
  other.method = Method::get;
  other.body.clear();
  other.content_type.clear();
  EXPECT_EQ(ask(other).status, 405);
  RequestTemplate names;
  names.subject = lamp_.certificate.subject;
  const auto csr = make_request(*PrivateKey::generate(KeyType::p256), names);
  EXPECT_EQ(ask(est::make_coap_request("", "", est::Operation::simpleenroll, *csr)).status, 403);
}

TEST_F(CbrskiWire, lists_all_that_it_serves_at_once) {
  const Response list = ask(brski::find_by_coap(brski::CoapWanted::resources));
  ASSERT_EQ(list.status, 200);
  const auto resources = brski::resources_in(*Uri::parse("coaps://127.0.0.1"), list);
  ASSERT_TRUE(resources);
  EXPECT_EQ(resources->request_voucher, "/b/rv");
  Request all;
  all.path = "/.well-known/core";
  const Response both = ask(all);
  EXPECT_NE(as_text(both.body).find("ace.est.sen"), std::string_view::npos);
  EXPECT_NE(as_text(both.body).find("brski.vs"), std::string_view::npos);
}

// A join proxy says of itself where devices have to go, and of nothing else.
TEST_F(CbrskiWire, a_join_proxy_is_found_by_who_asks) {
  CoapJoinProxy::Options options;
  options.proxy.registrar = *io::Address::parse("127.0.0.1", server_->port());
  options.answers.emplace();
  proxy_ = *CoapJoinProxy::start(loop_, rng_, options);
  ASSERT_NE(proxy_->answers_port(), 0);
  std::vector<brski::CoapFound> found;
  const io::Address to = *io::Address::parse("127.0.0.1", proxy_->answers_port());
  auto message = *coap::to_message(brski::find_by_coap(brski::CoapWanted::join_proxies));
  message.type = coap::Type::confirmable;
  message.id = 7;
  message.token = Bytes{1};
  std::unique_ptr<io::UdpSocket> socket = *io::UdpSocket::connect(loop_, to,
                                                                  {[&](const io::Address&, BytesView datagram) {
                                                                     const auto answer = coap::Message::parse(datagram);
                                                                     ASSERT_TRUE(answer);
                                                                     Response read = *coap::to_response(*answer);
                                                                     read.body = answer->payload;
                                                                     found = brski::join_proxies_in(read, "127.0.0.1");
                                                                     loop_.stop();
                                                                   },
                                                                   nullptr});
  ASSERT_TRUE(socket->send(message.encode()));
  const auto limit = loop_.after(std::chrono::seconds(10), [&] { loop_.stop(); });
  loop_.run();
  loop_.cancel(limit);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].port, proxy_->port());
}

}  // namespace
}  // namespace imprint
