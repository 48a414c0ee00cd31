// A gateway over real TLS: a device, our server, and behind it an EST server that answers as it is told to.
#include "runtime/upstream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "proto/est/messages.h"
#include "proto/est/rules.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

const std::string kRaName = "CN=gateway";

class Gateway : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    far_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Upstream"), loop_.now(), kYear * 10, rng_);
    site_->est.labels[""].ca_certificates = encode_certs_only({far_.certificate.der});
    site_->policy.owner_anchors.push_back(far_.certificate);
    listen_upstream("ip:127.0.0.1");
    signer_ = std::make_shared<UpstreamSigner>(upstream());
    site_->signer = signer_;
    listen_gateway();
  }
  void TearDown() override {
    signer_->end();
    upstream_server_.reset();
    Wire::TearDown();
  }

  void listen_upstream(const std::string& name) {
    io::TlsServerOptions tls;
    tls.key = *PrivateKey::generate(KeyType::p256);
    tls.chain = {
        *site::issue_server(far_, tls.key.public_key(), {*GeneralName::from_text(name)}, loop_.now(), kYear, rng_)};
    tls.anchors = {far_.certificate};
    io::HttpsServerOptions options;
    options.tls = *io::TlsContext::server(tls);
    io::HttpsServer::Handlers handlers;
    handlers.request = [this](Exchange from, const Request& request) { answer(from, request); };
    handlers.gone = [](Exchange) {};
    handlers.handshake_failed = [](std::uint64_t, const Error&) {};
    auto server = io::HttpsServer::listen(loop_, std::move(options), std::move(handlers));
    ASSERT_TRUE(server);
    upstream_server_ = *std::move(server);
  }

  // Under the CA upstream, as its devices know it.
  void listen_gateway() {
    io::TlsServerOptions tls;
    tls.key = *PrivateKey::generate(KeyType::p256);
    tls.chain = {*site::issue_server(far_, tls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")}, loop_.now(),
                                     kYear, rng_)};
    tls.anchors = {far_.certificate, maker_.certificate};
    server_ = std::make_unique<EstServer>(loop_, *store_, rng_, journal_, site_);
    io::HttpsServerOptions options;
    options.tls = *io::TlsContext::server(tls);
    ASSERT_TRUE(server_->listen(loop_, std::move(options)));
  }

  UpstreamSite upstream() {
    UpstreamSite out;
    out.server = *Uri::parse("https://127.0.0.1:" + std::to_string(upstream_server_->port()));
    out.trust.anchors = {far_.certificate};
    out.key = *PrivateKey::generate(KeyType::p256);
    Grant ra;
    ra.names.subject = *Name::from_text(kRaName);
    ra.spki = out.key.public_key().spki;
    ra.extended = {std::string(eku::kClientAuth), std::string(eku::kCmcRa)};
    ra.lifetime = kYear;
    out.credential = Credential{{}, {*Certificate::parse(*site::issue(far_, ra, loop_.now(), rng_))}};
    return out;
  }

  void answer(Exchange from, const Request& request) {
    seen_.push_back(request);
    const Result<Response> out = says_(request);
    if (out) {
      upstream_server_->reply(from, *out);
    }
  }

  // What a good server upstream makes of a request, changed by whoever wants a bad one.
  Response certify(const Request& request, const std::function<void(Grant&)>& change = {}) {
    Response out;
    out.status = 200;
    out.content_type = "application/pkcs7-mime; smime-type=certs-only";
    const auto csr = CertificateRequest::parse(*est::decode_body(request.body));
    Grant grant;
    grant.names = {csr->subject, csr->alt_names};
    grant.spki = csr->key.spki;
    grant.usage = key_usage::kDigitalSignature;
    grant.extended = {std::string(eku::kClientAuth)};
    grant.lifetime = kYear;
    if (change) {
      change(grant);
    }
    last_ = *site::issue(far_, grant, loop_.now(), rng_);
    out.body = est::encode_body(encode_certs_only({last_}));
    return out;
  }

  // A device that is in the inventory, with its plan; polled once unless told otherwise.
  std::shared_ptr<est::Plan> device(const std::string& id, MemoryStorage& storage) {
    auto plan = plan_for(id);
    plan->explicit_anchors = {far_.certificate};
    plan->credential = idevid(id, storage);
    plan->polls = 2;
    plan->attempts = 1;
    register_device(id, &plan->credential->chain[0]);
    return plan;
  }
  // A renewal of this certificate of the CA upstream.
  static std::shared_ptr<est::Plan> renewal(const est::Plan& before, const est::Installed& installed) {
    auto out = std::make_shared<est::Plan>(before);
    out->renew = true;
    out->credential = Credential{installed.key.id, {installed.certificate}};
    out->names = {installed.certificate.subject, installed.certificate.alt_names};
    return out;
  }
  std::int64_t on_record() { return *(*store_->read())->count("certificates"); }
  std::vector<AuditEntry> denied() {
    std::vector<AuditEntry> out;
    for (AuditEntry& entry : *(*store_->read())->audit(0, 1000)) {
      if (entry.action == "request.denied") {
        out.push_back(std::move(entry));
      }
    }
    return out;
  }
  // The device is refused by this rule, which the operator can read, and nothing is on record but that.
  void expect_refused(const Rule& rule) {
    MemoryStorage storage;
    const imprint::Run run = onboard(storage, device("dev-1", storage));
    EXPECT_EQ(run.result, "refused") << run.rule;
    EXPECT_EQ(on_record(), 0);
    EXPECT_FALSE(*storage.installed());
    ASSERT_EQ(denied().size(), 1U);
    EXPECT_NE(denied()[0].detail.find(rule.id), std::string::npos) << denied()[0].detail;
    ASSERT_FALSE(journal_.runs.empty());
    EXPECT_EQ(journal_.runs.back().rule, rule.id);
  }
  // The device is told to come again, and nothing is on record.
  void expect_away(const Rule& rule) {
    MemoryStorage storage;
    auto plan = device("dev-1", storage);
    plan->polls = 1;
    const imprint::Run run = onboard(storage, plan);
    EXPECT_EQ(run.result, "failed") << run.rule;
    EXPECT_EQ(on_record(), 0);
    EXPECT_TRUE(denied().empty());
    ASSERT_FALSE(journal_.runs.empty());
    EXPECT_EQ(journal_.runs.back().rule, rule.id);
  }

  site::Ca far_;
  std::function<Result<Response>(const Request&)> says_ = [this](const Request& r) { return certify(r); };
  std::vector<Request> seen_;
  Bytes last_;  // the certificate that was signed last
  std::unique_ptr<io::HttpsServer> upstream_server_;
  std::shared_ptr<UpstreamSigner> signer_;
};

