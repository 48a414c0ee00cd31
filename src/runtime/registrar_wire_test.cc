// A registrar over real TLS: a device, our server, and behind it a MASA that answers as it is told to.
#include <algorithm>
#include <optional>

#include "io/https_client.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/rules.h"
#include "runtime/wire_testing.h"
#include "site/pledge_rules.h"
#include "site/rules.h"

namespace imprint {
namespace {

using brski::Form;
using brski::Operation;

class RegistrarWire : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    listen_masa();
    idevid_key_ = *PrivateKey::generate(KeyType::p256);
    Grant grant;
    grant.names.subject = *Name::from_text("CN=lamp,serialNumber=SN-1");
    grant.spki = idevid_key_.public_key().spki;
    grant.lifetime = kYear;
    idevid_ = *Certificate::parse(*site::issue(maker_, grant, loop_.now(), rng_));
    listen_registrar();
    client_ = io::HttpsClient::make(
        loop_, guard_, {}, [this](const std::string&) -> Result<PrivateKey> { return idevid_key_; }, nullptr);
  }
  void TearDown() override {
    client_.reset();
    masa_server_.reset();
    Wire::TearDown();
  }

  void listen_masa() {
    io::TlsServerOptions tls;
    tls.key = *PrivateKey::generate(KeyType::p256);
    tls.chain = {*site::issue_server(maker_, tls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")},
                                     loop_.now(), kYear, rng_)};
    tls.anchors = {site_->ca.certificate};
    io::HttpsServerOptions options;
    options.tls = *io::TlsContext::server(tls);
    options.max_body_bytes = brski::kMaxArtifact;
    io::HttpsServer::Handlers handlers;
    handlers.request = [this](Exchange from, const Request& request) {
      seen_.push_back(request);
      if (masa_says_) {  // else it never says anything
        masa_server_->reply(from, masa_says_(request));
      }
    };
    handlers.gone = [](Exchange) {};
    handlers.handshake_failed = [](std::uint64_t, const Error&) {};
    masa_server_ = *io::HttpsServer::listen(loop_, std::move(options), std::move(handlers));
    masa_says_ = [this](const Request& r) { return vouch(r); };
  }

  // An honest MASA that asks nobody.
  Response vouch(const Request& r) {
    if (r.path == brski::path_of(Operation::request_audit_log)) {
      return {200, "application/json", to_bytes(log_)};
    }
    const auto asked = brski::parse_artifact(r.body);
    if (!asked) {
      return Response{400};
    }
    brski::Voucher v;
    v.serial_number = asked->voucher.serial_number;
    v.nonce = asked->voucher.nonce;
    v.assertion = brski::Assertion::proximity;
    v.created_on = brski::DateTime::of(loop_.now());
    v.pinned_domain_cert = site_->ca.certificate.der;
    return {200, std::string(media_type(asked->form)),
            *brski::sign_voucher(v, asked->form, Signer{maker_.key, {maker_.certificate}})};
  }

  void listen_registrar() {
    io::TlsServerOptions tls;
    tls.key = *PrivateKey::generate(KeyType::p256);
    tls.chain = {*site::issue_server(site_->ca, tls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")},
                                     loop_.now(), kYear, rng_),
                 site_->ca.certificate};
    tls.anchors = {site_->ca.certificate, maker_.certificate};
    own_ = tls.chain.front();
    auto role = std::make_shared<brski::RegistrarConfig>();
    role->chain = tls.chain;
    auto registrar = std::make_shared<RegistrarSite>();
    registrar->role = role;
    registrar->signer = {tls.key, tls.chain};
    registrar->find_masa = [this](const Certificate&, const std::vector<Certificate>&) -> Result<brski::MasaContact> {
      brski::MasaContact out;
      out.url = *Uri::parse("https://127.0.0.1:" + std::to_string(masa_server_->port()));
      out.anchors = {maker_.certificate};
      out.as = Credential{"registrar", {own_}};
      return out;
    };
    site_->registrar = registrar;
    site_->policy.pledge_names = site::pledge_names;
    site_->policy.needs_voucher = [](const Certificate& idevid, const std::vector<Certificate>&) {
      return Result<std::optional<PledgeId>>(site::pledge_id(idevid, {}));
    };
    server_ = std::make_unique<EstServer>(loop_, *store_, rng_, journal_, site_);
    tls_key_ = tls.key;
    ask_masas_with({});
    io::HttpsServerOptions options;
    options.tls = *io::TlsContext::server(tls);
    options.max_body_bytes = brski::kMaxArtifact;
    ASSERT_TRUE(server_->listen(loop_, std::move(options)));
  }

