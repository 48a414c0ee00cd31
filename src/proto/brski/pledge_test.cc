// The device's side of RFC 8995, in conversations.
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/base64.h"
#include "crypto/cms.h"
#include "proto/brski/pledge_rules.h"
#include "proto/brski/pledge_testing.h"
#include "proto/brski/rules.h"

namespace imprint::brski {
namespace {

using testing::players;
using testing::PledgeDesk;

Uri uri(std::string_view text) { return *Uri::parse(text); }

Voucher sent_request(const PledgeDesk& d, std::size_t n = 0) {
  return parse_artifact(d.requests_to("requestvoucher").at(n).what.body)->voucher;
}

TEST(Pledge, goes_from_the_factory_to_its_owner_on_one_connection_and_comes_back_with_its_certificate) {
  PledgeDesk d;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.imprinted->configured);
  EXPECT_EQ(d.imprinted->pinned, est::cast().owner.certificate);
  EXPECT_EQ(d.installed->certificate.subject.text, "CN=lamp-1");
  ASSERT_EQ(d.opened.size(), 2U);
  EXPECT_EQ(d.opened[0].trust, Trust::provisional);
  EXPECT_EQ(d.opened[0].as->key_id, "idevid");
  EXPECT_EQ(d.opened[1].trust, Trust::anchors);
  EXPECT_EQ(d.opened[1].as->chain.front(), d.installed->certificate);
  std::vector<std::string> paths;
  for (const auto& sent : d.requests) {
    paths.push_back(sent.what.path.substr(sent.what.path.rfind('/') + 1));
  }
  EXPECT_EQ(paths, (std::vector<std::string>{"requestvoucher", "voucher_status", "cacerts", "csrattrs", "simpleenroll",
                                             "enrollstatus"}));
  ASSERT_EQ(d.told.size(), 2U);
  EXPECT_TRUE(d.told[0].status && d.told[1].status);
}

TEST(Pledge, believes_by_evidence_that_ends_in_its_factory) {
  PledgeDesk d;
  d.run();
  EXPECT_TRUE(d.sound);
  const std::string anchor = est::anchor_belief(est::cast().owner.certificate);
  EXPECT_EQ(d.mind.strength(anchor), Strength::proved);
  EXPECT_EQ(d.mind.strength("credential:default"), Strength::proved);
  const auto met =
      std::ranges::find_if(d.mind.held(), [](const BeliefChange& c) { return c.belief.id.starts_with("met:"); });
  ASSERT_NE(met, d.mind.held().end());
  EXPECT_EQ(met->strength, Strength::first_contact);
  EXPECT_EQ(d.mind.find(anchor)->evidence.because.back(), "identity");
}

// RFC 8995 section 4.1: what is heard is somebody's claim. It leads there, and is worth nothing else.
TEST(Pledge, remembers_what_was_announced_and_believes_none_of_it) {
  PledgeDesk d;
  d.plan.heard = true;
  const Uri tried = d.plan.registrars.at(0), other = uri("https://[fe80::2%25eth0]:4443");
  d.plan.announced = {{tried, "a flood of AN_Proxy", d.now + Duration(180000)}, {other, "DNS-SD", kNoEnd}};
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_TRUE(d.sound);
  for (const Announced& one : d.plan.announced) {
    const BeliefChange* const heard = d.mind.find("heard:" + one.at.text());
    ASSERT_NE(heard, nullptr) << one.at.text();
    EXPECT_EQ(heard->strength, Strength::asserted);
    EXPECT_EQ(heard->evidence.ground, Ground::claim);
    EXPECT_EQ(as_text(heard->evidence.bytes), one.by + ": " + one.at.text());
    EXPECT_EQ(heard->belief.until, one.until);
    for (const BeliefChange& each : d.mind.held()) {
      EXPECT_EQ(std::ranges::count(each.evidence.because, heard->belief.id), 0) << each.belief.id << " stands on it";
    }
  }
  EXPECT_EQ(d.mind.find("endpoint:" + tried.authority()), nullptr) << "nobody configured it";
}

TEST(Pledge, asks_with_a_signed_request_that_names_the_registrar_it_sees) {
  PledgeDesk d;
  d.run();
  const auto sent = d.requests_to("requestvoucher").at(0);
  EXPECT_EQ(sent.what.content_type, "application/voucher-cms+json");
  EXPECT_EQ(sent.what.accept, "application/voucher-cms+json");
  const auto artifact = parse_artifact(sent.what.body);
  ASSERT_TRUE(artifact);
  EXPECT_EQ(signers_of(*artifact).at(0), players().device.certificate);
  const Voucher& v = artifact->voucher;
  EXPECT_EQ(v.kind, Voucher::Kind::request);
  EXPECT_EQ(v.assertion, Assertion::proximity);
  EXPECT_EQ(v.serial_number, "LAMP-1");
  EXPECT_EQ(v.proximity_registrar_cert, players().registrar.certificate.der);
  EXPECT_EQ(parse_base64(std::get<std::string>(*v.nonce))->size(), 16U);
  EXPECT_TRUE(v.created_on);
}

TEST(Pledge, without_a_clock_says_no_time_and_judges_none) {
  PledgeDesk d;
  d.plan.trusts_clock = false;
  d.on_voucher = [](Voucher& v, const Voucher&) { v.created_on = DateTime::of(est::kStart + 90 * est::kDay); };
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_FALSE(sent_request(d).created_on);
}

TEST(Pledge, speaks_jws_and_cose_too) {
  for (const Form form : {Form::jws, Form::cose}) {
    PledgeDesk d;
    d.plan.form = form;
    d.run();
    EXPECT_TRUE(d.is<Pledge::Configured>()) << name(form) << " " << d.rule();
    EXPECT_EQ(sent_request(d).proximity_registrar_pubk.has_value(), form == Form::cose);
  }
}

// nqminds/brski: bodies in base64, and requests called vouchers.
TEST(Pledge, bodies_are_base64_only_where_it_is_told_to) {
  for (const bool quirk : {false, true}) {
    PledgeDesk d;
    d.plan.base64_bodies = quirk;
    d.plan.rounds = 1;
    d.on_response = [](Response& r, const Request& q, const Uri&) {
      if (q.path.ends_with("requestvoucher")) {
        r.body = to_bytes(base64(r.body));
      }
    };
    d.run();
    EXPECT_EQ(d.is<Pledge::Configured>(), quirk) << d.rule();
    EXPECT_EQ(form_of(d.requests_to("requestvoucher").at(0).what.body).has_value(), !quirk);
    EXPECT_EQ(d.imprinted.has_value() && parse_artifact(d.imprinted->voucher), quirk) << "as it was signed";
  }
}

TEST(Pledge, a_request_is_called_a_voucher_only_where_it_is_told_to) {
  for (const Form form : {Form::cms, Form::jws}) {
    for (const bool quirk : {false, true}) {
      PledgeDesk d;
      d.plan.form = form;
      d.plan.requests_named_voucher = quirk;
      d.run();
      EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
      const auto sent = parse_artifact(d.requests_to("requestvoucher").at(0).what.body);
      ASSERT_TRUE(sent);
      EXPECT_EQ(sent->voucher.kind, quirk ? Voucher::Kind::voucher : Voucher::Kind::request);
      EXPECT_EQ(as_text(sent->content).starts_with(quirk ? R"({"ietf-voucher:voucher")" : R"({"ietf-voucher-request)"),
                true);
    }
  }
}

// secsy-pki reads no number there.
TEST(Pledge, a_report_has_its_version_as_text_only_where_it_is_told_to) {
  for (const bool quirk : {false, true}) {
    PledgeDesk d;
    d.plan.version_as_text = quirk;
    d.run();
    EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
    for (const std::string_view end : {"voucher_status", "enrollstatus"}) {
      const std::string text(as_text(d.requests_to(end).at(0).what.body));
      EXPECT_EQ(text.find(R"("version":"1")") != std::string::npos, quirk) << text;
      EXPECT_EQ(text.find(R"("version":1)") != std::string::npos, !quirk) << text;
    }
  }
}

TEST(Pledge, takes_a_voucher_that_pins_the_registrar_itself) {
  PledgeDesk d;
  d.on_voucher = [](Voucher& v, const Voucher&) { v.pinned_domain_cert = players().registrar.certificate.der; };
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.imprinted->pinned, players().registrar.certificate);
  EXPECT_EQ(d.installed->anchors, std::vector{est::cast().owner.certificate});  // cacerts goes beyond the pin
}

