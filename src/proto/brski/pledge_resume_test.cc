// The pledge whose power goes, and what it goes on with.
#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/cms.h"
#include "proto/brski/pledge_desks.h"

namespace imprint::brski {
namespace {

using testing::CloudDesk;
using testing::CoapDesk;
using testing::players;
using testing::PledgeDesk;
using testing::uri;

// ---- power cuts ----

template <class Desk>
void expect_cuts_survived(const std::string& voucher, const std::string& report) {
  std::size_t cuts = 0, behind_voucher = 0;
  for (std::size_t at = 0; at < 200; ++at) {
    Desk d;
    if (!d.run_until_cut(at)) {
      break;
    }
    ++cuts;
    const bool imprinted_before = d.imprinted.has_value();
    const bool configured = d.imprinted && d.imprinted->configured;
    const std::size_t asked_before = d.requests_to(voucher).size();
    EXPECT_TRUE(!d.installed || d.imprinted) << at;
    behind_voucher += imprinted_before && !d.installed ? 1 : 0;
    d.run();
    if (configured) {
      EXPECT_EQ(d.rule(), "BRSKI-CONFIGURED") << at;
      continue;
    }
    ASSERT_TRUE(d.template is<Pledge::Configured>()) << at << " " << d.rule();
    EXPECT_EQ(d.requests_to(voucher).size() - asked_before, imprinted_before ? 0U : 1U) << at;
    EXPECT_FALSE(d.requests_to(report).empty()) << at << ": the report is a MUST";
    EXPECT_TRUE(d.imprinted->configured) << at;
    EXPECT_TRUE(d.sound) << at;
  }
  EXPECT_GT(cuts, 20U);
  EXPECT_GT(behind_voucher, 5U);
}

TEST(Pledge, a_power_cut_after_any_action_leaves_nothing_half) {
  expect_cuts_survived<PledgeDesk>("requestvoucher", "voucher_status");
}

TEST(ConstrainedPledge, a_power_cut_after_any_action_leaves_nothing_half) {
  expect_cuts_survived<CoapDesk>("/rv", "/vs");
}

TEST(Pledge, the_owner_is_on_record_before_anybody_hears_of_it) {
  PledgeDesk d;
  bool on_record = false;
  d.on_response = [&](Response&, const Request& q, const Uri&) {
    if (q.path.ends_with("voucher_status")) {
      on_record = d.imprinted.has_value() && !d.imprinted->configured;
    }
  };
  d.run();
  EXPECT_TRUE(on_record);
}

TEST(Pledge, a_configured_device_never_starts_again) {
  PledgeDesk d;
  d.run();
  const std::size_t opened = d.opened.size();
  d.run();
  EXPECT_EQ(d.rule(), "BRSKI-CONFIGURED");
  EXPECT_EQ(d.opened.size(), opened);
  PledgeDesk by_hand;  // a certificate that came in another way
  by_hand.installed = d.installed;
  by_hand.run();
  EXPECT_EQ(by_hand.rule(), "BRSKI-CONFIGURED");
}

// ---- a voucher on record, and no certificate ----

// What a device has that took its voucher from `first`, and then lost its power.
Imprinted on_record(PledgeDesk& first) {
  first.run();
  Imprinted out = first.imprinted.value();
  out.configured = false;
  return out;
}
Imprinted on_record(const std::function<void(Voucher&)>& change = {}, const est::Party& masa = players().masa) {
  PledgeDesk first;
  Imprinted out = on_record(first);
  if (change || masa.certificate != players().masa.certificate) {
    Voucher voucher = parse_artifact(out.voucher)->voucher;
    if (change) {
      change(voucher);
    }
    out.voucher = *sign_voucher(voucher, Form::cms, Signer{masa.key, {masa.certificate}});
  }
  return out;
}

TEST(Pledge, a_voucher_on_record_is_told_of_and_no_other_one_is_asked_for) {
  PledgeDesk d;
  d.imprinted = on_record();
  const Bytes voucher = d.imprinted->voucher;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.requests_to("requestvoucher").empty());
  EXPECT_EQ(d.states, (std::vector<std::string>{"Opening", "Telling", "Enrolling", "Enrolling", "Enrolling",
                                                "Enrolling", "Enrolling", "Returning", "Reporting", "Configured"}));
  EXPECT_EQ(d.opened.at(0).trust, Trust::provisional) << "it has to prove itself by the pin";
  ASSERT_EQ(d.requests_to("voucher_status").size(), 1U);
  EXPECT_EQ(d.requests_to("voucher_status").at(0).on.id, d.requests_to("simpleenroll").at(0).on.id);
  EXPECT_TRUE(d.told.at(0).status);
  EXPECT_EQ(d.imprinted->voucher, voucher);
  EXPECT_TRUE(d.imprinted->configured);
  EXPECT_TRUE(d.sound);
  const std::string anchor = est::anchor_belief(est::cast().owner.certificate);
  EXPECT_EQ(d.mind.strength(anchor), Strength::proved);
  EXPECT_EQ(d.mind.find(anchor)->evidence.because.back(), "identity");
}

TEST(ConstrainedPledge, a_voucher_on_record_is_told_of_and_no_other_one_is_asked_for) {
  CoapDesk first, d;
  d.imprinted = on_record(first);
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.paths(), (std::vector<std::string>{"/.well-known/brski/vs", "/.well-known/est/crts",
                                                 "/.well-known/est/sen", "/.well-known/brski/es"}));
}

