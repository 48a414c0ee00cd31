// From the voucher to the owner's certificate (RFC 8995 sections 5.7 and 5.9).
#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/cms.h"
#include "proto/brski/pledge_desks.h"
#include "proto/brski/pledge_steps.h"

namespace imprint::brski {
namespace {

using testing::players;
using testing::PledgeDesk;

// ---- the enrolment behind it ----

TEST(Pledge, a_lost_connection_in_the_enrolment_is_opened_again_by_the_pin) {
  for (const std::string end : {"cacerts", "csrattrs", "simpleenroll"}) {
    PledgeDesk d;
    d.lose_answers[end] = 1;
    d.run();
    ASSERT_TRUE(d.is<Pledge::Configured>()) << end << " " << d.rule();
    EXPECT_EQ(d.requests_to("requestvoucher").size(), 1U) << end;
    EXPECT_EQ(d.opened.at(1).trust, Trust::anchors) << end;
    EXPECT_EQ(d.opened.at(1).as->key_id, "idevid") << end;
  }
}

// RFC 8995 section 5.9: EST goes on over the same connection if it can; fountain ends it behind every answer.
TEST(Pledge, a_registrar_that_ends_every_connection_is_known_again_by_the_pin) {
  for (const bool pins_registrar : {false, true}) {
    PledgeDesk d;
    d.closes = true;
    if (pins_registrar) {  // of another name, and no registration authority by its usages
      d.chain = {players().other_domain.certificate};
      d.on_voucher = [](Voucher& v, const Voucher&) { v.pinned_domain_cert = players().other_domain.certificate.der; };
    }
    d.run();
    ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
    ASSERT_GE(d.told.size(), 2U);
    EXPECT_TRUE(d.told.front().status && d.told.back().status) << "the report is a MUST, on whichever connection";
    EXPECT_EQ(d.requests_to("requestvoucher").size(), 1U);
    EXPECT_EQ(d.requests_to("cacerts").size(), 1U);
    EXPECT_EQ(d.requests_to("simpleenroll").size(), 1U);
    for (std::size_t i = 1; i + 1 < d.opened.size(); ++i) {  // but for the first and the last
      EXPECT_EQ(d.opened[i].trust, Trust::anchors);
      EXPECT_EQ(d.opened[i].as->key_id, "idevid");
      EXPECT_NE(std::ranges::find(d.opened[i].anchors, d.imprinted->pinned), d.opened[i].anchors.end());
    }
    EXPECT_TRUE(d.sound);
  }
}

TEST(Pledge, who_is_another_on_the_second_connection_is_told_nothing) {
  PledgeDesk d;
  d.closes = true;
  d.plan.rounds = 1;
  d.plan.enrolment.attempts = 2;
  d.on_session = [](Session& session, const Uri&) {
    if (session.trust == Trust::anchors) {
      session.proven.reset();
    }
  };
  d.run();
  EXPECT_TRUE(d.is<Pledge::Failed>());
  EXPECT_TRUE(d.requests_to("voucher_status").empty()) << "the first found the connection over";
  EXPECT_TRUE(d.requests_to("cacerts").empty());
  // A device below the pinned CA is no registrar.
  PledgeDesk e;
  e.closes = true;
  e.plan.rounds = 1;
  e.on_session = [](Session& session, const Uri&) {
    if (session.trust == Trust::anchors) {
      session.presented = {est::cast().server.certificate, est::cast().owner.certificate};
    }
  };
  e.run();
  EXPECT_TRUE(e.requests_to("voucher_status").empty());
}

// It has a certificate of the pinned CA's for the address that it is reached at, as any device may have.
const est::Party& neighbour() {
  static const est::Party kNeighbour = est::make_below(
      est::cast().owner, "CN=lamp-7", est::for_host("dns:registrar.example", {std::string(eku::kServerAuth)}));
  return kNeighbour;
}

// From the answer to this on, which never arrives, somebody else is there.
void taken_over(PledgeDesk& d, const std::string& end, std::vector<Certificate> by) {
  d.lose_answers[end] = 1;
  d.on_response = [&d, end, by = std::move(by)](Response&, const Request& q, const Uri&) {
    if (q.path.ends_with(end)) {
      d.chain = by;
    }
  };
}

bool heard(const PledgeDesk& d, const Certificate& who) {
  return std::ranges::any_of(d.requests, [&](const auto& sent) { return sent.on.presented.front() == who; });
}

// A join proxy of the domain lets the device get its voucher, and ends TLS itself from then on.
TEST(Pledge, a_device_of_the_domain_never_becomes_its_est_server) {
  for (const std::string end : {"voucher_status", "cacerts", "csrattrs", "simpleenroll"}) {
    for (const bool changes : {false, true}) {
      PledgeDesk d;
      d.plan.rounds = 1;
      d.plan.registrar_changes = changes;
      taken_over(d, end, {neighbour().certificate, est::cast().owner.certificate});
      d.run();
      EXPECT_EQ(d.rule(), "EST-SERVER-VOUCHED") << end;
      EXPECT_FALSE(heard(d, neighbour().certificate)) << end;
      EXPECT_FALSE(d.installed) << end;
      EXPECT_FALSE(d.mind.find(est::anchor_belief(est::cast().owner.certificate))) << end;
      EXPECT_TRUE(d.sound) << end;
    }
  }
}

TEST(Pledge, a_device_of_the_domain_never_gets_the_last_report) {
  PledgeDesk d;
  d.plan.rounds = 2;
  taken_over(d, "simpleenroll", {neighbour().certificate, est::cast().owner.certificate});
  d.lose_answers.clear();
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.requests_to("enrollstatus").empty());
  EXPECT_EQ(d.opened.size(), 3U) << "it is tried as often as it may fail";
  EXPECT_FALSE(heard(d, neighbour().certificate));
  // Nor does who has shown no way to the owner.
  PledgeDesk e;
  e.plan.rounds = 1;
  e.on_session = [&e](Session& session, const Uri&) {
    if (e.installed) {
      session.proven.reset();
    }
  };
  e.run();
  EXPECT_TRUE(e.requests_to("enrollstatus").empty());
}

// RFC 8995 section 5: "They MUST check each subsequent connection for the same certificates".
TEST(Pledge, until_cacerts_is_there_the_registrar_shows_the_same_certificate) {
  const std::vector<Certificate> other{players().other_registrar.certificate, est::cast().owner.certificate};
  for (const std::string end : {"voucher_status", "cacerts"}) {
    PledgeDesk d;
    d.plan.rounds = 1;
    taken_over(d, end, other);
    d.run();
    EXPECT_EQ(d.rule(), "EST-SERVER-CHANGED") << end;
    EXPECT_FALSE(heard(d, other.front())) << end;
    PledgeDesk e;  // whose several registrars share an address
    e.plan.rounds = 1;
    e.plan.registrar_changes = true;
    taken_over(e, end, other);
    e.run();
    EXPECT_TRUE(e.is<Pledge::Configured>()) << end << " " << e.rule();
  }
  PledgeDesk later;
  taken_over(later, "simpleenroll", other);
  later.run();
  EXPECT_TRUE(later.is<Pledge::Configured>()) << "the owner's own anchors tell who is a registrar: " << later.rule();
}

TEST(Pledge, a_registrar_may_send_on_to_an_est_server_of_that_name) {
  PledgeDesk d;
  d.on_response = [&d](Response& r, const Request& q, const Uri& at) {
    if (q.path.ends_with("cacerts") && at.host == "registrar.example") {
      r = {302};
      r.location = "https://est.example/.well-known/est/cacerts";
      d.chain = {est::cast().server.certificate, est::cast().owner.certificate};
    } else if (q.path.ends_with("simpleenroll")) {
      d.chain = {players().registrar.certificate, est::cast().owner.certificate};
    }
  };
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.requests_to("simpleenroll").at(0).to.host, "est.example");
}

