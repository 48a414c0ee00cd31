// A device that begins anew, late reports, and who does not take another's place: both stores alike.
#include "store/memory/memory.h"
#include "store/pledges.h"
#include "store/store_testing.h"

namespace imprint::store {
namespace {

const PledgeId kLamp{"SN-1", Bytes{1}, Bytes(32, 7)};

class PledgeLife : public testing::Test {
 protected:
  // The same act on both; whether it was taken.
  bool act(const Store::Change& change) {
    const Status kept = store_->write(change);
    MemoryWriter memory(tables_);
    const Status there = change(memory);
    EXPECT_EQ(static_cast<bool>(kept), static_cast<bool>(there));
    auto reader = *store_->read();
    MemoryReader remembered(tables_);
    EXPECT_EQ(*reader->pledges({}), *remembered.pledges({}));
    EXPECT_EQ(*reader->count("audit"), *remembered.count("audit"));
    return static_cast<bool>(kept);
  }
  bool obtains(Instant at, const std::string& nonce = "nonce") {
    const VoucherObtained fact{kLamp, "dev-1", {1}, {2}, "cms", nonce, {3}, "https://masa", "run"};
    return act([&](Writer& w) { return w.voucher_obtained(fact, at, "brski"); });
  }
  VoucherReported told(bool cleared = true) {
    return {kLamp, "dev-1", {true, "told", {}}, cleared, cleared ? "" : "RULE", "why", "log"};
  }
  bool reports(const VoucherReported& fact, Instant at) {
    return act([&](Writer& w) { return w.voucher_reported(fact, at, "brski"); });
  }
  bool forgets(Instant at, const std::string& device = "dev-1") {
    return act([&](Writer& w) { return w.forget_pledges(device, "retired", at, "cli"); });
  }
  PledgeRow row() { return (*(*store_->read())->pledge(kLamp.issuer, kLamp.serial)).value_or(PledgeRow{}); }
  AuditEntry last_entry() { return (*store_->read())->audit(0, 100)->back(); }
  std::int64_t entries() { return *(*store_->read())->count("audit"); }

  TestFolder folder_;
  std::unique_ptr<Store> store_ = open_store(folder_.file());
  Tables tables_;
};

TEST_F(PledgeLife, who_begins_anew_has_nothing_left_of_before) {
  ASSERT_TRUE(obtains(Instant{10}));
  ASSERT_TRUE(reports(told(), Instant{20}));
  ASSERT_TRUE(act([&](Writer& w) {
    return w.enrolment_reported({kLamp, "dev-1", "0a", {true, {}, {}}}, Instant{30}, "b");
  }));
  ASSERT_TRUE(row().cleared);
  EXPECT_TRUE(forgets(Instant{40}, "dev-2"));
  EXPECT_TRUE(forgets(Instant{40}, ""));
  EXPECT_TRUE(row().cleared) << "another device's";
  ASSERT_TRUE(forgets(Instant{40}));
  PledgeRow expected;
  expected.id = kLamp;
  expected.device = "dev-1";
  expected.masa = "https://masa";
  expected.run = "run";
  expected.first = Instant{10};
  expected.last = Instant{40};
  expected.asked = 0;
  expected.reason = "retired";
  EXPECT_EQ(row(), expected);
  EXPECT_EQ(last_entry().action, "pledge.forgotten");
  EXPECT_EQ(last_entry().actor, "cli");
  const std::int64_t before = entries();
  ASSERT_TRUE(forgets(Instant{41}));
  EXPECT_EQ(entries(), before) << "it has not come since";
  EXPECT_FALSE(reports(told(), Instant{50})) << "of the voucher of before";
  EXPECT_FALSE(act([&](Writer& w) { return w.enrolment_reported({kLamp, "dev-1", "0a", {}}, Instant{50}, "b"); }));
  ASSERT_TRUE(obtains(Instant{60}));
  EXPECT_EQ(row().first, Instant{60});
  EXPECT_EQ(row().asked, 1);
  EXPECT_FALSE(row().cleared);
  ASSERT_TRUE(reports(told(), Instant{70}));
  EXPECT_EQ(row().stage, PledgeStage::imprinted) << "its enrolment of before is none";
}

TEST_F(PledgeLife, what_a_person_opened_before_it_came_again_is_shut_as_well) {
  ASSERT_TRUE(obtains(Instant{10}));
  ASSERT_TRUE(forgets(Instant{20}));
  ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(kLamp, true, "why", Instant{30}, "cli"); }));
  ASSERT_TRUE(row().cleared);
  ASSERT_TRUE(forgets(Instant{40}));
  EXPECT_FALSE(row().cleared);
  const VoucherObtained other{{"SN-1", Bytes{1}, Bytes(32, 8)}, "dev-1", {1}, {2}, "cms", "n", {3}, "masa", "run"};
  ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(kLamp, true, "why", Instant{50}, "cli"); }));
  const PledgeRefused refused{other.id, "dev-1", "RULE", "why"};
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_refused(refused, Instant{60}, "brski"); }));
  EXPECT_FALSE(row().cleared);
  EXPECT_TRUE(row().request.empty());
}

