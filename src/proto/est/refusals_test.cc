// Each answer that the device does not take, and why.
#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/cms.h"
#include "proto/est/anchors.h"
#include "proto/est/pair.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

void expect_failed(const Pair& p, Fault fault, const Rule& rule) {
  ASSERT_NE(p.failure(), nullptr) << p.states.back();
  EXPECT_EQ(p.failure()->fault, fault) << name(p.failure()->fault);
  EXPECT_EQ(p.rule(), rule.id);
  EXPECT_FALSE(p.installed.has_value());
  EXPECT_TRUE(p.open_sessions.empty()) << "a connection was left open";
  EXPECT_TRUE(p.sound);
}

Response with_certificates(std::initializer_list<Certificate> all) {
  std::vector<Bytes> der;
  for (const Certificate& c : all) {
    der.push_back(c.der);
  }
  Response out;
  out.status = 200;
  out.content_type = "application/pkcs7-mime";
  out.body = encode_certs_only(der);
  return out;
}

Response status(int code, std::string location = {}) {
  Response out;
  out.status = code;
  out.content_type = "text/plain";
  out.body = to_bytes("the server's own words\nand more");
  out.location = std::move(location);
  return out;
}

void answer(Pair& p, std::string tail, Response with) {
  p.on_response = [tail = std::move(tail), with = std::move(with)](Response& r, const Request& asked) {
    if (asked.path.ends_with(tail)) {
      r = with;
    }
  };
}

// A device without anchors, whose person expects the owner's root.
void bootstrap(Pair& p) {
  p.plan.explicit_anchors.clear();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.expected_root = cast().owner.certificate;
}

// ---- the server ----

TEST(EstRefusals, a_server_of_another_authority) {
  Pair p;
  p.server = make_below(make_root("CN=Owner Root"), "CN=EST server", for_host("dns:est.example"));
  p.run();
  expect_failed(p, Fault::unauthentic, kServerUntrusted);
  EXPECT_TRUE(p.requests.empty());
}

TEST(EstRefusals, a_server_whose_time_is_over) {
  Pair p;
  p.server = make_below(cast().owner, "CN=EST server", [](CertificateTemplate& what) {
    for_host("dns:est.example")(what);
    what.not_after = kStart - std::chrono::hours(1);
  });
  p.run();
  expect_failed(p, Fault::expired, kServerUntrusted);
}

TEST(EstRefusals, a_server_that_was_not_proven) {
  Pair p;
  p.on_session = [](Session& client, Session&) { client.proven.reset(); };
  p.run();
  expect_failed(p, Fault::unauthentic, kServerUntrusted);
  EXPECT_TRUE(p.requests.empty());
}

TEST(EstRefusals, a_server_of_another_name) {
  Pair p;
  p.server = make_below(cast().owner, "CN=est.example", for_host("dns:other.example"));
  p.run();
  expect_failed(p, Fault::unauthentic, kServerName);
  EXPECT_TRUE(p.requests.empty());
}

TEST(EstRefusals, an_alert_in_place_of_a_connection_or_an_answer) {
  Pair connecting;
  connecting.lose_connections = 1;
  connecting.lost_with = Error{Fault::malformed, "alert: bad certificate"};
  connecting.run();
  expect_failed(connecting, Fault::malformed, kServerAlert);
  EXPECT_EQ(connecting.detail(), "alert: bad certificate");
  for (const std::string tail : {"/cacerts", "/csrattrs", "/simpleenroll"}) {
    Pair asking;
    asking.lose_answers[tail] = 1;
    asking.lost_with = Error{Fault::malformed, "alert: bad certificate"};
    asking.run();
    expect_failed(asking, Fault::malformed, kServerAlert);
  }
}

// ---- CA certificates ----

TEST(EstRefusals, any_answer_to_cacerts_but_200_ends_the_run) {
  for (const int code : {202, 204, 400, 401, 403, 404}) {
    for (const bool anchored : {true, false}) {
      Pair p;
      if (!anchored) {
        bootstrap(p);
      }
      answer(p, "/cacerts", status(code));
      p.run();
      expect_failed(p, Fault::refused, kCaCertificates);
      EXPECT_EQ(p.detail(), std::to_string(code) + " the server's own words");
    }
  }
}

