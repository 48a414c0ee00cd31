// Every misdeed on every message that it applies to, and the fault with which the other side ends it. A pair of message
// and misdeed that is not in the table fails the test: nothing is expected by default.
#include "proto/est/misbehave.h"

#include <gtest/gtest.h>

#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr std::uint8_t kMisdeeds = static_cast<std::uint8_t>(Misdeed::success_without_proof) + 1;

struct Expectation {
  Misdeed how;
  Fault fault;
  const Rule* rule;
};
using Table = std::vector<Expectation>;

const Expectation* find(const Table& table, Misdeed how) {
  const auto at = std::ranges::find(table, how, &Expectation::how);
  return at == table.end() ? nullptr : &*at;
}

const Table kCaCertificateAnswers{
    {Misdeed::corrupt, Fault::unauthentic, &kNotMyAnchors},  // an issuing CA that nobody signed is left out
    {Misdeed::truncate, Fault::malformed, &kCaBag},
    {Misdeed::extend, Fault::malformed, &kCaBag},
    {Misdeed::bad_encoding, Fault::malformed, &kCaBag},
    {Misdeed::huge_length, Fault::malformed, &kCaBag},
    {Misdeed::silence_after, Fault::unreachable, &kUnreachable},
    {Misdeed::redirect_to_self, Fault::refused, &kRedirect},
    {Misdeed::redirect_loop, Fault::refused, &kRedirect},
    {Misdeed::other_ca_same_name, Fault::unauthentic, &kCaRollover},
    {Misdeed::success_without_proof, Fault::malformed, &kCaBag},
};
const Table kWishAnswers{
    {Misdeed::corrupt, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::truncate, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::extend, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::bad_encoding, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::huge_length, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::silence_after, Fault::unreachable, &kUnreachable},
};
const Table kEnrolAnswers{
    {Misdeed::corrupt, Fault::unauthentic, &kNotMyAnchors},
    {Misdeed::truncate, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::extend, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::bad_encoding, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::huge_length, Fault::malformed, &kAnswerUnreadable},
    {Misdeed::silence_after, Fault::unreachable, &kUnreachable},
    {Misdeed::redirect_to_self, Fault::refused, &kRedirect},
    {Misdeed::redirect_loop, Fault::refused, &kRedirect},
    {Misdeed::repeat_step, Fault::unauthentic, &kNotMyKey},
    {Misdeed::id_of_other_device, Fault::unauthentic, &kNotMyKey},
    {Misdeed::wrong_key, Fault::unauthentic, &kNotMyKey},
    {Misdeed::expired_cert, Fault::expired, &kNotMyAnchors},
    {Misdeed::future_cert, Fault::expired, &kNotMyAnchors},
    {Misdeed::self_signed_leaf, Fault::unauthentic, &kNotMyAnchors},
    {Misdeed::other_ca_same_name, Fault::unauthentic, &kNotMyAnchors},
    {Misdeed::success_without_proof, Fault::malformed, &kAnswerUnreadable},
};

