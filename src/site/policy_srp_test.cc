// A one-time token that is proven by TLS-SRP: what is kept of it, and what a handshake is worth.
#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/random.h"
#include "site/operations.h"
#include "site/policy.h"

namespace imprint::site {
namespace {

constexpr Instant kNow{1'790'000'000'000};

class PolicySrp : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("imprint-srp-" + hex(random_secret(rng_, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_sqlite((folder_ / "db").string());
    policy_.profiles[""] = Profile{};
    policy_.pepper = random_secret(rng_, 32);
    ManifestEntry entry;
    entry.id = "dev-1";
    entry.one_time = token_;
    ASSERT_TRUE(store_->write([&](store::Writer& w) {
      return register_device(w, policy_.pepper, entry, {"test", kNow});
    }));
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  SrpSecret find(const std::string& user) const { return *find_srp(policy_.pepper, **store_->read(), user); }
  Decision decide(const std::string& user, const Bytes& record, std::optional<Login> login = {}) {
    Session session;
    session.srp_user = user;
    session.srp_record = record;
    RequestTemplate what;
    what.subject = *Name::from_text("CN=dev-1");
    const auto request = *verify_possession(*CertificateRequest::parse(*make_request(key_, what)));
    auto reader = *store_->read();
    auto d = admit(policy_, *reader,
                   Admit{std::make_shared<Session>(session), std::move(login), {}, false, request, {1, 2, 3}}, kNow);
    Decision none;
    none.verdict = Verdict::refused;
    return d ? *d : none;
  }
  void give(const Secret& token) {
    ASSERT_TRUE(store_->write([&](store::Writer& w) {
      return add_one_time(w, policy_.pepper, {"dev-1", std::nullopt}, token, {"test", kNow});
    }));
  }

  SystemRng rng_;
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  Policy policy_;
  Secret token_ = new_one_time(rng_);
  PrivateKey key_ = *PrivateKey::generate(KeyType::p256);
};

TEST_F(PolicySrp, a_proven_token_is_worth_what_it_is_in_clear) {
  const Decision d = decide("dev-1", find("dev-1").record);
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.device, "dev-1");
  EXPECT_EQ(d.identity, "one-time token of dev-1");
  EXPECT_EQ(d.spent, hex(secret_mac(policy_.pepper, "dev-1", token_)));
}

TEST_F(PolicySrp, the_verifier_is_that_of_the_token) {
  const SrpSecret found = find("dev-1");
  EXPECT_EQ(found.record.size(), Sha256{}.size());
  EXPECT_FALSE(found.verifier.verifier.empty());
  const auto again = srp_detail::verifier_of("dev-1", token_, kSrpBits, found.verifier.salt);
  ASSERT_TRUE(again);
  EXPECT_TRUE(same(again->verifier, found.verifier.verifier));
}

TEST_F(PolicySrp, a_name_of_nobody_looks_like_one_and_is_worth_nothing) {
  const SrpSecret a = find("dev-2");
  const SrpSecret b = find("dev-2");
  EXPECT_TRUE(a.record.empty());
  EXPECT_EQ(a.verifier.salt, b.verifier.salt);
  EXPECT_EQ(a.verifier.salt.size(), find("dev-1").verifier.salt.size());
  EXPECT_NE(a.verifier.salt, find("dev-3").verifier.salt);
  EXPECT_FALSE(a.verifier.verifier.empty());
  EXPECT_NE(decide("dev-2", a.record).verdict, Verdict::issue);
}

TEST_F(PolicySrp, a_fresh_token_takes_the_place_of_one_that_was_not_used) {
  const Bytes before = find("dev-1").record;
  const Secret fresh = new_one_time(rng_);
  give(fresh);
  const SrpSecret found = find("dev-1");
  EXPECT_NE(found.record, before);
  EXPECT_EQ(hex(found.record), hex(secret_mac(policy_.pepper, "dev-1", fresh)));
  // A handshake of before: the record that it proved, not the one of now.
  EXPECT_NE(decide("dev-1", before).verdict, Verdict::issue);
  EXPECT_EQ(decide("dev-1", found.record).verdict, Verdict::issue);
}

TEST_F(PolicySrp, a_session_is_worth_its_own_user_alone) {
  EXPECT_EQ(decide("dev-2", find("dev-1").record).verdict, Verdict::unauthenticated);
  EXPECT_NE(decide("dev-1", {}).verdict, Verdict::issue);
  EXPECT_NE(decide("dev-1", Bytes(32, 0)).verdict, Verdict::issue);
  // What comes in HTTP beside it is not looked at.
  EXPECT_EQ(decide("dev-2", Bytes(32, 0), Login{"dev-1", token_}).verdict, Verdict::unauthenticated);
}

TEST_F(PolicySrp, a_retired_device_gets_nothing) {
  const Bytes record = find("dev-1").record;
  ASSERT_TRUE(store_->write([](store::Writer& w) {
    return retire_device(w, {"dev-1", std::nullopt}, {"test", kNow});
  }));
  EXPECT_NE(decide("dev-1", record).verdict, Verdict::issue);
}

}  // namespace
}  // namespace imprint::site