TEST(EstRefusals, a_server_error_at_cacerts_is_tried_again) {
  Pair p;
  p.plan.attempts = 3;
  answer(p, "/cacerts", status(500));
  p.run();
  expect_failed(p, Fault::unreachable, kCaCertificates);
  EXPECT_EQ(p.rests.size(), 2U);
}

TEST(EstRefusals, a_bag_that_cannot_be_read) {
  for (const bool anchored : {true, false}) {
    Pair p;
    if (!anchored) {
      bootstrap(p);
    }
    answer(p, "/cacerts", status(200));
    p.run();
    expect_failed(p, Fault::malformed, kCaBag);
  }
}

TEST(EstRefusals, a_bag_without_a_root) {
  for (const bool anchored : {true, false}) {
    Pair p;
    if (!anchored) {
      bootstrap(p);
    }
    answer(p, "/cacerts", with_certificates({cast().issuing.certificate}));
    p.run();
    expect_failed(p, Fault::unauthentic, kCaBag);
  }
}

TEST(EstRefusals, a_root_that_is_no_ca) {
  Pair p;
  const Party fake = make_root("CN=Owner Root", [](CertificateTemplate& what) {
    what.is_ca = false;
    what.usage.reset();
  });
  answer(p, "/cacerts", with_certificates({fake.certificate}));
  p.run();
  expect_failed(p, Fault::unauthentic, kCaBag);
}

// A certificate that calls itself the owner's root, ends last of all, and that another key signed.
Certificate false_root() {
  Party liar = make_root("CN=Owner Root");
  const PublicKey shown = liar.certificate.key;
  liar.key = *PrivateKey::generate(KeyType::p256);
  return certify(liar, "CN=Owner Root", shown, [](CertificateTemplate& what) {
    as_ca(what);
    what.not_after = kStart + 1000 * kDay;
  });
}

void trust_the_web(Pair& p) {
  const Party web = make_root("CN=Web Root");
  p.server = make_below(web, "CN=EST server", for_host("dns:est.example"));
  p.plan.explicit_anchors.clear();
  p.plan.implicit_anchors = {web.certificate};
}

TEST(EstRefusals, a_root_that_another_key_signed) {
  for (const bool anchored : {true, false}) {
    Pair p;
    if (!anchored) {
      trust_the_web(p);
    }
    answer(p, "/cacerts", with_certificates({false_root()}));
    p.run();
    expect_failed(p, Fault::unauthentic, kCaBag);
  }
}

TEST(EstRefusals, a_stranger_among_the_ca_certificates_builds_no_path) {
  const Party owner = make_root("CN=Owner");
  const Certificate stranger = make_below(make_root("CN=Stranger"), "CN=Stranger's CA", as_ca).certificate;
  const Certificate below = make_below(owner, "CN=Issuing CA", as_ca).certificate;
  const auto bag = sort_ca_certificates({stranger, owner.certificate, below}, kStart);
  ASSERT_TRUE(bag);
  EXPECT_EQ(bag->anchors, std::vector{owner.certificate});
  EXPECT_EQ(bag->issuers, std::vector{below});
}

TEST(EstRefusals, a_false_root_beside_the_true_one_is_no_anchor) {
  Pair p;
  trust_the_web(p);
  answer(p, "/cacerts", with_certificates({false_root(), cast().issuing.certificate, cast().owner.certificate}));
  p.run();
  ASSERT_TRUE(p.installed.has_value()) << p.rule();
  EXPECT_EQ(p.installed->anchors, std::vector<Certificate>{cast().owner.certificate});
}

TEST(EstRefusals, a_root_whose_time_is_over) {
  Pair p;
  trust_the_web(p);
  const auto over = [](CertificateTemplate& what) { what.not_after = kStart - std::chrono::hours(1); };
  answer(p, "/cacerts", with_certificates({make_root("CN=Owner Root", over).certificate}));
  p.run();
  expect_failed(p, Fault::unauthentic, kCaBag);
}

TEST(EstRefusals, a_new_root_that_nobody_vouches_for) {
  Pair p;
  answer(p, "/cacerts", with_certificates({make_root("CN=Owner Root").certificate}));
  p.run();
  expect_failed(p, Fault::unauthentic, kCaRollover);
}

