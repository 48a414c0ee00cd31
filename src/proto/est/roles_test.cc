// Device and server in conversation: each way in which it goes well, and each way in which the device ends it.
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/base64.h"
#include "codec/der.h"
#include "proto/est/pair.h"
#include "proto/est/rules.h"
#include "proto/est/wishes.h"

namespace imprint::est {
namespace {

using States = std::vector<std::string>;

Response text(int status, std::string_view body = "no\n") {
  Response out;
  out.status = status;
  out.content_type = "text/plain";
  out.body = to_bytes(body);
  return out;
}

// Replaces the answers to requests whose path ends so.
auto answering(std::string tail, Response with) {
  return [tail = std::move(tail), with = std::move(with)](Response& r, const Request& asked) {
    if (asked.path.ends_with(tail)) {
      r = with;
    }
  };
}

void expect_enrolled(const Pair& p) {
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.states.back() << ' ' << p.rule() << ' ' << p.detail();
  ASSERT_TRUE(p.installed.has_value());
  const Installed& i = *p.installed;
  EXPECT_EQ(i.certificate.key, p.keys.at(i.key.id).public_key());
  EXPECT_TRUE(verify_chain(i.certificate, i.via, i.anchors, {Purpose::any, p.now, true}));
  EXPECT_TRUE(p.sound);
  EXPECT_NE(p.device_mind.find("credential:" + (p.plan.label.empty() ? "default" : p.plan.label)), nullptr);
  EXPECT_TRUE(p.open_sessions.empty()) << "a connection was left open";
  EXPECT_TRUE(p.refused.empty());
}

void expect_failed(const Pair& p, Fault fault, const Rule& rule) {
  ASSERT_NE(p.failure(), nullptr) << p.states.back();
  EXPECT_EQ(p.failure()->fault, fault) << name(p.failure()->fault);
  EXPECT_EQ(p.rule(), rule.id);
  EXPECT_FALSE(p.installed.has_value());
  EXPECT_TRUE(p.open_sessions.empty()) << "a connection was left open";
  EXPECT_TRUE(p.sound);
}

// ---- well ----

TEST(Est, a_device_with_a_makers_certificate_enrols) {
  Pair p;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.states, (States{"Opening", "Fetching", "Wishing", "Keying", "Signing", "Enrolling", "Enrolled"}));
  ASSERT_EQ(p.issued.size(), 1U);
  EXPECT_EQ(p.issued[0].certificate, p.installed->certificate.der);
  EXPECT_EQ(p.installed->certificate.subject.text, "CN=dev-1");
  EXPECT_EQ(p.installed->via, std::vector<Certificate>{cast().issuing.certificate});
  EXPECT_EQ(p.device_mind.strength("credential:default"), Strength::confirmed);  // no better than the operator's anchor
  EXPECT_EQ(p.requests.back().path, "/.well-known/est/simpleenroll");
  EXPECT_FALSE(p.requests.back().login.has_value());
}

TEST(Est, what_the_factory_put_in_is_proved) {
  Pair p;
  p.plan.origins = kAllFromFactory;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.device_mind.strength("credential:default"), Strength::proved);
}

TEST(Est, the_factory_is_credited_only_with_what_it_put_in) {
  Pair p;
  p.plan.origins.credential = Origin::factory;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.device_mind.find("identity")->evidence.ground, Ground::factory);
  EXPECT_EQ(p.device_mind.find("endpoint")->evidence.ground, Ground::person);
  EXPECT_EQ(p.device_mind.find(anchor_belief(cast().owner.certificate))->evidence.ground, Ground::person);
  EXPECT_EQ(p.device_mind.strength("credential:default"), Strength::confirmed);
}

TEST(Est, a_fingerprint_that_was_expected_was_compared_by_nobody) {
  Pair p;
  p.plan.explicit_anchors.clear();
  p.plan.expected = cast().owner.certificate.fingerprint();
  p.expected_root = cast().owner.certificate;
  p.run();
  expect_enrolled(p);
  const BeliefChange* const anchor = p.device_mind.find(anchor_belief(cast().owner.certificate));
  ASSERT_NE(anchor, nullptr);
  EXPECT_EQ(anchor->strength, Strength::confirmed);
  EXPECT_EQ(anchor->evidence.check.find("a person compared"), std::string::npos) << anchor->evidence.check;
  EXPECT_NE(anchor->evidence.check.find("command line"), std::string::npos) << anchor->evidence.check;
}