TEST(Pledge, takes_a_voucher_without_a_nonce) {
  PledgeDesk d;
  d.on_voucher = [](Voucher& v, const Voucher&) {
    v.nonce.reset();
    v.expires_on = DateTime::of(est::kStart + est::kDay);
  };
  d.run();
  EXPECT_TRUE(d.is<Pledge::Configured>()) << d.rule();
}

// ---- vouchers that are none ----

struct Bad {
  std::string_view name, rule;
  std::function<void(PledgeDesk&)> how;
};

class BadVoucher : public ::testing::TestWithParam<Bad> {};

TEST_P(BadVoucher, is_refused_told_and_leaves_nothing) {
  PledgeDesk d;
  d.plan.rounds = 1;
  GetParam().how(d);
  d.run();
  ASSERT_TRUE(d.is<Pledge::Failed>());
  EXPECT_EQ(d.rule(), GetParam().rule);
  EXPECT_FALSE(d.imprinted);
  EXPECT_FALSE(d.installed);
  ASSERT_EQ(d.told.size(), 1U);
  EXPECT_FALSE(d.told[0].status);
  EXPECT_EQ(d.told[0].reason, GetParam().rule);
  EXPECT_FALSE(d.mind.find(est::anchor_belief(est::cast().owner.certificate)));
  EXPECT_TRUE(d.requests_to("cacerts").empty());
}

