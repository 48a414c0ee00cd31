// Which device's row a voucher is held against that came before its device, or after.
#include "app/kept_vouchers.h"

#include <gtest/gtest.h>

#include "store/store_testing.h"

namespace imprint::app {
namespace {

const Bytes kSaid{0xa, 0xb}, kProven(32, 9);  // what IDevIDs say of their CA, and what a CA goes by that is not that

class KeptVouchers : public testing::Test {
 protected:
  void SetUp() override {
    shelf_.data.store = store::open_store(folder_.file());
    for (const char* const id : {"lamp", "pump"}) {
      Device device;
      device.id = id;
      device.serial = std::string(id) + "-1";
      shelf_.by_serial.emplace(device.serial, device.id);
      write([&](store::Writer& w) { return w.add_device(device, "t"); });
    }
  }
  void write(const store::Store::Change& change) { ASSERT_TRUE(shelf_.data.store->write(change)); }
  // It has come, and took its voucher.
  void onboarded(const PledgeId& id, const std::string& device) {
    write([&](store::Writer& w) -> Status {
      const VoucherObtained had{id, device, {1}, {2}, "cms", "n", {3}, "masa", "run"};
      TRY(Ok{}, w.voucher_obtained(had, Instant{1}, "t"));
      return w.voucher_reported({id, device, {true, {}, {}}, true, {}, "why", "log"}, Instant{2}, "t");
    });
  }
  Shelved wanted() { return *look_up(shelf_, {"lamp-1", kSaid, {}}, Instant{10}); }

  store::TestFolder folder_;
  VoucherShelf shelf_;
};

TEST_F(KeptVouchers, one_is_wanted_until_the_device_has_taken_one) {
  EXPECT_EQ(wanted(), Shelved::taken);
  onboarded({"lamp-1", kSaid, Bytes(32, 1)}, "lamp");
  EXPECT_EQ(wanted(), Shelved::onboarded);
}

TEST_F(KeptVouchers, a_device_is_found_by_what_its_ca_is) {
  onboarded({"lamp-1", kProven, Bytes(32, 1)}, "pump");
  onboarded({"lamp-2", kProven, Bytes(32, 2)}, "lamp");
  EXPECT_EQ(wanted(), Shelved::taken) << "another device's, and another number";
  onboarded({"lamp-1", Bytes{7}, Bytes(32, 3)}, "lamp");
  EXPECT_EQ(wanted(), Shelved::taken) << "by another CA of its maker";
  onboarded({"lamp-1", kProven, Bytes(32, 1)}, "lamp");
  EXPECT_EQ(wanted(), Shelved::onboarded);
}

TEST_F(KeptVouchers, another_device_of_that_name_is_not_this_one) {
  onboarded({"lamp-1", kSaid, Bytes(32, 1)}, "pump");
  EXPECT_EQ(wanted(), Shelved::taken);
  shelf_.by_serial.emplace("lamp-1", "pump");
  EXPECT_EQ(wanted(), Shelved::onboarded) << "either may be meant";
}

}  // namespace
}  // namespace imprint::app
