// Customers with a password: by HTTP Basic, by HTTP Digest, and what is kept of it.
#include "factory/masa_login.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/random.h"
#include "role/digest.h"
#include "store/maker/maker_store.h"

namespace imprint::factory {
namespace {

const Secret kPassword("open sesame, three times");

class MasaLogin : public ::testing::Test {
 protected:
  void SetUp() override {
    SystemRng rng;
    folder_ = std::filesystem::temp_directory_path() / ("imprint-login-" + hex(random_secret(rng, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_maker_sqlite(folder_ / "masa.db");
    policy_.pepper = Secret("pepper");
    policy_.digest = true;
    put("north", true);
    put("south", false);
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void put(const std::string& id, bool digest) {
    Customer customer;
    customer.id = id;
    customer.password = customer_mac(policy_.pepper, id, kPassword);
    customer.digest = digest ? *customer_digest(policy_.pepper, id, kPassword) : Bytes();
    ASSERT_TRUE(store_->write([&](store::MakerWriter& w) { return w.put_customer(customer, "t"); }));
  }
  static Login answer(const std::string& user, const Secret& password, const std::string& realm = "imprint-masa") {
    Request request;
    request.method = Method::post;
    request.path = "/.well-known/brski/requestvoucher";
    return answer_challenge({realm, "nonce", {}, false}, {user, password}, request, 1, Bytes{1, 2, 3});
  }
  std::string account(const Login& login) {
    const auto out = account_of_login(policy_, **store_->read(), login);
    return out ? *out : std::string(out.error().rule->id);
  }

  std::filesystem::path folder_;
  std::unique_ptr<store::MakerStore> store_;
  MasaPolicy policy_;
};

TEST_F(MasaLogin, a_challenge_is_answered_without_the_password) {
  EXPECT_EQ(account(answer("north", kPassword)), "north");
  EXPECT_EQ(account(answer("north", Secret("another"))), "MASA-LOGIN");
  EXPECT_EQ(account(answer("nobody", kPassword)), "MASA-LOGIN");
  EXPECT_EQ(account(answer("south", kPassword)), "MASA-LOGIN") << "nothing is kept for that account";
  EXPECT_EQ(account(answer("nobody", Secret(std::string()))), "MASA-LOGIN");
}

TEST_F(MasaLogin, an_answer_is_for_this_place_and_no_other) {
  EXPECT_EQ(account(answer("north", kPassword, "imprint")), "MASA-LOGIN") << "another realm";
  Login elsewhere = answer("north", kPassword);
  elsewhere.digest->target = "/.well-known/brski/requestauditlog";
  EXPECT_EQ(account(elsewhere), "MASA-LOGIN");
}

TEST_F(MasaLogin, the_policy_says_which_ways_are_open) {
  EXPECT_EQ(account({"south", kPassword}), "south");
  policy_.basic = false;
  EXPECT_EQ(account({"south", kPassword}), "MASA-LOGIN");
  EXPECT_EQ(account(answer("north", kPassword)), "north");
  policy_.basic = true;
  policy_.digest = false;
  EXPECT_EQ(account(answer("north", kPassword)), "MASA-LOGIN");
  const auto may = [&](const std::string& id) { return may_log_in(policy_, **(*store_->read())->customer(id)); };
  EXPECT_TRUE(may("south"));
  policy_.basic = false;
  EXPECT_FALSE(may("south"));
  policy_.digest = true;
  EXPECT_FALSE(may("south"));
  EXPECT_TRUE(may("north"));
}

// Who copies the database alone cannot answer for a customer, nor move what is kept from one account to another.
TEST_F(MasaLogin, what_is_kept_opens_under_the_pepper_and_for_its_account_alone) {
  Customer thief = **(*store_->read())->customer("south");
  thief.digest = (*(*store_->read())->customer("north"))->digest;
  ASSERT_TRUE(store_->write([&](store::MakerWriter& w) { return w.put_customer(thief, "t"); }));
  EXPECT_EQ(account(answer("south", kPassword)), "MASA-LOGIN");
  const Secret plain = digest_secret("north", kCustomerRealm, kPassword);
  const Bytes kept = (*(*store_->read())->customer("north"))->digest;
  EXPECT_EQ(std::string(as_text(kept)).find(as_text(plain.expose())), std::string::npos);
  policy_.pepper = Secret("another");
  EXPECT_EQ(account(answer("north", kPassword)), "MASA-LOGIN");
}

TEST_F(MasaLogin, an_account_that_is_given_anew_keeps_nothing_of_before) {
  put("north", false);
  EXPECT_EQ(account(answer("north", kPassword)), "MASA-LOGIN");
  EXPECT_EQ(account({"north", kPassword}), "north");
}

}  // namespace
}  // namespace imprint::factory
