// Both sides of EST over real TLS on loopback, in one process.
#include <gtest/gtest.h>

#include "proto/est/purpose.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

TEST_F(Wire, a_device_with_its_idevid_becomes_operational) {
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-1");
  plan->credential = idevid("dev-1", storage);
  register_device("dev-1", &plan->credential->chain[0]);
  const imprint::Run run = onboard(storage, plan);
  EXPECT_EQ(run.result, "operational") << run.steps.back().check;
  const auto installed = *storage.installed();
  ASSERT_TRUE(installed);
  EXPECT_EQ(installed->certificate.issuer.text, "CN=Owner");
  auto reader = *store_->read();
  EXPECT_TRUE(*reader->certificate(installed->certificate.serial));
  EXPECT_EQ(run.counts.connections,
            1U);  // csrattrs and enrolment on the connection of cacerts: the linking value holds
}

TEST_F(Wire, a_profile_that_demands_linking_gets_it) {
  site_->est.labels[""].require_linking = true;
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-2");
  plan->credential = idevid("dev-2", storage);
  register_device("dev-2", &plan->credential->chain[0]);
  EXPECT_EQ(onboard(storage, plan).result, "operational");
}

TEST_F(Wire, a_device_that_trusts_nobody_shows_the_fingerprint_and_goes_on_after_a_word) {
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-3");
  plan->explicit_anchors.clear();
  plan->credential = idevid("dev-3", storage);
  register_device("dev-3", &plan->credential->chain[0]);
  EXPECT_EQ(onboard(storage, plan, false).rule, "EST-FINGERPRINT");
  EXPECT_EQ(shown_, site_->ca.certificate.fingerprint());
  EXPECT_EQ(onboard(storage, plan, true).result, "operational");
}

TEST_F(Wire, another_site_s_anchors_end_the_run_before_anything_is_sent) {
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-4");
  plan->explicit_anchors = {maker_.certificate};
  const imprint::Run run = onboard(storage, plan);
  EXPECT_EQ(run.rule, "EST-SERVER-UNTRUSTED");
  EXPECT_EQ(run.counts.messages, 0U);
}

TEST_F(Wire, an_implicit_anchor_s_server_must_carry_the_name) {
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-5");
  plan->server = *Uri::parse("https://localhost:" + std::to_string(server_->port()));
  plan->implicit_anchors = std::exchange(plan->explicit_anchors, {});
  EXPECT_EQ(onboard(storage, plan).rule, "EST-SERVER-NAME");
  plan->explicit_anchors = std::exchange(plan->implicit_anchors, {});
  plan->credential = idevid("dev-5", storage);
  register_device("dev-5", &plan->credential->chain[0]);
  EXPECT_EQ(onboard(storage, plan).result, "operational");  // an explicit anchor's may carry id-kp-cmcRA instead
}

TEST_F(Wire, renewal_with_the_same_and_with_a_new_key) {
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-6");
  plan->credential = idevid("dev-6", storage);
  register_device("dev-6", &plan->credential->chain[0]);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  const est::Installed first = **storage.installed();

  auto renewal = std::make_shared<est::Plan>(*plan);
  renewal->renew = true;
  renewal->credential = Credential{first.key.id, {first.certificate}};
  renewal->keep_key = first.key;
  ASSERT_EQ(onboard(storage, renewal).result, "operational");
  const est::Installed second = **storage.installed();
  EXPECT_NE(second.certificate.serial, first.certificate.serial);
  EXPECT_EQ(second.certificate.key, first.certificate.key);

  renewal = std::make_shared<est::Plan>(*renewal);
  renewal->credential = Credential{second.key.id, {second.certificate}};
  renewal->keep_key.reset();
  ASSERT_EQ(onboard(storage, renewal).result, "operational");
  EXPECT_NE((*storage.installed())->certificate.key, second.certificate.key);
}

TEST_F(Wire, a_token_is_good_for_one_device_once) {
  listen();
  register_device("dev-7", nullptr);
  const Secret token("9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA");
  const DeviceSecret secret{"dev-7", "dev-7", true, site::secret_mac(site_->policy.pepper, "dev-7", token), false};
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret(secret); }));
  MemoryStorage storage;
  auto plan = plan_for("dev-7");
  plan->login = Login{"dev-7", token};
  EXPECT_EQ(onboard(storage, plan).result, "operational");
  MemoryStorage thief;
  EXPECT_FALSE(journal_.runs.back().anonymous);
  EXPECT_EQ(onboard(thief, plan).rule, "EST-UNAUTHORIZED");
  EXPECT_TRUE(journal_.runs.back().anonymous) << "nobody known: not a run to be kept";
}