  void ask_masas_with(const io::HttpsClientOptions& limits) {
    server_->serve_registrar(io::HttpsClient::make(
        loop_, guard_, limits, [this](const std::string&) -> Result<PrivateKey> { return tls_key_; }, nullptr));
  }

  // On the one connection of the device.
  Response send(Request r) {
    std::optional<Result<Response>> out;
    const auto ask = [&] {
      client_->request(session_->id, std::move(r), [&](Result<Response> got) {
        out = std::move(got);
        loop_.stop();
      });
    };
    const auto limit = loop_.after(std::chrono::seconds(30), [&] { loop_.stop(); });
    if (session_) {
      loop_.post(ask);
    } else {
      Open open;
      open.to = *Uri::parse("https://127.0.0.1:" + std::to_string(server_->port()));
      open.trust = Trust::provisional;
      open.as = Credential{"idevid", {idevid_}};
      client_->open(std::move(open), [&](Result<SessionRef> got) {
        ASSERT_TRUE(got) << got.error().what;
        session_ = *got;
        ask();
      });
    }
    loop_.run();
    loop_.cancel(limit);
    EXPECT_TRUE(out && *out) << "no answer";
    return out && *out ? **out : Response{};
  }
  Response ask_for_voucher(const Certificate& seen) {
    brski::Voucher v;
    v.kind = brski::Voucher::Kind::request;
    v.serial_number = "SN-1";
    v.assertion = brski::Assertion::proximity;
    v.nonce = std::string("bm9uY2Ugb2YgdGhlIGRldg==");
    v.proximity_registrar_cert = seen.der;
    Request r;
    r.method = Method::post;
    r.path = brski::path_of(Operation::request_voucher);
    r.content_type = media_type(Form::cms);
    r.body = *brski::sign_voucher(v, Form::cms, Signer{idevid_key_, {idevid_}});
    return send(std::move(r));
  }
  Response report(Operation what, bool status) {
    Request r;
    r.method = Method::post;
    r.path = brski::path_of(what);
    r.content_type = "application/json";
    r.body = to_bytes(brski::encode_json_telemetry({1, status, {}, {}, {}}));
    return send(std::move(r));
  }
  Response enrol() {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    RequestTemplate names;
    names.subject = *Name::from_text("CN=dev-1");
    return send(est::make_request("", "", est::Operation::simpleenroll, *make_request(key, names)));
  }
  PledgeRow row() {
    const auto rows = *(*store_->read())->pledges({});
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? PledgeRow{} : rows.front();
  }

  std::unique_ptr<io::HttpsServer> masa_server_;
  std::unique_ptr<io::RequestClient> client_;
  std::function<Response(const Request&)> masa_says_;
  std::vector<Request> seen_;
  std::string log_ = R"({"version":1,"events":[]})";
  PrivateKey idevid_key_, tls_key_;
  Certificate idevid_, own_;
  SessionRef session_;
};

