// cBRSKI in virtual time, each datagram over the link by itself; and BRSKI in storms: messages lost, doubled and late,
// the power of device, owner and MASA gone at any moment, while what must always hold is looked at after every action.
#include <cstdlib>

#include "proto/brski/judge.h"
#include "sim/brski_check.h"
#include "sim/brski_run_testing.h"
#include "site/ca.h"

namespace imprint::sim {
namespace {

using testing::is_operational;
using testing::joined;
using testing::story;
using Way = BrskiPlan::Way;
using BrskiStorm = testing::BrskiRuns;

BrskiPlan constrained() {
  BrskiPlan out;
  out.coaps = true;
  return out;
}

TEST_F(BrskiStorm, over_coaps_a_device_comes_to_its_owner_by_a_voucher_in_cose) {
  for (const Way way : {Way::direct, Way::proxy}) {
    BrskiPlan plan = constrained();
    plan.way = way;
    const BrskiReport r = run(plan);
    ASSERT_TRUE(is_operational(r)) << story(r.run);
    EXPECT_EQ(r.run.mode, "coaps");
    EXPECT_EQ(brski::parse_artifact(r.owner->voucher)->form, brski::Form::cose);
    EXPECT_EQ(r.owner->pinned, r.owner_root);
    EXPECT_EQ(r.certificates, 1);
    EXPECT_EQ(r.vouchers, 1);
    EXPECT_EQ(r.masa, 2U);  // voucher and audit log
    EXPECT_TRUE(r.sound);
    EXPECT_TRUE(r.wrong.empty()) << joined(r.wrong);
  }
}

TEST_F(BrskiStorm, over_coaps_a_tenth_of_the_datagrams_is_lost_doubled_and_overtaken) {
  std::uint64_t lost = 0, duplicated = 0, overtaken = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    BrskiPlan plan = constrained();
    plan.seed = seed;
    plan.link = {.loss = 0.1, .duplicate = 0.1, .least = Duration(5), .most = Duration(400)};
    plan.tries = 5;
    const BrskiReport r = run(plan);
    ASSERT_TRUE(is_operational(r)) << "seed " << seed << ": " << story(r.run);
    lost += r.link.lost;
    duplicated += r.link.duplicated;
    overtaken += r.link.overtaken;
    EXPECT_EQ(r.certificates, 1) << seed;
    EXPECT_TRUE(r.wrong.empty()) << seed << ": " << joined(r.wrong);
  }
  EXPECT_GT(lost, 0U);
  EXPECT_GT(duplicated, 0U);
  EXPECT_GT(overtaken, 0U);
}

TEST_F(BrskiStorm, over_coaps_the_maker_can_keep_a_device_from_another_owner) {
  BrskiPlan plan = constrained();
  plan.sold_to_other = true;
  const BrskiReport r = run(plan);
  EXPECT_FALSE(r.owner);
  EXPECT_EQ(r.vouchers, 0);
  EXPECT_EQ(r.certificates, 0);
  EXPECT_TRUE(r.wrong.empty()) << joined(r.wrong);
}

TEST_F(BrskiStorm, over_coaps_a_power_cut_after_any_action_of_anybody_leaves_one_owner_and_one_certificate) {
  testing::expect_cuts_survived(constrained(), [this](const BrskiPlan& plan) { return run(plan); });
}

// IMPRINT_SEEDS: how many in place of the usual; IMPRINT_SEED: the first.
std::uint64_t number_from(const char* variable, std::uint64_t usual) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

TEST_F(BrskiStorm, when_it_is_over_every_device_has_its_owner_and_nothing_was_ever_wrong) {
  const std::uint64_t first = number_from("IMPRINT_SEED", 1), seeds = number_from("IMPRINT_SEEDS", 6);
  std::uint64_t boots = 0, lost = 0, constrained = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const BrskiPlan plan = brski_swarm(seed);
    const BrskiReport r = run(plan);
    ASSERT_TRUE(is_operational(r)) << "seed " << seed << ", " << r.boots << " boots, " << r.vouchers << " vouchers, "
                                   << r.certificates << " certificates, imprinted: " << r.owner.has_value() << " "
                                   << story(r.run);
    EXPECT_EQ(r.owner->pinned, r.owner_root) << seed;
    EXPECT_EQ(r.certificates, 1) << seed;
    EXPECT_TRUE(r.sound) << seed;
    EXPECT_TRUE(r.wrong.empty()) << "seed " << seed << ": " << joined(r.wrong);
    boots += r.boots;
    lost += r.link.lost;
    constrained += plan.coaps ? 1 : 0;
  }
  if (seeds >= 6) {
    EXPECT_GT(boots, seeds) << "the power did not go often";
    EXPECT_GT(lost, seeds);
    EXPECT_GT(constrained, 0U);
  }
}

// What looks has to find what must never be.
TEST_F(BrskiStorm, mistakes_are_found) {
  constexpr Instant now{1'790'000'000'000};
  SeededRng rng(3);
  const auto ca = [&](const char* name) {
    return *site::make_root(KeyType::p256, *Name::from_text(name), now, std::chrono::hours(24), rng);
  };
  const site::Ca maker = ca("CN=Maker"), owner = ca("CN=Owner");
  factory::Order order;
  order.model = "lamp";
  order.masa = "masa.example";
  const factory::Born born = factory::make(order, maker, now, rng)->front();
  const auto looked = [&](const std::function<void(MemoryStorage&)>& mistake) {
    std::string folder = (std::filesystem::temp_directory_path() / "imprint-check-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) {
      std::abort();
    }
    MemoryStorage device;
    mistake(device);
    const auto owners = store::open_sqlite(folder + "/site.db");
    const auto makers = store::open_maker_sqlite(folder + "/masa.db");
    BrskiCheck check({device, **owners, **makers, born, {maker.certificate}, owner.certificate});
    check.look();
    check.look();
    std::filesystem::remove_all(folder);
    return joined(check.wrong());
  };
  EXPECT_EQ(looked([](MemoryStorage&) {}), "");
  const auto believes = [&](MemoryStorage& device) {
    brski::Imprinted record;
    record.voucher = to_bytes("no voucher");
    record.pinned = owner.certificate;
    record.configured = true;
    ASSERT_TRUE(device.save(record));
  };
  EXPECT_EQ(looked(believes),
            "the device believes in a domain without a voucher that says so\n"
            "the device is configured without a certificate\n");
  const auto holds = [&](MemoryStorage& device) {
    est::Installed record;
    record.certificate = *born.entry.idevid;
    ASSERT_TRUE(device.save(record));
  };
  EXPECT_EQ(looked(holds),
            "the device holds a certificate and knows no owner\n"
            "the device holds a certificate that its owner has no record of\n");
}

TEST_F(BrskiStorm, the_same_seed_gives_the_same_storm) {
  const BrskiReport first = run(brski_swarm(7)), second = run(brski_swarm(7));
  EXPECT_EQ(first.run.id, second.run.id);
  EXPECT_EQ(first.run.ended, second.run.ended);
  EXPECT_EQ(first.boots, second.boots);
  EXPECT_EQ(story(first.run), story(second.run));
}

}  // namespace
}  // namespace imprint::sim