TEST(Est, the_record_of_the_key_is_written_before_the_request_leaves) {
  Pair p;
  bool checked = false;
  p.on_request = [&](Request& r) {
    if (r.method == Method::post) {
      checked = true;
      ASSERT_TRUE(p.asked.has_value());
      const auto csr = CertificateRequest::parse(*decode_body(r.body));
      EXPECT_EQ(p.asked->key.key, csr->key);
    }
  };
  p.run();
  EXPECT_TRUE(checked);
}

TEST(Est, a_device_with_a_token_enrols_and_the_token_is_named_as_spent) {
  Pair p;
  p.plan.credential.reset();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.run();
  expect_enrolled(p);
  ASSERT_EQ(p.issued.size(), 1U);
  EXPECT_EQ(p.issued[0].spent, p.user);
  for (const Request& r : p.requests) {
    EXPECT_EQ(r.login.has_value(), r.method == Method::post) << r.path;
  }
  EXPECT_NE(p.server_mind.find("peer:dev-1"), nullptr);
}

TEST(Est, a_device_without_anchors_enrols_after_a_person_confirmed_the_fingerprint) {
  Pair p;
  p.plan.explicit_anchors.clear();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.expected_root = cast().owner.certificate;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.states[0], "Meeting");
  EXPECT_EQ(p.device_mind.strength("credential:default"), Strength::confirmed);
  ASSERT_EQ(p.opened.size(), 2U);
  EXPECT_EQ(p.opened[0].trust, Trust::provisional);
  EXPECT_FALSE(p.opened[0].as.has_value()) << "the identity was shown to nobody in particular";
  EXPECT_EQ(p.opened[1].trust, Trust::anchors);
  EXPECT_EQ(p.requests[0].path, "/.well-known/est/cacerts");
  EXPECT_FALSE(p.requests[0].login.has_value());
}

TEST(Est, an_implicit_anchor_gives_way_to_the_owners) {
  Pair p;
  const Party web = make_root("CN=Web Root");
  p.server = make_below(web, "CN=EST server", for_host("dns:est.example"));
  p.plan.explicit_anchors.clear();
  p.plan.implicit_anchors = {web.certificate};
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.installed->anchors, std::vector<Certificate>{cast().owner.certificate});
}

// RFC 7030 section 4.1.3: the server, which may have several chains, is told by whom it is judged from then on.
TEST(Est, a_server_that_an_implicit_anchor_vouched_for_is_told_when_that_is_over) {
  Pair p;
  const Party web = make_root("CN=Web Root");
  p.server = make_below(web, "CN=EST server", for_host("dns:est.example"));
  p.plan.explicit_anchors.clear();
  p.plan.implicit_anchors = {web.certificate};
  p.on_decision = [&p](Decision& d, const Admit&) {
    if (p.opened.size() == 1) {
      d.verdict = Verdict::pending;
      d.retry_after = std::chrono::seconds(5);
      p.server = cast().server;  // the chain that it presents then
    }
  };
  p.run();
  expect_enrolled(p);
  ASSERT_EQ(p.opened.size(), 2U);
  EXPECT_FALSE(p.opened[0].names_anchors);
  EXPECT_TRUE(p.opened[1].names_anchors);
  EXPECT_EQ(p.opened[1].anchors, std::vector<Certificate>{cast().owner.certificate});
}

TEST(Est, an_implicit_anchor_takes_no_registration_authority_in_place_of_a_name) {
  Pair p;
  const Party web = make_root("CN=Web Root");
  const auto ra = {std::string(eku::kServerAuth), std::string(eku::kCmcRa)};
  p.server = make_below(web, "CN=EST server", for_host("dns:other.example", ra));
  p.plan.explicit_anchors.clear();
  p.plan.implicit_anchors = {web.certificate};
  p.run();
  expect_failed(p, Fault::unauthentic, kServerName);
}