// A key that the server made comes with its certificate: the octets that are changed here are the key's.
const Table kKeyAnswers{
    {Misdeed::corrupt, Fault::malformed, &kKeyAnswer},  // the public key within does not fit the private one
    {Misdeed::truncate, Fault::malformed, &kKeyAnswer},
    {Misdeed::extend, Fault::malformed, &kKeyAnswer},
    {Misdeed::bad_encoding, Fault::malformed, &kKeyAnswer},
    {Misdeed::huge_length, Fault::malformed, &kKeyAnswer},
    {Misdeed::silence_after, Fault::unreachable, &kUnreachable},
    {Misdeed::redirect_to_self, Fault::refused, &kRedirect},
    {Misdeed::redirect_loop, Fault::refused, &kRedirect},
    {Misdeed::repeat_step, Fault::unauthentic, &kNotMyKey},
    {Misdeed::id_of_other_device, Fault::unauthentic, &kNotMyKey},
    {Misdeed::wrong_key, Fault::unauthentic, &kNotMyKey},
    {Misdeed::expired_cert, Fault::expired, &kNotMyAnchors},
    {Misdeed::future_cert, Fault::expired, &kNotMyAnchors},
    {Misdeed::self_signed_leaf, Fault::unauthentic, &kNotMyAnchors},
    {Misdeed::other_ca_same_name, Fault::unauthentic, &kNotMyAnchors},
    {Misdeed::success_without_proof, Fault::malformed, &kKeyAnswer},
};
const Table kFullAnswers{
    {Misdeed::corrupt, Fault::unauthentic, &kCmcAnswer},
    {Misdeed::truncate, Fault::malformed, &kCmcAnswer},
    {Misdeed::extend, Fault::malformed, &kCmcAnswer},
    {Misdeed::bad_encoding, Fault::malformed, &kCmcAnswer},
    {Misdeed::huge_length, Fault::malformed, &kCmcAnswer},
    {Misdeed::silence_after, Fault::unreachable, &kUnreachable},
    {Misdeed::redirect_to_self, Fault::refused, &kRedirect},
    {Misdeed::redirect_loop, Fault::refused, &kRedirect},
    {Misdeed::repeat_step, Fault::unauthentic, &kNotMyKey},
    {Misdeed::sig_zero, Fault::unauthentic, &kCmcAnswer},
    {Misdeed::replay_other_session, Fault::unauthentic, &kCmcAnswer},
    {Misdeed::id_of_other_device, Fault::unauthentic, &kNotMyKey},
    {Misdeed::wrong_key, Fault::unauthentic, &kNotMyKey},
    {Misdeed::expired_cert, Fault::expired, &kNotMyAnchors},
    {Misdeed::future_cert, Fault::expired, &kNotMyAnchors},
    {Misdeed::self_signed_leaf, Fault::unauthentic, &kNotMyAnchors},
    {Misdeed::other_ca_same_name, Fault::unauthentic, &kNotMyAnchors},
    {Misdeed::success_without_proof, Fault::malformed, &kCmcAnswer},
};

// The device is one that asks for this operation.
void lead_to(Operation at, Pair& p) {
  if (at == Operation::simplereenroll) {
    p.plan.credential = Credential{"old", {cast().old.certificate}};
    p.plan.renew = true;
  } else if (at == Operation::serverkeygen) {
    p.plan.server_key = true;
    p.config.labels[""].server_keys = true;
  } else if (at == Operation::fullcmc) {
    p.plan.full_cmc = true;
    p.keys["idevid"] = cast().device.key;
  }
}

void try_all_as_server(Operation at, const Table& table) {
  for (std::uint8_t i = 0; i < kMisdeeds; ++i) {
    const auto how = static_cast<Misdeed>(i);
    Pair p;
    CsrAttributes wishes;
    wishes.link = true;
    p.config.labels[""].wishes = wishes.encode();
    p.plan.attempts = 3;
    lead_to(at, p);
    const Expectation* expected = find(table, how);
    if (!misbehave_as_server(p, at, how)) {
      EXPECT_EQ(expected, nullptr) << name(at) << ' ' << int{i};
      continue;
    }
    p.run();
    ASSERT_NE(expected, nullptr) << name(at) << ": nothing is expected of misdeed " << int{i};
    ASSERT_NE(p.failure(), nullptr) << name(at) << ' ' << int{i} << ' ' << p.states.back();
    EXPECT_EQ(p.failure()->fault, expected->fault) << name(at) << ' ' << int{i};
    EXPECT_EQ(p.rule(), expected->rule->id) << name(at) << ' ' << int{i};
    EXPECT_FALSE(p.installed.has_value());
    EXPECT_TRUE(p.open_sessions.empty());
    EXPECT_TRUE(p.sound);
  }
}

