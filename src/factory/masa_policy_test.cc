// Who may have a voucher for which device, and what changes it; over the store as it is on disk.
#include "factory/masa_policy.h"

#include <filesystem>

#include "crypto/random.h"
#include "factory/masa_offline.h"
#include "factory/masa_testing.h"
#include "proto/brski/masa_rules.h"

namespace imprint::factory {
namespace {

using testing::Domain;
using testing::Party;
using testing::World;
using Ruling = brski::JudgeClaim::Ruling;
using Verdict = Ruling::Verdict;

constexpr Instant kNow{1'790'000'000'000};
constexpr const char* kNonce = "bm9uY2Utbm9uY2Ux";

class Policy : public ::testing::Test {
 protected:
  void SetUp() override {
    SystemRng rng;
    folder_ = std::filesystem::temp_directory_path() / ("imprint-policy-" + hex(random_secret(rng, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_maker_sqlite(folder_ / "masa.db");
    policy_.pepper = Secret("pepper");
    write([&](store::MakerWriter& w) {
      return w.put_customer(world_.account("first", {world_.first.ca.certificate}), "t");
    });
    Customer second = world_.account("second", {});
    second.password = customer_mac(policy_.pepper, "second", Secret("open sesame"));
    write([&](store::MakerWriter& w) { return w.put_customer(second, "t"); });
    write([&](store::MakerWriter& w) { return w.add_device(world_.record(lamp_, "lamp-1"), "t"); });
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void write(const store::MakerStore::Change& change) {
    const Status done = store_->write(change);
    ASSERT_TRUE(done) << done.error().what;
  }
  MakerDevice lamp() { return **(*store_->read())->device(brski::issuer_key_id(lamp_.certificate), "lamp-1"); }
  void lamp_is(Custody state, const std::string& customer) {
    MakerDevice device = lamp();
    device.state = state;
    device.customer = customer;
    write([&](store::MakerWriter& w) { return w.change_device(device, "t", "test", "{}"); });
  }

  brski::JudgeClaim claim(const Bytes& request, std::optional<Login> login = {}, Session session = {}) {
    brski::Maker maker;
    maker.anchors = {world_.maker.certificate};
    maker.knows_registrar = true;
    maker.now = kNow;
    const auto facts = brski::judge_registrar_request(*brski::parse_artifact(request), maker);
    EXPECT_TRUE(facts) << facts.error().what;
    const Sha256 digest = sha256(request);
    return {std::make_shared<const Session>(std::move(session)),
            std::move(login),
            *facts,
            {digest.begin(), digest.end()},
            brski::Form::cms};
  }
  Ruling rule(const Bytes& request, std::optional<Login> login = {}, Session session = {}) {
    auto ruling = judge_claim(policy_, **store_->read(), claim(request, std::move(login), std::move(session)), kNow);
    EXPECT_TRUE(ruling);
    return *ruling;
  }
  std::string refusal(const Bytes& request, std::optional<Login> login = {}) {
    const Ruling ruling = rule(request, std::move(login));
    return ruling.verdict == Verdict::refused ? std::string(ruling.rule->id) : std::string();
  }
  // What the role notes once it has a signature.
  Status take(const Ruling& ruling, const Bytes& request, const Domain& domain, Instant at = kNow) {
    const Sha256 digest = sha256(request);
    brski::Vouched fact;
    fact.device = *ruling.device;
    fact.version = ruling.version;
    fact.customer = ruling.customer;
    fact.request = {digest.begin(), digest.end()};
    fact.voucher = to_bytes("voucher");
    fact.domain_id = brski::domain_id(domain.ca.certificate);
    fact.pinned_key = key_digest(domain.ca.certificate);
    fact.nonce = kNonce;
    fact.assertion = ruling.assertion;
    return store_->write([&](store::MakerWriter& w) { return w.vouched(given_voucher(fact, at), "masa"); });
  }
  Bytes of(const Domain& domain, const std::string& nonce = kNonce) const {
    return World::full_request(domain, lamp_, "lamp-1", nonce);
  }

  std::filesystem::path folder_;
  std::unique_ptr<store::MakerStore> store_;
  World world_{kNow};
  Party lamp_ = world_.device("lamp-1");
  MasaPolicy policy_;
};

TEST_F(Policy, a_first_claim_of_nobodys_device_is_logged_or_proven_by_proximity) {
  const Ruling seen = rule(of(world_.second));
  EXPECT_EQ(seen.verdict, Verdict::grant);
  EXPECT_EQ(seen.assertion, brski::Assertion::proximity);
  EXPECT_TRUE(seen.customer.empty());
  const Bytes alone = World::request(world_.second, lamp_, "lamp-1", kNonce, {});
  EXPECT_EQ(rule(alone).assertion, brski::Assertion::logged);
  policy_.proximity_only = true;
  EXPECT_EQ(refusal(alone), "MASA-PROXIMITY");
  EXPECT_EQ(refusal(of(world_.second)), "");
  policy_.first_claim = false;
  EXPECT_EQ(refusal(of(world_.second)), "MASA-UNSOLD");
}

TEST_F(Policy, a_claimed_device_is_renewed_for_its_domain_and_for_nobody_else) {
  const Bytes first = of(world_.second);
  ASSERT_TRUE(take(rule(first), first, world_.second));
  EXPECT_EQ(lamp().state, Custody::claimed);
  EXPECT_EQ(rule(of(world_.second, "bm9uY2Utbm9uY2Uy")).verdict, Verdict::grant);
  EXPECT_EQ(refusal(of(world_.first)), "MASA-CLAIMED");
  EXPECT_EQ(rule(first).verdict, Verdict::already);
  EXPECT_EQ(rule(first).voucher, to_bytes("voucher"));
}

// Else whoever bought one lamp could fill the log with vouchers that no lamp asked for.
TEST_F(Policy, a_claimed_device_says_each_time_that_it_is_there) {
  policy_.proximity_only = true;
  const Bytes first = of(world_.second);
  ASSERT_TRUE(take(rule(first), first, world_.second));
  EXPECT_EQ(refusal(World::request(world_.second, lamp_, "lamp-1", "bm9uY2Utbm9uY2Uy", {})), "MASA-PROXIMITY");
  EXPECT_EQ(refusal(of(world_.second, "bm9uY2Utbm9uY2Uy")), "");
}

TEST_F(Policy, after_a_change_of_owner_the_same_request_is_judged_and_logged_anew) {
  const Bytes first = of(world_.second);
  ASSERT_TRUE(take(rule(first), first, world_.second));
  ASSERT_EQ(rule(first).verdict, Verdict::already);
  write([&](store::MakerWriter& w) { return release_device(w, lamp(), kNow, "t"); });
  EXPECT_EQ(rule(first).verdict, Verdict::grant) << "a claim, not a copy of the last one";
  ASSERT_TRUE(take(rule(first), first, world_.second));
  EXPECT_EQ((*store_->read())->vouchers(brski::issuer_key_id(lamp_.certificate), "lamp-1")->size(), 2U);
}

TEST_F(Policy, a_name_that_a_certificate_gives_itself_makes_no_owner) {
  const Bytes first = of(world_.second);
  ASSERT_TRUE(take(rule(first), first, world_.second));
  // A CA of the same name and with the same subject key identifier as told in the log, but another key.
  const Domain twin(kNow, "Second");
  EXPECT_EQ(refusal(of(twin)), "MASA-CLAIMED");
}

TEST_F(Policy, the_owner_by_the_records_is_verified_and_others_are_refused) {
  lamp_is(Custody::sold, "first");
  const Ruling ruling = rule(of(world_.first));
  EXPECT_EQ(ruling.verdict, Verdict::grant);
  EXPECT_EQ(ruling.assertion, brski::Assertion::verified);
  EXPECT_EQ(ruling.customer, "first");
  EXPECT_EQ(refusal(of(world_.second)), "MASA-OWNER");
  // Another domain of the same customer's.
  lamp_is(Custody::sold, "second");
  EXPECT_EQ(rule(of(world_.second), Login{"second", Secret("open sesame")}).verdict, Verdict::grant);
}

TEST_F(Policy, who_may_be_the_owner_is_asked_to_log_in_and_who_is_known_is_not) {
  lamp_is(Custody::sold, "second");  // known by its password alone
  const Domain third(kNow, "Third");
  const Ruling asked = rule(of(third));
  EXPECT_EQ(asked.rule, &brski::masa::kLoginWanted);
  EXPECT_EQ(asked.fault, Fault::unauthentic);
  EXPECT_EQ(refusal(of(world_.first)), "MASA-OWNER") << "another customer, by its certificate";
  EXPECT_EQ(refusal(of(third), Login{"second", Secret("wrong")}), "MASA-LOGIN");
  lamp_is(Custody::retired, "second");
  EXPECT_EQ(refusal(of(third)), "MASA-RETIRED") << "no login would help";
  lamp_is(Custody::sold, "second");
  policy_.basic = false;
  EXPECT_EQ(refusal(of(third)), "MASA-OWNER") << "nor here: nothing is kept for another way";
}

TEST_F(Policy, logins_are_checked_and_do_not_mix_with_other_accounts) {
  EXPECT_EQ(refusal(of(world_.second), Login{"second", Secret("wrong")}), "MASA-LOGIN");
  EXPECT_EQ(refusal(of(world_.second), Login{"nobody", Secret("")}), "MASA-LOGIN");
  EXPECT_EQ(refusal(of(world_.second), Login{"first", Secret("")}), "MASA-LOGIN");  // it has no password
  EXPECT_EQ(refusal(of(world_.first), Login{"second", Secret("open sesame")}), "MASA-ACCOUNTS");
}

TEST_F(Policy, a_certificate_in_tls_counts_only_if_it_leads_to_the_account) {
  Session session;
  session.presented = {world_.first.registrar.certificate, world_.first.ca.certificate};
  EXPECT_EQ(rule(of(world_.second), {}, session).customer, "first");
  // Somebody shows the account's CA behind a certificate of another one.
  session.presented = {world_.second.registrar.certificate, world_.first.ca.certificate};
  EXPECT_EQ(rule(of(world_.second), {}, session).customer, "");
}

TEST_F(Policy, a_device_below_a_customers_ca_does_not_speak_for_the_customer) {
  const Party lamp = make_party(kNow, "CN=onboarded lamp", &world_.first.ca, false, {std::string(eku::kClientAuth)});
  Session session;
  session.presented = {lamp.certificate, world_.first.ca.certificate};
  EXPECT_EQ(rule(of(world_.second), {}, session).customer, "");
}

TEST_F(Policy, without_a_nonce_only_the_owner_by_the_records) {
  const Bytes request = World::request(world_.first, lamp_, "lamp-1", "", {});
  EXPECT_EQ(refusal(request), "MASA-NONCELESS");
  lamp_is(Custody::sold, "first");
  const Ruling ruling = rule(request);
  EXPECT_EQ(ruling.verdict, Verdict::grant);
  EXPECT_EQ(ruling.lifetime, policy_.nonceless_lifetime);
}

TEST_F(Policy, release_lets_the_next_owner_claim_and_the_log_shows_both) {
  const Bytes first = of(world_.first);
  ASSERT_TRUE(take(rule(first), first, world_.first));
  EXPECT_EQ(refusal(of(world_.second)), "MASA-CLAIMED");
  write([&](store::MakerWriter& w) { return release_device(w, lamp(), kNow, "t"); });
  const Bytes next = of(world_.second);
  ASSERT_TRUE(take(rule(next), next, world_.second));
  EXPECT_EQ(refusal(of(world_.first)), "MASA-CLAIMED");
  for (const Domain* domain : {&world_.first, &world_.second}) {
    const auto c = claim(of(*domain));
    const auto log = read_device_log(policy_, **store_->read(), {c.session, c.login, c.facts}, kNow);
    ASSERT_TRUE(log && log->entitled);  // a past owner may read it too
    ASSERT_EQ(log->log.events.size(), 2U);
    EXPECT_EQ(log->log.events[0].domain_id, brski::domain_id(world_.first.ca.certificate));
    EXPECT_EQ(log->log.events[1].domain_id, brski::domain_id(world_.second.ca.certificate));
  }
  const Domain third(kNow, "Third");
  const auto c = claim(of(third));
  const auto log = read_device_log(policy_, **store_->read(), {c.session, c.login, c.facts}, kNow);
  EXPECT_FALSE(log->entitled);
  EXPECT_TRUE(log->log.events.empty());
}

TEST_F(Policy, transfer_moves_a_device_and_retirement_ends_it) {
  lamp_is(Custody::sold, "first");
  write([&](store::MakerWriter& w) { return transfer_device(w, lamp(), "second", kNow, "t"); });
  EXPECT_EQ(refusal(of(world_.first)), "MASA-OWNER");
  EXPECT_FALSE(store_->write([&](store::MakerWriter& w) { return transfer_device(w, lamp(), "ghost", kNow, "t"); }));
  write([&](store::MakerWriter& w) { return retire_device(w, lamp(), kNow, "t"); });
  EXPECT_EQ(refusal(of(world_.second), Login{"second", Secret("open sesame")}), "MASA-RETIRED");
  EXPECT_FALSE(store_->write([&](store::MakerWriter& w) { return release_device(w, lamp(), kNow, "t"); }));
  EXPECT_FALSE(store_->write([&](store::MakerWriter& w) { return transfer_device(w, lamp(), "first", kNow, "t"); }));
}

TEST_F(Policy, two_claims_at_once_make_one_owner) {
  const Bytes one = of(world_.first), other = of(world_.second);
  const Ruling yes = rule(one), also = rule(other);
  ASSERT_TRUE(take(yes, one, world_.first));
  const Status late = take(also, other, world_.second);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().fault, Fault::conflict);
  EXPECT_EQ(refusal(other), "MASA-CLAIMED");
}

TEST_F(Policy, devices_of_one_serial_number_are_told_apart) {
  const Party other_ca = testing::make_party(kNow, "CN=Other Pool", nullptr, true);
  const Party twin = testing::make_party(kNow, "serialNumber=lamp-1,CN=lamp", &other_ca, false);
  write([&](store::MakerWriter& w) { return w.add_device(world_.record(twin, "lamp-1", "second"), "t"); });
  const Ruling ruling = rule(of(world_.first));
  EXPECT_EQ(ruling.verdict, Verdict::grant);
  EXPECT_TRUE(ruling.name_issuer);
  EXPECT_EQ(ruling.device->issuer, brski::issuer_key_id(lamp_.certificate));
  EXPECT_FALSE(find_maker_device(**store_->read(), "lamp-1", {}));
  EXPECT_TRUE(find_maker_device(**store_->read(), "lamp-1", ruling.device->issuer));
  EXPECT_EQ(refusal(World::full_request(world_.first, world_.device("lamp-9"), "lamp-9", kNonce)), "MASA-UNKNOWN");
}

TEST_F(Policy, a_device_is_found_by_its_ca_however_many_have_its_serial_number) {
  write([&](store::MakerWriter& w) -> Status {
    for (std::uint8_t ca = 1; ca <= 20; ++ca) {
      MakerDevice other = world_.record(lamp_, "lamp-1");
      other.issuer = Bytes(20, ca);
      TRY(Ok{}, w.add_device(other, "t"));
    }
    return Ok{};
  });
  auto reader = *store_->read();
  for (const Bytes& issuer : {Bytes(20, 1), Bytes(20, 20), brski::issuer_key_id(lamp_.certificate)}) {
    EXPECT_EQ(*find_idevid(*reader, {issuer, "lamp-1"}), std::vector{lamp_.certificate}) << hex(issuer);
  }
  EXPECT_TRUE(find_idevid(*reader, {Bytes(20, 21), "lamp-1"})->empty());
  EXPECT_EQ(find_idevid(*reader, {std::nullopt, "lamp-1"})->size(), 8U) << "without it so many are tried";
}

TEST_F(Policy, what_strangers_call_themselves_does_not_fill_the_record) {
  brski::ClaimRefused fact;
  fact.registrar = std::string(60'000, 'x');
  EXPECT_EQ(refused_claim(fact, kNow).registrar.size(), 256U);
  fact.registrar = std::string(255, 'x') + "\xc3\xa4" + std::string(99, 'x');
  EXPECT_EQ(refused_claim(fact, kNow).registrar, std::string(255, 'x')) << "no half of a character";
  fact.registrar = "CN=\xc3\xa4";
  EXPECT_EQ(refused_claim(fact, kNow).registrar, fact.registrar);
}

TEST_F(Policy, an_order_is_taken_once_and_again) {
  const std::string issuer = hex(brski::issuer_key_id(lamp_.certificate));
  const std::string order = R"({"serial":"lamp-1","issuer":")" + issuer + R"(","customer":"first"})" + "\n" +
                            R"({"serial":"lamp-2","issuer":")" + issuer + R"(","model":"lamp"})" + "\n\nnonsense\n" +
                            R"({"serial":"lamp-3","issuer":")" + issuer + R"(","customer":"ghost"})" + "\n" +
                            R"({"serial":"a b","issuer":"00"})" + "\n";
  const auto once = import_order(*store_, order, "", kNow, "t");
  ASSERT_TRUE(once);
  EXPECT_EQ(once->lines, 5U);
  EXPECT_EQ(once->added, 1U);
  EXPECT_EQ(once->assigned, 1U);
  ASSERT_EQ(once->problems.size(), 3U);
  EXPECT_EQ(lamp().customer, "first");
  const auto again = import_order(*store_, order, "", kNow, "t");
  EXPECT_EQ(again->unchanged, 2U);
  EXPECT_EQ(again->added + again->assigned, 0U);
  // Somebody else's device is a transfer, not an import.
  const auto other = import_order(*store_, R"({"serial":"lamp-1","issuer":")" + issuer + "\"}", "second", kNow, "t");
  EXPECT_EQ(other->problems.size(), 1U);
  EXPECT_EQ(lamp().customer, "first");
}

TEST_F(Policy, a_voucher_for_a_site_without_a_net_is_for_the_owner_and_in_the_log) {
  lamp_is(Custody::sold, "first");
  const Signer signer = testing::signer_of(world_.masa, world_.maker);
  OfflineVoucher what{lamp(), "first", world_.first.ca.certificate, brski::Form::cms, std::chrono::hours(24)};
  const auto made = make_offline_voucher(*store_, signer, what, kNow, "cli");
  ASSERT_TRUE(made);
  brski::Device device;
  device.anchors = {world_.maker.certificate};
  device.serial = "lamp-1";
  device.issuer = brski::issuer_key_id(lamp_.certificate);
  device.now = kNow;
  const auto verdict = brski::judge_voucher(*brski::parse_artifact(*made), device);
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ((*verdict)->voucher.expires_on, brski::DateTime::of(kNow + std::chrono::hours(24)));
  EXPECT_EQ(*(*store_->read())->count("vouchers"), 1);
  what.device = lamp();
  what.customer = "second";
  EXPECT_FALSE(make_offline_voucher(*store_, signer, what, kNow, "cli"));
  what.customer = "first";
  what.device.state = Custody::retired;
  EXPECT_FALSE(make_offline_voucher(*store_, signer, what, kNow, "cli"));
  EXPECT_EQ(*(*store_->read())->count("vouchers"), 1);
}

}  // namespace
}  // namespace imprint::factory
