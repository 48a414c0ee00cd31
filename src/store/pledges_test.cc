// Devices that ask for vouchers: both stores hold the same after the same facts.
#include "store/pledges.h"

#include "store/memory/memory.h"
#include "store/store_testing.h"

namespace imprint::store {
namespace {

class StorePledges : public testing::Test {
 protected:
  PledgeId id(std::uint8_t n, std::uint8_t key = 7) { return {"SN-" + std::to_string(n), Bytes{n}, Bytes(32, key)}; }
  VoucherObtained voucher(std::uint8_t n) {
    return {id(n), "dev-1", {1, 2}, {3, 4}, "cms", "nonce", {5}, "https://masa", "run-1"};
  }
  VoucherReported report(std::uint8_t n, bool status, bool cleared) {
    return {id(n), "dev-1", {status, "told", "{}"}, cleared, cleared ? "" : "RULE", "why", "log"};
  }
  // The same act on both; whether it was taken.
  bool act(const Store::Change& change) {
    const Status kept = store_->write(change);
    MemoryWriter memory(tables_);
    const Status there = change(memory);
    EXPECT_EQ(static_cast<bool>(kept), static_cast<bool>(there));
    same();
    return static_cast<bool>(kept);
  }
  void same() {
    auto reader = *store_->read();
    MemoryReader memory(tables_);
    EXPECT_EQ(*reader->pledges({}), *memory.pledges({}));
    EXPECT_EQ(*reader->count("audit"), *memory.count("audit"));
    EXPECT_EQ(*reader->count("pledges"), *memory.count("pledges"));
  }
  PledgeRow row(std::uint8_t n = 1) {
    auto reader = *store_->read();
    MemoryReader memory(tables_);
    const auto out = *reader->pledge(Bytes{n}, "SN-" + std::to_string(n));
    EXPECT_EQ(out, *memory.pledge(Bytes{n}, "SN-" + std::to_string(n)));
    return out.value_or(PledgeRow{});
  }
  std::int64_t entries() { return *(*store_->read())->count("audit"); }

  TestFolder folder_;
  std::unique_ptr<Store> store_ = open_store(folder_.file());
  Tables tables_;
};

TEST_F(StorePledges, a_device_on_its_way) {
  const PledgeWaits waits{id(1), "dev-1", "a person decides", {}};
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_waits(waits, Instant{10}, "brski"); }));
  EXPECT_EQ(row().stage, PledgeStage::asked);
  EXPECT_EQ(row().first, Instant{10});
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
  EXPECT_EQ(row().stage, PledgeStage::vouchered);
  EXPECT_EQ(row().vouchered, Instant{20});
  EXPECT_EQ(row().request, (Bytes{1, 2}));
  EXPECT_EQ(row().voucher, (Bytes{3, 4}));
  EXPECT_EQ(row().nonce, "nonce");
  EXPECT_EQ(row().asked, 2);
  EXPECT_FALSE(row().cleared);
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{30}, "brski"); }));
  EXPECT_EQ(row().stage, PledgeStage::imprinted);
  EXPECT_TRUE(row().cleared);
  EXPECT_EQ(row().log, "log");
  const EnrolmentReported enrolled{id(1), "dev-1", "0a", {true, {}, {}}};
  ASSERT_TRUE(act([&](Writer& w) { return w.enrolment_reported(enrolled, Instant{40}, "brski"); }));
  EXPECT_EQ(row().stage, PledgeStage::enrolled);
  EXPECT_EQ(row().certificate, "0a");
  EXPECT_EQ(row().enrolled, Instant{40});
  EXPECT_TRUE(row().cleared) << "it enrols again for its other credentials";
  EXPECT_EQ(row().first, Instant{10});
  EXPECT_EQ(row().last, Instant{40});
  EXPECT_EQ(entries(), 4);
  auto reader = *store_->read();
  EXPECT_EQ(*verify_audit(*reader), std::nullopt);
  const auto said = *reader->audit(0, 10);
  EXPECT_EQ(said.at(1).action, "voucher.obtained");
  EXPECT_EQ(said.at(1).subject, "dev-1");
  EXPECT_EQ(said.at(1).actor, "brski");
  EXPECT_NE(said.at(1).detail.find(hex(sha256(Bytes{3, 4}))), std::string::npos);
}