TEST(EstMisbehaviour, of_a_server_that_gives_its_ca_certificates) {
  try_all_as_server(Operation::cacerts, kCaCertificateAnswers);
}
TEST(EstMisbehaviour, of_a_server_that_tells_its_wishes) { try_all_as_server(Operation::csrattrs, kWishAnswers); }
TEST(EstMisbehaviour, of_a_server_that_gives_the_certificate) {
  try_all_as_server(Operation::simpleenroll, kEnrolAnswers);
}
TEST(EstMisbehaviour, of_a_server_that_renews_the_certificate) {
  try_all_as_server(Operation::simplereenroll, kEnrolAnswers);
}
TEST(EstMisbehaviour, of_a_server_that_makes_the_key) { try_all_as_server(Operation::serverkeygen, kKeyAnswers); }
TEST(EstMisbehaviour, of_a_server_that_answers_a_full_request) { try_all_as_server(Operation::fullcmc, kFullAnswers); }

// A rule of the server's, or none where the site's policy says no (401).
const Table kRequests{
    {Misdeed::corrupt, Fault::unauthentic, &kPossession},
    {Misdeed::truncate, Fault::malformed, &kRequestUnreadable},
    {Misdeed::extend, Fault::malformed, &kRequestUnreadable},
    {Misdeed::bad_encoding, Fault::malformed, &kBodyUnreadable},
    {Misdeed::huge_length, Fault::malformed, &kRequestUnreadable},
    {Misdeed::wrong_key, Fault::unauthentic, &kPossession},
    {Misdeed::sig_zero, Fault::unauthentic, &kPossession},
    {Misdeed::sig_over_other_transcript, Fault::unauthentic, &kLinkingWrong},
    {Misdeed::mac_of_zeros, Fault::unauthentic, &kLinkingWrong},
    {Misdeed::replay_other_session, Fault::unauthentic, &kLinkingWrong},
    {Misdeed::skip_step, Fault::unauthentic, &kLinkingMissing},
    {Misdeed::expired_cert, Fault::unauthentic, nullptr},
    {Misdeed::future_cert, Fault::unauthentic, nullptr},
    {Misdeed::wrong_eku, Fault::unauthentic, nullptr},
    {Misdeed::self_signed_leaf, Fault::unauthentic, nullptr},
    {Misdeed::other_ca_same_name, Fault::unauthentic, nullptr},
    {Misdeed::success_without_proof, Fault::unauthentic, nullptr},
};

TEST(EstMisbehaviour, of_a_device_that_asks_for_a_certificate) {
  for (std::uint8_t i = 0; i < kMisdeeds; ++i) {
    const auto how = static_cast<Misdeed>(i);
    Pair p;
    p.config.labels[""].require_linking = true;
    const Expectation* expected = find(kRequests, how);
    if (!misbehave_as_device(p, how)) {
      EXPECT_EQ(expected, nullptr) << int{i};
      continue;
    }
    p.run();
    ASSERT_NE(expected, nullptr) << "nothing is expected of misdeed " << int{i};
    EXPECT_TRUE(p.issued.empty()) << int{i};
    ASSERT_NE(p.failure(), nullptr) << int{i};
    if (expected->rule == nullptr) {
      EXPECT_TRUE(p.server_refused.empty()) << int{i};
      EXPECT_EQ(p.rule(), kUnauthorized.id) << int{i};
      EXPECT_EQ(p.failure()->fault, expected->fault);
      continue;
    }
    ASSERT_FALSE(p.server_refused.empty()) << int{i};
    EXPECT_EQ(p.server_refused.back().fault, expected->fault) << int{i} << ' ' << p.server_refused.back().what;
    EXPECT_EQ(p.server_refused.back().rule, expected->rule) << int{i} << ' ' << p.server_refused.back().what;
  }
}

TEST(EstMisbehaviour, an_error_and_then_success_is_success_of_the_second_attempt_only) {
  Pair p;
  unsigned asked = 0;
  p.on_response = [&](Response& r, const Request& to) {
    if (to.path.ends_with("/simpleenroll") && asked++ == 0) {
      r = {};
      r.status = 500;
    }
  };
  p.run();
  EXPECT_TRUE(p.is<Client::Enrolled>());
  EXPECT_EQ(p.opened.size(), 2U);
  EXPECT_EQ(p.issued.size(), 1U);
}

}  // namespace
}  // namespace imprint::est