TEST_F(RegistrarWire, a_device_comes_from_its_maker_to_its_owner_on_one_connection) {
  register_device("dev-1", &idevid_);
  EXPECT_EQ(enrol().status, 403) << "not before its voucher";
  const Response voucher = ask_for_voucher(session_->presented.front());
  ASSERT_EQ(voucher.status, 200) << as_text(voucher.body);
  const auto read = brski::parse_artifact(voucher.body);
  ASSERT_TRUE(read);
  EXPECT_TRUE(signed_by(*read, maker_.certificate.key));
  ASSERT_EQ(seen_.size(), 1U);
  ASSERT_TRUE(seen_[0].session->proven) << "the registrar shows the MASA who it is";
  EXPECT_EQ((*seen_[0].session->proven)->leaf, own_);
  EXPECT_EQ(row().stage, PledgeStage::vouchered);
  EXPECT_EQ(enrol().status, 403);
  EXPECT_EQ(report(Operation::voucher_status, true).status, 200);
  EXPECT_TRUE(row().cleared) << row().rule << row().reason;
  EXPECT_EQ(enrol().status, 200);
  EXPECT_EQ(report(Operation::enrol_status, true).status, 200);
  EXPECT_EQ(row().stage, PledgeStage::enrolled);
  EXPECT_EQ(row().device, "dev-1");
  std::vector<std::string> told;
  for (const imprint::Run& run : journal_.runs) {
    if (run.protocol == "brski") {
      told.push_back(run.mode + " " + run.result);
      EXPECT_EQ(run.role, "registrar");
      EXPECT_EQ(run.device, "dev-1");
    }
  }
  EXPECT_EQ(told, (std::vector<std::string>{"voucher vouchered", "voucher status imprinted",
                                            "enrolment status operational"}));
  EXPECT_EQ(*verify_audit(**store_->read()), std::nullopt);
}

TEST_F(RegistrarWire, a_device_that_saw_somebody_else_is_refused_with_its_rule) {
  register_device("dev-1", &idevid_);
  const Response answer = ask_for_voucher(site_->ca.certificate);
  EXPECT_EQ(answer.status, 401);
  EXPECT_TRUE(seen_.empty());
  EXPECT_EQ(row().rule, brski::kOtherRegistrar.id);
  EXPECT_EQ(journal_.runs.back().rule, brski::kOtherRegistrar.id);
  EXPECT_EQ(journal_.runs.back().result, "refused");
}

TEST_F(RegistrarWire, a_stranger_waits_for_a_person) {
  EXPECT_EQ(ask_for_voucher(own_).status, 202);
  EXPECT_EQ(row().stage, PledgeStage::asked);
  const auto device = *(*store_->read())->device(row().device);
  ASSERT_TRUE(device);
  EXPECT_EQ(device->admission, Admission::waiting);
  const imprint::Run& run = journal_.runs.back();
  EXPECT_EQ(run.result + " " + run.rule, "pending " + std::string(site::kWaiting.id));
  EXPECT_NE(run.steps.back().next.find("device approve " + device->id), std::string::npos) << run.steps.back().next;
}

TEST_F(RegistrarWire, a_masa_that_takes_its_time_is_what_the_run_waits_for) {
  register_device("dev-1", &idevid_);
  masa_says_ = [](const Request&) { return Response{202}; };
  EXPECT_EQ(ask_for_voucher(own_).status, 202);
  EXPECT_EQ(journal_.runs.back().result + " " + journal_.runs.back().rule,
            "pending " + std::string(brski::kMasaWaits.id));
}

TEST_F(RegistrarWire, what_the_device_says_went_wrong_is_no_success) {
  register_device("dev-1", &idevid_);
  ASSERT_EQ(ask_for_voucher(own_).status, 200);
  EXPECT_EQ(report(Operation::enrol_status, false).status, 200);
  EXPECT_EQ(journal_.runs.back().result, "failed");
  EXPECT_EQ(report(Operation::voucher_status, false).status, 200);
  EXPECT_EQ(journal_.runs.back().result, "refused");
}

TEST_F(RegistrarWire, what_is_believed_of_a_device_stands_on_the_maker_s_word) {
  register_device("dev-1", &idevid_);
  ASSERT_EQ(ask_for_voucher(own_).status, 200);
  Beliefs held;
  for (const BeliefChange& change : journal_.runs.back().beliefs) {
    EXPECT_TRUE(held.apply(change)) << change.belief.id;
  }
  const auto owned =
      std::ranges::find_if(held.held(), [](const auto& b) { return b.belief.topic == Topic::membership; });
  ASSERT_NE(owned, held.held().end());
  EXPECT_FALSE(owned->evidence.bytes.empty());
  EXPECT_EQ(held.strength(owned->belief.id), Strength::confirmed) << "the operator named the MASA's anchor";
}

