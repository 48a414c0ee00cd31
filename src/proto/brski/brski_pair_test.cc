// Device, registrar and MASA together: whole runs, and the power cut after every action of each.
#include "proto/brski/brski_pair.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace imprint::brski {
namespace {

using testing::Player;
using testing::Trio;

constexpr std::array kForms{Form::cms, Form::jws, Form::cose};

// One certificate a key, and each voucher that anybody holds is in the MASA's log.
void expect_books_in_order(const Trio& t, const std::string& where) {
  std::set<Bytes> keys;
  for (const Issued& one : t.registrars.at("registrar.example").est.issued) {
    EXPECT_TRUE(keys.insert(one.request_key).second) << where << ": a second certificate for one key";
  }
  std::set<Bytes> logged;
  for (const Vouched& one : t.masa.log) {
    logged.insert(one.voucher);
  }
  for (const Bytes& held : t.registrars.at("registrar.example").obtained) {
    EXPECT_TRUE(logged.contains(held)) << where << ": a voucher that is in no log";
  }
  EXPECT_TRUE(!t.device.installed || t.device.imprinted) << where << ": half imprinted";
  EXPECT_TRUE(t.sound) << where;
}

void expect_operational(const Trio& t, const std::string& where) {
  ASSERT_TRUE(t.is<Pledge::Configured>()) << where << ": " << t.rule() << "; " << t.refusals();
  EXPECT_TRUE(t.device.imprinted && t.device.imprinted->configured) << where;
  EXPECT_TRUE(t.device.installed) << where;
  ASSERT_NE(t.row(), nullptr) << where;
  EXPECT_TRUE(t.row()->cleared) << where;
  EXPECT_EQ(t.row()->stage, PledgeStage::imprinted) << where;
  EXPECT_TRUE(t.row()->enrolled) << where;
  expect_books_in_order(t, where);
}

TEST(Trio, in_every_form_the_device_gets_to_its_owner) {
  for (const Form form : kForms) {
    Trio t;
    t.plan.form = form;
    ASSERT_TRUE(t.run());
    expect_operational(t, std::string(name(form)));
    ASSERT_EQ(t.masa.log.size(), 1U) << name(form);
    EXPECT_EQ(t.masa.log.front().assertion, Assertion::proximity) << name(form);
    EXPECT_EQ(t.asked_masa.size(), 2U) << name(form);
    EXPECT_TRUE(t.refusals().empty()) << t.refusals();
  }
}

TEST(Trio, a_voucher_without_a_nonce_waits_for_the_device_and_serves_again_after_a_reset) {
  for (const Form form : kForms) {
    Trio t;
    t.plan.form = form;
    t.order_nonceless();
    ASSERT_EQ(t.masa.log.size(), 1U) << name(form);
    for (int n = 0; n < 2; ++n) {
      t.reset();
      ASSERT_TRUE(t.run());
      expect_operational(t, std::string(name(form)));
    }
    EXPECT_EQ(t.masa.log.size(), 1U) << name(form);
    EXPECT_TRUE(std::ranges::none_of(t.asked_masa, [](const Request& r) { return r.path.ends_with(kRequestVoucher); }));
  }
}

TEST(Trio, a_device_that_asks_again_with_the_same_request_gets_the_voucher_on_record) {
  Trio t;
  t.plan.rounds = 3;
  bool lost = false;
  t.join.on_response = [&lost](Response& r, const Request& q) {
    if (q.path.ends_with(kRequestVoucher) && !lost) {
      lost = true;
      r = {202, {}, {}, 1};  // a proxy keeps the voucher back: the device comes again with the very same bytes
    }
  };
  ASSERT_TRUE(t.run());
  expect_operational(t, "again");
  EXPECT_EQ(t.masa.log.size(), 1U);
  EXPECT_EQ(t.asked_masa.size(), 2U);
}

TEST(Trio, after_a_reset_the_maker_renews_for_the_same_domain_and_for_no_other) {
  Trio t;
  ASSERT_TRUE(t.run());
  t.reset();
  ASSERT_TRUE(t.run());
  expect_operational(t, "renewed");
  EXPECT_EQ(t.masa.log.size(), 2U);
  t.reset();
  t.add_registrar("other.example", testing::players().other_domain);
  t.plan.registrars = {*Uri::parse("https://other.example")};
  ASSERT_TRUE(t.run());
  EXPECT_EQ(t.rule(), "BRSKI-REFUSED");
  EXPECT_TRUE(t.refused(Player::masa, "MASA-CLAIMED")) << t.refusals();
  EXPECT_FALSE(t.device.imprinted);
}

TEST(Trio, of_two_registrars_at_once_the_one_that_the_maker_knows_gets_the_device) {
  for (const bool own_first : {true, false}) {
    Trio t;
    t.add_registrar("other.example", testing::players().other_domain);
    const Uri own = *Uri::parse("https://registrar.example"), other = *Uri::parse("https://other.example");
    t.plan.registrars = own_first ? std::vector{own, other} : std::vector{other, own};
    t.plan.rounds = 2;
    // The first to ask has claimed it, but its answer is lost; then the second one asks.
    bool lost = false;
    t.join.after = [&lost](const Request&) {
      const bool now = !lost;
      lost = true;
      return now ? std::optional(Error{Fault::unreachable, "connection"}) : std::nullopt;
    };
    ASSERT_TRUE(t.run());
    ASSERT_TRUE(t.is<Pledge::Configured>()) << t.refusals();
    EXPECT_TRUE(t.refused(Player::masa, "MASA-CLAIMED")) << t.refusals();
    EXPECT_EQ(t.device.imprinted->registrar.host, own_first ? "registrar.example" : "other.example");
    EXPECT_EQ(t.hosts.size(), 4U);
  }
}

// Where every octet counts (draft-ietf-anima-constrained-voucher section 6.2.2) the device knows its MASA's
// certificate.
TEST(Trio, over_dtls_no_certificates_come_with_the_voucher) {
  Trio t;
  t.plan.form = Form::cose;
  t.plan.voucher_anchors.push_back(t.masa.signer.certificate);
  t.join.on_session = [](Session& client, Session& server) { client.protocol = server.protocol = "DTLSv1.2"; };
  ASSERT_TRUE(t.run());
  expect_operational(t, "dtls");
  EXPECT_TRUE(parse_artifact(t.device.imprinted->voucher)->along.empty());
}

// ---- power cuts ----

class PowerCut : public ::testing::TestWithParam<std::tuple<Player, Form, bool>> {};

TEST_P(PowerCut, after_any_action_leaves_nothing_half_and_the_device_gets_there) {
  const auto [who, form, nonceless] = GetParam();
  std::size_t cuts = 0, behind_voucher = 0;
  for (std::size_t at = 0; at < 300; ++at) {
    Trio t;
    t.plan.form = form;
    t.plan.rounds = 4;
    if (nonceless) {
      t.order_nonceless();
    }
    t.cut = Trio::Cut{who, at};
    std::optional<std::size_t> vouchers;  // so many, if the device had its own when its power went
    for (int start = 0; start < 3 && !t.run(); ++start) {
      expect_books_in_order(t, "cut " + std::to_string(at));
      vouchers = t.device.imprinted ? std::optional(t.masa.log.size()) : std::nullopt;
    }
    if (!t.cut_happened()) {
      break;
    }
    ++cuts;
    const std::string where = "cut " + std::to_string(at);
    if (t.rule() == "BRSKI-CONFIGURED") {  // the last record was saved when the power went
      EXPECT_TRUE(t.device.imprinted->configured && t.device.installed) << where;
      expect_books_in_order(t, where);
      continue;
    }
    expect_operational(t, where);
    EXPECT_EQ(t.registrars.at("registrar.example").est.issued.size(), 1U) << where;
    EXPECT_EQ(t.masa.log.size(), vouchers.value_or(t.masa.log.size())) << where << ": a second voucher";
    behind_voucher += vouchers ? 1 : 0;
  }
  EXPECT_EQ(behind_voucher > 5, who == Player::pledge);
  EXPECT_GE(cuts, nonceless && who == Player::masa ? 3U : 8U);
}

std::string name_of(const ::testing::TestParamInfo<PowerCut::ParamType>& of) {
  constexpr std::array kNames{"pledge", "registrar", "masa"};
  const std::string who = kNames.at(static_cast<std::size_t>(std::get<0>(of.param)));
  return who + "_" + std::string(name(std::get<1>(of.param))) + (std::get<2>(of.param) ? "_nonceless" : "_nonced");
}

INSTANTIATE_TEST_SUITE_P(Trio, PowerCut,
                         ::testing::Combine(::testing::Values(Player::pledge, Player::registrar, Player::masa),
                                            ::testing::ValuesIn(kForms), ::testing::Bool()),
                         name_of);

}  // namespace
}  // namespace imprint::brski