TEST(EstRefusals, a_fingerprint_that_the_person_did_not_expect) {
  Pair p;
  bootstrap(p);
  p.expected_root = cast().maker.certificate;
  p.run();
  expect_failed(p, Fault::refused, kNotConfirmed);
  ASSERT_EQ(p.requests.size(), 1U);
  EXPECT_FALSE(p.requests[0].login.has_value());
}

// RFC 7030 section 4.1.3: OldWithOld, OldWithNew, NewWithOld, NewWithNew.
struct Rollover {
  Party next = make_root("CN=Owner Root 2", [](CertificateTemplate& what) { what.not_after = kStart + 3650 * kDay; });
  Certificate new_with_old = certify(cast().owner, "CN=Owner Root 2", next.certificate.key, as_ca);
  Certificate old_with_new = certify(next, "CN=Owner Root", cast().owner.certificate.key, as_ca);
};

TEST(EstRollover, a_new_root_is_taken_because_the_old_one_vouches_for_it) {
  const Rollover r;
  Pair p;
  p.issuer = r.next;
  answer(p, "/nothing", {});
  p.config.labels[""].ca_certificates =
      with_certificates({cast().owner.certificate, r.new_with_old, r.old_with_new, r.next.certificate}).body;
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.installed->anchors, (std::vector<Certificate>{r.next.certificate, cast().owner.certificate}));
  EXPECT_TRUE(p.sound);
  EXPECT_EQ(p.device_mind.strength(anchor_belief(r.next.certificate)), Strength::confirmed);
}

// Between cacerts and enrolment: the answer is of a root that this run has not heard of.
TEST(EstRollover, a_new_root_in_the_midst_of_a_run_is_asked_for_once_more) {
  const Rollover r;
  Pair p;
  p.issuer = r.next;
  unsigned shown = 0;
  p.on_response = [&](Response& answer, const Request& asked) {
    if (asked.path.ends_with("/cacerts") && shown++ > 0) {
      answer.body =
          with_certificates({cast().owner.certificate, r.new_with_old, r.old_with_new, r.next.certificate}).body;
    }
  };
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.installed->anchors, (std::vector<Certificate>{r.next.certificate, cast().owner.certificate}));
  EXPECT_EQ(shown, 2U);
  EXPECT_EQ(p.keys.size(), 1U) << "one for both requests";
  EXPECT_TRUE(p.sound);
}

TEST(EstRollover, an_answer_of_another_root_is_not_asked_for_a_third_time) {
  Pair p;
  p.issuer = make_root("CN=Owner Root 2");
  p.run();
  expect_failed(p, Fault::unauthentic, kNotMyAnchors);
  EXPECT_EQ(std::ranges::count_if(p.requests, [](const Request& r) { return r.path.ends_with("/cacerts"); }), 2);
}

TEST(EstRollover, the_old_root_is_dropped_when_the_new_one_does_not_vouch_for_it) {
  const Rollover r;
  Pair p;
  p.issuer = r.next;
  p.config.labels[""].ca_certificates =
      with_certificates({cast().owner.certificate, r.new_with_old, r.next.certificate}).body;
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.installed->anchors, std::vector<Certificate>{r.next.certificate});
}

TEST(EstRollover, without_new_with_old_the_new_root_is_refused) {
  const Rollover r;
  Pair p;
  p.config.labels[""].ca_certificates =
      with_certificates({cast().owner.certificate, r.old_with_new, r.next.certificate}).body;
  p.run();
  expect_failed(p, Fault::unauthentic, kCaRollover);
}

TEST(EstRollover, a_pinned_issuing_ca_accepts_the_root_above_it) {
  Pair p;
  p.plan.explicit_anchors = {cast().issuing.certificate};
  p.server = make_below(cast().issuing, "CN=EST server", for_host("dns:est.example"));
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.installed->anchors, std::vector<Certificate>{cast().owner.certificate});
}

// ---- the certificate ----

TEST(EstRefusals, the_servers_no) {
  for (const int code : {400, 403, 404, 409, 413, 415}) {
    Pair p;
    answer(p, "/simpleenroll", status(code));
    p.run();
    expect_failed(p, Fault::refused, kRefused);
    EXPECT_EQ(p.detail(), std::to_string(code) + " the server's own words");
  }
}