TEST_F(RegistrarWire, a_masa_that_is_away_costs_the_device_nothing) {
  register_device("dev-1", &idevid_);
  masa_says_ = [](const Request&) { return Response{503}; };
  EXPECT_EQ(ask_for_voucher(own_).status, 502);
  EXPECT_EQ(journal_.runs.back().rule, brski::kMasaFailed.id);
  masa_says_ = [this](const Request& r) { return vouch(r); };
  EXPECT_EQ(ask_for_voucher(own_).status, 200);
}

// Slow, too large, elsewhere: the device hears of it in time, nothing is kept of it, and it may ask again.
TEST_F(RegistrarWire, a_masa_that_does_not_play_along_is_given_up) {
  register_device("dev-1", &idevid_);
  io::HttpsClientOptions limits;
  limits.request_timeout = Duration(300);
  ask_masas_with(limits);
  masa_says_ = nullptr;
  EXPECT_GE(ask_for_voucher(own_).status, 500);
  EXPECT_EQ(journal_.runs.back().rule, brski::kMasaAway.id);
  ask_masas_with({});
  masa_says_ = [](const Request&) {
    return Response{200, std::string(media_type(Form::cms)), Bytes(std::size_t{1} << 20U, 'x')};
  };
  EXPECT_GE(ask_for_voucher(own_).status, 500);
  EXPECT_EQ(journal_.runs.back().rule, brski::kMasaAway.id);
  EXPECT_TRUE((*store_->read())->pledges({})->empty()) << "nothing is decided";
  seen_.clear();
  masa_says_ = [](const Request& r) {
    Response out{307};
    out.location = r.path;
    return out;
  };
  EXPECT_GE(ask_for_voucher(own_).status, 400);
  EXPECT_EQ(row().rule, brski::kMasaMoved.id);
  EXPECT_EQ(seen_.size(), 1U) << "a redirect of a MASA is not followed, so it never goes round";
  masa_says_ = [this](const Request& r) { return vouch(r); };
  EXPECT_EQ(ask_for_voucher(own_).status, 200);
}

TEST_F(RegistrarWire, a_device_with_a_past_is_held_until_a_person_lets_it_on) {
  register_device("dev-1", &idevid_);
  log_ =
      R"({"version":1,"events":[{"date":"2019-05-15T17:25:55Z","domainID":"AQ==","nonce":"n","assertion":"logged"}]})";
  ASSERT_EQ(ask_for_voucher(own_).status, 200);
  EXPECT_EQ(report(Operation::voucher_status, true).status, 200);
  EXPECT_EQ(row().rule, brski::kLogDomain.id);
  EXPECT_EQ(journal_.runs.back().result + " " + journal_.runs.back().rule, "held " + row().rule);
  EXPECT_EQ(report(Operation::voucher_status, true).status, 200);
  EXPECT_EQ(journal_.runs.back().result, "answered") << "said once more it changes nothing";
  const Response held = enrol();
  EXPECT_EQ(held.status, 202) << "it comes again, and need not begin anew";
  EXPECT_TRUE(held.retry_after_s);
  EXPECT_EQ(journal_.runs.back().rule, site::kEstHeld.id);
  EXPECT_TRUE((*store_->read())->all_pending()->empty()) << "it does not wait for an approval";
  const PledgeId id = row().id;
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.clear_pledge(id, true, "asked", loop_.now(), "cli"); }));
  EXPECT_EQ(enrol().status, 200);
}

TEST_F(RegistrarWire, est_comes_after_the_voucher_s_report) {
  register_device("dev-1", &idevid_);
  ASSERT_EQ(ask_for_voucher(own_).status, 200);
  const Response early = enrol();
  EXPECT_EQ(early.status, 403);
  EXPECT_NE(as_text(early.body).find(site::kEstEarly.id), std::string_view::npos);
}

