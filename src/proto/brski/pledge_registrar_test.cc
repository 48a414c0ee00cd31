// Whom the pledge tries, and where they send it (RFC 8995 sections 4.1 and 5.6).
#include <gtest/gtest.h>

#include <algorithm>

#include "proto/brski/pledge_desks.h"

namespace imprint::brski {
namespace {

using testing::CloudDesk;
using testing::players;
using testing::PledgeDesk;
using testing::redirect;
using testing::sent_request;
using testing::uri;

// ---- whoever answers ----

TEST(Pledge, tries_every_address_and_then_all_again) {
  PledgeDesk d;
  d.plan.registrars = {uri("https://a.example"), uri("https://b.example"), uri("https://registrar.example")};
  d.lose_connections = 4;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>());
  std::vector<std::string> hosts;
  for (const Open& o : d.opened) {
    hosts.push_back(o.to.host);
  }
  EXPECT_EQ(hosts, (std::vector<std::string>{"a.example", "b.example", "registrar.example", "a.example", "b.example",
                                             "b.example"}));
  EXPECT_EQ(d.rests.size(), 1U);
}

TEST(Pledge, gives_up_after_so_many_rounds) {
  PledgeDesk d;
  d.plan.rounds = 3;
  d.lose_connections = 99;
  d.run();
  EXPECT_EQ(d.rule(), "BRSKI-NO-REGISTRAR");
  EXPECT_EQ(d.opened.size(), 3U);
}

TEST(Pledge, a_registrar_in_trouble_has_not_refused_it) {
  for (const auto& [status, rule] :
       {std::pair(504, "BRSKI-NOT-NOW"), std::pair(500, "BRSKI-NOT-NOW"), std::pair(499, "BRSKI-REFUSED")}) {
    PledgeDesk d;
    d.plan.rounds = 2;
    d.on_response = [status = status](Response& r, const Request& q, const Uri&) {
      if (q.path.ends_with("requestvoucher")) {
        r = Response{status};
      }
    };
    d.run();
    EXPECT_EQ(d.rule(), rule) << status;
    EXPECT_EQ(d.opened.size(), 2U) << "and comes again";
  }
}

TEST(Pledge, every_attempt_has_a_nonce_of_its_own) {
  PledgeDesk d;
  d.plan.registrars = {uri("https://registrar.example"), uri("https://registrar.example:2")};
  d.plan.rounds = 2;
  d.on_response = [](Response& r, const Request& q, const Uri&) {
    if (q.path.ends_with("requestvoucher")) {
      r = {404};
    }
  };
  d.run();
  EXPECT_EQ(d.rule(), "BRSKI-REFUSED");
  std::set<std::string> nonces;
  for (std::size_t i = 0; i < 4; ++i) {
    nonces.insert(std::get<std::string>(*sent_request(d, i).nonce));
  }
  EXPECT_EQ(nonces.size(), 4U);
}

TEST(Pledge, no_certificate_in_the_handshake_is_no_registrar) {
  PledgeDesk d;
  d.plan.rounds = 1;
  d.on_session = [](Session& s, const Uri&) { s.presented.clear(); };
  d.run();
  EXPECT_EQ(d.rule(), "BRSKI-NO-CERTIFICATE");
  EXPECT_TRUE(d.requests.empty());
}

// ---- 202 ----

TEST(Pledge, told_to_wait_it_sends_the_very_same_request_again) {
  PledgeDesk d;
  d.waits = 2;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>());
  const auto sent = d.requests_to("requestvoucher");
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[0].what.body, sent[1].what.body);
  EXPECT_EQ(sent[0].what.body, sent[2].what.body);
  EXPECT_EQ(d.rests, (std::vector<Duration>{std::chrono::seconds(5), std::chrono::seconds(5)}));
  EXPECT_EQ(d.opened.size(), 2U);
}