INSTANTIATE_TEST_SUITE_P(
    Pledge, BadVoucher,
    ::testing::Values(
        Bad{"nonce", "BRSKI-VOUCHER-NONCE",
            [](PledgeDesk& d) {
              d.on_voucher = [](Voucher& v, const Voucher&) { v.nonce = "AAAAAAAAAAAAAAAAAAAAAA=="; };
            }},
        Bad{"serial", "BRSKI-VOUCHER-SERIAL",
            [](PledgeDesk& d) { d.on_voucher = [](Voucher& v, const Voucher&) { v.serial_number = "LAMP-2"; }; }},
        Bad{"issuer", "BRSKI-VOUCHER-ISSUER",
            [](PledgeDesk& d) {
              d.on_voucher = [](Voucher& v, const Voucher&) { v.idevid_issuer = encode_idevid_issuer(Bytes(20, 7)); };
            }},
        Bad{"expired", "BRSKI-VOUCHER-EXPIRED",
            [](PledgeDesk& d) {
              d.on_voucher = [](Voucher& v, const Voucher&) {
                v.nonce.reset();
                v.expires_on = DateTime::of(est::kStart - est::kDay);
              };
            }},
        Bad{"no_pin", "BRSKI-VOUCHER-PIN",
            [](PledgeDesk& d) { d.on_voucher = [](Voucher& v, const Voucher&) { v.pinned_domain_cert.reset(); }; }},
        Bad{"other_domain", "BRSKI-REGISTRAR-PIN",
            [](PledgeDesk& d) {
              d.on_voucher = [](Voucher& v, const Voucher&) {
                v.pinned_domain_cert = players().other_domain.certificate.der;
              };
            }},
        Bad{"changed", "BRSKI-VOUCHER-SIGNATURE",
            [](PledgeDesk& d) { d.on_signed = [](Bytes& b) { b.at(b.size() - 3) ^= 1U; }; }},
        Bad{"strange_signer", "BRSKI-VOUCHER-SIGNER", [](PledgeDesk& d) { d.masa = players().stranger; }},
        Bad{"signed_by_registrar", "BRSKI-VOUCHER-SIGNER", [](PledgeDesk& d) { d.masa = players().registrar; }},
        Bad{"assertion", "BRSKI-VOUCHER-ASSERTION", [](PledgeDesk& d) { d.plan.assertions = {Assertion::verified}; }},
        Bad{"form", "BRSKI-FORM",
            [](PledgeDesk& d) { d.on_signed = [](Bytes& b) { b = to_bytes(std::string_view("{}")); }; }},
        Bad{"a_request_in_its_place", "BRSKI-VOUCHER-KIND",
            [](PledgeDesk& d) { d.on_voucher = [](Voucher& v, const Voucher&) { v.kind = Voucher::Kind::request; }; }}),
    [](const auto& of) { return std::string(of.param.name); });