TEST(Est, a_registration_authority_of_the_owner_needs_no_name) {
  Pair p;
  const auto ra = {std::string(eku::kServerAuth), std::string(eku::kCmcRa)};
  p.server = make_below(cast().owner, "CN=EST RA", for_host("dns:other.example", ra));
  p.run();
  expect_enrolled(p);
}

// Somebody said on the link that a server is there, and a voucher who the owner is: any device has a certificate for
// its own address.
TEST(Est, where_the_host_is_anybodys_a_certificate_for_it_says_nothing) {
  Pair device;
  device.plan.host_counts = false;
  device.run();
  expect_failed(device, Fault::unauthentic, kServerVouched);
  EXPECT_TRUE(device.requests.empty());
  Pair pinned;
  pinned.plan.host_counts = false;
  pinned.plan.explicit_anchors = {cast().server.certificate};
  pinned.run();
  expect_enrolled(pinned);
  Pair authority;
  authority.plan.host_counts = false;
  const auto ra = {std::string(eku::kServerAuth), std::string(eku::kCmcRa)};
  authority.server = make_below(cast().owner, "CN=EST RA", for_host("dns:other.example", ra));
  authority.run();
  expect_enrolled(authority);
}

TEST(Est, until_cacerts_is_there_the_server_may_have_to_show_a_certain_certificate) {
  Pair same;
  same.plan.same_server = same.server.certificate;
  same.run();
  expect_enrolled(same);
  Pair other;
  other.plan.same_server = cast().old.certificate;
  other.run();
  expect_failed(other, Fault::unauthentic, kServerChanged);
  EXPECT_TRUE(other.requests.empty());
}

struct Renewal : Pair {
  Renewal() {
    plan.credential = Credential{"old", {cast().old.certificate}};
    plan.renew = true;
  }
};

TEST(Est, a_certificate_is_renewed_with_a_new_key) {
  Renewal p;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.requests.back().path, "/.well-known/est/simplereenroll");
  EXPECT_NE(p.installed->key.key, cast().old.certificate.key);
}

TEST(Est, a_certificate_is_renewed_with_the_same_key) {
  Renewal p;
  p.keys["old"] = cast().old.key;
  p.plan.keep_key = KeyRef{"old", cast().old.key.public_key()};
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.installed->key.id, "old");
  EXPECT_EQ(p.states, (States{"Opening", "Fetching", "Wishing", "Signing", "Enrolling", "Enrolled"}));
}

TEST(Est, a_renewal_asks_for_other_names_in_their_own_attribute) {
  Renewal p;
  p.plan.change_names = ChangeSubjectName{*Name::from_text("CN=dev-1-new"), std::nullopt};
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.installed->certificate.subject.text, "CN=dev-1-new");
  const auto csr = CertificateRequest::parse(*decode_body(p.requests.back().body));
  EXPECT_EQ(csr->subject, cast().old.certificate.subject);  // RFC 6402 section 2.8: the old name stays in place
}

TEST(Est, a_label_is_asked_for_everywhere) {
  Pair p;
  p.plan.label = "meters";
  p.config.labels["meters"] = p.config.labels[""];
  p.config.labels.erase("");
  p.run();
  expect_enrolled(p);
  for (const Request& r : p.requests) {
    EXPECT_TRUE(r.path.starts_with("/.well-known/est/meters/")) << r.path;
  }
}

// ---- what the server wishes ----

Bytes wishes(CsrAttributes a) { return a.encode(); }

CertificateRequest sent_request(const Pair& p) {
  return *CertificateRequest::parse(*decode_body(p.requests.back().body));
}

TEST(Est, the_wished_key_type_is_made) {
  for (const bool as_template : {false, true}) {
    Pair p;
    CsrAttributes a;
    a.key = KeyType::p384;
    a.from_template = as_template;
    p.config.labels[""].wishes = wishes(a);
    p.run();
    expect_enrolled(p);
    EXPECT_EQ(sent_request(p).key.type, KeyType::p384);
  }
}

TEST(Est, an_unknown_key_type_is_a_wish_that_is_not_met) {
  Pair p;
  CsrAttributes a;
  a.key = KeyType::other;
  p.config.labels[""].wishes = wishes(a);
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(sent_request(p).key.type, KeyType::p256);
}