TEST_F(Gateway, hands_a_request_on_and_records_what_comes_back) {
  MemoryStorage storage;
  ASSERT_EQ(onboard(storage, device("dev-1", storage)).result, "operational");
  EXPECT_EQ((*storage.installed())->certificate.der, last_);
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_EQ(seen_[0].path, "/.well-known/est/simpleenroll");
  ASSERT_TRUE(seen_[0].session->proven);
  EXPECT_EQ((*seen_[0].session->proven)->leaf.subject.text, kRaName);
  const auto row = (*store_->read())->certificate(Certificate::parse(last_)->serial);
  ASSERT_TRUE(row && *row);
  EXPECT_EQ((*row)->device, "dev-1");
  EXPECT_NE((*row)->reason.find("handed on"), std::string::npos);
}

TEST_F(Gateway, a_device_renews_what_another_ca_signed) {
  MemoryStorage storage;
  auto plan = device("dev-1", storage);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  const est::Installed first = **storage.installed();
  ASSERT_EQ(onboard(storage, renewal(*plan, first)).result, "operational");
  EXPECT_EQ(seen_.back().path, "/.well-known/est/simpleenroll") << "the gateway renews nothing of its own";
  const auto row = (*store_->read())->certificate((*storage.installed())->certificate.serial);
  ASSERT_TRUE(row && *row);
  EXPECT_EQ((*row)->renews, first.certificate.serial);
}

TEST_F(Gateway, a_request_that_waits_upstream_is_asked_again) {
  int asked = 0;
  says_ = [&](const Request& r) -> Result<Response> {
    if (++asked == 1) {
      Response out;
      out.status = 202;
      out.retry_after_s = 1;
      return out;
    }
    return certify(r);
  };
  MemoryStorage storage;
  EXPECT_EQ(onboard(storage, device("dev-1", storage)).result, "operational");
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(on_record(), 1);
  EXPECT_EQ(journal_.runs.front().result, "pending");
  EXPECT_EQ(journal_.runs.front().rule, est::kUpstreamWaits.id);
}