TEST_F(StorePledges, the_same_waiting_or_refusal_again_is_counted_and_not_told) {
  const PledgeWaits waits{id(1), "dev-1", "a person decides", {}};
  const PledgeRefused refused{id(1), "dev-1", "RULE", "why"};
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(act([&](Writer& w) { return w.pledge_waits(waits, Instant{10 + i}, "brski"); }));
  }
  EXPECT_EQ(entries(), 1);
  EXPECT_EQ(row().asked, 3);
  EXPECT_EQ(row().last, Instant{12});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(act([&](Writer& w) { return w.pledge_refused(refused, Instant{20}, "brski"); }));
  }
  EXPECT_EQ(entries(), 2);
  EXPECT_EQ(row().stage, PledgeStage::refused);
  EXPECT_EQ(row().rule, "RULE");
  PledgeRefused other = refused;
  other.reason = "another";
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_refused(other, Instant{20}, "brski"); }));
  EXPECT_EQ(entries(), 3);
}

TEST_F(StorePledges, a_report_of_nobody_or_of_another_key_is_refused) {
  EXPECT_FALSE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{1}, "brski"); }));
  EXPECT_FALSE(act([&](Writer& w) { return w.enrolment_reported({id(1), "", "", {}}, Instant{1}, "brski"); }));
  EXPECT_FALSE(act([&](Writer& w) { return w.clear_pledge(id(1), true, "why", Instant{1}, "cli"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
  VoucherReported other = report(1, true, true);
  other.id = id(1, 8);
  EXPECT_FALSE(act([&](Writer& w) { return w.voucher_reported(other, Instant{30}, "brski"); }));
  EXPECT_FALSE(row().cleared);
}

TEST_F(StorePledges, what_was_cleared_was_that_voucher_and_that_key) {
  const auto clear = [&] {
    ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
    ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{30}, "brski"); }));
    ASSERT_TRUE(row().cleared);
  };
  clear();
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{40}, "brski"); }));
  EXPECT_FALSE(row().cleared) << "it begins anew, perhaps after a reset";
  clear();
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_waits({id(1, 8), "dev-1", "new key", {}}, Instant{50}, "brski"); }));
  EXPECT_FALSE(row().cleared);
  EXPECT_TRUE(row().voucher.empty());
  EXPECT_EQ(row().reported, std::nullopt);
  clear();
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, false, true), Instant{60}, "brski"); }));
  EXPECT_FALSE(row().cleared);
  EXPECT_EQ(row().stage, PledgeStage::refused);
  clear();
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_refused({id(1), "dev-1", "RULE", "why"}, Instant{70}, "brski"); }));
  EXPECT_FALSE(row().cleared);
}

TEST_F(StorePledges, a_voucher_on_record_keeps_the_request_of_before) {
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
  VoucherObtained again = voucher(1);
  again.request.clear();
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(again, Instant{30}, "brski"); }));
  EXPECT_EQ(row().request, (Bytes{1, 2}));
}

TEST_F(StorePledges, a_person_lets_a_held_device_on) {
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, false), Instant{30}, "brski"); }));
  EXPECT_TRUE(is_held(row()));
  PledgeFilter held;
  held.held = true;
  EXPECT_EQ((*store_->read())->pledges(held)->size(), 1U);
  ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(id(1), true, "I asked", Instant{40}, "cli:me"); }));
  EXPECT_TRUE(row().cleared);
  EXPECT_EQ(row().reason, "I asked");
  EXPECT_TRUE((*store_->read())->pledges(held)->empty());
  EXPECT_EQ((*store_->read())->audit(0, 10)->back().action, "pledge.cleared");
  EXPECT_EQ((*store_->read())->audit(0, 10)->back().actor, "cli:me");
}

