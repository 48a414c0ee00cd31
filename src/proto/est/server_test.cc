// The server alone: which requests it takes, what it records, what it answers.
#include <gtest/gtest.h>

#include "codec/base64.h"
#include "crypto/cms.h"
#include "proto/est/pair.h"
#include "proto/est/rules.h"
#include "role/step.h"

namespace imprint::est {
namespace {

// A server that is asked by hand.
struct Asker : Pair {
  PrivateKey key = *PrivateKey::generate(KeyType::p256);
  RequestTemplate names;
  Session session;

  Asker() {
    names.subject = *Name::from_text("CN=dev-1");
    session.id = 5;
    session.channel_binding = to_bytes("this channel");
    prove(cast().device);
  }
  void prove(const Party& who) {
    session.presented = {who.certificate};
    session.proven = *verify_chain(who.certificate, {}, client_anchors, {Purpose::tls_client, now, true});
  }
  void link() { names.challenge_password = base64(session.channel_binding); }
  Response enrol(Operation operation = Operation::simpleenroll) { return send(*make_request(key, names), operation); }
  Response send(const Bytes& csr, Operation operation = Operation::simpleenroll) {
    Request r = est::make_request("", "", operation, csr);
    r.login = login;
    return serve(std::move(r), std::make_shared<const Session>(session));
  }
  std::optional<Login> login;
};

void expect_refused(const Asker& a, const Response& r, int status, Fault fault, const Rule& rule) {
  EXPECT_EQ(r.status, status);
  ASSERT_EQ(a.server_refused.size(), 1U);
  EXPECT_EQ(a.server_refused[0].fault, fault);
  EXPECT_EQ(a.server_refused[0].rule, &rule);
  EXPECT_TRUE(a.issued.empty());
  EXPECT_NE(as_text(r.body).find(rule.id), std::string_view::npos) << as_text(r.body);
  EXPECT_EQ(r.content_type, "text/plain; charset=utf-8");
}

Certificate only_certificate(const Response& r) {
  const auto all = parse_certs_only(*decode_body(r.body));
  EXPECT_TRUE(all);
  EXPECT_EQ(all->size(), 1U);
  return all->front();
}

TEST(EstServer, gives_what_it_records) {
  Asker a;
  a.link();
  const Response r = a.enrol();
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.content_type, "application/pkcs7-mime; smime-type=certs-only");
  ASSERT_EQ(a.issued.size(), 1U);
  EXPECT_EQ(only_certificate(r).der, a.issued[0].certificate);
  EXPECT_EQ(a.issued[0].identity, "certificate");
  EXPECT_NE(a.server_mind.find("possession:" + hex(sha256(a.key.public_key().spki))), nullptr);
}

TEST(EstServer, answers_the_same_request_with_the_same_certificate) {
  Asker a;
  const Response first = a.enrol();
  a.session.channel_binding = to_bytes("a later channel");
  const Response second = a.enrol();
  EXPECT_EQ(first.body, second.body);
  EXPECT_EQ(a.issued.size(), 1U);
}

TEST(EstServer, refuses_a_request_that_another_key_signed) {
  Asker a;
  Bytes csr = *make_request(a.key, a.names);
  csr.back() ^= 1U;
  expect_refused(a, a.send(csr), 400, Fault::unauthentic, kPossession);
}

TEST(EstServer, asks_a_stranger_who_it_is_before_it_looks_at_a_signature) {
  Asker a;
  a.session.proven.reset();
  Bytes csr = *make_request(a.key, a.names);
  csr.back() ^= 1U;
  const Response r = a.send(csr);
  EXPECT_EQ(r.status, 401);
  EXPECT_EQ(r.authenticate, std::vector<std::string>{"Basic realm=\"imprint\", charset=\"UTF-8\""});
  EXPECT_TRUE(a.server_refused.empty());
}

TEST(EstServer, refuses_a_password_in_the_request_that_it_never_gave) {
  Asker a;
  a.link();
  a.names.otp_challenge = "123456";
  expect_refused(a, a.enrol(), 400, Fault::unauthentic, kOtp);
}

TEST(EstServer, refuses_a_linking_value_of_another_connection) {
  for (const bool rfc7894 : {false, true}) {
    Asker a;
    (rfc7894 ? a.names.identity_linking : a.names.challenge_password) = base64(to_bytes("another channel"));
    expect_refused(a, a.enrol(), 400, Fault::unauthentic, kLinkingWrong);
  }
}

TEST(EstServer, judges_each_linking_value_on_its_own) {
  Asker a;
  a.link();
  a.names.identity_linking = "wrong";
  expect_refused(a, a.enrol(), 400, Fault::unauthentic, kLinkingWrong);
}

TEST(EstServer, takes_either_linking_value) {
  for (const bool rfc7894 : {false, true}) {
    Asker a;
    a.config.labels[""].require_linking = true;
    (rfc7894 ? a.names.identity_linking : a.names.challenge_password) = base64(a.session.channel_binding);
    EXPECT_EQ(a.enrol().status, 200);
  }
}

TEST(EstServer, refuses_an_unlinked_request_where_the_label_demands_it) {
  Asker a;
  a.config.labels[""].require_linking = true;
  expect_refused(a, a.enrol(), 400, Fault::unauthentic, kLinkingMissing);
}

TEST(EstServer, refuses_a_linking_value_on_a_channel_that_has_none) {
  Asker a;
  a.link();
  a.session.channel_binding.clear();
  expect_refused(a, a.enrol(), 400, Fault::unauthentic, kLinkingImpossible);
}

TEST(EstServer, ignores_an_old_style_challenge_password_where_told_to) {
  Asker a;
  a.names.challenge_password = "a password of old";
  a.config.labels[""].ignore_linking = true;
  EXPECT_EQ(a.enrol().status, 200);
}

TEST(EstServer, leaves_linking_to_a_registration_authority) {
  Asker a;
  a.config.labels[""].require_linking = true;
  a.names.challenge_password = base64(to_bytes("a channel beyond the authority"));
  const Party ra = make_below(cast().owner, "CN=RA", [](CertificateTemplate& what) {
    what.extended = {std::string(eku::kClientAuth), std::string(eku::kCmcRa)};
  });
  a.prove(ra);
  EXPECT_EQ(a.enrol().status, 200);
  // A maker's certificate that calls itself one is none.
  Asker c;
  c.names.challenge_password = base64(to_bytes("a channel beyond the authority"));
  c.prove(make_below(cast().maker, "CN=RA", [](CertificateTemplate& what) {
    what.extended = {std::string(eku::kClientAuth), std::string(eku::kCmcRa)};
  }));
  expect_refused(c, c.enrol(), 400, Fault::unauthentic, kLinkingWrong);
  // The same certificate merely shown, not proven, is no authority.
  Asker b;
  b.names.challenge_password = base64(to_bytes("a channel beyond the authority"));
  b.session.presented = {ra.certificate};
  b.session.proven.reset();
  b.login = Login{"dev-1", Secret("a secret")};
  expect_refused(b, b.enrol(), 400, Fault::unauthentic, kLinkingWrong);
}

TEST(EstServer, renews_only_what_was_proven) {
  Asker a;
  a.session.proven.reset();
  a.login = Login{a.user, Secret(a.password)};
  expect_refused(a, a.enrol(Operation::simplereenroll), 403, Fault::unauthentic, kRenewalUnproven);
}

TEST(EstServer, a_renewal_keeps_the_names) {
  Asker subject;
  subject.prove(cast().old);
  subject.names.subject = *Name::from_text("CN=dev-2");
  expect_refused(subject, subject.enrol(Operation::simplereenroll), 403, Fault::refused, kRenewalNames);
  Asker names;
  names.prove(cast().old);
  names.names.alt_names = {*GeneralName::from_text("dns:dev-2")};
  expect_refused(names, names.enrol(Operation::simplereenroll), 403, Fault::refused, kRenewalNames);
  Asker same;
  same.prove(cast().old);
  EXPECT_EQ(same.enrol(Operation::simplereenroll).status, 200);
}

TEST(EstServer, asks_a_stranger_for_credentials) {
  Asker a;
  a.session.proven.reset();
  const Response r = a.enrol();
  EXPECT_EQ(r.status, 401);
  EXPECT_EQ(r.authenticate, std::vector<std::string>{"Basic realm=\"imprint\", charset=\"UTF-8\""});
  EXPECT_TRUE(a.issued.empty());
  EXPECT_TRUE(a.denied.empty());
}

TEST(EstServer, records_a_refusal_and_names_its_rule) {
  Asker a;
  static constexpr Rule kHouse{"HOUSE-1", "not on a Sunday", "ours", "come on Monday"};
  a.on_decision = [](Decision& d, const Admit&) {
    d.verdict = Verdict::refused;
    d.rule = &kHouse;
    d.reason = "it is Sunday";
  };
  const Response r = a.enrol();
  EXPECT_EQ(r.status, 403);
  ASSERT_EQ(a.denied.size(), 1U);
  EXPECT_EQ(a.denied[0].rule, "HOUSE-1");
  EXPECT_EQ(a.denied[0].reason, "it is Sunday");
  EXPECT_NE(as_text(r.body).find("not on a Sunday"), std::string_view::npos);
  EXPECT_EQ(as_text(r.body).find("it is Sunday"), std::string_view::npos) << "the reason is the operator's";
}

TEST(EstServer, a_request_that_waits_is_recorded_before_the_202) {
  Asker a;
  a.on_decision = [](Decision& d, const Admit&) {
    d.verdict = Verdict::pending;
    d.retry_after = Duration(1500);
    d.reason = "a person decides";
  };
  const Response r = a.enrol();
  EXPECT_EQ(r.status, 202);
  EXPECT_EQ(r.retry_after_s, 2);  // never sooner than the policy said
  ASSERT_EQ(a.pended.size(), 1U);
  EXPECT_EQ(a.pended[0].subject, "CN=dev-1");
  EXPECT_EQ(a.pended[0].reason, "a person decides");
}

TEST(EstServer, a_ca_or_store_that_fails_is_no_refusal) {
  for (const bool store : {false, true}) {
    Asker a;
    (store ? a.store_fails : a.ca_fails) = true;
    const Response r = a.enrol();
    EXPECT_EQ(r.status, 503);
    EXPECT_EQ(r.retry_after_s, 5);
    EXPECT_TRUE(a.issued.empty());
    EXPECT_TRUE(a.denied.empty());
  }
}

TEST(EstServer, serves_ca_certificates_and_wishes_to_anybody) {
  Asker a;
  a.session.proven.reset();
  a.session.presented.clear();
  const auto get = [&](Operation o) {
    return a.serve(est::make_request("", "", o), std::make_shared<const Session>(a.session));
  };
  const Response ca = get(Operation::cacerts);
  EXPECT_EQ(ca.status, 200);
  EXPECT_EQ(parse_certs_only(*decode_body(ca.body))->front(), cast().owner.certificate);
  EXPECT_EQ(get(Operation::csrattrs).status, 204);
  CsrAttributes wishes;
  wishes.key = KeyType::p521;
  a.config.labels[""].wishes = wishes.encode();
  const Response w = get(Operation::csrattrs);
  EXPECT_EQ(w.status, 200);
  EXPECT_EQ(w.content_type, "application/csrattrs");
  EXPECT_EQ(CsrAttributes::parse(*decode_body(w.body))->key, KeyType::p521);
}

TEST(EstServer, an_unknown_label_is_refused_by_the_role_too) {
  const Server role(std::make_shared<const ServerConfig>());
  SeededRng rng(1);
  const auto fault = [&](const Server::Input& input) {
    Server::Turn turn(kStart, rng, 1);
    const auto next = step(role, Server::State(Server::Idle{}), input, turn);
    EXPECT_TRUE(turn.actions().empty());
    return next ? nullptr : next.error().rule;
  };
  EXPECT_EQ(fault(Server::GetCaCertificates{{1}, "x"}), &kNoSuchLabel);
  EXPECT_EQ(fault(Server::GetCsrAttributes{{1}, "x"}), &kNoSuchLabel);
  EXPECT_EQ(fault(Server::Enrol{{1}, std::make_shared<const Session>(), {}, "x", false, {}}), &kNoSuchLabel);
}

// ---- who leaves ----

struct Turns : Asker {
  Server role{std::make_shared<const ServerConfig>(config)};
  SeededRng rng{1};
  Server::State state = Server::Idle{};
  std::uint64_t ticket = 1;
  std::vector<Server::Turn::Action> actions;