// Who says 202 for ever at this host; it asks to come again in so many seconds.
void stall(PledgeDesk& d, const std::string& host, unsigned seconds = 30) {
  d.on_response = [host, seconds](Response& r, const Request& q, const Uri& at) {
    if (q.path.ends_with("requestvoucher") && at.host == host) {
      r = Response{202, "text/plain", {}, seconds};
    }
  };
}

TEST(Pledge, who_tells_it_to_wait_does_not_keep_it_from_others) {
  PledgeDesk d;
  d.plan.registrars = {uri("https://liar.example"), uri("https://registrar.example")};
  stall(d, "liar.example");
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.requests_to("requestvoucher").size(), 2U);
  EXPECT_TRUE(d.rests.empty());
}

TEST(Pledge, where_it_has_to_wait_the_very_same_request_is_sent_again) {
  PledgeDesk d;
  d.plan.registrars = {uri("https://liar.example"), uri("https://registrar.example"), uri("https://silent.example")};
  stall(d, "liar.example", 7);
  d.lose_connections = 0;
  unsigned waits = 2;
  const auto lies = d.on_response;
  d.on_response = [&, lies](Response& r, const Request& q, const Uri& at) {
    lies(r, q, at);
    if (q.path.ends_with("requestvoucher") && at.host == "registrar.example" && waits > 0) {
      waits -= 1;
      r = Response{202, "text/plain", {}, 5};
    } else if (at.host == "silent.example") {
      r = {404};
    }
  };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  std::map<std::string, std::set<Bytes>> bodies;
  std::map<std::string, unsigned> times;
  for (const auto& sent : d.requests_to("requestvoucher")) {
    bodies[sent.to.host].insert(sent.what.body);
    times[sent.to.host] += 1;
  }
  EXPECT_EQ(bodies["liar.example"].size(), 1U);
  EXPECT_EQ(bodies["registrar.example"].size(), 1U);
  EXPECT_EQ(times["registrar.example"], 3U);
  EXPECT_EQ(bodies["silent.example"].size(), times["silent.example"]) << "who refused is asked anew";
  EXPECT_GE(times["silent.example"], 3U) << "after rests of its own";
  EXPECT_LE(times["silent.example"], 5U) << "ever more slowly";
  EXPECT_TRUE(d.sound);
}

TEST(Pledge, the_patience_with_one_address_is_not_used_up_by_another) {
  PledgeDesk d;
  d.plan.registrars = {uri("https://liar.example"), uri("https://registrar.example")};
  d.plan.polls = 3;
  stall(d, "liar.example", 1);
  unsigned waits = 3;
  const auto lies = d.on_response;
  d.on_response = [&, lies](Response& r, const Request& q, const Uri& at) {
    lies(r, q, at);
    if (q.path.ends_with("requestvoucher") && at.host == "registrar.example" && waits > 0) {
      waits -= 1;
      r = Response{202, "text/plain", {}, 20};
    }
  };
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(waits, 0U);
}

TEST(Pledge, a_clock_that_is_set_back_keeps_it_from_nobody) {
  for (const std::int64_t back_s : {5, 1800}) {
    PledgeDesk d;
    d.plan.registrars = {uri("https://silent.example"), uri("https://registrar.example"), uri("https://mute.example")};
    d.plan.trusts_clock = false;
    unsigned waits = 1;
    d.on_response = [&](Response& r, const Request& q, const Uri& at) {
      if (at.host != "registrar.example") {
        r = {404};
        d.clock_is_off = at.host == "mute.example" ? Duration(-back_s * 1000) : d.clock_is_off;
      } else if (q.path.ends_with("requestvoucher") && waits > 0) {
        waits -= 1;
        r = Response{202, "text/plain", {}, 20};
      }
    };
    d.run();
    EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
    Duration rested{};
    for (const Duration one : d.rests) {
      rested += one;
    }
    EXPECT_LE(rested, std::chrono::seconds(70)) << back_s;
  }
}