TEST(Pledge, a_voucher_of_the_other_session_is_no_voucher_for_this_one) {
  PledgeDesk d;  // a proxy that ends the device's TLS itself, with a certificate of its own
  d.plan.rounds = 1;
  d.chain = {players().stranger.certificate};
  d.run();
  EXPECT_EQ(d.rule(), "BRSKI-REGISTRAR-PIN");
  EXPECT_EQ(sent_request(d).proximity_registrar_cert, players().stranger.certificate.der);
}

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

void redirect(PledgeDesk& d, const std::map<std::string, std::string>& to, int status = 307) {
  d.on_response = [to, status](Response& r, const Request& q, const Uri& at) {
    if (const auto it = to.find(at.host); q.path.ends_with("requestvoucher") && it != to.end()) {
      r = {status};
      r.location = it->second;
    }
  };
}

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

struct CloudDesk : PledgeDesk {
  CloudDesk() {
    plan.registrars.clear();
    plan.cloud = uri("https://cloud.example");
    plan.cloud_anchors = {players().cloud_root.certificate};
    plan.rounds = 1;
  }
};

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

// ---- power cuts ----

TEST(Pledge, a_power_cut_after_any_action_leaves_nothing_half) {
  PledgeDesk whole;
  whole.run();
  std::size_t cuts = 0;
  for (std::size_t at = 0; at < 200; ++at) {
    PledgeDesk d;
    if (!d.run_until_cut(at)) {
      break;
    }
    ++cuts;
    const bool owned_before = d.installed.has_value();
    const bool configured = d.imprinted && d.imprinted->configured;
    const std::size_t asked_before = d.requests_to("requestvoucher").size();
    EXPECT_TRUE(!d.installed || d.imprinted) << at;
    d.run();
    if (configured) {
      EXPECT_EQ(d.rule(), "BRSKI-CONFIGURED") << at;
      continue;
    }
    ASSERT_TRUE(d.is<Pledge::Configured>()) << at << " " << d.rule();
    EXPECT_EQ(d.requests_to("requestvoucher").size() - asked_before, owned_before ? 0U : 1U) << at;
    EXPECT_TRUE(d.imprinted->configured) << at;
    EXPECT_TRUE(d.sound) << at;
  }
  EXPECT_GT(cuts, 20U);
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

// ---- a plan that lacks something ----

TEST(Pledge, says_what_its_plan_lacks) {
  PledgeDesk nowhere;
  nowhere.plan.registrars.clear();
  nowhere.run();
  EXPECT_EQ(nowhere.rule(), "BRSKI-NO-PROXY");
  PledgeDesk anchorless;
  anchorless.plan.voucher_anchors.clear();
  anchorless.run();
  EXPECT_EQ(anchorless.rule(), "BRSKI-NO-ANCHORS");
  PledgeDesk nameless;
  nameless.plan.identity.chain = {est::cast().device.certificate};  // without a serial number
  nameless.run();
  EXPECT_EQ(nameless.rule(), "BRSKI-NO-IDEVID");
  PledgeDesk keyless;
  keyless.signing_fails = true;
  keyless.run();
  ASSERT_TRUE(keyless.failure());
  EXPECT_EQ(keyless.failure()->fault, Fault::internal);
}

// ---- constrained devices (draft-ietf-anima-constrained-voucher) ----

struct CoapDesk : PledgeDesk {
  CoapDesk() {
    plan.registrars = {uri("coaps://registrar.example:5684")};
    plan.voucher_anchors = {masa.certificate};  // nothing comes along with the voucher
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> out;
    for (const auto& sent : requests) {
      out.push_back(sent.what.path);
    }
    return out;
  }
};

TEST(ConstrainedPledge, goes_to_its_owner_by_the_short_names_and_in_its_own_forms) {
  CoapDesk d;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.paths(),
            (std::vector<std::string>{"/.well-known/brski/rv", "/.well-known/brski/vs", "/.well-known/est/crts",
                                      "/.well-known/est/sen", "/.well-known/brski/es"}));
  EXPECT_EQ(d.requests[0].what.content_type, "application/voucher+cose");
  EXPECT_EQ(d.requests[0].what.accept, "application/voucher+cose");
  EXPECT_EQ(d.requests[1].what.content_type, "application/cbor");
  ASSERT_EQ(d.told.size(), 2U);
  EXPECT_TRUE(d.told[0].status && d.told[1].status);
}