TEST(Est, wished_extensions_are_in_the_request) {
  Pair p;
  CsrAttributes a;
  a.extensions = {{"1.2.3.4", true, Bytes{0x05, 0x00}}};
  p.config.labels[""].wishes = wishes(a);
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(sent_request(p).other_extensions, a.extensions);
}

TEST(Est, the_devices_own_alternative_names_come_before_wished_ones) {
  Pair p;
  p.plan.names.alt_names = {*GeneralName::from_text("dns:dev-1.example")};
  const Bytes other = der::sequence({der::text(der::context_primitive(2), "server-says.example")});
  CsrAttributes a;
  a.extensions = {{"2.5.29.17", false, other}};
  p.config.labels[""].wishes = wishes(a);
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(sent_request(p).alt_names, p.plan.names.alt_names);
}

// ---- names that only the server knows ----

GeneralName other_name(std::uint8_t last) {
  return {GeneralName::Kind::other, der::concat({der::oid("1.3.6.1.5.5.7.8.10"), Bytes{0xa0, 0x03, 0x16, 0x01, last}})};
}

TEST(Est, a_name_that_only_the_server_knows_goes_beside_the_devices_own) {
  for (const bool as_template : {false, true}) {
    Pair p;
    p.plan.names.alt_names = {*GeneralName::from_text("dns:dev-1.example")};
    CsrAttributes a;
    a.key = KeyType::p384;
    a.from_template = as_template;
    a.extensions = {{"2.5.29.17", false, der::sequence({der::text(der::context_primitive(2), "server.example")})}};
    p.config.labels[""].wishes = wishes(a);
    std::size_t asked = 0;
    p.config.wished_names = [&](const Session& session) {
      asked += session.proven ? 1 : 0;
      return std::vector{other_name('a'), other_name('b'), other_name('a')};
    };
    p.run();
    expect_enrolled(p);
    EXPECT_EQ(asked, 1U) << "of who asks";
    EXPECT_EQ(sent_request(p).alt_names,
              (std::vector{p.plan.names.alt_names.front(), other_name('a'), other_name('b')}));
    EXPECT_EQ(sent_request(p).key.type, KeyType::p384) << "the other wishes stay";
  }
}

TEST(Est, a_device_without_names_takes_all_that_the_server_wishes) {
  Pair p;
  p.config.wished_names = [](const Session&) { return std::vector{other_name('a')}; };
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(sent_request(p).alt_names, std::vector{other_name('a')});
}

TEST(Est, names_of_a_renewal_stay_as_they_are) {
  CsrAttributes a;
  a.extensions = {{"2.5.29.17", false, der::sequence({der::item(der::context(0), other_name('a').value)})}};
  Plan plan;
  plan.names.alt_names = {*GeneralName::from_text("dns:dev-1.example")};
  EXPECT_EQ(fill_request(a, plan, {}).alt_names.size(), 2U);
  plan.renew = true;
  EXPECT_EQ(fill_request(a, plan, {}).alt_names, plan.names.alt_names);
}

TEST(Est, names_that_a_server_adds_are_bounded_and_read_up_to_the_first_that_is_none) {
  Bytes many;
  for (std::uint8_t n = 0; n < 40; ++n) {
    const Bytes one = der::item(der::context(0), other_name(n).value);
    many.insert(many.end(), one.begin(), one.end());
  }
  CsrAttributes a;
  a.extensions = {{"2.5.29.17", false, der::item(der::kSequence, many)}};
  Plan plan;
  plan.names.alt_names = {*GeneralName::from_text("dns:dev-1.example")};
  EXPECT_EQ(fill_request(a, plan, {}).alt_names.size(), 17U);
  a.extensions.front().value.pop_back();
  EXPECT_EQ(fill_request(a, plan, {}).alt_names, plan.names.alt_names);
}

TEST(Est, nobody_is_given_names_where_there_are_none) {
  Pair p;
  p.config.wished_names = [](const Session&) { return std::vector<GeneralName>{}; };
  p.run();
  expect_enrolled(p);
  EXPECT_TRUE(sent_request(p).alt_names.empty());
}

