// Which devices wait and are held, and by what a person may name them.
#include "app/device_pledges.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "site/operation_rules.h"
#include "store/store_testing.h"

namespace imprint::app {
namespace {

class DevicePledges : public testing::Test {
 protected:
  void write(store::Store::Change change) { ASSERT_TRUE(store_->write(std::move(change))); }
  void add(const std::string& id, const std::string& serial, Admission admission = Admission::approved) {
    Device device;
    device.id = id;
    device.serial = serial;
    device.admission = admission;
    write([&](store::Writer& w) { return w.add_device(device, "t"); });
  }
  void waits(const std::string& device, const PledgeId& id) {
    write([&](store::Writer& w) {
      return w.pledge_waits({id, device, "waits for approval", {}}, Instant{1'000}, "t");
    });
  }
  void takes_voucher(const std::string& device, const PledgeId& id, bool good) {
    write([&](store::Writer& w) -> Status {
      VoucherObtained voucher;
      voucher.id = id;
      voucher.device = device;
      voucher.voucher = {1};
      TRY([[maybe_unused]] const Ok had, w.voucher_obtained(voucher, Instant{2'000}, "t"));
      VoucherReported told;
      told.id = id;
      told.device = device;
      told.told.status = true;
      told.cleared = good;
      told.rule = good ? "" : "BRSKI-PAST";
      told.reason = "another owner";
      return w.voucher_reported(told, Instant{3'000}, "t");
    });
  }
  std::unique_ptr<store::Reader> read() { return *store_->read(); }
  PledgeRow row(const PledgeId& id) { return (*read()->pledge(id.issuer, id.serial)).value_or(PledgeRow{}); }
  Status clears(const std::string& device, const ClearScope& scope = {}, bool cleared = true) {
    return store_->write([&](store::Writer& w) -> Status {
      TRY([[maybe_unused]] const auto rows, clear_pledges(w, device, cleared, "why", {"cli", Instant{4'000}}, scope));
      return Ok{};
    });
  }
  static std::string said_of(const Status& done) {
    return done || done.error().rule == nullptr ? "done" : std::string(done.error().rule->id);
  }

 private:
  store::TestFolder folder_;
  std::unique_ptr<store::Store> store_ = store::open_store(folder_.file());
};

const PledgeId kLamp{"lamp-0001", {1}, {1}};
const PledgeId kPump{"pump-0001", {1}, {2}};

TEST_F(DevicePledges, those_that_wait_for_a_person_are_listed) {
  add("x509-1", "lamp-0001", Admission::waiting);
  add("pump", "pump-0001");
  waits("x509-1", kLamp);
  waits("pump", kPump);  // approved: it waits for its MASA
  const auto rows = *waiting_pledges(*read());
  ASSERT_EQ(rows.size(), 1U);
  const Json json = waiting_json(rows);
  EXPECT_EQ(json[0]["device"], "x509-1");
  EXPECT_EQ(json[0]["serial"], "lamp-0001");
  EXPECT_EQ(json[0]["since"], utc_text(Instant{1'000}));
  EXPECT_EQ(json[0]["why"], "waits for approval");
  for (const char* said : {"x509-1", "lamp-0001", "waits for approval", "imprint device approve x509-1"}) {
    EXPECT_NE(waiting_text(rows).find(said), std::string::npos) << said;
  }
  EXPECT_EQ(waiting_text({}), "");
}

TEST_F(DevicePledges, those_that_are_held_say_their_rule_and_what_to_do) {
  add("lamp", "lamp-0001");
  add("pump", "pump-0001");
  takes_voucher("lamp", kLamp, false);
  takes_voucher("pump", kPump, true);
  const auto rows = *held_pledges(*read(), {});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(held_json(rows)[0]["rule"], "BRSKI-PAST");
  EXPECT_EQ(held_json(rows)[0]["since"], utc_text(Instant{3'000}));
  for (const char* said : {"BRSKI-PAST", "another owner", "imprint device clear lamp"}) {
    EXPECT_NE(held_text(rows).find(said), std::string::npos) << said;
  }
  EXPECT_EQ(held_pledges(*read(), "lamp")->size(), 1U);
  EXPECT_TRUE(held_pledges(*read(), "pump")->empty());
  EXPECT_EQ(held_text({}), "");
}

TEST_F(DevicePledges, what_is_to_be_pasted_into_a_shell_is_one_word) {
  const PledgeId evil{"x; rm -rf ~", {1}, {3}};
  takes_voucher("", evil, false);  // in no inventory: it goes by its serial number
  const auto rows = *held_pledges(*read(), {});
  EXPECT_EQ(held_json(rows)[0]["next"], "imprint device clear 'x; rm -rf ~'");
  EXPECT_NE(held_text(rows).find("device clear 'x; rm -rf ~'"), std::string::npos);
  EXPECT_EQ(waiting_json(rows)[0]["next"], "imprint device approve 'x; rm -rf ~'");
}

// ---- a person's word ----

TEST_F(DevicePledges, clearing_opens_est_to_who_took_its_voucher_and_is_held) {
  takes_voucher("lamp", kLamp, false);
  waits("lamp", kPump);
  ASSERT_TRUE(clears("lamp"));
  EXPECT_TRUE(row(kLamp).cleared);
  EXPECT_FALSE(row(kPump).cleared) << "nothing held that one, and it took no voucher";
  EXPECT_EQ(row(kPump).rule, "");
  EXPECT_TRUE(clears("lamp")) << "once more";
}

TEST_F(DevicePledges, who_took_no_voucher_is_let_go_of_and_no_more) {
  waits("pump", kPump);
  EXPECT_EQ(said_of(clears("pump")), "VOUCHER-NOT-HELD");
  EXPECT_EQ(said_of(clears("nobody")), "VOUCHER-NO-PLEDGE");
  EXPECT_EQ(said_of(clears("")), "VOUCHER-NO-PLEDGE");
  ASSERT_TRUE(clears("pump", {}, false));
  EXPECT_EQ(row(kPump).held, kHeldByPerson);
  ASSERT_TRUE(clears("pump"));
  EXPECT_EQ(row(kPump).held, "");
  EXPECT_FALSE(row(kPump).cleared);
  ASSERT_TRUE(clears("pump", {true, {}}));
  EXPECT_TRUE(row(kPump).cleared) << "a person says so in so many words";
}

TEST_F(DevicePledges, a_hold_that_the_person_has_not_seen_stays) {
  takes_voucher("lamp", kLamp, false);
  EXPECT_EQ(said_of(clears("lamp", {false, "BRSKI-OTHER"})), "VOUCHER-HELD-OTHERWISE");
  EXPECT_FALSE(row(kLamp).cleared);
  ASSERT_TRUE(clears("lamp", {false, "BRSKI-PAST"}));
  EXPECT_TRUE(row(kLamp).cleared);
}

TEST_F(DevicePledges, a_serial_number_that_one_device_has_names_it) {
  add("x509-1", "lamp-0001", Admission::waiting);
  add("no-serial", "");
  add("pump", "other");
  waits("pump", kPump);
  EXPECT_EQ(*device_id_of(*read(), "x509-1"), "x509-1");
  EXPECT_EQ(*device_id_of(*read(), "lamp-0001"), "x509-1");
  EXPECT_EQ(*device_id_of(*read(), "pump-0001"), "pump") << "by its IDevID";
  for (const char* nobody : {"", "nobody"}) {
    const auto id = device_id_of(*read(), nobody);
    ASSERT_FALSE(id) << nobody;
    EXPECT_EQ(id.error().rule, site::kDeviceUnknown.id);
  }
}

TEST_F(DevicePledges, one_that_two_have_names_neither) {
  add("x509-1", "lamp-0001", Admission::waiting);
  add("x509-2", "lamp-0001");
  const auto id = device_id_of(*read(), "lamp-0001");
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().rule, site::kDeviceSerialMany.id);
  EXPECT_EQ(id.error().state, "x509-1, x509-2");
  EXPECT_EQ(*device_id_of(*read(), "x509-2"), "x509-2");
}

TEST_F(DevicePledges, a_retired_one_does_not_stand_in_the_way_of_its_successor) {
  add("old", "lamp-0001", Admission::retired);
  EXPECT_EQ(*device_id_of(*read(), "lamp-0001"), "old");
  add("new", "lamp-0001");
  EXPECT_EQ(*device_id_of(*read(), "lamp-0001"), "new");
}

}  // namespace
}  // namespace imprint::app