TEST(ConstrainedPledge, asks_in_cose_whatever_its_form_elsewhere) {
  for (const Form form : {Form::cms, Form::jws}) {
    CoapDesk d;
    d.plan.form = form;
    d.run();
    ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
    const auto asked = parse_artifact(d.requests_to("/rv").at(0).what.body);
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->form, Form::cose);
    EXPECT_EQ(asked->voucher.proximity_registrar_pubk, players().registrar.certificate.key.spki);
  }
}

TEST(ConstrainedPledge, takes_no_voucher_in_another_form) {
  CoapDesk d;
  d.plan.rounds = 1;
  d.on_response = [&](Response& answer, const Request& asked, const Uri&) {
    if (asked.path.ends_with("/rv")) {
      const Voucher v = parse_artifact(answer.body)->voucher;
      Voucher other = v;
      other.nonce = "bm9uY2U=";
      answer = {200, "application/voucher-cms+json",
                *sign_voucher(other, Form::cms, Signer{d.masa.key, {d.masa.certificate}})};
    }
  };
  d.run();
  EXPECT_EQ(d.rule(), kWrongForm.id);
  EXPECT_FALSE(d.imprinted);
}

TEST(ConstrainedPledge, asks_below_the_base_that_its_registrar_lists) {
  CoapDesk d;
  d.plan.registrars = {uri("coaps://registrar.example:5684/b")};
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.paths(),
            (std::vector<std::string>{"/b/rv", "/b/vs", "/.well-known/est/crts", "/.well-known/est/sen", "/b/es"}));
}

TEST(ConstrainedPledge, comes_again_with_the_same_request_when_the_answer_is_not_ready) {
  CoapDesk d;
  d.waits = 2;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  const auto asked = d.requests_to("/rv");
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].what.body, asked[1].what.body);
  EXPECT_EQ(asked[0].on.id, asked[2].on.id);
  EXPECT_EQ(d.rests.at(0), std::chrono::seconds(5));
}

TEST(ConstrainedPledge, asks_what_is_wished_only_if_it_is_told_to) {
  CoapDesk d;
  d.plan.coap_wishes = true;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.requests_to("/att").size(), 1U);
}

}  // namespace
}  // namespace imprint::brski