// RFC 8995 section 2.6.1: the device has no clock that counts, and its registrar a certificate of today.
TEST(Pledge, without_a_clock_it_gets_to_the_end) {
  PledgeDesk d;
  d.clock_is_off = Duration(-25 * 365 * est::kDay);
  d.closes = true;
  d.run();
  EXPECT_TRUE(d.is<Pledge::Failed>()) << "nothing is good yet";
  PledgeDesk e;
  e.clock_is_off = d.clock_is_off;
  e.closes = true;
  e.plan.trusts_clock = false;
  e.run();
  ASSERT_TRUE(e.is<Pledge::Configured>()) << e.rule();
  EXPECT_TRUE(std::ranges::none_of(e.opened,
                                   [](const Open& open) { return open.trust == Trust::anchors && open.judges_time; }));
  EXPECT_TRUE(std::ranges::all_of(d.opened, &Open::judges_time));
}

TEST(Pledge, an_enrolment_that_always_fails_comes_to_an_end_and_ever_more_slowly) {
  PledgeDesk d;
  d.plan.rounds = 5;
  d.on_response = [](Response& r, const Request& q, const Uri&) {
    if (q.path.ends_with("simpleenroll")) {
      r = {403};
    }
  };
  d.run();
  EXPECT_EQ(d.rule(), "EST-REFUSED");
  EXPECT_EQ(d.requests_to("requestvoucher").size(), 5U);
  ASSERT_EQ(d.rests.size(), 4U);
  for (std::size_t i = 1; i < d.rests.size(); ++i) {
    EXPECT_GT(d.rests[i], d.rests[i - 1] * 5 / 4) << i;
  }
}

