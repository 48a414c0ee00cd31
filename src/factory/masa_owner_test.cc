// Where devices find their owners: what may be said, what takes it back, and who then gets vouchers.
#include "factory/masa_owner.h"

#include <filesystem>

#include "crypto/random.h"
#include "factory/masa_testing.h"
#include "proto/brski/masa_rules.h"

namespace imprint::factory {
namespace {

using testing::World;
using Kind = OwnerAddress::Kind;

class Owner : public ::testing::Test {
 protected:
  void SetUp() override {
    SystemRng rng;
    folder_ = std::filesystem::temp_directory_path() / ("imprint-owner-" + hex(random_secret(rng, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_maker_sqlite(folder_ / "masa.db");
    ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
      TRY(Ok{}, w.put_customer(world_.account("first", {world_.first.ca.certificate}), "test"));
      TRY(Ok{}, w.add_device(world_.record(lamp_, "sold", "first"), "test"));
      return w.add_device(world_.record(lamp_, "made"), "test");
    }));
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  MakerDevice device(const std::string& serial) {
    const auto reader = *store_->read();
    return *find_maker_device(*reader, serial, {});
  }
  // The id of the rule that is broken; empty: it is done.
  std::string say(const std::string& serial, const OwnerAddress& owner) {
    const Status done =
        store_->write([&](store::MakerWriter& w) { return set_owner(w, device(serial), owner, world_.now, "test"); });
    return done ? "" : done.error().rule != nullptr ? std::string(done.error().rule->id) : "?";
  }
  brski::FindOwner::Found found(const std::string& serial) {
    const auto reader = *store_->read();
    return *find_owner(*reader, {{brski::issuer_key_id(lamp_.certificate), serial}, Bytes{1}, brski::Form::cms});
  }

  World world_{Instant{1'790'000'000'000}};
  testing::Party lamp_ = world_.device("lamp");
  std::filesystem::path folder_;
  std::unique_ptr<store::MakerStore> store_;
};

TEST_F(Owner, what_was_said_is_found_and_survives_a_restart) {
  EXPECT_EQ(found("sold").owner.kind, Kind::unsaid);
  EXPECT_TRUE(found("sold").known);
  EXPECT_FALSE(found("other").known);
  const OwnerAddress est{Kind::est, "https://est.example", world_.first.ca.certificate, "https://est.example/more"};
  EXPECT_EQ(say("sold", est), "");
  EXPECT_EQ(say("made", {Kind::registrar, "https://r.example:8443", {}, {}}), "");
  store_.reset();
  store_ = *store::open_maker_sqlite(folder_ / "masa.db");
  EXPECT_EQ(found("sold").owner, est);
  EXPECT_EQ(found("sold").customer, "first");
  EXPECT_EQ(found("made").owner.url, "https://r.example:8443");
  EXPECT_EQ(say("made", {Kind::nobody, {}, {}, {}}), "");
  EXPECT_EQ(found("made").owner, (OwnerAddress{Kind::nobody, {}, {}, {}}));
  EXPECT_EQ(*(*store_->read())->count("audit"), 6);
}

TEST_F(Owner, only_addresses_that_can_be_proven_are_taken) {
  const std::optional<Certificate> pin = world_.first.ca.certificate;
  for (const OwnerAddress& wrong :
       std::vector<OwnerAddress>{{Kind::registrar, "http://r.example", {}, {}},
                                 {Kind::registrar, "https://r.example/?a=b", {}, {}},
                                 {Kind::registrar, "", {}, {}},
                                 {Kind::registrar, "https://r.example", pin, {}},
                                 {Kind::registrar, "https://r.example", {}, "https://r.example/more"},
                                 {Kind::nobody, "https://r.example", {}, {}},
                                 {Kind::est, "https://est.example", {}, {}},
                                 {Kind::est, "https://est.example", pin, "ftp://x"},
                                 {Kind::est, "https://est.example/" + std::string(600, 'a'), pin, {}}}) {
    EXPECT_EQ(say("sold", wrong), "MASA-OWNER-ADDRESS") << wrong.url;
  }
}

TEST_F(Owner, the_pin_is_the_customers) {
  EXPECT_EQ(say("sold", {Kind::est, "https://est.example", world_.second.ca.certificate, {}}), "MASA-OWNER-PIN");
  EXPECT_EQ(say("sold", {Kind::est, "https://est.example", world_.first.registrar.certificate, {}}), "");
  // Nobody's by the records: whoever has claimed it stays.
  EXPECT_EQ(say("made", {Kind::est, "https://est.example", world_.second.ca.certificate, {}}), "");
  ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
    MakerDevice d = device("made");
    d.state = Custody::claimed;
    d.claimed_key = key_digest(world_.second.ca.certificate);
    return w.change_device(d, "test", "device.claimed", "{}");
  }));
  EXPECT_EQ(say("made", {Kind::est, "https://est.example", world_.first.ca.certificate, {}}), "MASA-CLAIMED");
  EXPECT_EQ(say("made", {Kind::est, "https://est.example", world_.second.ca.certificate, {}}), "");
}

TEST_F(Owner, release_transfer_and_retirement_take_it_back) {
  const OwnerAddress there{Kind::registrar, "https://r.example", {}, {}};
  ASSERT_EQ(say("made", there), "");
  ASSERT_TRUE(
      store_->write([&](store::MakerWriter& w) { return release_device(w, device("made"), world_.now, "test"); }));
  EXPECT_EQ(found("made").owner.kind, Kind::unsaid);
  ASSERT_EQ(say("made", there), "");
  ASSERT_TRUE(store_->write(
      [&](store::MakerWriter& w) { return transfer_device(w, device("made"), "first", world_.now, "test"); }));
  EXPECT_EQ(found("made").owner.kind, Kind::unsaid);
  ASSERT_EQ(say("made", there), "");
  ASSERT_TRUE(
      store_->write([&](store::MakerWriter& w) { return retire_device(w, device("made"), world_.now, "test"); }));
  EXPECT_FALSE(found("made").known);
  EXPECT_EQ(say("made", there), "MASA-RETIRED");
}

TEST_F(Owner, a_stranger_cannot_claim_a_device_that_its_maker_has_given_an_owner) {
  ASSERT_EQ(say("made", {Kind::est, "https://est.example", world_.first.ca.certificate, {}}), "");
  const auto ruling = [&](const testing::Domain& domain) {
    const auto reader = *store_->read();
    brski::Maker maker;
    maker.anchors = {world_.maker.certificate};
    maker.knows_registrar = true;
    const auto request = World::request(domain, lamp_, "made", "bm9uY2Utbm9uY2Ux", {});
    const auto facts = brski::judge_registrar_request(*brski::parse_artifact(request), maker);
    EXPECT_TRUE(facts) << facts.error().what;
    return *judge_claim({}, *reader, {std::make_shared<const Session>(), {}, *facts, Bytes{1}, brski::Form::cms},
                        world_.now);
  };
  EXPECT_EQ(ruling(world_.second).rule, &brski::masa::kOtherOwner);
  EXPECT_EQ(ruling(world_.first).verdict, brski::JudgeClaim::Ruling::Verdict::grant);
}

}  // namespace
}  // namespace imprint::factory
