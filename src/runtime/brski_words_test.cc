// What a device that was told to come again says it waits for, and who has to do what.
#include "runtime/brski_words.h"

#include <gtest/gtest.h>

namespace imprint {
namespace {

using brski::Pledge;

constexpr Duration kSoon = std::chrono::seconds(30);

Pledge::Progress progress(bool cloud) {
  Pledge::Progress p;
  auto plan = std::make_shared<brski::PledgePlan>();
  Certificate idevid;
  idevid.subject = *Name::from_text("CN=lamp,serialNumber=LAMP-1");
  plan->identity = Credential{"idevid", {idevid}};
  p.plan = std::move(plan);
  p.verified = cloud;
  return p;
}

TEST(BrskiWords, at_the_owners_a_person_has_to_approve) {
  const Pledge::State waits = Pledge::Waiting{progress(false), nullptr};
  EXPECT_EQ(pledge_words(waits, 202, kSoon), "202: the owner has to approve; asks again in 30 s");
  EXPECT_NE(pledge_waits_for(waits, "lamp-1").find("`imprint device approve lamp-1`"), std::string::npos);
}

TEST(BrskiWords, over_coaps_no_reason_is_given_and_none_is_made_up) {
  EXPECT_EQ(pledge_words(Pledge::Waiting{progress(false), nullptr}, 503, kSoon),
            "503: the server asks to come again in 30 s");
}

TEST(BrskiWords, at_its_makers_the_maker_has_to_say_whose_it_is) {
  const Pledge::State waits = Pledge::Waiting{progress(true), nullptr};
  EXPECT_EQ(pledge_words(waits, 202, kSoon), "202: its maker has not said whose it is; asks again in 30 s");
  EXPECT_EQ(pledge_waits_for(waits, "x"), "the maker runs `imprint masa device owner LAMP-1 --registrar URL`");
}

TEST(BrskiWords, behind_the_voucher_it_may_be_held_for_its_past) {
  const auto known = progress(false);
  const Pledge::State held = Pledge::Enrolling{known, nullptr, {}, est::Client::Waiting{}};
  EXPECT_EQ(pledge_words(held, 202, kSoon), "202: it is held for its past, or has to be approved; asks again in 30 s");
  const std::string next = pledge_waits_for(held, "lamp-1");
  EXPECT_NE(next.find("`imprint device clear lamp-1`"), std::string::npos) << next;
  EXPECT_NE(next.find("`imprint device approve lamp-1`"), std::string::npos) << next;
  EXPECT_EQ(pledge_words(held, 503, kSoon), "503: the server asks to come again in 30 s");
}

TEST(BrskiWords, who_does_not_wait_is_told_nothing) {
  EXPECT_TRUE(pledge_waits_for(Pledge::Resting{progress(false)}, "lamp-1").empty());
  EXPECT_TRUE(pledge_waits_for(Pledge::Enrolling{progress(false), nullptr, {}, est::Client::Idle{}}, "x").empty());
}

TEST(BrskiWords, who_has_to_come_again_at_one_of_several_addresses_needs_somebody) {
  Pledge::Resting rests{progress(false)};
  auto plan = std::make_shared<brski::PledgePlan>(*rests.p.plan);
  plan->registrars.resize(2);
  rests.p.plan = plan;
  rests.p.held[1].polls = 1;
  EXPECT_EQ(pledge_words(rests, 0, kSoon), "at 1 of 2 addresses it has to come again; goes on in 30 s");
  EXPECT_NE(pledge_waits_for(rests, "lamp-1").find("`imprint device approve lamp-1`"), std::string::npos);
  rests.p.held[1].verified = true;  // its maker's, who has no such command
  EXPECT_TRUE(pledge_waits_for(rests, "lamp-1").empty());
}

TEST(BrskiWords, a_voucher_on_record_is_no_answer_to_a_request_of_today) {
  auto p = progress(false);
  p.at = *Uri::parse("https://registrar.example:8443");
  const std::string plain = pledge_words(Pledge::Opening{p, {}}, 0, {});
  EXPECT_EQ(plain, "connects to registrar.example:8443, for whom nobody has vouched yet");
  p.kept.emplace();
  EXPECT_EQ(pledge_words(Pledge::Opening{p, {}}, 0, {}), plain + "; a voucher is on record");
  brski::Imprinted owner;
  owner.pinned.subject = *Name::from_text("CN=Owner");
  Pledge::Telling told{p, nullptr, owner, {}, {}};
  EXPECT_EQ(
      pledge_words(told, 200, {}),
      "the voucher is my maker's, for me, and answers my request; the registrar leads to CN=Owner, which it pins; "
      "my owner is on record");
  told.on_record = true;
  EXPECT_EQ(
      pledge_words(told, 0, {}),
      "the voucher on record is my maker's and for me; the registrar leads to CN=Owner, which it pins; my owner is "
      "on record");
}

TEST(BrskiWords, an_id_that_is_no_plain_word_stands_in_no_command) {
  EXPECT_EQ(id_words("lamp-1"), "lamp-1");
  EXPECT_EQ(id_words("a`b"), "ID");
  EXPECT_EQ(id_words(""), "ID");
}

}  // namespace
}  // namespace imprint