TEST(Est, the_request_is_linked_to_its_connection) {
  Pair p;
  p.config.labels[""].require_linking = true;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(sent_request(p).challenge_password, base64(to_bytes("binding of session 1")));
  EXPECT_FALSE(sent_request(p).identity_linking.has_value());
}

TEST(Est, the_linking_value_goes_where_the_server_wants_it) {
  Pair p;
  CsrAttributes a;
  a.link = a.link_7894 = true;
  p.config.labels[""].wishes = wishes(a);
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(sent_request(p).identity_linking, base64(to_bytes("binding of session 1")));
  EXPECT_FALSE(sent_request(p).challenge_password.has_value());
}

TEST(Est, a_channel_without_binding_is_used_unlinked) {
  Pair p;
  p.on_session = [](Session& client, Session& server) {
    client.channel_binding.clear();
    server.channel_binding.clear();
  };
  p.run();
  expect_enrolled(p);
  EXPECT_FALSE(sent_request(p).challenge_password.has_value());
}

TEST(Est, a_template_fills_the_subject) {
  Pair p;
  CsrAttributes a;
  a.from_template = true;
  a.subject = {{"2.5.4.3", std::nullopt}, {"2.5.4.11", der::text(der::kUtf8, "meters")}, {"2.5.4.5", std::nullopt}};
  p.config.labels[""].wishes = wishes(a);
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(sent_request(p).subject.text, "OU=meters,CN=dev-1");  // what the device cannot fill is left out
}

TEST(Est, no_answer_to_csrattrs_but_a_good_one_matters) {
  for (const int status : {204, 404, 401, 403, 500, 501}) {
    Pair p;
    p.on_response = answering("/csrattrs", text(status));
    p.run();
    expect_enrolled(p);
  }
}

TEST(Est, wishes_that_cannot_be_read_end_the_run) {
  Pair p;
  p.on_response = answering("/csrattrs", text(200, "#"));
  p.run();
  expect_failed(p, Fault::malformed, kAnswerUnreadable);
}

// ---- again ----

TEST(Est, after_202_the_request_is_made_anew_for_the_new_connection) {
  Pair p;
  p.config.labels[""].require_linking = true;
  unsigned left = 2;
  p.on_decision = [&](Decision& d, const Admit&) {
    if (left > 0) {
      --left;
      d.verdict = Verdict::pending;
      d.retry_after = std::chrono::seconds(30);
    }
  };
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.rests, (std::vector<Duration>{std::chrono::seconds(30), std::chrono::seconds(30)}));
  EXPECT_EQ(p.pended.size(), 2U);
  EXPECT_EQ(p.pended[0].request_key, p.pended[1].request_key);
  EXPECT_EQ(p.keys.size(), 1U);
  EXPECT_EQ(sent_request(p).challenge_password, base64(to_bytes("binding of session 3")));
  EXPECT_EQ(p.states, (States{"Opening", "Fetching", "Wishing", "Keying", "Signing", "Enrolling", "Waiting", "Opening",
                              "Signing", "Enrolling", "Waiting", "Opening", "Signing", "Enrolling", "Enrolled"}));
}

TEST(Est, a_device_that_waits_too_long_gives_up) {
  Pair p;
  p.plan.polls = 3;
  p.on_decision = [&](Decision& d, const Admit&) { d.verdict = Verdict::pending; };
  p.run();
  expect_failed(p, Fault::expired, kGaveUp);
  EXPECT_EQ(p.pended.size(), 3U);
}

TEST(Est, a_202_must_say_when_to_come_again) {
  for (const std::optional<std::int64_t> after : {std::optional<std::int64_t>{}, std::optional<std::int64_t>{-1}}) {
    Pair p;
    Response later = text(202);
    later.retry_after_s = after;
    p.on_response = answering("/simpleenroll", later);
    p.run();
    expect_failed(p, Fault::malformed, kRetryAfter);
  }
}

TEST(Est, a_wait_is_at_least_a_second_and_at_most_a_day) {
  for (const auto& [said, waited] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {1'000'000'000, 86'400}}) {
    Pair p;
    p.plan.polls = 2;
    Response later = text(202);
    later.retry_after_s = said;
    p.on_response = answering("/simpleenroll", later);
    p.run();
    ASSERT_EQ(p.rests.size(), 1U);
    EXPECT_EQ(p.rests[0], std::chrono::seconds(waited));
  }
}

