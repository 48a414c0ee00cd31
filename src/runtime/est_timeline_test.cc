// What the server tells of an onboarding: every transition of its role is a step that says what was checked, and a
// refusal names its rule and what to do next, while it happens.
#include <algorithm>

#include "codec/base64.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

class Timeline : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    listen();
  }
  void add_token(const std::string& id, const Secret& token) {
    const DeviceSecret secret{id, id, true, site::secret_mac(site_->policy.pepper, id, token), false};
    ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret(secret); }));
  }
  std::shared_ptr<est::Plan> plan_with_idevid(const std::string& id, MemoryStorage& storage) {
    auto plan = plan_for(id);
    plan->credential = idevid(id, storage);
    plan->attempts = 1;
    return plan;
  }
  // A step of this state, and whether its check says all of this.
  void expect_step(std::size_t at, std::string_view state, const std::vector<std::string>& words) {
    ASSERT_LT(at, journal_.steps.size());
    const RunStep& step = journal_.steps[at].step;
    EXPECT_EQ(step.state, state);
    for (const std::string& word : words) {
      EXPECT_NE(step.check.find(word), std::string::npos) << "no '" << word << "' in: " << step.check;
    }
  }
  void expect_refusal(std::string_view device, Fault fault, std::string_view rule) {
    ASSERT_FALSE(journal_.steps.empty());
    const Kept::Told& last = journal_.steps.back();
    EXPECT_EQ(last.device, device);
    EXPECT_EQ(last.rule, rule);
    EXPECT_EQ(last.step.fault, name(fault));
    EXPECT_FALSE(last.step.next.empty());
    EXPECT_NE(last.step.check.find(rule), std::string::npos) << last.step.check;
    ASSERT_FALSE(journal_.runs.empty());
    EXPECT_EQ(journal_.runs.back().rule, rule);
  }
};

TEST_F(Timeline, every_transition_says_what_was_checked) {
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-1", storage);
  register_device("dev-1", &plan->credential->chain[0]);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  ASSERT_EQ(journal_.steps.size(), 3U);
  expect_step(0, "Admitting", {"possession", "p256", "challengePassword is this TLS session's value"});
  expect_step(1, "Issuing",
              {"certificate CN=dev-1 of CN=Maker", "device dev-1 is in the inventory", "profile default"});
  const Certificate got = (*storage.installed())->certificate;
  expect_step(2, "Idle", {"serial number " + hex(got.serial), "CN=Owner", "on record"});
  for (const Kept::Told& told : journal_.steps) {
    EXPECT_EQ(told.device, "dev-1");
    EXPECT_EQ(told.step.fault, "");
    EXPECT_EQ(told.rule, "");
  }
  EXPECT_FALSE(journal_.runs.back().beliefs.empty());
}

TEST_F(Timeline, a_request_without_linking_is_told_apart) {
  site_->est.labels[""].ignore_linking = true;
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-2", storage);
  register_device("dev-2", &plan->credential->chain[0]);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  expect_step(0, "Admitting", {"linking: not looked at"});
}

TEST_F(Timeline, a_spent_token_names_its_device_rule_and_next_action) {
  register_device("dev-3", nullptr);
  const Secret token("9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA");
  add_token("dev-3", token);
  MemoryStorage storage, thief;
  auto plan = plan_for("dev-3");
  plan->login = Login{"dev-3", token};
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  EXPECT_EQ(onboard(thief, plan).rule, "EST-UNAUTHORIZED");
  expect_refusal("dev-3", Fault::unauthentic, "SITE-TOKEN-SPENT");
  EXPECT_NE(journal_.steps.back().step.check.find("one-time token of dev-3"), std::string::npos);
  EXPECT_EQ(journal_.runs.back().result, "refused");
}

TEST_F(Timeline, a_policy_s_refusal_names_its_device_rule_and_next_action) {
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-4", storage);
  register_device("dev-4", &plan->credential->chain[0]);
  plan->names.subject = *Name::from_text("CN=somebody-else");
  EXPECT_EQ(onboard(storage, plan).rule, "EST-REFUSED");
  expect_refusal("dev-4", Fault::refused, "SITE-NAMES");
}

TEST_F(Timeline, a_revoked_certificate_names_its_device) {
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-5", storage);
  register_device("dev-5", &plan->credential->chain[0]);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  const est::Installed held = **storage.installed();
  ASSERT_TRUE(store_->write([&](store::Writer& w) {
    return w.revoke(held.certificate.serial, RevocationReason::key_compromise, "test", loop_.now());
  }));
  auto renewal = std::make_shared<est::Plan>(*plan);
  renewal->renew = true;
  renewal->credential = Credential{held.key.id, {held.certificate}};
  onboard(storage, renewal);
  expect_refusal("dev-5", Fault::refused, "SITE-REVOKED");
}