TEST_F(PledgeLife, a_hold_outlives_it) {
  ASSERT_TRUE(obtains(Instant{10}));
  ASSERT_TRUE(reports(told(false), Instant{20}));
  ASSERT_TRUE(forgets(Instant{30}));
  EXPECT_EQ(row().held, "RULE");
  EXPECT_EQ(row().rule, "RULE");
  ASSERT_TRUE(obtains(Instant{40}));
  ASSERT_TRUE(reports(told(), Instant{50}));
  EXPECT_FALSE(row().cleared);
  EXPECT_TRUE(is_held(row()));
}

// It asks again while the log of its first voucher is fetched.
TEST_F(PledgeLife, a_report_is_about_the_voucher_that_it_names) {
  for (const bool by_time : {true, false}) {
    ASSERT_TRUE(obtains(Instant{10}));
    VoucherReported first = told();
    first.vouchered = row().vouchered;
    first.nonce = row().nonce;
    ASSERT_TRUE(obtains(by_time ? Instant{20} : Instant{10}, by_time ? "nonce" : "another"));
    const PledgeRow before = row();
    ASSERT_TRUE(reports(first, Instant{30}));
    EXPECT_EQ(row(), before) << by_time;
    EXPECT_EQ(last_entry().action, "voucher.report-late");
    first.vouchered = row().vouchered;
    first.nonce = row().nonce;
    ASSERT_TRUE(reports(first, Instant{40}));
    EXPECT_TRUE(row().cleared) << by_time;
  }
}

TEST_F(PledgeLife, nobody_we_know_takes_nothing_from_who_is_on_record) {
  ASSERT_TRUE(obtains(Instant{10}));
  ASSERT_TRUE(reports(told(), Instant{20}));
  const PledgeRow before = row();
  const std::int64_t entries_before = entries();
  PledgeRefused stranger{{"SN-1", Bytes{1}, Bytes(32, 8)}, "", "SITE-UNKNOWN", "not in the inventory"};
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_refused(stranger, Instant{30}, "brski"); }));
  EXPECT_EQ(row(), before);
  EXPECT_EQ(entries(), entries_before);
  stranger.device = "dev-1";
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_refused(stranger, Instant{40}, "brski"); }));
  EXPECT_EQ(row().stage, PledgeStage::refused) << "its new IDevID";
}

TEST_F(PledgeLife, who_is_let_go_of_has_still_to_take_its_voucher) {
  EXPECT_FALSE(act([&](Writer& w) { return w.release_pledge(kLamp, "why", Instant{1}, "cli"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_waits({kLamp, "dev-1", "waits", {}}, Instant{10}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(kLamp, false, "stolen", Instant{20}, "cli"); }));
  ASSERT_TRUE(is_held(row()));
  ASSERT_TRUE(act([&](Writer& w) { return w.release_pledge(kLamp, "found", Instant{30}, "cli:me"); }));
  EXPECT_FALSE(is_held(row()));
  EXPECT_FALSE(row().cleared);
  EXPECT_EQ(row().rule, "");
  EXPECT_EQ(row().reason, "found");
  EXPECT_EQ(row().stage, PledgeStage::asked);
  EXPECT_EQ(last_entry().action, "pledge.released");
  EXPECT_EQ(last_entry().actor, "cli:me");
  ASSERT_TRUE(obtains(Instant{40}));
  ASSERT_TRUE(reports(told(), Instant{50}));
  EXPECT_TRUE(row().cleared);
}

}  // namespace
}  // namespace imprint::store
