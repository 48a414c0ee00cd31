// A record of before counts only for what it was made for.
#include "proto/est/purpose.h"

#include <gtest/gtest.h>

#include <functional>

#include "proto/est/pair.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

// Everything that a plan can hold.
Plan full_plan() {
  Pair p;
  Plan out = p.plan;
  out.label = "pumps";
  out.login = Login{"dev-1", Secret("one")};
  out.names.alt_names = {*GeneralName::from_text("dns:dev-1")};
  out.change_names = ChangeSubjectName{Name{}, std::vector<GeneralName>{}};
  out.keep_key = KeyRef{"current", cast().device.key.public_key()};
  out.expected = cast().owner.certificate.fingerprint();
  return out;
}

TEST(Purpose, changes_with_everything_that_is_asked_for) {
  using Change = std::function<void(Plan&)>;
  const std::vector<Change> changes{
      [](Plan& p) { p.label = "lamps"; },
      [](Plan& p) { p.login->user = "dev-2"; },
      [](Plan& p) { p.login.reset(); },
      [](Plan& p) { p.credential->chain = {cast().old.certificate}; },
      [](Plan& p) { p.credential.reset(); },
      [](Plan& p) { p.names.subject = *Name::from_text("CN=dev-2"); },
      [](Plan& p) { p.names.alt_names.clear(); },
      [](Plan& p) { p.key_type = KeyType::ed25519; },
      [](Plan& p) { p.renew = true; },
      [](Plan& p) { p.keep_key.reset(); },
      [](Plan& p) { p.change_names.reset(); },
      [](Plan& p) { p.change_names->subject = *Name::from_text("CN=dev-2"); },
      [](Plan& p) { p.change_names->alt_names.reset(); },
      [](Plan& p) { p.explicit_anchors.clear(); },
      [](Plan& p) { p.implicit_anchors = {cast().owner.certificate}; },
      [](Plan& p) { p.expected = Sha256{}; },
      [](Plan& p) { p.expected.reset(); },
  };
  const Sha256 purpose = purpose_of(full_plan());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Plan plan = full_plan();
    changes[i](plan);
    EXPECT_NE(purpose_of(plan), purpose) << "change " << i;
  }
}

TEST(Purpose, stays_with_what_may_differ_between_two_attempts) {
  const Sha256 purpose = purpose_of(full_plan());
  Plan plan = full_plan();
  plan.attempts = 1;
  plan.polls = 1;
  plan.login->password = Secret("a fresh one");
  plan.explicit_anchors.push_back(cast().maker.certificate);
  plan.server = *Uri::parse("https://est2.example:8443");
  EXPECT_EQ(purpose_of(plan), purpose);
}

TEST(Purpose, without_the_owner_s_anchors_it_is_bound_to_the_server) {
  Plan plan = full_plan();
  plan.explicit_anchors.clear();
  const Sha256 purpose = purpose_of(plan);
  for (const char* const other : {"https://est2.example", "https://est.example:8443"}) {
    plan.server = *Uri::parse(other);
    EXPECT_NE(purpose_of(plan), purpose) << other;
  }
}

// A device without anchors whose person has confirmed the owner's CA, and whose token was refused.
void refuse_once(Pair& p) {
  p.plan.explicit_anchors.clear();
  p.plan.credential.reset();
  p.plan.expected = cast().owner.certificate.fingerprint();
  p.plan.login = Login{p.user, Secret("not the token")};
  p.expected_root = cast().owner.certificate;
  p.run();
  EXPECT_EQ(p.rule(), kUnauthorized.id);
  EXPECT_TRUE(p.asked.has_value());
  p.plan.login = Login{p.user, Secret(p.password)};
  p.requests.clear();
  p.states.clear();
}

TEST(Purpose, another_fingerprint_is_asked_for_again_and_nothing_goes_to_the_ca_of_before) {
  Pair p;
  refuse_once(p);
  p.plan.expected = Sha256{};
  p.expected_root.reset();  // whoever looks, looks for another CA
  p.run(p.asked);
  EXPECT_EQ(p.rule(), kNotConfirmed.id);
  ASSERT_EQ(p.requests.size(), 1U);
  EXPECT_TRUE(p.requests[0].path.ends_with("/cacerts"));
  EXPECT_FALSE(p.requests[0].login.has_value());
  EXPECT_FALSE(p.installed.has_value());
}

TEST(Purpose, the_same_again_goes_on_with_its_key_and_its_anchors) {
  Pair p;
  refuse_once(p);
  p.expected_root.reset();
  p.run(p.asked);
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.keys.size(), 1U);
}

TEST(Purpose, another_subject_and_key_type_get_a_key_of_their_own) {
  Pair p;
  p.on_response = [](Response& r, const Request& asked) {
    if (asked.method == Method::post) {
      r = Response{403};
    }
  };
  p.run();
  ASSERT_TRUE(p.asked.has_value());
  p.on_response = nullptr;
  p.plan.key_type = KeyType::ed25519;
  p.run(p.asked);
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.keys.size(), 2U);
  EXPECT_EQ(p.installed->certificate.key.type, KeyType::ed25519);
}

}  // namespace
}  // namespace imprint::est