// Of a voucher with both pins the device that asked with a key takes the key's: so it does later on.
TEST(ConstrainedPledge, a_voucher_on_record_pins_the_same_as_before) {
  const auto both = [](Voucher& v, const Voucher&) {
    v.pinned_domain_cert = players().other_domain.certificate.der;
    v.pinned_domain_pubk = players().registrar.certificate.key.spki;
  };
  CoapDesk first;
  first.on_voucher = both;
  PledgeDesk d;  // whichever form it would ask in today
  d.plan.voucher_anchors = first.plan.voucher_anchors;
  d.imprinted = on_record(first);
  d.imprinted->registrar = d.plan.registrars.at(0);
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.requests_to("requestvoucher").empty());
}

TEST(Pledge, goes_back_to_where_its_voucher_came_from_before_anybody_else) {
  PledgeDesk d;
  d.imprinted = on_record();
  d.plan.registrars = {uri("https://a.example"), uri("https://b.example")};
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.opened.at(0).to, uri("https://registrar.example:8443"));
  CloudDesk sent;  // its maker had sent it there
  sent.imprinted = on_record();
  sent.run();
  ASSERT_TRUE(sent.is<Pledge::Configured>()) << sent.rule();
  EXPECT_EQ(sent.opened.at(0).to, uri("https://registrar.example:8443"));
  EXPECT_TRUE(sent.requests_to("requestvoucher").empty());
}

TEST(Pledge, of_those_that_are_heard_whoever_leads_to_the_pin_is_told) {
  PledgeDesk d;
  d.imprinted = on_record();
  d.plan.heard = true;
  d.plan.registrars = {uri("https://[fe80::2%25eth0]:4443")};
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.opened.at(0).to, d.plan.registrars.at(0)) << "this attempt is for that one";
  EXPECT_EQ(d.imprinted->registrar, d.plan.registrars.at(0));
  EXPECT_TRUE(d.requests_to("requestvoucher").empty());
}

TEST(Pledge, an_owner_that_has_moved_is_known_by_the_pin_and_no_round_is_lost) {
  PledgeDesk d;
  d.imprinted = on_record();
  d.plan.registrars = {uri("https://registrar.example:9443")};
  d.plan.rounds = 1;
  d.lose_connections = 1;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.requests_to("requestvoucher").empty());
  EXPECT_EQ(d.imprinted->registrar, d.plan.registrars.at(0)) << "where the last report goes";
  EXPECT_EQ(d.opened.back().to, d.plan.registrars.at(0));
}

TEST(Pledge, who_is_another_than_the_voucher_on_record_pins_is_told_nothing_and_asked_for_a_new_one) {
  PledgeDesk d;
  d.imprinted = on_record();
  d.chain = {players().other_domain.certificate};
  d.on_voucher = [](Voucher& v, const Voucher&) { v.pinned_domain_cert = players().other_domain.certificate.der; };
  d.owner.config.labels[""].ca_certificates = encode_certs_only({players().other_domain.certificate.der});
  d.owner.issuer = players().other_domain;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.requests.at(0).what.path.ends_with("requestvoucher"));
  EXPECT_EQ(d.imprinted->pinned, players().other_domain.certificate);
  EXPECT_FALSE(d.mind.find(est::anchor_belief(est::cast().owner.certificate)));
  EXPECT_TRUE(d.sound);
}

