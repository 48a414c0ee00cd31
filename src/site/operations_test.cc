#include "site/operations.h"

#include <gtest/gtest.h>

#include <set>

#include "site/newcomer.h"
#include "site/operation_rules.h"
#include "site/policy.h"
#include "store/store_testing.h"

namespace imprint::site {
namespace {

const Act kAct{"tester", Instant{5'000}};

// The rule of a status; nothing if it is good or has none.
const Rule* rule_of(const Status& status) { return status ? nullptr : status.error().rule; }

class Operations : public testing::Test {
 protected:
  Status write(store::Store::Change change) { return store_->write(std::move(change)); }
  Status add(const ManifestEntry& entry) {
    return write([&](store::Writer& w) { return register_device(w, pepper_, entry, kAct); });
  }
  Status import(const std::vector<ManifestEntry>& entries) {
    return write([&](store::Writer& w) { return import_manifest(w, pepper_, entries, kAct, results_); });
  }
  std::unique_ptr<store::Reader> read() { return *store_->read(); }

  SeededRng rng_{7};
  Secret pepper_{std::string_view("pepper")};
  std::vector<Imported> results_;

 private:
  store::TestFolder folder_;
  std::unique_ptr<store::Store> store_ = store::open_store(folder_.file());
};

ManifestEntry entry_of(std::string id, Secret token = {}) {
  ManifestEntry out;
  out.id = std::move(id);
  out.one_time = std::move(token);
  return out;
}

TEST(OneTime, is_base64url_of_256_bits) {
  // RFC 4648 section 5 of the bytes 0, 1, … 31.
  struct Counting final : Rng {
    void fill(std::span<std::uint8_t> out) override {
      for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<std::uint8_t>(i);
      }
    }
  } rng;
  EXPECT_EQ(as_text(new_one_time(rng).expose()), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
}

TEST(OneTime, is_fresh_and_strong) {
  SeededRng rng(1);
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const Secret token = new_one_time(rng);
    EXPECT_TRUE(check_secret_strength(token));
    seen.emplace(as_text(token.expose()));
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST_F(Operations, a_weak_token_is_refused_and_no_device_comes_to_be) {
  EXPECT_EQ(rule_of(add(entry_of("a", Secret(std::string_view("admin"))))), &kTokenWeak);
  EXPECT_FALSE((*read()->device("a")).has_value());
}

TEST_F(Operations, a_retired_device_does_not_come_back_by_an_import) {
  ASSERT_TRUE(import({entry_of("a")}));
  ASSERT_TRUE(write([&](store::Writer& w) { return retire_device(w, {"a", {}}, kAct); }));
  EXPECT_EQ(rule_of(import({entry_of("a"), entry_of("b")})), &kManifestRefused);
  ASSERT_EQ(results_.size(), 2U);
  ASSERT_TRUE(results_[0].problem);
  EXPECT_EQ(results_[0].problem->rule, &kDeviceRetired);
  EXPECT_EQ(rule_of(add(entry_of("a"))), &kDeviceRetired);
  EXPECT_FALSE((*read()->device("b")).has_value());
}

TEST_F(Operations, a_manifest_with_one_bad_entry_is_not_taken) {
  EXPECT_EQ(rule_of(import({entry_of("a", new_one_time(rng_)), entry_of("b", Secret(std::string_view("1234")))})),
            &kManifestRefused);
  ASSERT_EQ(results_.size(), 2U);
  EXPECT_FALSE(results_[0].problem);
  EXPECT_EQ(results_[1].problem->rule, &kTokenWeak);
  EXPECT_EQ(*read()->count("devices"), 0);
  EXPECT_EQ(*read()->count("audit"), 0);
}

TEST_F(Operations, a_manifest_that_grew_adds_what_is_new) {
  const ManifestEntry a = entry_of("a", new_one_time(rng_)), b = entry_of("b", new_one_time(rng_));
  ASSERT_TRUE(import({a}));
  ASSERT_TRUE(import({a, b}));
  ASSERT_EQ(results_.size(), 2U);
  EXPECT_FALSE(results_[0].added);
  EXPECT_TRUE(results_[1].added);
}

TEST_F(Operations, a_device_with_another_token_is_another_entry) {
  ASSERT_TRUE(import({entry_of("a", new_one_time(rng_))}));
  EXPECT_EQ(rule_of(import({entry_of("a", new_one_time(rng_))})), &kManifestRefused);
  EXPECT_EQ(results_.at(0).problem->rule, &kDeviceExists);
}

TEST_F(Operations, the_same_token_is_not_given_twice) {
  const Secret token = new_one_time(rng_);
  ASSERT_TRUE(add(entry_of("a", token)));
  const Status again = write([&](store::Writer& w) { return add_one_time(w, pepper_, {"a", {}}, token, kAct); });
  EXPECT_EQ(rule_of(again), &kTokenTaken);
}

TEST_F(Operations, an_old_version_changes_nothing) {
  ASSERT_TRUE(add(entry_of("a")));
  for (const auto operation : {approve_device, refuse_device, retire_device}) {
    EXPECT_EQ(rule_of(write([&](store::Writer& w) { return operation(w, {"a", 9}, kAct); })), &kDeviceChanged);
    EXPECT_EQ(rule_of(write([&](store::Writer& w) { return operation(w, {"b", {}}, kAct); })), &kDeviceUnknown);
  }
  EXPECT_EQ((*read()->device("a"))->version, 1);
}

TEST_F(Operations, a_device_that_comes_back_is_added_anew_under_another_id) {
  const auto idevid = Certificate::parse(store::Signer().certificate(to_bytes("serial")));
  ASSERT_TRUE(idevid);
  ManifestEntry entry = entry_of("lamp-1");
  entry.idevid = *idevid;
  ASSERT_TRUE(add(entry));
  entry.id = "lamp-2";
  EXPECT_EQ(rule_of(add(entry)), &kDeviceIdentity) << "its holder is in use";
  ASSERT_TRUE(write([](store::Writer& w) { return retire_device(w, {"lamp-1", {}}, kAct); }));
  ASSERT_TRUE(add(entry));
  const auto reader = read();
  EXPECT_EQ((*reader->device_by_identity(identity_of(*idevid)))->id, "lamp-2");
  EXPECT_EQ((*reader->device("lamp-1"))->admission, Admission::retired);
}

TEST_F(Operations, a_device_that_knocked_is_taken_over_by_its_manifest) {
  const auto idevid = Certificate::parse(store::Signer().certificate(to_bytes("serial")));
  ASSERT_TRUE(idevid);
  const std::string identity = identity_of(*idevid);
  Device knocked;
  knocked.id = "x509-" + identity.substr(identity.size() - 16);
  knocked.admission = Admission::waiting;
  knocked.identities = {identity};
  ASSERT_TRUE(write([&](store::Writer& w) { return w.add_device(knocked, "est"); }));
  ManifestEntry entry = entry_of("lamp-1");
  entry.idevid = *idevid;
  ASSERT_TRUE(import({entry}));
  const auto reader = read();
  EXPECT_EQ((*reader->device_by_identity(identity))->id, "lamp-1");
  EXPECT_EQ((*reader->device("lamp-1"))->admission, Admission::approved);
  EXPECT_EQ((*reader->device(knocked.id))->admission, Admission::retired);
  EXPECT_TRUE((*reader->device(knocked.id))->identities.empty());
}

TEST_F(Operations, a_device_that_knocked_under_its_serial_number_is_taken_over_as_well) {
  const auto idevid = Certificate::parse(store::Signer().certificate(to_bytes("serial")));
  ASSERT_TRUE(idevid);
  Device knocked;
  knocked.serial = "SN-1";
  knocked.id = newcomer_id(knocked.serial, identity_of(*idevid));
  knocked.admission = Admission::waiting;
  knocked.identities = {identity_of(*idevid)};
  ASSERT_TRUE(write([&](store::Writer& w) { return w.add_device(knocked, "est"); }));
  ManifestEntry entry = entry_of("lamp-1");
  entry.idevid = *idevid;
  ASSERT_TRUE(import({entry}));
  EXPECT_EQ((*read()->device_by_identity(identity_of(*idevid)))->id, "lamp-1");
  EXPECT_EQ((*read()->device(knocked.id))->admission, Admission::retired);
}

TEST_F(Operations, a_device_that_somebody_named_or_decided_on_keeps_its_idevid) {
  const auto idevid = Certificate::parse(store::Signer().certificate(to_bytes("serial")));
  ASSERT_TRUE(idevid);
  const std::string identity = identity_of(*idevid);
  ManifestEntry entry = entry_of("lamp-1");
  entry.idevid = *idevid;
  Device holder;
  holder.id = "by-hand";
  holder.admission = Admission::waiting;
  holder.identities = {identity};
  ASSERT_TRUE(write([&](store::Writer& w) { return w.add_device(holder, "cli"); }));
  EXPECT_EQ(rule_of(add(entry)), &kDeviceIdentity) << "a person named it";
  ASSERT_TRUE(write([](store::Writer& w) { return retire_device(w, {"by-hand", {}}, kAct); }));
  holder.id = "x509-" + identity.substr(identity.size() - 16);
  holder.admission = Admission::refused;
  holder.identities.clear();
  ASSERT_TRUE(write([&](store::Writer& w) -> Status {
    TRY(std::optional<Device> before, w.device("by-hand"));
    before->identities.clear();
    TRY([[maybe_unused]] const Ok freed, w.update_device(*before, "cli", "test"));
    holder.identities = {identity};
    return w.add_device(holder, "est");
  }));
  EXPECT_EQ(rule_of(add(entry)), &kDeviceIdentity) << "the owner refused it";
}

TEST_F(Operations, a_fresh_token_replaces_the_ones_that_are_not_used_yet) {
  const Secret first = new_one_time(rng_);
  const Secret of_another = new_one_time(rng_);
  const Secret second = new_one_time(rng_);
  ASSERT_TRUE(add(entry_of("a", first)));
  ASSERT_TRUE(add(entry_of("b", of_another)));
  ASSERT_TRUE(write([&](store::Writer& w) { return add_one_time(w, pepper_, {"a", {}}, second, kAct); }));
  const auto reader = read();
  EXPECT_TRUE((*reader->secret(secret_mac(pepper_, "a", first)))->spent);
  EXPECT_FALSE((*reader->secret(secret_mac(pepper_, "a", second)))->spent);
  EXPECT_FALSE((*reader->secret(secret_mac(pepper_, "b", of_another)))->spent);
}

TEST_F(Operations, a_token_that_is_refused_replaces_none) {
  const Secret first = new_one_time(rng_);
  ASSERT_TRUE(add(entry_of("a", first)));
  EXPECT_EQ(rule_of(write([&](store::Writer& w) {
              return add_one_time(w, pepper_, {"a", {}}, first, kAct);
            })),
            &kTokenTaken);
  EXPECT_FALSE((*read()->secret(secret_mac(pepper_, "a", first)))->spent);
}

TEST_F(Operations, every_change_is_audited_with_who_and_when) {
  ASSERT_TRUE(add(entry_of("a", new_one_time(rng_))));
  ASSERT_TRUE(write([](store::Writer& w) { return refuse_device(w, {"a", {}}, kAct); }));
  const std::vector<AuditEntry> log = *read()->audit(0, 10);
  ASSERT_EQ(log.size(), 3U);
  for (const AuditEntry& entry : log) {
    EXPECT_EQ(entry.actor, "tester");
    EXPECT_EQ(entry.at, kAct.at);
    EXPECT_EQ(entry.subject, "a");
  }
  EXPECT_EQ(log[1].action, "device.token");
  EXPECT_EQ(log[2].action, "device.refused");
}

TEST(RevocationReasons, have_names_both_ways) {
  for (const char* text : {"unspecified", "key_compromise", "ca_compromise", "affiliation_changed", "superseded",
                           "cessation", "privilege_withdrawn"}) {
    const auto reason = revocation_reason_named(text);
    ASSERT_TRUE(reason.has_value()) << text;
    EXPECT_EQ(name(*reason), text);
  }
  EXPECT_FALSE(revocation_reason_named("boredom").has_value());
}

TEST(Rules, have_ids_of_their_own) {
  std::set<std::string_view> ids;
  for (const Rule* rule : kOperationRules) {
    EXPECT_TRUE(ids.insert(rule->id).second) << rule->id;
    EXPECT_FALSE(rule->what.empty() || rule->source.empty() || rule->next.empty()) << rule->id;
  }
}

}  // namespace
}  // namespace imprint::site