TEST(EstRefusals, the_servers_words_are_made_harmless) {
  Pair p;
  Response r = status(403);
  r.body = to_bytes("a\x1b[2Jb\xc3\xa9" + std::string(500, 'x'));
  answer(p, "/simpleenroll", r);
  p.run();
  EXPECT_EQ(p.detail().substr(0, 13), "403 a?[2Jb??x");
  EXPECT_EQ(p.detail().size(), 4U + 200U);
  r.content_type = "application/octet-stream";
  answer(p, "/simpleenroll", r);
  p.run();
  EXPECT_EQ(p.detail(), "403");
}

TEST(EstRefusals, a_server_that_does_not_know_us) {
  Pair p;
  p.plan.credential.reset();
  p.plan.login = Login{p.user, Secret("a guess")};
  p.run();
  expect_failed(p, Fault::unauthentic, kUnauthorized);
  EXPECT_TRUE(p.issued.empty());
}

TEST(EstRefusals, an_answer_that_cannot_be_read) {
  Pair p;
  answer(p, "/simpleenroll", status(200));
  p.run();
  expect_failed(p, Fault::malformed, kAnswerUnreadable);
}

TEST(EstRefusals, a_certificate_for_another_key) {
  Pair p;
  answer(p, "/simpleenroll", with_certificates({cast().old.certificate}));
  p.run();
  expect_failed(p, Fault::unauthentic, kNotMyKey);
}

TEST(EstRefusals, a_certificate_of_another_ca_with_the_same_name) {
  Pair p;
  Party other = make_root("CN=Owner Issuing CA");
  p.issuer = other;
  p.run();
  expect_failed(p, Fault::unauthentic, kNotMyAnchors);
}

TEST(EstRefusals, an_anchor_in_the_answer_is_none) {
  Pair p;
  const Party other = make_root("CN=Other");
  p.on_response = [&](Response& r, const Request& asked) {
    if (asked.path.ends_with("/simpleenroll")) {
      const auto csr = CertificateRequest::parse(*decode_body(asked.body));
      r = with_certificates({certify(other, "CN=dev-1", csr->key), other.certificate});
    }
  };
  p.run();
  expect_failed(p, Fault::unauthentic, kNotMyAnchors);
}

TEST(EstRefusals, a_certificate_whose_time_is_over) {
  Pair p;
  p.on_issue = [](CertificateTemplate& what) {
    what.not_before = kStart - 10 * kDay;
    what.not_after = kStart - kDay;
  };
  p.run();
  expect_failed(p, Fault::expired, kNotMyAnchors);
}

TEST(Est, an_issuing_ca_that_comes_with_the_certificate_helps) {
  Pair p;
  const Party between = make_below(cast().issuing, "CN=Level 3", as_ca);
  p.on_response = [&](Response& r, const Request& asked) {
    if (asked.path.ends_with("/simpleenroll")) {
      const auto csr = CertificateRequest::parse(*decode_body(asked.body));
      r = with_certificates({between.certificate, certify(between, "CN=dev-1", csr->key)});
    }
  };
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.installed->via.size(), 2U);
}

TEST(Est, a_bare_certificate_is_an_answer_too) {
  Pair p;
  p.on_response = [&](Response& r, const Request& asked) {
    if (asked.path.ends_with("/simpleenroll")) {
      r.content_type = "application/pkix-cert";
      r.body = p.issued.back().certificate;
    }
  };
  p.run();
  EXPECT_TRUE(p.is<Client::Enrolled>()) << p.rule();
}

// ---- redirects ----

TEST(EstRedirect, cacerts_may_send_us_to_another_server_of_the_owner) {
  for (const std::string label : {"", "meters"}) {
    Pair p;
    p.plan.label = label;
    p.config.labels["meters"] = p.config.labels[""];
    p.server = make_below(cast().owner, "CN=EST server", [](CertificateTemplate& what) {
      what.alt_names = {*GeneralName::from_text("dns:est.example"), *GeneralName::from_text("dns:other.example")};
    });
    const std::string middle = label.empty() ? "" : "/" + label;
    bool first = true;
    p.on_response = [&](Response& r, const Request&) {
      if (first) {
        first = false;
        r = status(302, "https://other.example:8443/.well-known/est" + middle + "/cacerts");
      }
    };
    p.run();
    ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
    EXPECT_EQ(p.opened.back().to.authority(), "other.example:8443");
    EXPECT_EQ(p.requests.back().path, "/.well-known/est" + middle + "/simpleenroll");
    EXPECT_TRUE(p.open_sessions.empty());
    EXPECT_TRUE(p.sound);
  }
}