TEST(Pledge, a_voucher_on_record_is_judged_anew) {
  const auto change = [](const std::function<void(Voucher&)>& how) {
    return [how](PledgeDesk& d) { d.imprinted = on_record(how); };
  };
  const std::vector<std::pair<std::string, std::function<void(PledgeDesk&)>>> bad{
      {"damaged", [](PledgeDesk& d) { d.imprinted->voucher.at(d.imprinted->voucher.size() - 3) ^= 1U; }},
      {"no voucher", [](PledgeDesk& d) { d.imprinted->voucher = to_bytes(std::string_view("{}")); }},
      {"of another device", change([](Voucher& v) { v.serial_number = "LAMP-2"; })},
      {"over", change([](Voucher& v) {
         v.nonce.reset();
         v.expires_on = DateTime::of(est::kStart - est::kDay);
       })},
      {"by nobody", [](PledgeDesk& d) { d.imprinted = on_record({}, players().stranger); }},
      {"no longer good enough", [](PledgeDesk& d) {
         d.plan.assertions = {Assertion::verified};
         d.on_voucher = [](Voucher& v, const Voucher&) { v.assertion = Assertion::verified; };
       }}};
  for (const auto& [name, how] : bad) {
    PledgeDesk d;
    d.imprinted = on_record();
    how(d);
    d.run();
    ASSERT_TRUE(d.is<Pledge::Configured>()) << name << " " << d.rule();
    EXPECT_TRUE(d.requests.at(0).what.path.ends_with("requestvoucher")) << name;
    EXPECT_TRUE(d.sound) << name;
  }
}

// Its registrar may have lost what it knew, and the maker may have another owner by now.
TEST(Pledge, a_voucher_on_record_by_which_nothing_comes_is_tried_once) {
  PledgeDesk d;
  d.imprinted = on_record();
  const Bytes before = d.imprinted->voucher;
  d.plan.rounds = 1;
  d.on_response = [&d](Response& r, const Request& q, const Uri&) {
    if (q.path.ends_with("simpleenroll") && d.requests_to("requestvoucher").empty()) {
      r = {403, "text/plain", to_bytes(std::string_view("no\n"))};
    }
  };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.requests_to("requestvoucher").size(), 1U);
  EXPECT_NE(d.imprinted->voucher, before);
  EXPECT_TRUE(d.sound);
}

TEST(Pledge, a_newer_voucher_takes_the_place_of_the_one_on_record) {
  PledgeDesk d;
  d.imprinted = on_record();
  d.plan.heard = true;
  d.plan.registrars = {uri("https://other.example"), uri("https://registrar.example")};
  d.plan.rounds = 1;
  d.on_session = [](Session& s, const Uri& at) {
    if (at.host == "other.example") {
      s.presented = {players().other_domain.certificate};
    }
  };
  unsigned vouchers = 0;
  d.on_voucher = [&vouchers](Voucher& v, const Voucher&) {
    if (++vouchers == 1) {
      v.pinned_domain_cert = players().other_domain.certificate.der;
    }
  };
  d.on_response = [](Response& r, const Request& q, const Uri& at) {
    if (q.path.ends_with("cacerts") && at.host == "other.example") {
      r = {403};
    }
  };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.requests_to("requestvoucher").size(), 2U) << "that of before counts no longer";
  EXPECT_TRUE(d.sound);
}

TEST(Pledge, a_voucher_of_the_cloud_on_record_is_told_there_and_its_est_server_is_asked) {
  const auto est_there = [](Voucher& v, const Voucher&) { v.est_domain = "https://registrar.example:9443"; };
  CloudDesk first, d;
  first.on_voucher = est_there;
  d.imprinted = on_record(first);
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.requests_to("requestvoucher").empty());
  EXPECT_EQ(d.opened.at(0).to.host, "cloud.example");
  EXPECT_EQ(d.opened.at(0).trust, Trust::anchors);
  EXPECT_EQ(d.requests_to("voucher_status").at(0).to.host, "cloud.example");
  EXPECT_EQ(d.opened.at(1).to, uri("https://registrar.example:9443"));
  EXPECT_TRUE(d.sound);
  // The device that is told of registrars alone has none who could be told.
  PledgeDesk e;
  e.imprinted = on_record(first);
  e.run();
  EXPECT_EQ(e.opened.at(0).trust, Trust::provisional);
}

TEST(Pledge, a_second_cut_on_its_way_back_leaves_nothing_half_either) {
  const Imprinted owner = on_record();
  std::size_t cuts = 0;
  for (std::size_t at = 0; at < 100; ++at) {
    PledgeDesk d;
    d.imprinted = owner;
    if (!d.run_until_cut(at)) {
      break;
    }
    ++cuts;
    const bool configured = d.imprinted->configured;
    d.run();
    EXPECT_EQ(d.is<Pledge::Configured>(), !configured) << at << " " << d.rule();
    EXPECT_TRUE(d.requests_to("requestvoucher").empty()) << at;
    EXPECT_TRUE(d.sound) << at;
  }
  EXPECT_GT(cuts, 15U);
}

}  // namespace
}  // namespace imprint::brski