TEST_F(Wire, a_known_maker_s_device_that_is_refused_is_no_stranger) {
  site_->policy.unknown = site::Unknown::refuse;
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-10");
  plan->credential = idevid("dev-10", storage);
  EXPECT_NE(onboard(storage, plan).result, "operational");
  EXPECT_FALSE(journal_.runs.back().anonymous);
}

// A store whose queue is full for a while.
class FullStore final : public store::Store {
 public:
  explicit FullStore(std::unique_ptr<store::Store> store) : store_(std::move(store)) {}
  void submit(Change change, std::function<void(Status)> done) override {
    if (full_times > 0) {
      --full_times;
      return done(Error{Fault::unreachable, "store: too many changes wait"});
    }
    store_->submit(std::move(change), std::move(done));
  }
  void submit_along(Change change, std::function<void(Status)> done) override {
    store_->submit_along(std::move(change), std::move(done));
  }
  Result<std::unique_ptr<store::Reader>> read() override { return store_->read(); }
  int full_times = 0;

 private:
  std::unique_ptr<store::Store> store_;
};

TEST_F(Wire, a_full_queue_of_the_store_is_a_reason_to_come_again) {
  auto full = std::make_unique<FullStore>(std::move(store_));
  FullStore& queue = *full;
  store_ = std::move(full);
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-11");
  plan->credential = idevid("dev-11", storage);
  register_device("dev-11", &plan->credential->chain[0]);
  queue.full_times = 1;
  EXPECT_EQ(onboard(storage, plan).result, "operational");
  EXPECT_EQ(queue.full_times, 0);
}

TEST_F(Wire, the_ninth_waiting_request_of_a_device_is_refused_with_its_rule) {
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-12");
  plan->credential = idevid("dev-12", storage);
  const std::string identity = identity_of(plan->credential->chain[0]);
  const std::string id = "x509-" + identity.substr(identity.size() - 16);  // what an unknown device is called
  for (std::uint8_t n = 0; n < 8; ++n) {
    const Pended fact{{n}, id, "", "", "", "", {}, "", {}};
    ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.pended(fact, loop_.now(), "test"); }));
  }
  EXPECT_NE(onboard(storage, plan).result, "operational");
  EXPECT_EQ(journal_.runs.back().rule, "SITE-WAITING-MANY");
  EXPECT_EQ(journal_.runs.back().result, "refused");
}

TEST_F(Wire, an_unregistered_device_waits_and_is_found_again_after_approval) {
  listen();
  site_->policy.retry_after = std::chrono::seconds(1);
  MemoryStorage storage;
  auto plan = plan_for("dev-8");
  plan->credential = idevid("dev-8", storage);
  loop_.after(std::chrono::milliseconds(300), [&] {
    ASSERT_TRUE(store_->write([&](store::Writer& w) {
      auto waiting = *w.all_pending();
      return w.decide(waiting.at(0).what.request_key, Admission::approved, "test", loop_.now());
    }));
  });
  const imprint::Run run = onboard(storage, plan);
  EXPECT_EQ(run.result, "operational") << run.steps.back().check;
  EXPECT_EQ(run.counts.connections, 2U);  // the second request was linked anew to its own connection
}

TEST_F(Wire, a_device_whose_answer_was_lost_gets_the_same_certificate_again) {
  listen();
  MemoryStorage storage;
  auto plan = plan_for("dev-9");
  plan->credential = idevid("dev-9", storage);
  register_device("dev-9", &plan->credential->chain[0]);
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  const est::Installed first = **storage.installed();
  ASSERT_TRUE(storage.save(
      est::Asked{first.key, first.anchors, est::purpose_of(*plan)}));  // as if the power had gone before Installed
  ASSERT_EQ(onboard(storage, plan).result, "operational");
  EXPECT_EQ((*storage.installed())->certificate, first.certificate);
  EXPECT_EQ((*store_->read())->count("certificates").operator*(), 1);
}

// ---- a CA whose key is elsewhere ----

// Answers after a while, or with this fault, or never.
class DistantSigner final : public site::Signer {
 public:
  DistantSigner(io::Loop& loop, const site::Ca& ca, Rng& rng) : loop_(loop), ca_(ca), rng_(rng) {}
  void issue(const Issue& question, Instant now, std::function<void(Result<Signed>)> done) override {
    ++asked;
    if (silent) {
      kept = std::move(done);
      return;
    }
    const Result<Bytes> der =
        fault_times > 0 ? Result<Bytes>(Error{fault, "signer"}) : site::issue(ca_, question.grant, now, rng_);
    const Result<Signed> answer = der ? Result<Signed>(Signed{*der}) : der.error();
    fault_times -= fault_times > 0 ? 1 : 0;
    loop_.after(delay, [done = std::move(done), answer] { done(answer); });
  }
  Duration delay{0};
  Fault fault = Fault::unreachable;
  int fault_times = 0, asked = 0;
  bool silent = false;
  std::function<void(Result<Signed>)> kept;  // whom it never answers

