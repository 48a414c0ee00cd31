// Both sides of EST over real DTLS on loopback, in one process: the roles are those of HTTPS.
#include "io/dtls_openssl.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

class CoapsWire : public Wire {
 protected:
  void listen_coaps() {
    io::DtlsServerOptions dtls;
    dtls.key = *PrivateKey::generate(KeyType::p256);
    dtls.chain = {*site::issue_server(site_->ca, dtls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")},
                                      loop_.now(), kYear, rng_)};
    dtls.anchors = {site_->ca.certificate, maker_.certificate};
    server_ = std::make_unique<EstServer>(loop_, *store_, rng_, journal_, site_);
    io::CoapsServerOptions options;
    options.listen.dtls = *io::openssl_dtls_server(dtls);
    ASSERT_TRUE(server_->listen(loop_, std::move(options)));
  }
  std::shared_ptr<est::Plan> coaps_plan(const std::string& id, MemoryStorage& storage) {
    auto plan = plan_for(id);
    plan->server = *Uri::parse("coaps://127.0.0.1:" + std::to_string(server_->port()));
    plan->credential = idevid(id, storage);
    return plan;
  }
};

TEST_F(CoapsWire, a_device_with_its_idevid_becomes_operational_and_renews) {
  site_->est.labels[""].require_linking = true;
  listen_coaps();
  MemoryStorage storage;
  auto plan = coaps_plan("dev-1", storage);
  register_device("dev-1", &plan->credential->chain[0]);
  const imprint::Run run = onboard(storage, plan);
  ASSERT_EQ(run.result, "operational") << run.steps.back().check;
  EXPECT_EQ(run.mode, "coaps");
  EXPECT_EQ(run.counts.connections, 1U);
  const est::Installed first = **storage.installed();

  auto renewal = std::make_shared<est::Plan>(*plan);
  renewal->renew = true;
  renewal->names = {first.certificate.subject, first.certificate.alt_names};
  renewal->explicit_anchors = first.anchors;
  renewal->credential = Credential{first.key.id, {first.certificate}};
  ASSERT_EQ(onboard(storage, renewal).result, "operational");
  EXPECT_NE((*storage.installed())->certificate.serial, first.certificate.serial);
  EXPECT_EQ((*(*store_->read())->count("certificates")), 2);
}

TEST_F(CoapsWire, a_device_that_waits_for_a_person_is_told_when_to_come_again) {
  site_->policy.unknown = site::Unknown::queue;
  site_->policy.retry_after = std::chrono::seconds(1);
  listen_coaps();
  MemoryStorage storage;
  auto plan = std::make_shared<est::Plan>(*coaps_plan("dev-2", storage));
  plan->polls = 2;
  const imprint::Run run = onboard(storage, plan);
  EXPECT_EQ(run.rule, "EST-GAVE-UP") << run.steps.back().check;
  EXPECT_EQ(run.counts.connections, 2U);
  auto reader = *store_->read();
  EXPECT_EQ(*reader->count("certificates"), 0);
}

TEST_F(CoapsWire, a_device_of_another_maker_gets_no_connection) {
  listen_coaps();
  MemoryStorage storage;
  auto plan = coaps_plan("dev-3", storage);
  site::Ca stranger = *site::make_root(KeyType::p256, *Name::from_text("CN=Stranger"), loop_.now(), kYear * 30, rng_);
  std::swap(maker_, stranger);
  plan->credential = idevid("dev-3", storage);
  plan->attempts = 1;
  const imprint::Run run = onboard(storage, plan);
  EXPECT_EQ(run.result, "refused") << run.rule;
  EXPECT_EQ(journal_.runs.size(), 0U);
}

}  // namespace
}  // namespace imprint
