// Keys that the server makes (RFC 7030 section 4.4) over real TLS on loopback, from the profile to the device's
// storage.
#include <gtest/gtest.h>

#include "runtime/wire_testing.h"

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