TEST_F(StorePledges, a_hold_for_what_was_found_lasts_until_a_person_clears_it) {
  const auto come = [&](bool cleared, bool passing, std::uint8_t key = 7) {
    VoucherObtained fact = voucher(1);
    VoucherReported told = report(1, true, cleared);
    fact.id = told.id = id(1, key);
    told.passing = passing;
    EXPECT_TRUE(act([&](Writer& w) { return w.voucher_obtained(fact, Instant{20}, "brski"); }));
    EXPECT_TRUE(act([&](Writer& w) { return w.voucher_reported(told, Instant{30}, "brski"); }));
    return row();
  };
  EXPECT_TRUE(is_held(come(false, true)));
  EXPECT_EQ(row().held, "") << "the MASA was away: it may be there next time";
  EXPECT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{35}, "brski"); }));
  EXPECT_TRUE(row().cleared) << "it has told once more, and the MASA was there";
  EXPECT_TRUE(come(true, false).cleared);
  EXPECT_EQ(come(false, false).held, "RULE");
  EXPECT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{35}, "brski"); }));
  EXPECT_FALSE(row().cleared) << "what was found stays";
  for (const bool passing : {false, true}) {
    const PledgeRow again = come(true, passing);
    EXPECT_FALSE(again.cleared);
    EXPECT_TRUE(is_held(again));
    EXPECT_EQ(again.rule, "RULE");
    EXPECT_NE(again.reason.find("nobody has cleared it"), std::string::npos);
  }
  EXPECT_FALSE(come(true, false, 8).cleared) << "another key of the same device";
  store_ = open_store(folder_.file());
  EXPECT_EQ(row().held, "RULE") << "the registrar began anew";
  ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(id(1, 8), true, "looked", Instant{40}, "cli"); }));
  EXPECT_EQ(row().held, "");
  EXPECT_TRUE(come(true, false, 8).cleared);
}

TEST_F(StorePledges, a_person_s_hold_lasts_whatever_the_device_does) {
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{30}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(id(1), false, "stolen", Instant{40}, "cli"); }));
  EXPECT_EQ(row().held, kHeldByPerson);
  EXPECT_EQ(row().rule, kHeldByPerson);
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_waits({id(1), "dev-1", "waits", {}}, Instant{50}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_refused({id(1), "dev-1", "R", "why"}, Instant{60}, "brski"); }));
  PledgeFilter held;
  held.held = true;
  EXPECT_EQ((*store_->read())->pledges(held)->size(), 1U);
  EXPECT_EQ(*(*store_->read())->pledges(held), *MemoryReader(tables_).pledges(held));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{70}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{80}, "brski"); }));
  EXPECT_FALSE(row().cleared);
  EXPECT_EQ(row().rule, kHeldByPerson);
  ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(id(1), true, "found", Instant{90}, "cli"); }));
  EXPECT_TRUE(row().cleared);
  EXPECT_FALSE(is_held(row()));
}

// Makers' quirks may say anew where the serial number stands, and another CA of the maker may issue the IDevID.
TEST_F(StorePledges, a_hold_counts_for_the_device_s_other_rows) {
  const auto come = [&](std::uint8_t n, bool cleared, const char* device = "dev-1") {
    VoucherObtained fact = voucher(n);
    VoucherReported told = report(n, true, cleared);
    fact.device = told.device = device;
    EXPECT_TRUE(act([&](Writer& w) { return w.voucher_obtained(fact, Instant{20}, "brski"); }));
    EXPECT_TRUE(act([&](Writer& w) { return w.voucher_reported(told, Instant{30}, "brski"); }));
    return row(n);
  };
  EXPECT_EQ(come(1, false).held, "RULE");
  const PledgeRow again = come(2, true);
  EXPECT_FALSE(again.cleared);
  EXPECT_EQ(again.held, "RULE");
  EXPECT_TRUE(come(3, true, "dev-2").cleared) << "another device";
  EXPECT_TRUE(come(4, true, "").cleared) << "a device that is in no inventory";
  for (const std::uint8_t n : {std::uint8_t{1}, std::uint8_t{2}}) {
    ASSERT_TRUE(act([&](Writer& w) { return w.clear_pledge(id(n), true, "looked", Instant{40}, "cli"); }));
  }
  EXPECT_TRUE(come(2, true).cleared);
}