TEST(EstRedirect, a_login_goes_to_no_origin_but_the_one_that_it_was_given_for) {
  for (const std::string to : {"other.example", "est.example:444"}) {
    Pair p;
    p.plan.login = Login{p.user, Secret(p.password)};
    p.server = make_below(cast().owner, "CN=EST server", [](CertificateTemplate& what) {
      what.alt_names = {*GeneralName::from_text("dns:est.example"), *GeneralName::from_text("dns:other.example")};
    });
    answer(p, "/cacerts", status(302, "https://" + to + "/.well-known/est/cacerts"));
    p.run();
    expect_failed(p, Fault::refused, kRedirectLogin);
    EXPECT_EQ(p.opened.size(), 1U) << "nobody there hears of us";
    EXPECT_EQ(p.requests.size(), 1U);
  }
}

TEST(EstRedirect, a_login_follows_cacerts_within_its_origin) {
  Pair p;
  p.plan.login = Login{p.user, Secret(p.password)};
  bool first = true;
  p.on_response = [&](Response& r, const Request&) {
    r = first ? status(302, "https://est.example/.well-known/est/cacerts") : r;
    first = false;
  };
  p.run();
  EXPECT_TRUE(p.is<Client::Enrolled>()) << p.rule();
}

TEST(EstRedirect, the_other_server_has_to_prove_its_own_name) {
  Pair p;
  answer(p, "/cacerts", status(307, "https://other.example/.well-known/est/cacerts"));
  p.run();
  expect_failed(p, Fault::unauthentic, kServerName);
}

TEST(EstRedirect, a_circle_ends_after_three_rounds) {
  Pair p;
  answer(p, "/cacerts", status(301, "https://est.example/.well-known/est/cacerts"));
  p.run();
  expect_failed(p, Fault::refused, kRedirect);
  EXPECT_EQ(p.requests.size(), 4U);
}

TEST(EstRedirect, nowhere_and_in_the_clear_we_do_not_go) {
  for (const std::string to : {"", "http://est.example/x", "not a uri"}) {
    Pair p;
    answer(p, "/cacerts", status(302, to));
    p.run();
    expect_failed(p, Fault::refused, kRedirect);
  }
}

TEST(EstRedirect, a_request_follows_within_the_same_origin_on_the_same_connection) {
  Pair p;
  p.config.labels[""].require_linking = true;
  p.on_request = [](Request& r) {
    if (r.path.starts_with("/elsewhere/")) {
      r.path = "/.well-known/est/" + r.path.substr(11);
    }
  };
  p.on_response = [](Response& r, const Request& asked) {
    if (asked.path == "/.well-known/est/simpleenroll") {
      r = status(307, "https://est.example/elsewhere/simpleenroll");
    }
  };
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.opened.size(), 1U);
  EXPECT_EQ(p.requests.back().path, "/elsewhere/simpleenroll");
  EXPECT_TRUE(p.open_sessions.empty());
}

TEST(EstRedirect, a_request_and_its_login_follow_to_no_other_origin) {
  for (const std::string to :
       {"https://other.example/.well-known/est/simpleenroll", "https://est.example:444/.well-known/est/simpleenroll",
        "http://est.example/.well-known/est/simpleenroll", ""}) {
    Pair p;
    answer(p, "/simpleenroll", status(302, to));
    p.run();
    expect_failed(p, Fault::refused, kRedirect);
    EXPECT_EQ(p.opened.size(), 1U);
  }
}

TEST(EstRedirect, a_request_sent_in_circles_ends) {
  Pair p;
  answer(p, "/simpleenroll", status(302, "https://est.example/.well-known/est/simpleenroll"));
  p.run();
  expect_failed(p, Fault::refused, kRedirect);
  EXPECT_EQ(p.requests.size(), 2U + 4U);
}

// ---- our own side ----

TEST(EstRefusals, a_key_that_cannot_be_made_or_used) {
  Pair making;
  making.key_fails = true;
  making.run();
  expect_failed(making, Fault::internal, kKey);
  Pair using_it;
  using_it.signing_fails = true;
  using_it.run();
  expect_failed(using_it, Fault::internal, kKey);
  EXPECT_FALSE(using_it.asked.has_value());
}

}  // namespace
}  // namespace imprint::est