TEST_F(Gateway, an_answer_that_was_given_before_is_not_recorded_twice) {
  MemoryStorage storage;
  auto plan = device("dev-1", storage);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  const Bytes first = last_;
  // As an upstream that finds its answer again, for a request that is another one here.
  says_ = [&](const Request&) -> Result<Response> {
    Response out;
    out.status = 200;
    out.body = est::encode_body(encode_certs_only({first}));
    return out;
  };
  auto again = renewal(*plan, **storage.installed());
  again->keep_key = (*storage.installed())->key;
  EXPECT_EQ(onboard(storage, again).result, "operational");
  EXPECT_EQ(on_record(), 1);
  EXPECT_EQ((*storage.installed())->certificate.der, first);
}

TEST_F(Gateway, a_serial_number_that_is_another_certificates_is_refused) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  Bytes ours;
  says_ = [&](const Request& r) -> Result<Response> {
    Response out = certify(r);
    const Certificate theirs = *Certificate::parse(last_);
    CertificateTemplate t;
    t.serial = theirs.serial;
    t.issuer = site_->ca.certificate.subject;
    t.subject = *Name::from_text("CN=our own server");
    t.not_before = loop_.now();
    t.not_after = loop_.now() + kYear;
    t.spki = key.public_key().spki;
    ours = *sign_certificate(site_->ca.key, t);
    EXPECT_TRUE(store_->write(
        [&](store::Writer& w) { return w.issued_to_server(ours, "made for tls/", loop_.now(), "test"); }));
    return out;
  };
  MemoryStorage storage;
  const imprint::Run run = onboard(storage, device("dev-1", storage));
  EXPECT_EQ(run.result, "refused") << run.rule;
  ASSERT_EQ(denied().size(), 1U);
  EXPECT_NE(denied()[0].detail.find(est::kUpstreamSerial.id), std::string::npos);
  EXPECT_EQ(on_record(), 1);
}

TEST_F(Gateway, a_certificate_that_is_revoked_here_is_not_given_again) {
  MemoryStorage storage;
  auto plan = device("dev-1", storage);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  const Certificate first = *Certificate::parse(last_);
  ASSERT_TRUE(store_->write(
      [&](store::Writer& w) { return w.revoke(first.serial, RevocationReason::superseded, "test", loop_.now()); }));
  says_ = [&](const Request&) -> Result<Response> {
    Response out;
    out.status = 200;
    out.body = est::encode_body(encode_certs_only({first.der}));
    return out;
  };
  auto again = std::make_shared<est::Plan>(*plan);
  again->keep_key = (*storage.installed())->key;
  EXPECT_EQ(onboard(storage, again).result, "refused");
  ASSERT_EQ(denied().size(), 1U);
  EXPECT_NE(denied()[0].detail.find(est::kUpstreamSerial.id), std::string::npos);
}

// ---- upstream says no, or what it should not ----

TEST_F(Gateway, what_upstream_refuses_is_refused_and_on_record) {
  says_ = [](const Request&) -> Result<Response> { return Response{403, "text/plain", to_bytes("not this one")}; };
  expect_refused(est::kUpstreamRefused);
}

TEST_F(Gateway, a_certificate_for_another_key_is_refused) {
  says_ = [this](const Request& r) -> Result<Response> {
    return certify(r, [](Grant& g) { g.spki = PrivateKey::generate(KeyType::p256)->public_key().spki; });
  };
  expect_refused(est::kUpstreamKey);
}

TEST_F(Gateway, a_certificate_of_another_ca_is_refused) {
  says_ = [this](const Request& r) -> Result<Response> {
    std::swap(far_, maker_);
    Response out = certify(r);
    std::swap(far_, maker_);
    return out;
  };
  expect_refused(est::kUpstreamChain);
}

TEST_F(Gateway, a_certificate_with_another_name_is_refused) {
  says_ = [this](const Request& r) -> Result<Response> {
    return certify(r, [](Grant& g) { g.names.subject = *Name::from_text("CN=somebody-else"); });
  };
  expect_refused(est::kUpstreamOtherNames);
}

TEST_F(Gateway, a_certificate_for_a_registration_authority_is_refused) {
  says_ = [this](const Request& r) -> Result<Response> {
    return certify(r, [](Grant& g) { g.extended.emplace_back(eku::kCmcRa); });
  };
  expect_refused(est::kUpstreamUsages);
}

TEST_F(Gateway, a_certificate_without_end_is_refused) {
  says_ = [this](const Request& r) -> Result<Response> { return certify(r, [](Grant& g) { g.lifetime = kYear * 5; }); };
  expect_refused(est::kUpstreamLifetime);
}

// ---- upstream has a new CA ----

