// Shared keys of devices: what is kept of them, and what an administrator can do with them.
#include "site/wrap_keys.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "site/operation_rules.h"
#include "site/operations.h"
#include "store/store_testing.h"

namespace imprint::site {
namespace {

const Act kAct{"tester", Instant{5'000}};

const Rule* rule_of(const Status& status) { return status ? nullptr : status.error().rule; }

class WrapKeys : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* const id : {"dev-1", "dev-2"}) {
      ManifestEntry entry;
      entry.id = id;
      ASSERT_TRUE(write([&](store::Writer& w) { return register_device(w, pepper_, entry, kAct); }));
    }
  }
  Status write(store::Store::Change change) { return store_->write(std::move(change)); }
  Status add(const std::string& device, const SharedKey& key) {
    return write([&](store::Writer& w) { return add_wrap_key(w, pepper_, {device, {}}, key, kAct); });
  }
  Status forget(const std::string& device, const Bytes& id) {
    return write([&](store::Writer& w) { return forget_wrap_key(w, {device, {}}, id, kAct); });
  }
  std::vector<store::WrapKeyRow> held(const std::string& device) { return *(*store_->read())->wrap_keys(device); }
  SharedKey fresh(Bytes id, std::size_t octets = 32) { return {std::move(id), random_secret(rng_, octets)}; }
  std::vector<std::string> told() {
    std::vector<std::string> out;
    for (const AuditEntry& entry : *(*store_->read())->audit(0, 1'000)) {
      out.push_back(entry.action + " " + entry.subject + " " + entry.detail);
    }
    return out;
  }

  SystemRng rng_;
  Secret pepper_{std::string_view("pepper")};

 private:
  store::TestFolder folder_;
  std::unique_ptr<store::Store> store_ = store::open_store(folder_.file());
};

TEST_F(WrapKeys, are_sealed_and_open_for_their_device_alone) {
  const SharedKey key = fresh({1, 2});
  ASSERT_TRUE(add("dev-1", key));
  const std::vector<store::WrapKeyRow> rows = held("dev-1");
  ASSERT_EQ(rows.size(), 1U);
  const Bytes& sealed = rows[0].sealed;
  const BytesView plain = key.key.expose();
  EXPECT_EQ(std::search(sealed.begin(), sealed.end(), plain.begin(), plain.end()), sealed.end()) << "in clear";
  const auto opened = open_wrap_key(pepper_, "dev-1", rows[0].id, sealed);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(same(opened->key, key.key));
  EXPECT_EQ(opened->id, key.id);
  EXPECT_FALSE(open_wrap_key(pepper_, "dev-2", rows[0].id, sealed)) << "moved to another device";
  EXPECT_FALSE(open_wrap_key(pepper_, "dev-1", Bytes{1, 3}, sealed)) << "under another identifier";
  EXPECT_FALSE(open_wrap_key(Secret(std::string_view("other")), "dev-1", rows[0].id, sealed)) << "another pepper";
  Bytes damaged = sealed;
  damaged.back() ^= 1U;
  EXPECT_FALSE(open_wrap_key(pepper_, "dev-1", rows[0].id, damaged));
}

TEST_F(WrapKeys, the_audit_log_names_the_identifier_and_no_key) {
  const SharedKey key = fresh({0xab});
  ASSERT_TRUE(add("dev-1", key));
  ASSERT_TRUE(forget("dev-1", {0xab}));
  EXPECT_TRUE(held("dev-1").empty());
  const std::vector<std::string> log = told();
  EXPECT_NE(std::ranges::find(log, "device.wrap_key dev-1 {\"id\":\"ab\"}"), log.end());
  EXPECT_NE(std::ranges::find(log, "device.wrap_key_forgotten dev-1 {\"id\":\"ab\"}"), log.end());
  for (const std::string& line : log) {
    EXPECT_EQ(line.find(hex(key.key.expose())), std::string::npos);
  }
}

TEST_F(WrapKeys, two_devices_never_share_one_but_may_name_theirs_alike) {
  const SharedKey key = fresh({1});
  ASSERT_TRUE(add("dev-1", key));
  EXPECT_EQ(rule_of(add("dev-2", {{9}, key.key})), &kWrapKeyTaken);
  EXPECT_EQ(rule_of(add("dev-1", {{9}, key.key})), &kWrapKeyTaken) << "nor does one device have it twice";
  EXPECT_EQ(rule_of(add("dev-1", fresh({1}))), &kWrapKeyId);
  EXPECT_TRUE(add("dev-2", fresh({1})));
}

TEST_F(WrapKeys, weak_ones_and_what_is_none_are_refused) {
  EXPECT_EQ(rule_of(add("dev-1", {{1}, Secret(BytesView(Bytes(32, 7)))})), &kWrapKeyWeak);
  EXPECT_EQ(rule_of(add("dev-1", fresh({1}, 20))), &kWrapKeyForm);
  EXPECT_EQ(rule_of(add("dev-1", fresh({}))), &kWrapKeyForm);
  EXPECT_EQ(rule_of(add("dev-9", fresh({1}))), &kDeviceUnknown);
  EXPECT_TRUE(held("dev-1").empty());
}

TEST_F(WrapKeys, are_so_many_at_most) {
  for (std::uint8_t i = 0; i < kMostWrapKeys; ++i) {
    ASSERT_TRUE(add("dev-1", fresh({i})));
  }
  EXPECT_EQ(rule_of(add("dev-1", fresh({0xff}))), &kWrapKeysMany);
  ASSERT_TRUE(forget("dev-1", {0}));
  EXPECT_TRUE(add("dev-1", fresh({0xff})));
}

TEST_F(WrapKeys, one_that_is_not_there_cannot_be_forgotten) {
  ASSERT_TRUE(add("dev-1", fresh({1})));
  EXPECT_EQ(rule_of(forget("dev-1", {2})), &kWrapKeyUnknown);
  EXPECT_EQ(rule_of(forget("dev-1", {})), &kWrapKeyUnknown);
  EXPECT_EQ(rule_of(forget("dev-2", {1})), &kWrapKeyUnknown);
  EXPECT_EQ(held("dev-1").size(), 1U);
}

TEST_F(WrapKeys, of_a_retired_device_are_forgotten_and_may_come_with_another) {
  const SharedKey key = fresh({1});
  ASSERT_TRUE(add("dev-1", key));
  ASSERT_TRUE(add("dev-1", fresh({2})));
  ASSERT_TRUE(add("dev-2", fresh({3})));
  ASSERT_TRUE(write([&](store::Writer& w) { return retire_device(w, {"dev-1", {}}, kAct); }));
  EXPECT_TRUE(held("dev-1").empty());
  EXPECT_EQ(held("dev-2").size(), 1U);
  EXPECT_EQ(rule_of(add("dev-1", key)), &kDeviceRetired);
  EXPECT_TRUE(add("dev-2", key));
}

TEST_F(WrapKeys, come_with_a_manifest_and_again_with_the_same_one) {
  ManifestEntry entry;
  entry.id = "dev-3";
  entry.wrap_key = fresh({7});
  std::vector<Imported> results;
  const auto import = [&] {
    return write([&](store::Writer& w) { return import_manifest(w, pepper_, {entry}, kAct, results); });
  };
  ASSERT_TRUE(import());
  ASSERT_EQ(held("dev-3").size(), 1U);
  EXPECT_EQ(held("dev-3")[0].id, Bytes{7});
  ASSERT_TRUE(import());
  EXPECT_FALSE(results[0].added);
  entry.wrap_key->id = {8};
  EXPECT_FALSE(import()) << "the same key under another identifier";
  entry.wrap_key = fresh({7});
  EXPECT_FALSE(import()) << "another key";
  EXPECT_EQ(held("dev-3").size(), 1U);
  entry.id = "dev-4";
  entry.wrap_key = SharedKey{{1}, Secret(BytesView(Bytes(16, 0)))};
  ASSERT_FALSE(import());
  EXPECT_EQ(results[0].problem->rule, &kWrapKeyWeak);
}

}  // namespace
}  // namespace imprint::site
