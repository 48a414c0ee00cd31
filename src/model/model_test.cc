#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "codec/base64.h"
#include "model/audit.h"
#include "model/belief.h"
#include "model/device.h"

namespace imprint {
namespace {

BeliefChange learned(std::string id, Strength strength, Ground ground, std::vector<std::string> because = {}) {
  BeliefChange out;
  out.belief.id = std::move(id);
  out.strength = strength;
  out.evidence.ground = ground;
  out.evidence.because = std::move(because);
  return out;
}

// ---- beliefs ----

TEST(Beliefs, strength_is_capped_by_the_weakest_thing_underneath) {
  Beliefs beliefs;
  ASSERT_TRUE(beliefs.apply(learned("root", Strength::proved, Ground::factory)));
  ASSERT_TRUE(beliefs.apply(learned("met", Strength::first_contact, Ground::contact)));
  ASSERT_TRUE(beliefs.apply(learned("chain", Strength::proved, Ground::check, {"root", "met"})));
  ASSERT_TRUE(beliefs.apply(learned("leaf", Strength::confirmed, Ground::check, {"chain"})));
  EXPECT_EQ(beliefs.strength("root"), Strength::proved);
  EXPECT_EQ(beliefs.strength("chain"), Strength::first_contact);
  EXPECT_EQ(beliefs.strength("leaf"), Strength::first_contact);
  EXPECT_EQ(beliefs.strength("nothing"), std::nullopt);
}

TEST(Beliefs, strong_ground_does_not_lift_a_weak_proof) {
  Beliefs beliefs;
  ASSERT_TRUE(beliefs.apply(learned("root", Strength::proved, Ground::factory)));
  ASSERT_TRUE(beliefs.apply(learned("label", Strength::label, Ground::check, {"root"})));
  EXPECT_EQ(beliefs.strength("label"), Strength::label);
}

TEST(Beliefs, check_that_stands_on_nothing_is_refused) {
  Beliefs beliefs;
  EXPECT_FALSE(beliefs.apply(learned("a", Strength::proved, Ground::check)));
  EXPECT_FALSE(beliefs.apply(learned("a", Strength::proved, Ground::check, {"never held"})));
  EXPECT_FALSE(beliefs.apply(learned("a", Strength::proved, Ground::check, {"a"})));
  EXPECT_TRUE(beliefs.held().empty());
}

TEST(Beliefs, same_id_is_not_learned_twice) {
  Beliefs beliefs;
  ASSERT_TRUE(beliefs.apply(learned("a", Strength::proved, Ground::factory)));
  EXPECT_FALSE(beliefs.apply(learned("a", Strength::asserted, Ground::claim)));
  EXPECT_EQ(beliefs.strength("a"), Strength::proved);
}

TEST(Beliefs, replacing_ends_the_former_belief) {
  Beliefs beliefs;
  ASSERT_TRUE(beliefs.apply(learned("old", Strength::proved, Ground::factory)));
  BeliefChange change = learned("new", Strength::proved, Ground::check, {"old"});
  change.fate = Fate::replaced;
  change.replaces = "old";
  ASSERT_TRUE(beliefs.apply(change));
  EXPECT_EQ(beliefs.strength("old"), std::nullopt);
  EXPECT_EQ(beliefs.strength("new"), Strength::proved);
}

TEST(Beliefs, what_is_not_held_cannot_be_replaced_or_forgotten) {
  Beliefs beliefs;
  BeliefChange change = learned("new", Strength::proved, Ground::factory);
  change.fate = Fate::replaced;
  change.replaces = "old";
  EXPECT_FALSE(beliefs.apply(change));
  change.fate = Fate::forgotten;
  EXPECT_FALSE(beliefs.apply(change));
  EXPECT_TRUE(beliefs.held().empty());
}

TEST(Beliefs, forgetting_leaves_nothing) {
  Beliefs beliefs;
  BeliefChange change = learned("a", Strength::proved, Ground::factory);
  ASSERT_TRUE(beliefs.apply(change));
  change.fate = Fate::forgotten;
  ASSERT_TRUE(beliefs.apply(change));
  EXPECT_EQ(beliefs.find("a"), nullptr);
}

TEST(Beliefs, names_are_read_back) {
  for (int i = 0; i <= static_cast<int>(Strength::proved); ++i) {
    EXPECT_EQ(strength_named(name(static_cast<Strength>(i))), static_cast<Strength>(i));
  }
  EXPECT_EQ(strength_named("certain"), std::nullopt);
}

// ---- audit ----

TEST(Audit, hash_differs_when_any_field_does) {
  const AuditEntry entry{7, Instant{1000}, "est", "certificate.issued", "dev-1", "{}", {}, {}};
  std::vector<AuditEntry> others(7, entry);
  others[0].sequence = 8;
  others[1].at.ms = 1001;
  others[2].actor = "cli";
  others[3].action = "certificate.issueD";
  others[4].subject = "dev-2";
  others[5].detail = "{ }";
  others[6].previous[31] = 1;
  std::vector<Sha256> hashes{audit_hash(entry)};
  for (const AuditEntry& other : others) {
    hashes.push_back(audit_hash(other));
  }
  std::ranges::sort(hashes);
  EXPECT_EQ(std::ranges::adjacent_find(hashes), hashes.end());
}

TEST(Audit, text_does_not_move_between_fields_unnoticed) {
  const AuditEntry one{1, {}, "ab", "c", "", "", {}, {}};
  const AuditEntry other{1, {}, "a", "bc", "", "", {}, {}};
  EXPECT_NE(audit_hash(one), audit_hash(other));
}

TEST(Audit, hash_covers_the_documented_bytes) {
  const AuditEntry entry{1, Instant{2}, "x", "", "", "", {}, {}};
  Bytes expected(32, 0);  // previous
  for (const std::uint8_t number : Bytes{1, 2, 1}) {
    expected.insert(expected.end(), 7, 0);
    expected.push_back(number);
  }
  expected.push_back('x');
  expected.insert(expected.end(), std::size_t{3} * 8, 0);
  EXPECT_EQ(audit_hash(entry), sha256(expected));
}

TEST(Audit, own_hash_is_not_hashed) {
  AuditEntry entry{1, {}, "x", "y", "z", "{}", {}, {}};
  const Sha256 before = audit_hash(entry);
  entry.hash = before;
  EXPECT_EQ(audit_hash(entry), before);
}

// ---- devices ----

TEST(Device, ids_are_short_and_plain) {
  for (const std::string& good : {std::string("a"), std::string("Dev-1.b_c:d"), std::string(64, '7')}) {
    EXPECT_TRUE(valid_device_id(good)) << good;
  }
  for (const std::string& bad : {std::string(), std::string(65, '7'), std::string("-a"), std::string("a b"),
                                 std::string("a/b"), std::string("a\n"), std::string("a\0b", 3), std::string("ä")}) {
    EXPECT_FALSE(valid_device_id(bad)) << bad;
  }
}

TEST(Device, names_are_read_back) {
  for (int i = 0; i <= static_cast<int>(Lifecycle::re_owned); ++i) {
    EXPECT_EQ(lifecycle_named(name(static_cast<Lifecycle>(i))), static_cast<Lifecycle>(i));
  }
  for (int i = 0; i <= static_cast<int>(Admission::retired); ++i) {
    EXPECT_EQ(admission_named(name(static_cast<Admission>(i))), static_cast<Admission>(i));
  }
  EXPECT_EQ(lifecycle_named("lost"), std::nullopt);
  EXPECT_EQ(admission_named(""), std::nullopt);
}

Certificate named_certificate(Bytes issuer, Bytes subject, Bytes key = {0x30, 0x01, 0x07}) {
  Certificate out;
  out.issuer.der = std::move(issuer);
  out.subject.der = std::move(subject);
  out.key.spki = std::move(key);
  return out;
}

TEST(Device, identity_is_both_names_and_the_key_and_nothing_else) {
  const Certificate certificate = named_certificate({0x30, 0x01, 0x05}, {0x30, 0x00});
  Certificate anew = certificate;
  anew.serial = {9};
  anew.not_after = Instant{1};
  EXPECT_EQ(identity_of(certificate), identity_of(anew));
  EXPECT_EQ(identity_of(certificate), "x509:" + hex(sha256(Bytes{0x30, 0x01, 0x05, 0x30, 0x00, 0x30, 0x01, 0x07})));
  EXPECT_NE(identity_of(certificate), identity_of(named_certificate({0x30, 0x00}, {0x30, 0x01, 0x05})));
  EXPECT_NE(identity_of(certificate), identity_of(named_certificate({0x30, 0x01, 0x06}, {0x30, 0x00})));
  EXPECT_NE(identity_of(certificate), identity_of(named_certificate({0x30, 0x01, 0x05}, {0x30, 0x00}, {0x30, 0x00})));
}

// ---- secrets ----

std::string decimal(SeededRng& rng, std::size_t digits) {
  std::string out;
  while (out.size() < digits) {
    out += static_cast<char>('0' + rng.below(10));
  }
  return out;
}

TEST(SecretStrength, accepts_128_random_bits_in_every_usual_form) {
  constexpr std::uint64_t kSeed = 11;
  SeededRng rng(kSeed);
  for (int i = 0; i < 3000; ++i) {
    Bytes bytes(16);
    rng.fill(bytes);
    for (const std::string& text : {base64url(bytes), hex(bytes), fingerprint_text(bytes), decimal(rng, 39)}) {
      ASSERT_TRUE(check_secret_strength(Secret(text))) << "seed " << kSeed << " round " << i << ": " << text;
    }
    ASSERT_TRUE(check_secret_strength(Secret(BytesView(bytes)))) << "seed " << kSeed << ": " << hex(bytes);
  }
}

class WeakSecret : public testing::TestWithParam<std::string_view> {};

TEST_P(WeakSecret, is_refused) {
  const Status strong = check_secret_strength(Secret(GetParam()));
  ASSERT_FALSE(strong);
  EXPECT_EQ(strong.error().fault, Fault::refused);
}

INSTANTIATE_TEST_SUITE_P(all, WeakSecret,
                         testing::Values("", "x", "estpwd", "Vt9x_Qm3Zr8Lw2Kp6Ns4B",  // 21 random characters
                                         "3141592653589793238462643383279502884",     // 37 digits
                                         "0f1e5b7c9a3d2e4f6a8b0c1d3e5f7a",            // 30 hexadecimal digits
                                         "passwordPASSWORDpassword", "ChangeMe-ChangeMe-ChangeMe",
                                         "password-Vt9x_Qm3Zr8Lw", "qwertyuiopASDFGHJKLzxcvbnm",
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcABC12abcABC12abcABC12abcABC12",
                                         "abcdefghijklmnopqrstuvwxyz0123456789", "ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvuts",
                                         "123456789012345678901234567890123456789012345678",
                                         "0123456789abcdef0123456789abcdef", "aBaBBaBaABBaABaBaABBaBaABaBBAa",
                                         "admin:Admin:ADMIN:admin:aDmIn",
                                         "AB:3D:E1:77:90:2C:4F:68:1B:D5"));  // 80 bits, grouped

TEST(SecretStrength, few_different_characters_are_few_however_many_times) {
  SeededRng rng(3);
  std::string text;
  while (text.size() < 60) {
    text += "aBcD7xZ"[rng.below(7)];
  }
  EXPECT_FALSE(check_secret_strength(Secret(text)));
}

TEST(SecretStrength, bounds_what_it_looks_at) {
  const Status strong = check_secret_strength(Secret(std::string(1025, 'x')));
  ASSERT_FALSE(strong);
  EXPECT_EQ(strong.error().fault, Fault::limit);
}

}  // namespace
}  // namespace imprint
