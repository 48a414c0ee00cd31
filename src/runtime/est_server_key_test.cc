// Keys that the server makes (RFC 7030 section 4.4) over real TLS on loopback, from the profile to the device's
// storage.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime/wire_testing.h"
#include "site/operations.h"

namespace imprint {
namespace {

class ServerKeyWire : public Wire {
 protected:
  // A registered device whose server makes its key; `wrapped` for the key of its IDevID.
  std::shared_ptr<est::Plan> ask(const std::string& id, MemoryStorage& storage, bool wrapped) {
    auto plan = plan_for(id);
    plan->credential = idevid(id, storage);
    const Certificate& own = plan->credential->chain[0];
    register_device(id, &own);
    plan->server_key = true;
    if (wrapped) {
      plan->wrap = est::WrapKey{plan->credential->key_id, false, key_identifier(own.key)};
    }
    return plan;
  }
  // A key that device and owner share from now on.
  SharedKey share(const std::string& device, Bytes id, MemoryStorage& storage) {
    SharedKey key{std::move(id), random_secret(rng_, 32)};
    EXPECT_TRUE(store_->write([&](store::Writer& w) {
      return site::add_wrap_key(w, site_->policy.pepper, {device, {}}, key, {"test", loop_.now()});
    }));
    storage.set_shared_key(key);
    return key;
  }
  void offer(site::ServerKeys how) {
    site_->policy.profiles[""].server_keys = how;
    site_->est.labels[""].server_keys = true;
  }
  void expect_installed(MemoryStorage& storage) {
    const auto installed = *storage.installed();
    ASSERT_TRUE(installed);
    EXPECT_EQ(installed->key.id, "given");
    EXPECT_EQ(storage.key("given")->public_key(), installed->certificate.key);
    EXPECT_TRUE(*(*store_->read())->certificate(installed->certificate.serial));
  }
};

TEST_F(ServerKeyWire, in_clear) {
  offer(site::ServerKeys::clear);
  listen();
  MemoryStorage storage;
  const imprint::Run run = onboard(storage, ask("dev-1", storage, false));
  EXPECT_EQ(run.result, "operational") << run.steps.back().check;
  expect_installed(storage);
}

TEST_F(ServerKeyWire, wrapped_for_the_idevid) {
  offer(site::ServerKeys::wrapped);
  listen();
  MemoryStorage storage;
  const imprint::Run run = onboard(storage, ask("dev-2", storage, true));
  EXPECT_EQ(run.result, "operational") << run.steps.back().check;
  expect_installed(storage);
}

TEST_F(ServerKeyWire, with_a_server_key_of_ed25519_the_ca_signs) {
  offer(site::ServerKeys::wrapped);
  const PrivateKey quiet = *PrivateKey::generate(KeyType::ed25519);
  site_->key_signer = {quiet, {site_->ca.certificate}};
  listen();
  MemoryStorage storage;
  EXPECT_EQ(onboard(storage, ask("dev-3", storage, true)).result, "operational");
}

TEST_F(ServerKeyWire, with_the_devices_shared_key_and_again_when_it_renews) {
  offer(site::ServerKeys::wrapped);
  listen();
  MemoryStorage storage;
  auto plan = ask("dev-6", storage, false);
  const SharedKey key = share("dev-6", Bytes{1, 2, 3}, storage);
  plan->wrap = est::WrapKey{"shared", true, key.id};
  const imprint::Run run = onboard(storage, plan);
  EXPECT_EQ(run.result, "operational") << run.steps.back().check;
  expect_installed(storage);
  const auto before = *storage.installed();
  auto renewal = std::make_shared<est::Plan>(*plan);
  renewal->renew = true;
  renewal->names = {before->certificate.subject, before->certificate.alt_names};
  renewal->credential = Credential{before->key.id, {before->certificate}};
  const imprint::Run again = onboard(storage, renewal);
  EXPECT_EQ(again.result, "operational") << again.steps.back().check;
  expect_installed(storage);
  EXPECT_NE((*storage.installed())->certificate.key, before->certificate.key);
}

TEST_F(ServerKeyWire, a_device_with_another_key_of_this_identifier_cannot_open_it) {
  offer(site::ServerKeys::wrapped);
  listen();
  MemoryStorage storage;
  auto plan = ask("dev-7", storage, false);
  share("dev-7", Bytes{1, 2, 3}, storage);
  storage.set_shared_key({Bytes{1, 2, 3}, random_secret(rng_, 32)});
  plan->wrap = est::WrapKey{"shared", true, Bytes{1, 2, 3}};
  EXPECT_EQ(onboard(storage, plan).rule, "EST-KEY-ENVELOPE");
  EXPECT_FALSE(*storage.installed());
}

TEST_F(ServerKeyWire, another_devices_shared_key_is_refused) {
  offer(site::ServerKeys::wrapped);
  listen();
  MemoryStorage other, storage;
  ask("dev-8", other, false);
  const SharedKey key = share("dev-8", Bytes{1, 2, 3}, other);
  auto plan = ask("dev-9", storage, false);
  storage.set_shared_key(key);
  plan->wrap = est::WrapKey{"shared", true, key.id};
  EXPECT_EQ(onboard(storage, plan).rule, "EST-REFUSED");
  EXPECT_EQ(journal_.runs.back().rule, "SITE-SERVER-KEYS-UNKNOWN");
}

// ---- keys that take their time ----

// Makes keys only when the test says so.
class Held {
 public:
  KeyThread::Make maker() {
    return [this](const KeyDelivery& delivery, const site::WrapMeans& means) -> Result<MadeKey> {
      std::unique_lock lock(mutex_);
      begun_ = true;
      changed_.notify_all();
      if (!changed_.wait_for(lock, std::chrono::seconds(20), [this] { return told_; })) {
        return Error{Fault::internal, "nobody told"};  // the loop that should have was held up
      }
      return site::make_key_for(delivery, means);
    };
  }
  void wait_until_begun() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [this] { return begun_; }));
  }
  void tell() {
    const std::scoped_lock lock(mutex_);
    told_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool begun_ = false, told_ = false;
};