// The CA certificates as the server upstream has them now; the loop runs meanwhile.
class NewCa : public Gateway {
 protected:
  void SetUp() override {
    Gateway::SetUp();
    says_ = [this](const Request& r) -> Result<Response> {
      if (r.path.ends_with("/cacerts")) {
        Response out{200, "application/pkcs7-mime"};
        out.body = est::encode_body(encode_certs_only(cacerts_));
        return out;
      }
      return certify(r);
    };
    signer_->when_outdated([this] { ++told_; });
    configured_ = upstream();
  }
  // An issuing CA below the root signs from now on.
  void change_ca() {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    CertificateTemplate t;
    t.serial = {2};
    t.issuer = far_.certificate.subject;
    t.subject = *Name::from_text("CN=Upstream issuing");
    t.not_before = loop_.now() - kYear;
    t.not_after = loop_.now() + kYear * 2;
    t.spki = key.public_key().spki;
    t.is_ca = true;
    t.usage = key_usage::kCertSign;
    const Certificate issuing = *Certificate::parse(*sign_certificate(far_.key, t));
    far_ = site::Ca{key, issuing, {far_.certificate}};
    cacerts_.push_back(issuing.der);
  }
  Result<std::vector<Certificate>> fetch() {
    auto out = std::async(std::launch::async, [this] {
      auto got = signer_->ca_certificates();
      if (got) {
        UpstreamSite site = configured_;
        site.trust.issuers = *got;
        signer_->take(site);
        signer_->asked();
      }
      loop_.post([this] { loop_.stop(); });
      return got;
    });
    loop_.run();
    return out.get();
  }

  UpstreamSite configured_{};
  std::vector<Bytes> cacerts_{};
  std::atomic<int> told_{0};
};

TEST_F(NewCa, is_asked_for_and_the_device_comes_again) {
  cacerts_ = {far_.certificate.der};
  const Certificate root = far_.certificate;
  change_ca();
  MemoryStorage storage;
  auto plan = device("dev-1", storage);
  plan->explicit_anchors = {root};
  plan->polls = 1;
  EXPECT_EQ(onboard(storage, plan).result, "failed");
  EXPECT_EQ(told_, 1);
  EXPECT_TRUE(denied().empty());
  EXPECT_EQ(journal_.runs.back().rule, est::kUpstreamChain.id);
  ASSERT_TRUE(fetch());
  site_->est.labels[""].ca_certificates = encode_certs_only(cacerts_);
  EXPECT_EQ(onboard(storage, plan).result, "operational");
}

TEST_F(NewCa, one_that_upstream_does_not_show_is_refused) {
  cacerts_ = {far_.certificate.der};
  const Certificate root = far_.certificate;
  change_ca();
  cacerts_.pop_back();
  MemoryStorage storage;
  auto plan = device("dev-1", storage);
  plan->explicit_anchors = {root};
  plan->polls = 1;
  ASSERT_TRUE(fetch());
  EXPECT_EQ(onboard(storage, plan).result, "failed") << "it may be newer than that";
  ASSERT_TRUE(fetch());
  EXPECT_EQ(onboard(storage, plan).result, "refused");
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(denied().size(), 1U);
}

// ---- upstream is away, slow, or refuses ----

TEST_F(Gateway, without_an_answer_the_device_comes_again) {
  says_ = [](const Request&) -> Result<Response> { return Response{503}; };
  expect_away(est::kUpstreamAway);
}

TEST_F(Gateway, a_server_with_too_much_to_do_is_asked_again) {
  says_ = [](const Request&) -> Result<Response> { return Response{429}; };
  expect_away(est::kUpstreamAway);
}

TEST_F(Gateway, patience_has_an_end) {
  UpstreamSite hasty = upstream();
  hasty.patience = Duration(300);
  signer_->take(hasty);
  says_ = [](const Request&) -> Result<Response> { return Error{Fault::unreachable, "never"}; };
  expect_away(est::kUpstreamAway);
}

TEST_F(Gateway, who_does_not_know_us_is_the_operators_business) {
  says_ = [](const Request&) -> Result<Response> { return Response{401}; };
  expect_away(est::kUpstreamCredentials);
}

TEST_F(Gateway, a_server_that_sends_us_elsewhere_is_not_followed) {
  says_ = [](const Request&) -> Result<Response> {
    Response out{307};
    out.location = "https://127.0.0.1:1/";
    return out;
  };
  expect_away(est::kUpstreamPath);
  EXPECT_EQ(seen_.size(), 1U);
}