TEST(Pledge, rests_twice_as_long_each_time_and_at_most_an_hour) {
  EXPECT_EQ(steps::rest_after(0, 0), std::chrono::seconds(1));
  EXPECT_EQ(steps::rest_after(1, 0), std::chrono::seconds(1));
  EXPECT_EQ(steps::rest_after(3, 0), std::chrono::seconds(4));
  EXPECT_EQ(steps::rest_after(3, 255), std::chrono::seconds(3));
  EXPECT_EQ(steps::rest_after(99, 0), std::chrono::hours(1));
}

TEST(Pledge, a_report_is_tried_on_one_more_connection_and_no_further) {
  PledgeDesk d;
  d.lose_answers["voucher_status"] = 5;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.requests_to("voucher_status").size(), 2U);
}

TEST(Pledge, an_enrolment_that_fails_is_told_on_the_connection_and_nothing_of_the_owner_is_believed) {
  PledgeDesk d;
  d.plan.rounds = 1;
  d.on_response = [](Response& r, const Request& q, const Uri&) {
    if (q.path.ends_with("simpleenroll")) {
      r = {403, "text/plain", to_bytes(std::string_view("no\n"))};
    }
  };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Failed>());
  EXPECT_EQ(d.rule(), "EST-REFUSED");
  ASSERT_EQ(d.told.size(), 2U);
  EXPECT_TRUE(d.told[0].status);
  EXPECT_FALSE(d.told[1].status);
  EXPECT_EQ(d.requests.back().what.path, "/.well-known/brski/enrollstatus");
  EXPECT_EQ(d.requests.back().on.id, d.requests.front().on.id);
  EXPECT_FALSE(d.mind.find(est::anchor_belief(est::cast().owner.certificate)));
  EXPECT_TRUE(d.sound);
}

TEST(Pledge, a_key_made_for_one_domain_is_not_shown_to_another) {
  PledgeDesk d;
  d.lose_answers["simpleenroll"] = 99;
  d.plan.enrolment.attempts = 2;
  d.plan.rounds = 1;
  d.run();
  ASSERT_TRUE(d.asked);
  const PublicKey before = d.asked->key.key;
  d.lose_answers.clear();
  d.chain = {players().other_domain.certificate};
  d.on_voucher = [](Voucher& v, const Voucher&) { v.pinned_domain_cert = players().other_domain.certificate.der; };
  d.owner.config.labels[""].ca_certificates = encode_certs_only({players().other_domain.certificate.der});
  d.owner.issuer = players().other_domain;
  d.run();
  ASSERT_FALSE(d.requests_to("simpleenroll").empty());
  EXPECT_NE(d.asked ? d.asked->key.key : d.installed->key.key, before);
}

TEST(Pledge, whatever_the_registrar_says_to_the_report_the_device_is_configured) {
  PledgeDesk d;
  d.on_response = [](Response& r, const Request& q, const Uri&) {
    if (q.path.ends_with("status")) {
      r = {404};
    }
  };
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>());
}

TEST(Pledge, a_report_that_does_not_get_through_is_tried_again_and_then_left) {
  PledgeDesk d;
  d.lose_answers["enrollstatus"] = 1;
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>());
  EXPECT_EQ(d.requests_to("enrollstatus").size(), 2U);
  PledgeDesk never;
  never.lose_answers["enrollstatus"] = 99;
  never.plan.rounds = 3;
  never.run();
  EXPECT_TRUE(never.is<Pledge::Configured>());
  EXPECT_TRUE(never.imprinted->configured);
  EXPECT_EQ(never.requests_to("enrollstatus").size(), 3U);
}

}  // namespace
}  // namespace imprint::brski