TEST(Pledge, waits_at_most_a_minute_whatever_it_is_told) {
  Response r{202};
  EXPECT_EQ(wait_after(r), std::chrono::seconds(60));
  r.retry_after_s = 86400;
  EXPECT_EQ(wait_after(r), std::chrono::seconds(60));
  r.retry_after_s = 0;
  EXPECT_EQ(wait_after(r), std::chrono::seconds(1));
}

TEST(Pledge, a_connection_that_ends_while_it_waits_is_opened_again_for_the_same_request) {
  PledgeDesk d;
  d.waits = 1;
  d.break_while_waiting = true;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>());
  const auto sent = d.requests_to("requestvoucher");
  EXPECT_EQ(sent.at(0).what.body, sent.at(1).what.body);
  EXPECT_NE(sent.at(0).on.id, sent.at(1).on.id);
}

TEST(Pledge, a_send_behind_a_wait_that_fails_is_made_again_on_a_new_connection_and_fails_no_round) {
  PledgeDesk d;
  d.plan.rounds = 1;
  d.waits = 20;  // more than the hops of a cloud, too: to come again is none
  d.break_behind_waiting = true;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  const auto sent = d.requests_to("requestvoucher");
  ASSERT_EQ(sent.size(), 21U);
  EXPECT_EQ(sent.front().what.body, sent.back().what.body);
  EXPECT_NE(sent.at(0).on.id, sent.at(1).on.id);
  EXPECT_EQ(std::ranges::count(d.states, "Resting"), 0);
}

TEST(Pledge, a_send_that_fails_on_a_new_connection_is_a_failure) {
  PledgeDesk d;
  d.plan.rounds = 1;
  d.waits = 1;
  d.break_behind_waiting = true;
  d.on_response = [&d](Response& r, const Request&, const Uri&) { d.lose_answers["requestvoucher"] = r.status == 200; };
  d.run();
  EXPECT_EQ(d.rule(), "BRSKI-NO-REGISTRAR");
  EXPECT_EQ(d.opened.size(), 2U);
}

TEST(Pledge, the_makers_cloud_may_redirect_behind_any_number_of_waits) {
  PledgeDesk d;
  d.plan.registrars.clear();
  d.plan.cloud = *Uri::parse("https://cloud.example");
  d.plan.cloud_anchors = {players().cloud_root.certificate};
  d.plan.rounds = 1;
  d.waits = 20;
  d.break_while_waiting = true;
  d.on_response = [](Response& r, const Request& q, const Uri& at) {
    if (at.host == "cloud.example" && q.path.ends_with("requestvoucher") && r.status == 200) {
      r = {307};
      r.location = "https://registrar.example:8443";
    }
  };
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
}

TEST(Pledge, another_registrar_after_the_wait_gets_a_request_of_its_own) {
  PledgeDesk d;
  d.waits = 1;
  d.break_while_waiting = true;
  unsigned opened = 0;
  d.on_session = [&opened](Session& s, const Uri&) {
    if (++opened == 2) {
      s.presented.front() = players().other_registrar.certificate;
    }
  };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_NE(std::get<std::string>(*sent_request(d, 0).nonce), std::get<std::string>(*sent_request(d, 1).nonce));
  EXPECT_EQ(sent_request(d, 1).proximity_registrar_cert, players().other_registrar.certificate.der);
}

TEST(Pledge, waits_for_four_days_and_not_for_ever) {
  PledgeDesk d;
  d.plan.polls = 3;
  d.plan.rounds = 1;
  d.waits = 99;
  d.run();
  EXPECT_EQ(d.rule(), "BRSKI-WAITED");
  EXPECT_EQ(d.requests_to("requestvoucher").size(), 4U);
}

// ---- redirects ----