// Each time it asks with another nonce: the voucher on record does not answer that.
TEST_F(RegistrarWire, a_device_that_asks_again_and_again_is_put_off) {
  register_device("dev-1", &idevid_);
  auto site = std::make_shared<RegistrarSite>(*site_->registrar);
  site->pace = {2, std::chrono::hours(1), 10};
  site_->registrar = site;
  server_->set_site(site_);
  EXPECT_EQ(ask_for_voucher(own_).status, 200);
  EXPECT_EQ(report(Operation::voucher_status, true).status, 200);
  const std::size_t asked = seen_.size(), runs = journal_.runs.size();
  const std::int64_t entries = *(*store_->read())->count("audit");
  const Response later = ask_for_voucher(own_);
  EXPECT_EQ(later.status, 202);
  EXPECT_GT(later.retry_after_s.value_or(0), 3500);
  const Response report_later = report(Operation::enrol_status, true);
  EXPECT_EQ(report_later.status, 503);
  EXPECT_GT(report_later.retry_after_s.value_or(0), 3500);
  EXPECT_NE(as_text(report_later.body).find(brski::kTooOften.id), std::string_view::npos);
  EXPECT_EQ(seen_.size(), asked) << "no MASA was asked";
  EXPECT_EQ(*(*store_->read())->count("audit"), entries);
  EXPECT_EQ(journal_.runs.size(), runs);
}

TEST_F(RegistrarWire, a_device_that_waits_for_a_person_may_ask_as_often_as_it_was_told) {
  site_->policy.unknown = site::Unknown::queue;
  auto site = std::make_shared<RegistrarSite>(*site_->registrar);
  site->pace = {2, std::chrono::hours(1), 10};
  site_->registrar = site;
  server_->set_site(site_);
  for (int i = 0; i < 5; ++i) {
    const Response waits = ask_for_voucher(own_);
    EXPECT_EQ(waits.status, 202);
    EXPECT_LT(waits.retry_after_s.value_or(9999), 3000) << i;
  }
}

TEST_F(RegistrarWire, a_device_that_waits_is_not_written_down_each_time_it_asks) {
  site_->policy.unknown = site::Unknown::queue;
  EXPECT_EQ(ask_for_voucher(own_).status, 202);
  const PledgeRow first = row();
  EXPECT_EQ(first.asked, 1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ask_for_voucher(own_).status, 202);
    EXPECT_EQ(row(), first) << i;
  }
  const auto write = [&](const std::string& reason, Instant at) {
    const PledgeWaits fact{first.id, first.device, reason, {}};
    ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.pledge_waits(fact, at, "test"); }));
  };
  write("another", loop_.now());
  EXPECT_EQ(ask_for_voucher(own_).status, 202);
  EXPECT_EQ(row().reason, first.reason) << "what is new is written at once";
  EXPECT_EQ(row().asked, 3);
  write(first.reason, loop_.now() - std::chrono::minutes(6));
  EXPECT_EQ(ask_for_voucher(own_).status, 202);
  EXPECT_EQ(row().asked, 5) << "and that it still waits, from time to time";
}

TEST_F(RegistrarWire, describes_itself_and_serves_no_audit_log) {
  Request r;
  r.path = "/.well-known/brski";
  const Response says = send(r);
  EXPECT_EQ(says.status, 200);
  EXPECT_FALSE(says.etag.empty());
  r.if_none_match = says.etag;
  EXPECT_EQ(send(r).status, 304);
  r.if_none_match.clear();
  r.path = "/.well-known/brski/nothing";
  EXPECT_EQ(send(r).status, 404);
  r.method = Method::post;
  r.path = brski::path_of(Operation::request_audit_log);
  EXPECT_EQ(send(r).status, 404);
  EXPECT_TRUE(journal_.runs.empty());
}

}  // namespace
}  // namespace imprint
