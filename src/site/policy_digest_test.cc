// A one-time token that is proven by HTTP Digest instead of being sent.
#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/random.h"
#include "role/digest.h"
#include "site/operations.h"
#include "site/policy.h"

namespace imprint::site {
namespace {

constexpr Instant kNow{1'790'000'000'000};

class PolicyDigest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("imprint-digest-" + hex(random_secret(rng_, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_sqlite((folder_ / "db").string());
    policy_.profiles[""] = Profile{};
    policy_.pepper = random_secret(rng_, 32);
    policy_.nonces = std::make_shared<NonceBook>(Secret("key of nonces"));
    register_with_token("dev-1", token_);
    register_with_token("dev-2", Secret("another token, long enough to be taken for one"));
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void register_with_token(const std::string& id, const Secret& token) {
    ManifestEntry entry;
    entry.id = id;
    entry.one_time = token;
    ASSERT_TRUE(store_->write([&](store::Writer& w) {
      return register_device(w, policy_.pepper, entry, {"test", kNow});
    }));
  }

  // What a device sends that answers a challenge of ours.
  Login answer(const std::string& user, const Secret& password, std::uint32_t count = 1) {
    const std::string nonce = make_nonce(policy_.nonces->key(), kNow, Bytes{1, 2, 3});
    Request request;
    request.method = Method::post;
    request.path = "/.well-known/est/simpleenroll";
    return answer_challenge({std::string(kDeviceRealm), nonce, {}, false}, {user, password}, request, count,
                            Bytes{7, 7});
  }
  Decision decide(const Login& login, Instant now = kNow) {
    RequestTemplate what;
    what.subject = *Name::from_text("CN=dev-1");
    const auto request = *verify_possession(*CertificateRequest::parse(*make_request(key_, what)));
    auto reader = *store_->read();
    return *admit(policy_, *reader, Admit{std::make_shared<Session>(), login, {}, false, request, {1, 2, 3}}, now);
  }

  SystemRng rng_;
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  Policy policy_;
  Secret token_ = new_one_time(rng_);
  PrivateKey key_ = *PrivateKey::generate(KeyType::p256);
};

TEST_F(PolicyDigest, a_right_answer_is_worth_the_token) {
  const Decision d = decide(answer("dev-1", token_));
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  EXPECT_EQ(d.grant.device, "dev-1");
  EXPECT_EQ(d.identity, "one-time token of dev-1");
  EXPECT_EQ(d.spent, hex(secret_mac(policy_.pepper, "dev-1", token_)));
}

TEST_F(PolicyDigest, an_answer_counts_once) {
  ASSERT_EQ(decide(answer("dev-1", token_)).verdict, Verdict::issue);
  const Decision again = decide(answer("dev-1", token_));
  EXPECT_EQ(again.verdict, Verdict::unauthenticated);
  EXPECT_TRUE(again.stale);
  EXPECT_EQ(decide(answer("dev-1", token_, 2)).verdict, Verdict::issue);
}

TEST_F(PolicyDigest, a_nonce_that_is_too_old_is_stale) {
  const Decision d = decide(answer("dev-1", token_), kNow + kNonceLife + Duration(1));
  EXPECT_EQ(d.verdict, Verdict::unauthenticated);
  EXPECT_TRUE(d.stale);
}

// A wrong answer is not called stale: it would be asked for again and again. And it takes no place in the book.
TEST_F(PolicyDigest, a_wrong_answer_proves_nobody) {
  Login other_path = answer("dev-1", token_);
  other_path.digest->target = "/.well-known/est/a/simpleenroll";
  Login other_method = answer("dev-1", token_);
  other_method.digest->method = "PUT";
  Login other_count = answer("dev-1", token_);
  other_count.digest->nc = "00000002";
  Login other_realm = answer("dev-1", token_);
  other_realm.digest->realm = "another";
  for (const Login& wrong : {answer("dev-1", Secret("a guess")), answer("dev-2", token_), answer("dev-3", token_),
                             answer("", token_), other_path, other_method, other_count, other_realm}) {
    const Decision d = decide(wrong);
    EXPECT_EQ(d.verdict, Verdict::unauthenticated);
    EXPECT_FALSE(d.stale);
    EXPECT_FALSE(d.secret.has_value());
  }
  EXPECT_EQ(decide(answer("dev-1", token_)).verdict, Verdict::issue);
}

TEST_F(PolicyDigest, digest_and_basic_count_where_they_are_wanted) {
  EXPECT_EQ(decide({"dev-1", token_}).verdict, Verdict::issue);
  policy_.basic = false;
  const Decision basic = decide({"dev-1", token_});
  EXPECT_EQ(basic.verdict, Verdict::unauthenticated);
  EXPECT_EQ(basic.reason, "a password in HTTP Basic is not taken here");
  const Login digest = answer("dev-1", token_);
  policy_.nonces = nullptr;
  EXPECT_EQ(decide(digest).verdict, Verdict::unauthenticated);
}

TEST_F(PolicyDigest, a_token_that_was_replaced_answers_nothing) {
  const Secret fresh = new_one_time(rng_);
  ASSERT_TRUE(store_->write([&](store::Writer& w) {
    return add_one_time(w, policy_.pepper, {"dev-1", std::nullopt}, fresh, {"test", kNow});
  }));
  EXPECT_EQ(decide(answer("dev-1", token_)).verdict, Verdict::unauthenticated);
  EXPECT_EQ(decide(answer("dev-1", fresh, 2)).verdict, Verdict::issue);
}

// Whoever copies the database without the pepper has nothing to answer with.
TEST_F(PolicyDigest, what_is_stored_is_sealed) {
  const auto kept = *(*store_->read())->secrets_of("dev-1");
  ASSERT_EQ(kept.size(), 1U);
  const Secret plain = digest_secret("dev-1", kDeviceRealm, token_);
  const auto has = [&](BytesView part) {
    return std::search(kept[0].digest.begin(), kept[0].digest.end(), part.begin(), part.end()) != kept[0].digest.end();
  };
  EXPECT_FALSE(has(plain.expose()));
  EXPECT_FALSE(has(*from_hex(as_text(plain.expose()))));
}

}  // namespace
}  // namespace imprint::site