 private:
  io::Loop& loop_;
  const site::Ca& ca_;
  Rng& rng_;
};

class DistantCa : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    signer_ = std::make_shared<DistantSigner>(loop_, site_->ca, rng_);
    site_->signer = signer_;
    listen();
    plan_ = plan_for("dev-ca");
    plan_->credential = idevid("dev-ca", storage_);
    register_device("dev-ca", &plan_->credential->chain[0]);
  }
  void TearDown() override {
    signer_->kept = nullptr;  // it holds the conversation, which holds the site, which holds the signer
    Wire::TearDown();
  }
  std::int64_t on_record() { return *(*store_->read())->count("certificates"); }
  std::shared_ptr<DistantSigner> signer_;
  MemoryStorage storage_;
  std::shared_ptr<est::Plan> plan_;
};

TEST_F(DistantCa, a_slow_one_is_waited_for) {
  signer_->delay = Duration(1500);
  EXPECT_EQ(onboard(storage_, plan_).result, "operational");
  EXPECT_EQ(on_record(), 1);
}

TEST_F(DistantCa, one_that_is_gone_for_a_moment_is_asked_again) {
  signer_->fault_times = 1;
  EXPECT_EQ(onboard(storage_, plan_).result, "operational");
  EXPECT_EQ(signer_->asked, 2);
  EXPECT_EQ(on_record(), 1);
}

TEST_F(DistantCa, one_that_stays_away_ends_the_run_and_leaves_no_record) {
  signer_->fault_times = 100;
  plan_->polls = 1;
  const imprint::Run run = onboard(storage_, plan_);
  EXPECT_EQ(run.result, "failed") << run.rule;
  EXPECT_EQ(on_record(), 0);
  EXPECT_FALSE(*storage_.installed());
}

TEST_F(DistantCa, one_that_refuses_is_not_asked_again) {
  signer_->fault_times = 100;
  signer_->fault = Fault::refused;
  const imprint::Run run = onboard(storage_, plan_);
  EXPECT_EQ(run.result, "refused") << run.rule;
  EXPECT_EQ(signer_->asked, 1);
  EXPECT_EQ(on_record(), 0);
}

TEST_F(DistantCa, an_answer_after_the_device_has_left_is_kept_for_it) {
  signer_->delay = Duration(700);
  std::optional<EstDevice> device;
  device.emplace(loop_, rng_, over_sockets(loop_, guard_, rng_), storage_, nullptr, "dev", EstDevice::Hooks{});
  loop_.post([&] { device->start(plan_); });
  const std::function<void()> leave = [&] {
    if (signer_->asked == 0) {
      loop_.after(Duration(10), leave);
      return;
    }
    device.reset();
    loop_.after(Duration(1500), [&] { loop_.stop(); });
  };
  loop_.post(leave);
  loop_.run();
  EXPECT_EQ(on_record(), 1);
  EXPECT_EQ(onboard(storage_, plan_).result, "operational");
  EXPECT_EQ(on_record(), 1) << "the answer of before was its answer";
}

TEST_F(DistantCa, one_that_never_answers_stops_nobody_else) {
  signer_->silent = true;
  EstDevice waiting(loop_, rng_, over_sockets(loop_, guard_, rng_), storage_, nullptr, "dev", EstDevice::Hooks{});
  loop_.post([&] { waiting.start(plan_); });
  const std::function<void()> go_on = [&] {
    signer_->asked == 0 ? (void)loop_.after(Duration(10), go_on) : loop_.stop();
  };
  loop_.post(go_on);
  loop_.run();
  signer_->silent = false;
  MemoryStorage other;
  auto plan = plan_for("dev-other");
  plan->credential = idevid("dev-other", other);
  register_device("dev-other", &plan->credential->chain[0]);
  EXPECT_EQ(onboard(other, plan).result, "operational");
}

// A token that lets go once the server has stopped: nobody is there any more, and nothing happens.
TEST_F(DistantCa, an_answer_after_the_server_has_gone_is_dropped) {
  signer_->silent = true;
  std::optional<EstDevice> device;
  device.emplace(loop_, rng_, over_sockets(loop_, guard_, rng_), storage_, nullptr, "dev", EstDevice::Hooks{});
  loop_.post([&] { device->start(plan_); });
  const std::function<void()> go_on = [&] {
    signer_->asked == 0 ? (void)loop_.after(Duration(10), go_on) : loop_.stop();
  };
  loop_.post(go_on);
  loop_.run();
  device.reset();
  server_.reset();
  ASSERT_TRUE(signer_->kept);
  signer_->kept(Error{Fault::unreachable, "too late"});
  signer_->kept = nullptr;
  loop_.after(Duration(20), [&] { loop_.stop(); });
  loop_.run();
  EXPECT_EQ(on_record(), 0);
}

}  // namespace
}  // namespace imprint