TEST_F(Timeline, who_waits_is_told_to_whom_it_may_turn) {
  site_->policy.retry_after = std::chrono::seconds(1);
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-6", storage);
  plan->polls = 1;
  onboard(storage, plan);
  ASSERT_FALSE(journal_.steps.empty());
  const Kept::Told& last = journal_.steps.back();
  EXPECT_TRUE(last.device.starts_with("x509-")) << "nobody has named it yet: " << last.device;
  EXPECT_EQ(last.rule, "SITE-WAITING");
  EXPECT_EQ(last.step.fault, "");
  EXPECT_NE(last.step.next.find("imprint device approve"), std::string::npos);
  expect_step(journal_.steps.size() - 1, "Idle", {"certificate CN=dev-6 of CN=Maker", "waits for approval"});
}

TEST_F(Timeline, a_device_that_waits_says_what_for_and_what_its_owner_runs) {
  site_->policy.retry_after = std::chrono::seconds(1);
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-6", storage);
  plan->polls = 2;
  const imprint::Run run = onboard(storage, plan);
  const auto waiting = std::ranges::find(run.steps, "Waiting", &RunStep::state);
  ASSERT_NE(waiting, run.steps.end());
  EXPECT_EQ(waiting->check, "202: the owner has to approve; asks again in 1 s");
  EXPECT_NE(waiting->next.find("imprint device approve dev"), std::string::npos) << waiting->next;
  expect_step(journal_.steps.size() - 1, "Idle", {waiting->check});
  for (const RunStep& step : run.steps) {
    EXPECT_FALSE(step.check.empty()) << step.state;
  }
}

TEST_F(Timeline, an_expected_fingerprint_asks_nobody) {
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-8", storage);
  register_device("dev-8", &plan->credential->chain[0]);
  plan->explicit_anchors.clear();
  plan->expected = site_->ca.certificate.fingerprint();
  const imprint::Run run = onboard(storage, plan, /*person_says=*/false);
  EXPECT_EQ(run.result, "operational");
  EXPECT_EQ(run.counts.persons_acts, 0U);
  EXPECT_EQ(shown_, Sha256{});
}

TEST_F(Timeline, a_profile_that_demands_linking_names_its_rule_for_a_request_without) {
  site_->est.labels[""].require_linking = true;
  // By hand: our own device always links.
  std::vector<Response> answers;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  RequestTemplate what;
  what.subject = *Name::from_text("CN=dev-7");
  Request request;
  request.method = Method::post;
  request.path = "/.well-known/est/simpleenroll";
  request.content_type = "application/pkcs10";
  request.body = to_bytes(base64(*make_request(key, what)));
  request.login = Login{"dev-7", Secret("a password")};
  auto client = over_sockets(loop_, guard_, rng_)([](const std::string&) { return Result<PrivateKey>(PrivateKey{}); },
                                                  [](std::uint64_t) {});
  Open open{1, plan_for("dev-7")->server, Trust::anchors, {site_->ca.certificate}, {}};
  client->open(open, [&](Result<SessionRef> session) {
    ASSERT_TRUE(session);
    client->request((*session)->id, request, [&](Result<Response> answer) {
      ASSERT_TRUE(answer);
      answers.push_back(*answer);
      loop_.stop();
    });
  });
  const auto limit = loop_.after(std::chrono::seconds(10), [&] { loop_.stop(); });
  loop_.run();
  loop_.cancel(limit);
  ASSERT_EQ(answers.size(), 1U);
  expect_refusal("", Fault::unauthentic, "EST-LINKING-MISSING");
  EXPECT_NE(journal_.steps.back().step.check.find("asked as user dev-7 by HTTP Basic"), std::string::npos);
}

TEST_F(Timeline, a_ca_that_is_silent_has_a_rule) {
  class Silent final : public site::Signer {
   public:
    void issue(const Issue&, Instant, std::function<void(Result<Signed>)> done) override {
      done(Error{Fault::unreachable, "no route to the signer"});
    }
  };
  site_->signer = std::make_shared<Silent>();
  MemoryStorage storage;
  auto plan = plan_with_idevid("dev-8", storage);
  register_device("dev-8", &plan->credential->chain[0]);
  plan->polls = 1;
  onboard(storage, plan);
  expect_refusal("dev-8", Fault::unreachable, "EST-CA-UNREACHABLE");
  EXPECT_NE(journal_.steps.back().step.check.find("no route to the signer"), std::string::npos);
}

}  // namespace
}  // namespace imprint
