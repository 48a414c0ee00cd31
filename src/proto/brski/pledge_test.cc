// The device's side of RFC 8995, in conversations: what it asks for, which vouchers are none, and what its plan lacks.
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/base64.h"
#include "proto/brski/pledge_desks.h"

namespace imprint::brski {
namespace {

using testing::players;
using testing::PledgeDesk;
using testing::sent_request;
using testing::uri;

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

}  // namespace
}  // namespace imprint::brski