TEST_F(Gateway, nothing_is_said_to_a_server_of_another_ca) {
  UpstreamSite other = upstream();
  other.trust.anchors = {maker_.certificate};
  signer_->take(other);
  expect_away(est::kUpstreamServer);
  EXPECT_TRUE(seen_.empty());
}

TEST_F(Gateway, nothing_is_said_to_a_server_of_another_name) {
  listen_upstream("dns:another.example");
  UpstreamSite other = upstream();
  signer_ = std::make_shared<UpstreamSigner>(other);
  site_->signer = signer_;
  expect_away(est::kUpstreamServer);
  EXPECT_TRUE(seen_.empty());
}

TEST_F(Gateway, names_that_cannot_be_handed_on_are_told_before_anybody_is_asked) {
  MemoryStorage storage;
  auto plan = plan_for("maker's-own");  // what its maker calls it gives way to the owner's name: "dev-1"
  plan->explicit_anchors = {far_.certificate};
  plan->credential = idevid("maker's-own", storage);
  register_device("dev-1", &plan->credential->chain[0]);
  EXPECT_EQ(onboard(storage, plan).result, "refused");
  EXPECT_TRUE(seen_.empty());
  ASSERT_EQ(denied().size(), 1U);
  EXPECT_NE(denied()[0].detail.find(est::kUpstreamNames.id), std::string::npos) << denied()[0].detail;
}

TEST_F(Gateway, only_extensions_of_its_profile_are_handed_on) {
  UpstreamSite site = upstream();
  const Extension wish{"1.2.3", false, {0x05, 0x00}};
  site.wanted_extensions = {{"default", {wish}}};
  signer_->take(site);
  Grant grant;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  grant.spki = key.public_key().spki;
  grant.names.subject = *Name::from_text("CN=dev-1");
  RequestTemplate what;
  what.subject = grant.names.subject;
  what.other_extensions = {wish};
  const auto refused_at_once = [&](const std::string& profile) {
    grant.profile = profile;
    const auto out = std::make_shared<bool>(false);
    signer_->issue({grant, *make_request(key, what)}, loop_.now(),
                   [out](const Result<Signed>& got) { *out = !got && got.error().rule == &est::kUpstreamRequest; });
    return *out;
  };
  EXPECT_FALSE(refused_at_once("default"));
  EXPECT_TRUE(refused_at_once("lamp"));
}

TEST_F(Gateway, one_connection_serves_one_after_the_other) {
  UpstreamSite one = upstream();
  one.connections = 1;
  signer_->take(one);
  MemoryStorage first, second;
  EXPECT_EQ(onboard(first, device("dev-1", first)).result, "operational");
  EXPECT_EQ(onboard(second, device("dev-2", second)).result, "operational");
  EXPECT_EQ(on_record(), 2);
}

TEST_F(Gateway, its_end_keeps_nobody_waiting) {
  UpstreamSite patient = upstream();
  patient.patience = std::chrono::minutes(2);
  signer_->take(patient);
  says_ = [this](const Request&) -> Result<Response> {
    loop_.stop();
    return Error{Fault::unreachable, "never"};
  };
  auto waiting = std::async(std::launch::async, [this] { return signer_->ca_certificates(); });
  loop_.run();
  signer_->end();
  auto late = std::async(std::launch::async, [this] { return signer_->ca_certificates(); });
  for (auto* const each : {&waiting, &late}) {
    ASSERT_EQ(each->wait_for(std::chrono::seconds(30)), std::future_status::ready);
    EXPECT_EQ(each->get().error().rule, &est::kUpstreamAway);
  }
}

TEST_F(Gateway, who_waits_for_a_certificate_at_its_end_is_told_to_come_again) {
  MemoryStorage storage;
  auto plan = device("dev-1", storage);
  plan->polls = 1;
  std::thread ender;
  says_ = [&](const Request&) -> Result<Response> {
    ender = std::thread([this] { signer_->end(); });
    return Error{Fault::unreachable, "never"};
  };
  EXPECT_EQ(onboard(storage, plan).result, "failed");
  ender.join();
  EXPECT_TRUE(denied().empty());
  EXPECT_EQ(journal_.runs.back().rule, est::kUpstreamAway.id);
}

TEST_F(Gateway, once_it_has_ended_nobody_is_answered) {
  bool answered = false;
  signer_->end();
  Grant grant;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  grant.spki = key.public_key().spki;
  grant.names.subject = *Name::from_text("CN=dev-1");
  RequestTemplate what;
  what.subject = grant.names.subject;
  signer_->issue({grant, *make_request(key, what)}, loop_.now(), [&](const Result<Signed>&) { answered = true; });
  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace imprint