  const Error* feed(const Server::Input& input) {
    Server::Turn turn(kStart, rng, ticket);
    auto next = step(role, state, input, turn);
    if (!next) {
      last = next.error();
      return &last;
    }
    state = *std::move(next);
    ticket = turn.next_ticket();
    actions = turn.take_actions();
    return nullptr;
  }
  void ask() {
    Request r = est::make_request("", "", Operation::simpleenroll, *make_request(key, names));
    r.session = std::make_shared<const Session>(session);
    std::visit([&](const auto& m) { feed(m); }, *parse_request({7}, r, config));
  }
  Decision yes() const {
    Decision d;
    d.verdict = Verdict::issue;
    d.grant.spki = key.public_key().spki;
    d.grant.names.subject = names.subject;
    return d;
  }
  Error last{Fault::internal, ""};
};

TEST(EstServer, who_leaves_before_the_decision_is_forgotten) {
  Turns t;
  t.ask();
  ASSERT_TRUE(std::holds_alternative<Server::Admitting>(t.state));
  ASSERT_NE(t.feed(Gone{{8}}), nullptr);
  EXPECT_EQ(t.last.fault, Fault::stale);
  EXPECT_TRUE(std::holds_alternative<Server::Admitting>(t.state));
  EXPECT_EQ(t.feed(Gone{{7}}), nullptr);
  EXPECT_TRUE(std::holds_alternative<Server::Idle>(t.state));
  EXPECT_TRUE(t.actions.empty());
}

TEST(EstServer, who_leaves_while_the_ca_signs_still_has_a_certificate_on_record) {
  Turns t;
  t.ask();
  EXPECT_EQ(t.feed(Done<Decision>{{1}, t.yes()}), nullptr);
  ASSERT_TRUE(std::holds_alternative<Server::Issuing>(t.state));
  ASSERT_NE(t.feed(Gone{{8}}), nullptr);
  EXPECT_EQ(t.last.fault, Fault::stale);
  EXPECT_EQ(t.feed(Gone{{7}}), nullptr);
  EXPECT_EQ(t.feed(Done<Signed>{{2}, Signed{Bytes{1, 2, 3}}}), nullptr);
  ASSERT_FALSE(t.actions.empty());
  EXPECT_TRUE(std::holds_alternative<Note<Issued>>(t.actions.back())) << "nothing is answered to nobody";
}

TEST(EstServer, a_ca_that_takes_its_time_has_the_device_come_again_and_leaves_no_record) {
  Turns t;
  t.ask();
  t.feed(Done<Decision>{{1}, t.yes()});
  EXPECT_EQ(t.feed(Done<Signed>{{2}, Signed{{}, Duration(1500)}}), nullptr);
  ASSERT_EQ(t.actions.size(), 1U);
  EXPECT_EQ(std::get<Reply>(t.actions[0]).what.status, 202);
  EXPECT_EQ(std::get<Reply>(t.actions[0]).what.retry_after_s, 2);
}

TEST(EstServer, a_certificate_on_record_is_answered_and_not_recorded_again) {
  Turns t;
  t.ask();
  t.feed(Done<Decision>{{1}, t.yes()});
  EXPECT_EQ(t.feed(Done<Signed>{{2}, Signed{Bytes{1, 2, 3}, {}, true, true}}), nullptr);
  ASSERT_EQ(t.actions.size(), 1U);
  EXPECT_EQ(std::get<Reply>(t.actions[0]).what.status, 200);
}

TEST(EstServer, a_refusal_of_the_ca_is_on_record_before_it_is_answered) {
  Turns t;
  t.ask();
  t.feed(Done<Decision>{{1}, t.yes()});
  EXPECT_EQ(t.feed(Done<Signed>{{2}, Error{Fault::refused, kUpstreamKey}}), nullptr);
  ASSERT_EQ(t.actions.size(), 2U);
  EXPECT_EQ(std::get<Note<Denied>>(t.actions[0]).fact.rule, kUpstreamKey.id);
  EXPECT_EQ(std::get<Reply>(t.actions[1]).what.status, 403);
}

TEST(EstServer, another_ca_signs_what_the_device_has_signed) {
  Turns t;
  t.ask();
  t.feed(Done<Decision>{{1}, t.yes()});
  const auto& ask = std::get<Ask<Issue>>(t.actions.back());
  ASSERT_TRUE(CertificateRequest::parse(ask.question.request));
  EXPECT_EQ(CertificateRequest::parse(ask.question.request)->key, t.key.public_key());
  t.feed(Done<Signed>{{2}, Signed{Bytes{1, 2, 3}, {}, true}});
  ASSERT_GE(t.actions.size(), 2U);
  EXPECT_NE(std::get<Note<Issued>>(t.actions[t.actions.size() - 2]).fact.reason.find("handed on"), std::string::npos);
}

// ---- the server alone, asked for a key that it makes ----

Server::GenerateKey generate(const Turns& t, std::string label = {}) {
  Request r = est::make_request("", "", Operation::serverkeygen, *make_request(t.key, t.names));
  r.session = std::make_shared<const Session>(t.session);
  auto message = std::get<Server::GenerateKey>(*parse_request({7}, r, t.config));
  message.label = std::move(label);
  return message;
}

TEST(EstServer, who_leaves_while_a_key_is_made_gets_none) {
  Turns t;
  auto config = t.config;
  config.labels[""].server_keys = true;
  t.role = Server(std::make_shared<const ServerConfig>(config));
  ASSERT_EQ(t.feed(generate(t)), nullptr);
  Decision d = t.yes();
  d.delivery = KeyDelivery{KeyType::p256, KeyDelivery::InClear{}, {}};
  ASSERT_EQ(t.feed(Done<Decision>{{1}, d}), nullptr);
  ASSERT_TRUE(std::holds_alternative<Server::Keying>(t.state));
  ASSERT_NE(t.feed(Gone{{8}}), nullptr);
  EXPECT_EQ(t.last.fault, Fault::stale);
  EXPECT_EQ(t.feed(Gone{{7}}), nullptr);
  EXPECT_TRUE(std::holds_alternative<Server::Idle>(t.state));
  EXPECT_TRUE(t.actions.empty());
}

TEST(EstServer, a_key_that_cannot_be_wrapped_is_on_record_as_refused) {
  const Rule busy{"TEST-BUSY", "busy", "", ""};
  struct Case {
    Error why;
    int status = 0;
    bool recorded = false;
  };
  for (const Case& c : {Case{{Fault::refused, kNoCapability}, 403, true}, Case{{Fault::unreachable, busy}, 503, false},
                        Case{{Fault::internal, "no memory"}, 503, false}}) {
    Turns t;
    auto config = t.config;
    config.labels[""].server_keys = true;
    t.role = Server(std::make_shared<const ServerConfig>(config));
    ASSERT_EQ(t.feed(generate(t)), nullptr);
    Decision d = t.yes();
    d.delivery = KeyDelivery{KeyType::p256, KeyDelivery::InClear{}, {}};
    ASSERT_EQ(t.feed(Done<Decision>{{1}, d}), nullptr);
    ASSERT_EQ(t.feed(Done<MadeKey>{{2}, c.why}), nullptr);
    EXPECT_TRUE(std::holds_alternative<Server::Idle>(t.state));
    ASSERT_EQ(t.actions.size(), c.recorded ? 2U : 1U);
    if (c.recorded) {
      EXPECT_EQ(std::get<Note<Denied>>(t.actions.front()).fact.rule, kNoCapability.id);
    }
    EXPECT_EQ(std::get<Reply>(t.actions.back()).what.status, c.status);
  }
}

TEST(EstServer, a_key_for_nobody_or_under_no_label_is_not_made) {
  Turns t;
  auto config = t.config;
  config.labels[""].server_keys = true;
  t.role = Server(std::make_shared<const ServerConfig>(config));
  ASSERT_NE(t.feed(generate(t, "no such label")), nullptr);
  EXPECT_EQ(t.last.rule, &kNoSuchLabel);
  t.session.proven.reset();
  ASSERT_EQ(t.feed(generate(t)), nullptr);
  EXPECT_TRUE(std::holds_alternative<Server::Idle>(t.state)) << "the policy is not asked";
  ASSERT_EQ(t.actions.size(), 1U);
  EXPECT_EQ(std::get<Reply>(t.actions.front()).what.status, 401);
}

TEST(EstServer, answers_to_questions_of_before_are_stale) {
  Turns t;
  t.ask();
  EXPECT_NE(t.feed(Done<Decision>{{9}, t.yes()}), nullptr);
  EXPECT_EQ(t.last.fault, Fault::stale);
  EXPECT_NE(t.feed(Done<Signed>{{1}, Signed{}}), nullptr);
  EXPECT_EQ(t.last.fault, Fault::unexpected);
}

TEST(EstServer, records_before_it_answers) {
  for (const Verdict verdict : {Verdict::issue, Verdict::pending, Verdict::refused}) {
    Turns t;
    t.ask();
    Decision d = t.yes();
    d.verdict = verdict;
    t.feed(Done<Decision>{{1}, d});
    if (verdict == Verdict::issue) {
      t.feed(Done<Signed>{{2}, Signed{Bytes{1, 2, 3}}});
    }
    ASSERT_GE(t.actions.size(), 2U);
    const auto& record = t.actions[t.actions.size() - 2];
    EXPECT_TRUE(std::holds_alternative<Note<Issued>>(record) || std::holds_alternative<Note<Pended>>(record) ||
                std::holds_alternative<Note<Denied>>(record));
    EXPECT_TRUE(std::holds_alternative<Reply>(t.actions.back()));
  }
}

// ---- under which key a request is found again ----

TEST(EstRequestKey, follows_who_asks_for_what_and_nothing_else) {
  const Asker a;
  const auto request = [&](auto edit) {
    RequestTemplate names = a.names;
    edit(names);
    return *CertificateRequest::parse(*make_request(a.key, names));
  };
  const CertificateRequest plain = request([](RequestTemplate&) {});
  const Bytes key = request_key(a.session, {}, "", plain);
  // A rebuilt request, linked to another connection, is the same request.
  Session later = a.session;
  later.id = 6;
  later.channel_binding = to_bytes("later");
  EXPECT_EQ(request_key(later, {}, "", request([](RequestTemplate& t) { t.challenge_password = "x"; })), key);
  // Everything else makes it another one.
  EXPECT_NE(request_key(a.session, {}, "meters", plain), key);
  EXPECT_NE(request_key(a.session, {}, "", request([](RequestTemplate& t) { t.subject = *Name::from_text("CN=x"); })),
            key);
  EXPECT_NE(request_key(a.session, {}, "",
                        request([](RequestTemplate& t) { t.alt_names = {*GeneralName::from_text("dns:x")}; })),
            key);
  const PrivateKey other = *PrivateKey::generate(KeyType::p256);
  EXPECT_NE(request_key(a.session, {}, "", *CertificateRequest::parse(*make_request(other, a.names))), key);
  Session somebody = a.session;
  somebody.proven = *verify_chain(cast().old.certificate, {}, a.client_anchors, {Purpose::any, kStart, true});
  EXPECT_NE(request_key(somebody, {}, "", plain), key);
  Session nobody = a.session;
  nobody.proven.reset();
  EXPECT_NE(request_key(nobody, Login{"dev-1", {}}, "", plain), request_key(nobody, Login{"dev-2", {}}, "", plain));
  EXPECT_NE(request_key(nobody, {}, "", plain), key);
}

}  // namespace
}  // namespace imprint::est