// Where the maker lets it enrol first, it may tell of that first.
TEST_F(StorePledges, an_enrolment_told_first_takes_nothing_from_the_voucher_s_report) {
  const EnrolmentReported enrolled{id(1), "dev-1", "0a", {true, {}, {}}};
  for (const bool cleared : {true, false}) {
    ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
    ASSERT_TRUE(act([&](Writer& w) { return w.enrolment_reported(enrolled, Instant{30}, "brski"); }));
    EXPECT_EQ(row().stage, PledgeStage::vouchered);
    EXPECT_EQ(row().certificate, "0a");
    VoucherReported told = report(1, true, cleared);
    told.passing = true;
    ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(told, Instant{40}, "brski"); }));
    EXPECT_EQ(row().cleared, cleared);
    EXPECT_EQ(is_held(row()), !cleared);
    EXPECT_EQ(row().stage, cleared ? PledgeStage::enrolled : PledgeStage::imprinted);
  }
  ASSERT_TRUE(act([&](Writer& w) { return w.enrolment_reported(enrolled, Instant{50}, "brski"); }));
  EXPECT_TRUE(is_held(row())) << "a person finds it";
}

TEST_F(StorePledges, an_enrolment_of_before_is_none_with_a_new_voucher) {
  const EnrolmentReported enrolled{id(1), "dev-1", "0a", {true, {}, {}}};
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{20}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{30}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.enrolment_reported(enrolled, Instant{40}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(voucher(1), Instant{50}, "brski"); }));
  ASSERT_TRUE(act([&](Writer& w) { return w.voucher_reported(report(1, true, true), Instant{60}, "brski"); }));
  EXPECT_EQ(row().stage, PledgeStage::imprinted);
}

TEST_F(StorePledges, a_newcomer_joins_with_what_it_did_or_not_at_all) {
  Device device = device_named("dev-9");
  const PledgeWaits waits{id(1), "dev-9", "new", device};
  ASSERT_TRUE(act([&](Writer& w) { return w.pledge_waits(waits, Instant{10}, "brski"); }));
  EXPECT_TRUE(*(*store_->read())->device("dev-9"));
  const PledgeWaits twice{id(2), "dev-9", "new", device};
  EXPECT_FALSE(act([&](Writer& w) { return w.pledge_waits(twice, Instant{10}, "brski"); }));
  EXPECT_FALSE(*(*store_->read())->pledge(Bytes{2}, "SN-2")) << "nothing of it is on record";
}

TEST_F(StorePledges, is_read_in_pages) {
  for (std::uint8_t n = 1; n <= 5; ++n) {
    VoucherObtained one = voucher(n);
    one.device = n % 2 == 0 ? "even" : "odd";
    ASSERT_TRUE(act([&](Writer& w) { return w.voucher_obtained(one, Instant{20 + n}, "brski"); }));
  }
  auto reader = *store_->read();
  MemoryReader memory(tables_);
  PledgeFilter page;
  page.limit = 2;
  page.after_issuer = {2};
  page.after_serial = "SN-2";
  ASSERT_EQ(reader->pledges(page)->size(), 2U);
  EXPECT_EQ(reader->pledges(page)->front().id.serial, "SN-3");
  EXPECT_EQ(*reader->pledges(page), *memory.pledges(page));
  PledgeFilter even;
  even.device = "even";
  EXPECT_EQ(reader->pledges(even)->size(), 2U);
  EXPECT_EQ(*reader->pledges(even), *memory.pledges(even));
  PledgeFilter asked;
  asked.stage = PledgeStage::asked;
  EXPECT_TRUE(reader->pledges(asked)->empty());
}

TEST(PledgeStages, are_found_by_their_names) {
  for (const PledgeStage each : {PledgeStage::asked, PledgeStage::vouchered, PledgeStage::imprinted,
                                 PledgeStage::refused, PledgeStage::enrolled}) {
    EXPECT_EQ(pledge_stage_named(name(each)), each);
  }
  EXPECT_EQ(pledge_stage_named("x"), std::nullopt);
}

}  // namespace
}  // namespace imprint::store