TEST_F(ServerKeyWire, while_a_key_is_made_the_loop_answers_others) {
  Held held;
  offer(site::ServerKeys::clear);
  site_->keys = std::make_shared<KeyThread>(held.maker());
  listen();
  MemoryStorage slow, quick;
  const auto plan = ask("dev-10", slow, false);
  plan->key_type = KeyType::rsa2048;
  const auto other = ask("dev-11", quick, false);  // its key is quick to make, and needs no thread
  std::optional<imprint::Run> first;
  EstDevice::Hooks hooks;
  hooks.ended = [&](const est::Client::State&, const imprint::Run& run, const std::optional<Error>&) {
    first = run;
    loop_.stop();
  };
  EstDevice device(loop_, rng_, over_sockets(loop_, guard_, rng_), slow, nullptr, "slow", std::move(hooks));
  loop_.post([&] { device.start(plan); });
  // Once its key is being made another device comes, and has all it wants before that key is there.
  std::thread watch([&] {
    held.wait_until_begun();
    loop_.post([&] { loop_.stop(); });
  });
  loop_.run();
  watch.join();
  EXPECT_FALSE(first);
  EXPECT_EQ(onboard(quick, other).result, "operational");
  EXPECT_FALSE(first);
  held.tell();
  const auto limit = loop_.after(std::chrono::seconds(30), [&] { loop_.stop(); });
  loop_.run();
  loop_.cancel(limit);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->result, "operational") << first->steps.back().check;
  EXPECT_EQ((*slow.installed())->certificate.key.type, KeyType::rsa2048);
}

TEST_F(ServerKeyWire, for_a_client_that_has_left_nothing_is_signed) {
  Held held;
  offer(site::ServerKeys::clear);
  site_->keys = std::make_shared<KeyThread>(held.maker());
  listen();
  MemoryStorage storage;
  const auto plan = ask("dev-12", storage, false);
  plan->key_type = KeyType::rsa2048;
  auto device = std::make_unique<EstDevice>(loop_, rng_, over_sockets(loop_, guard_, rng_), storage, nullptr, "gone",
                                            EstDevice::Hooks{});
  loop_.post([&] { device->start(plan); });
  std::thread watch([&] {
    held.wait_until_begun();
    loop_.post([&] { device.reset(); });
  });
  const auto seen = std::make_shared<std::function<void()>>();
  *seen = [&, weak = std::weak_ptr(seen)] {
    if (!journal_.runs.empty()) {
      loop_.stop();
    } else {
      loop_.after(std::chrono::milliseconds(5), [again = weak.lock()] { (*again)(); });
    }
  };
  loop_.post([&] { (*seen)(); });
  const auto limit = loop_.after(std::chrono::seconds(30), [&] { loop_.stop(); });
  loop_.run();
  loop_.cancel(limit);
  watch.join();
  ASSERT_EQ(journal_.runs.size(), 1U);
  EXPECT_EQ(journal_.runs[0].result, "failed");
  EXPECT_EQ(journal_.runs[0].steps.back().check, "the client has left before its key was made; nothing is signed");
  // The late answer is there once that of the next order is.
  const auto asker = std::make_shared<int>(0);
  site_->keys->make({KeyDelivery{KeyType::p256, KeyDelivery::InClear{}, {}}, {}, "dev-9", loop_.now(), asker},
                    [&](const Result<MadeKey>&) { loop_.post([&] { loop_.stop(); }); });
  held.tell();
  loop_.run();
  EXPECT_EQ(journal_.runs.size(), 1U);
  EXPECT_EQ(*(*store_->read())->count("certificates"), 0);
}

TEST_F(ServerKeyWire, with_a_shared_key_that_nobody_holds_there_is_none) {
  offer(site::ServerKeys::clear);
  listen();
  MemoryStorage storage;
  auto plan = ask("dev-4", storage, false);
  plan->wrap = est::WrapKey{"shared", true, Bytes{1, 2, 3}};
  EXPECT_EQ(onboard(storage, plan).rule, "EST-REFUSED");
  EXPECT_EQ(journal_.runs.back().rule, "SITE-SERVER-KEYS-UNKNOWN");
  EXPECT_FALSE(*storage.installed());
}

TEST_F(ServerKeyWire, off_unless_a_profile_says_so) {
  listen();
  MemoryStorage storage;
  EXPECT_EQ(onboard(storage, ask("dev-5", storage, false)).rule, "EST-REFUSED");
  EXPECT_EQ(journal_.runs.back().rule, "EST-SERVERKEYGEN-OFF");
}

}  // namespace
}  // namespace imprint
