// How runs are named, on both sides: `imprint compare` has a column for each mode.
#include "runtime/wire_testing.h"
#include "site/operations.h"
#include "site/policy.h"

namespace imprint {
namespace {

class Modes : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    site_->policy.profiles[""].server_keys = site::ServerKeys::clear;
    site_->est.labels[""].server_keys = true;
    listen({}, [this](const std::string& user) -> Result<SrpSecret> {
      TRY(const auto reader, store_->read());
      return site::find_srp(site_->policy.pepper, *reader, user);
    });
  }
  std::shared_ptr<est::Plan> plan_with_idevid(const std::string& id) {
    auto plan = plan_for(id);
    plan->credential = idevid(id, storage_);
    register_device(id, &plan->credential->chain[0]);
    return plan;
  }
  std::shared_ptr<est::Plan> plan_with_token(const std::string& id) {
    ManifestEntry entry;
    entry.id = id;
    entry.one_time = site::new_one_time(rng_);
    EXPECT_TRUE(store_->write([&](store::Writer& w) {
      return site::register_device(w, site_->policy.pepper, entry, {"test", loop_.now()});
    }));
    auto plan = plan_for(id);
    plan->login = Login{id, entry.one_time};
    return plan;
  }
  std::shared_ptr<est::Plan> plan_to_renew() {
    const est::Installed held = **storage_.installed();
    auto plan = plan_for("renewed");
    plan->renew = true;
    plan->names = {held.certificate.subject, held.certificate.alt_names};
    plan->credential = Credential{held.key.id, {held.certificate}};
    return plan;
  }
  // The run is a success, and both sides call it so.
  void expect_mode(const std::shared_ptr<est::Plan>& plan, std::string_view device, std::string_view server) {
    const imprint::Run run = onboard(storage_, plan);
    ASSERT_EQ(run.result, "operational") << device << ": " << run.steps.back().check;
    EXPECT_EQ(run.mode, device);
    ASSERT_FALSE(journal_.runs.empty());
    EXPECT_EQ(journal_.runs.back().mode, server);
  }

  MemoryStorage storage_;
};

TEST_F(Modes, a_run_by_a_shared_secret_is_no_bootstrap) {
  const auto plan = plan_with_token("dev-1");
  plan->explicit_anchors.clear();
  plan->login_by = est::LoginBy::srp;
  expect_mode(plan, "srp", "srp");
  expect_mode(plan_with_token("dev-2"), "secret", "secret");
}

TEST_F(Modes, without_anchors_it_is_a_bootstrap_to_the_device_alone) {
  const auto plan = plan_with_idevid("dev-1");
  plan->explicit_anchors.clear();
  plan->expected = site_->ca.certificate.fingerprint();
  expect_mode(plan, "bootstrap", "certificate");
  expect_mode(plan_to_renew(), "renewal", "renewal");
}

TEST_F(Modes, a_servers_key_comes_first_whatever_the_credential) {
  const auto plan = plan_with_idevid("dev-1");
  plan->server_key = true;
  expect_mode(plan, "server key, certificate", "server key, certificate");
  const auto by_token = plan_with_token("dev-2");
  by_token->server_key = true;
  expect_mode(by_token, "server key, secret", "server key, secret");
  const auto by_srp = plan_with_token("dev-3");
  by_srp->explicit_anchors.clear();
  by_srp->login_by = est::LoginBy::srp;
  by_srp->server_key = true;
  expect_mode(by_srp, "server key, srp", "server key, srp");
}

TEST_F(Modes, a_full_pki_request_comes_first_whatever_the_credential) {
  const auto plan = plan_with_idevid("dev-1");
  plan->full_cmc = true;
  expect_mode(plan, "fullcmc, certificate", "fullcmc, certificate");
  const auto renewal = plan_to_renew();
  renewal->full_cmc = true;
  expect_mode(renewal, "fullcmc, renewal", "fullcmc, certificate");  // the request does not say that it renews
}

}  // namespace
}  // namespace imprint