TEST(Est, a_503_with_a_time_is_a_wait_and_without_one_a_failed_attempt) {
  Pair waits;
  waits.ca_fails = true;
  waits.plan.polls = 2;
  waits.run();
  expect_failed(waits, Fault::expired, kGaveUp);
  Pair tries;
  tries.plan.attempts = 2;
  tries.on_response = answering("/simpleenroll", text(503));
  tries.run();
  expect_failed(tries, Fault::unreachable, kUnreachable);
  EXPECT_EQ(tries.rests.size(), 1U);
  EXPECT_EQ(tries.detail(), "503 no");
}

TEST(Est, connections_that_fail_are_tried_again_with_growing_rests) {
  Pair p;
  p.lose_connections = 3;
  p.run();
  expect_enrolled(p);
  ASSERT_EQ(p.rests.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t whole = std::int64_t{1000} << i;
    EXPECT_LE(p.rests[i].count(), whole);
    EXPECT_GE(p.rests[i].count(), whole - whole / 4);
  }
}

TEST(Est, rests_grow_to_five_minutes_and_no_further) {
  EXPECT_EQ(rest_after(1, 0), Duration(1000));
  EXPECT_EQ(rest_after(1, 255), Duration(750));
  EXPECT_EQ(rest_after(9, 0), Duration(256'000));
  EXPECT_EQ(rest_after(10, 0), Duration(300'000));
  EXPECT_EQ(rest_after(4'000'000'000, 0), Duration(300'000));
  EXPECT_EQ(rest_after(0, 0), Duration(1000));
}

TEST(Est, a_server_that_never_answers_is_given_up) {
  for (const bool anchored : {true, false}) {
    Pair p;
    p.lose_connections = 100;
    p.plan.attempts = 3;
    if (!anchored) {
      p.plan.explicit_anchors.clear();
    }
    p.run();
    expect_failed(p, Fault::unreachable, kUnreachable);
    EXPECT_EQ(p.opened.size(), 3U);
  }
}

TEST(Est, an_answer_that_is_lost_is_asked_for_again_and_is_the_same) {
  for (const std::string operation : {"/cacerts", "/csrattrs", "/simpleenroll"}) {
    Pair p;
    p.lose_answers[operation] = 1;
    p.run();
    expect_enrolled(p);
    EXPECT_EQ(p.issued.size(), 1U) << "two certificates for one request";
    EXPECT_EQ(p.keys.size(), 1U);
    EXPECT_EQ(p.opened.size(), 2U);
  }
}

TEST(Est, a_first_look_that_is_lost_is_taken_again) {
  Pair p;
  p.plan.explicit_anchors.clear();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.expected_root = cast().owner.certificate;
  p.lose_answers["/cacerts"] = 1;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.opened.size(), 3U);
}

TEST(Est, after_a_restart_the_same_key_is_used_and_the_same_certificate_comes) {
  Pair p;
  p.lose_answers["/simpleenroll"] = 1;
  p.max_inputs = 7;  // Start … the answer that was lost
  p.run();
  ASSERT_TRUE(p.asked.has_value());
  EXPECT_EQ(p.issued.size(), 1U);
  p.max_inputs = 100;
  p.open_sessions.clear();
  p.run(p.asked);
  expect_enrolled(p);
  EXPECT_EQ(p.issued.size(), 1U);
  EXPECT_EQ(p.keys.size(), 1U);
  EXPECT_EQ(p.installed->certificate.der, p.issued[0].certificate);
}

TEST(Est, after_a_restart_no_person_is_asked_twice) {
  Pair p;
  p.plan.explicit_anchors.clear();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.expected_root = cast().owner.certificate;
  p.lose_answers["/simpleenroll"] = 1;
  p.max_inputs = 10;
  p.run();
  ASSERT_TRUE(p.asked.has_value());
  p.expected_root.reset();
  p.max_inputs = 100;
  p.open_sessions.clear();
  p.run(p.asked);
  expect_enrolled(p);
  EXPECT_EQ(p.device_mind.strength("credential:default"), Strength::confirmed);
}

TEST(Est, a_connection_that_ends_between_two_messages_starts_a_new_attempt) {
  for (const bool signing : {false, true}) {
    Pair p;
    p.max_inputs = signing ? 5 : 4;
    p.run();
    ASSERT_EQ(p.states.back(), signing ? "Signing" : "Keying");
    p.feed(Lost{99});
    ASSERT_EQ(p.refused.size(), 1U);
    EXPECT_EQ(p.refused[0].fault, Fault::stale);  // another connection's end changes nothing
    p.feed(Lost{p.last_session});
    EXPECT_TRUE(p.is<Client::Resting>());
  }
}

TEST(Est, a_lost_connection_counts_as_an_attempt) {
  for (const bool signing : {false, true}) {
    Pair p;
    p.plan.attempts = 1;
    p.max_inputs = signing ? 5 : 4;
    p.run();
    p.feed(Lost{p.last_session});
    ASSERT_NE(p.failure(), nullptr);
    EXPECT_EQ(p.rule(), kUnreachable.id);
  }
}

// RFC 9112 section 9.3.1: fountain closes after each answer.
TEST(Est, a_server_that_ends_the_connection_behind_every_answer_enrols_it_all_the_same) {
  Pair p;
  p.closes = true;
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  ASSERT_TRUE(p.installed);
  EXPECT_TRUE(p.sound);
  const auto times = [&p](std::string_view end) {
    return std::ranges::count_if(p.requests, [end](const Request& r) { return r.path.ends_with(end); });
  };
  EXPECT_EQ(times("/cacerts"), 1);
  EXPECT_EQ(times("/csrattrs"), 2) << "once more, as the first connection was over";
  EXPECT_EQ(times("/simpleenroll"), 1);
  EXPECT_EQ(p.opened.size(), 3U);
  for (const Open& each : p.opened) {
    EXPECT_EQ(each.trust, Trust::anchors);
  }
  EXPECT_EQ(p.rests.size(), 1U) << "nobody had asked for anything when the third was wanted";
}

TEST(Est, a_get_on_a_used_connection_is_sent_once_more_at_once_and_then_rests) {
  Pair once;
  once.lose_answers["/csrattrs"] = 1;
  once.run();
  expect_enrolled(once);
  EXPECT_TRUE(once.rests.empty());
  EXPECT_EQ(once.opened.size(), 2U);
  Pair twice;
  twice.lose_answers["/csrattrs"] = 2;
  twice.run();
  expect_enrolled(twice);
  EXPECT_EQ(twice.rests.size(), 1U);
  Pair first;  // the connection is new: nothing says that the server has let it go
  first.lose_answers["/cacerts"] = 1;
  first.run();
  expect_enrolled(first);
  EXPECT_EQ(first.rests.size(), 1U);
  Pair other;  // what is no end of a connection is none
  other.lose_answers["/csrattrs"] = 1;
  other.lost_with = Error{Fault::limit, "too much"};
  other.run();
  expect_enrolled(other);
  EXPECT_EQ(other.rests.size(), 1U);
}

TEST(Est, a_request_goes_bare_only_where_it_is_told_to) {
  for (const bool bare : {false, true}) {
    Pair p;
    p.plan.bare_requests = bare;
    p.run();
    expect_enrolled(p);
    const auto sent = std::ranges::find_if(p.requests, [](const Request& r) { return r.method == Method::post; });
    EXPECT_EQ(sent->body.front() == 0x30, bare);
  }
}

TEST(Est, two_servers_behind_one_name_are_two_beliefs_and_no_contradiction) {
  Pair p;
  const Party other = make_below(cast().owner, "CN=EST server 2", for_host("dns:est.example"));
  const Party first = p.server;
  unsigned left = 3;
  p.on_decision = [&](Decision& d, const Admit&) {
    if (left > 0) {
      --left;
      d.verdict = Verdict::pending;
      p.server = p.server.certificate == first.certificate ? other : first;
    }
  };
  p.run();
  expect_enrolled(p);
}

}  // namespace
}  // namespace imprint::est