TEST(Pledge, follows_one_redirect_with_a_new_nonce) {
  PledgeDesk d;
  d.plan.registrars = {uri("https://first.example")};
  redirect(d, {{"first.example", "https://registrar.example/.well-known/brski/requestvoucher"}});
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_NE(std::get<std::string>(*sent_request(d, 0).nonce), std::get<std::string>(*sent_request(d, 1).nonce));
  EXPECT_EQ(d.requests_to("requestvoucher").at(1).what.path, "/.well-known/brski/requestvoucher");
}

TEST(Pledge, follows_no_second_redirect_no_circle_and_none_without_tls) {
  for (const auto& [to, rounds] : std::map<std::string, std::size_t>{
           {"https://second.example", 2}, {"https://first.example", 1}, {"http://registrar.example", 1}, {"", 1}}) {
    PledgeDesk d;
    d.plan.registrars = {uri("https://first.example")};
    d.plan.rounds = 1;
    redirect(d, {{"first.example", to}, {"second.example", "https://registrar.example"}});
    d.run();
    EXPECT_EQ(d.rule(), "BRSKI-REDIRECT") << to;
    EXPECT_EQ(d.opened.size(), rounds) << to;
  }
}

// ---- the maker's cloud ----

TEST(Pledge, the_makers_cloud_sends_it_to_its_owner) {
  CloudDesk d;
  redirect(d, {{"cloud.example", "https://registrar.example:8443"}});
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.opened.at(0).trust, Trust::anchors);
  EXPECT_EQ(d.opened.at(1).trust, Trust::provisional);
  EXPECT_EQ(d.imprinted->registrar.host, "registrar.example");
  EXPECT_TRUE(d.sound);
}

TEST(Pledge, the_cloud_has_to_be_whom_the_web_says_it_is) {
  CloudDesk strange;
  strange.cloud_chain = {players().other_domain.certificate};
  strange.run();
  EXPECT_EQ(strange.rule(), "BRSKI-NO-REGISTRAR");
  CloudDesk other_name;
  other_name.plan.cloud = uri("https://cloud.example");
  other_name.cloud_chain = {
      est::make_below(players().cloud_root, "CN=x", est::for_host("dns:else.example")).certificate};
  other_name.run();
  EXPECT_EQ(other_name.rule(), "BRSKI-CLOUD");
  EXPECT_TRUE(other_name.requests.empty());
}

TEST(Pledge, a_voucher_of_the_cloud_names_the_owners_est_server) {
  CloudDesk d;
  d.on_voucher = [](Voucher& v, const Voucher&) { v.est_domain = "https://registrar.example:9443"; };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.opened.at(1).to.host, "registrar.example");
  EXPECT_EQ(d.opened.at(1).trust, Trust::anchors);
  EXPECT_EQ(d.opened.at(1).anchors, std::vector{est::cast().owner.certificate});
  EXPECT_TRUE(d.sound);
}

TEST(Pledge, an_est_domain_without_tls_or_without_a_certificate_to_know_it_by_is_refused) {
  CloudDesk plain;
  plain.on_voucher = [](Voucher& v, const Voucher&) { v.est_domain = "http://registrar.example"; };
  plain.run();
  EXPECT_EQ(plain.rule(), "BRSKI-REDIRECT");
  CloudDesk key;
  key.on_voucher = [](Voucher& v, const Voucher&) {
    v.est_domain = "https://registrar.example";
    v.pinned_domain_cert.reset();
    v.pinned_domain_pubk = players().registrar.certificate.key.spki;
  };
  key.run();
  EXPECT_EQ(key.rule(), "BRSKI-VOUCHER-PIN");
}

TEST(Pledge, a_registrar_on_the_link_has_no_say_about_another_est_server) {
  PledgeDesk d;
  d.on_voucher = [](Voucher& v, const Voucher&) { v.est_domain = "https://elsewhere.example"; };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>());
  EXPECT_EQ(d.imprinted->registrar.host, "registrar.example");
}

}  // namespace
}  // namespace imprint::brski
