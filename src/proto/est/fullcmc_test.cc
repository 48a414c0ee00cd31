// fullcmc (RFC 7030 section 4.3): the same enrolment in a signed envelope; both sides, the server alone, the messages.
#include "proto/est/fullcmc.h"

#include <gtest/gtest.h>

#include "codec/der.h"
#include "proto/est/pair.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

const CmcIds kIds{Bytes{0x41, 2, 3}, Bytes{7, 7, 7, 7}};

struct FullPair : Pair {
  FullPair() {
    plan.full_cmc = true;
    keys["idevid"] = cast().device.key;
  }
};

RequestTemplate named(std::string_view name) { return {*Name::from_text(name), {}, {}, {}, {}, {}, {}, {}, {}}; }

Request posted(BytesView cms) {
  Request out = make_request("", "", Operation::fullcmc, cms);
  return out;
}

Bytes signed_request(const Party& by, const PrivateKey& key, std::string_view name = "CN=dev-1") {
  return *make_full_request(key, named(name), kIds, Signer{by.key, {by.certificate}});
}

// A session on which nobody is proven.
SessionRef anonymous() { return std::make_shared<const Session>(); }

struct Said {
  PkiResponse response;
  SignedContent content;
};
Said opened(const Response& r) {
  const Bytes body = *decode_body(r.body);
  const auto content = parse_signed(body);
  EXPECT_TRUE(content);
  EXPECT_TRUE(verify_signed(body, content->signer->key));
  EXPECT_EQ(content->type, kPkiResponse);
  EXPECT_EQ(r.content_type, kCmcResponseType);
  return {*parse_pki_response(content->content.expose()), *content};
}

void expect_enrolled(const FullPair& p) {
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.states.back() << ' ' << p.rule() << ' ' << p.detail();
  EXPECT_EQ(p.requests.back().path, "/.well-known/est/fullcmc");
  EXPECT_EQ(p.requests.back().content_type, kCmcRequestType);
  EXPECT_EQ(p.issued.size(), 1U);
  EXPECT_TRUE(p.sound);
  EXPECT_TRUE(p.open_sessions.empty());
}

TEST(FullCmc, a_device_enrols_by_a_request_that_its_idevid_signs) {
  FullPair p;
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(p.installed->certificate.key, p.asked->key.key);
}

TEST(FullCmc, a_device_with_a_token_signs_by_the_new_key_itself) {
  FullPair p;
  p.plan.credential.reset();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.run();
  expect_enrolled(p);
}

TEST(FullCmc, a_renewal_is_signed_by_the_certificate_to_be_renewed) {
  FullPair p;
  p.keys["old"] = cast().old.key;
  p.plan.credential = Credential{"old", {cast().old.certificate}};
  p.plan.renew = true;
  bool renewal = false;
  p.on_decision = [&renewal](Decision&, const Admit& q) { renewal = q.renewal; };
  p.run();
  expect_enrolled(p);
  EXPECT_TRUE(renewal);
}

TEST(FullCmc, which_proves_who_asks_where_the_connection_does_not) {
  FullPair p;
  const PrivateKey fresh = *PrivateKey::generate(KeyType::p256);
  SessionRef seen;
  p.on_decision = [&seen](Decision&, const Admit& q) { seen = q.session; };
  const Response r = p.serve(posted(signed_request(cast().old, fresh)), anonymous());
  EXPECT_EQ(r.status, 200);
  ASSERT_TRUE(seen && seen->proven);
  EXPECT_EQ((*seen->proven)->leaf, cast().old.certificate);
  const Said said = opened(r);
  EXPECT_EQ(said.response.status, CmcStatus::success);
  EXPECT_EQ(said.response.ids.transaction, kIds.transaction);
  EXPECT_EQ(said.response.recipient_nonce, kIds.nonce);
  EXPECT_NE(said.response.ids.nonce, kIds.nonce);
  EXPECT_EQ(said.response.body_part, 1U);
}

TEST(FullCmc, a_makers_certificate_or_a_stranger_proves_nobody_by_signing) {
  FullPair p;
  const PrivateKey fresh = *PrivateKey::generate(KeyType::p256);
  const Party stranger = make_below(make_root("CN=elsewhere"), "CN=dev-1");
  for (const Party* by : {&cast().device, &stranger}) {
    EXPECT_EQ(p.serve(posted(signed_request(*by, fresh)), anonymous()).status, 403);
    EXPECT_EQ(p.server_refused.back().rule, &kCmcSigner);
  }
  // By the key alone: possession, and nobody to admit.
  EXPECT_EQ(p.serve(posted(*make_full_request(fresh, named("CN=dev-1"), kIds, std::nullopt)), anonymous()).status, 401);
  EXPECT_TRUE(p.issued.empty());
}

TEST(FullCmc, another_certificate_than_the_connections_is_refused) {
  FullPair p;
  auto session = std::make_shared<Session>();
  session->proven =
      *verify_chain(cast().device.certificate, {}, {cast().maker.certificate}, {Purpose::any, kStart, true});
  const Response r = p.serve(posted(signed_request(cast().old, *PrivateKey::generate(KeyType::p256))), session);
  EXPECT_EQ(p.server_refused.back().rule, &kCmcSigner);
  const Said said = opened(r);
  EXPECT_EQ(said.response.status, CmcStatus::failed);
  EXPECT_EQ(said.response.failure, CmcFailure::bad_identity);
  EXPECT_EQ(said.response.ids.transaction, kIds.transaction);
}

TEST(FullCmc, a_registration_authority_forwards_a_renewal) {
  FullPair p;
  const Party ra =
      make_below(cast().owner, "CN=ra", [](CertificateTemplate& what) { what.extended = {std::string(eku::kCmcRa)}; });
  auto session = std::make_shared<Session>();
  session->proven = *verify_chain(ra.certificate, {}, {cast().owner.certificate}, {Purpose::any, kStart, true});
  const Response r = p.serve(posted(signed_request(cast().old, *PrivateKey::generate(KeyType::p256))), session);
  EXPECT_EQ(r.status, 200);
}

TEST(FullCmc, a_damaged_request_is_refused_in_the_same_form) {
  FullPair p;
  const Bytes good = signed_request(cast().old, *PrivateKey::generate(KeyType::p256));
  Bytes bad = good;
  bad.back() ^= 1;  // of the signature
  const Response r = p.serve(posted(bad), anonymous());
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(p.server_refused.back().rule, &kCmcSignature);
  EXPECT_EQ(opened(r).response.failure, CmcFailure::bad_request);
  for (std::size_t n = 1; n < good.size(); n += 7) {
    EXPECT_EQ(p.serve(posted(BytesView(good).first(n)), anonymous()).status, 400) << n;
  }
  EXPECT_TRUE(p.issued.empty());
}

TEST(FullCmc, a_request_for_another_name_is_refused_as_a_renewal) {
  FullPair p;
  const Response r =
      p.serve(posted(signed_request(cast().old, *PrivateKey::generate(KeyType::p256), "CN=dev-2")), anonymous());
  EXPECT_EQ(p.server_refused.back().rule, &kRenewalNames);
  EXPECT_EQ(opened(r).response.failure, CmcFailure::bad_identity);
}

// ---- what a PKIData may hold ----

Bytes data(BytesView controls, BytesView requests, BytesView cms = {}) {
  return der::sequence({der::item(der::kSequence, controls), der::item(der::kSequence, requests),
                        der::item(der::kSequence, cms), der::sequence({})});
}
Bytes tagged(const PrivateKey& key, std::uint64_t id = 1) {
  return der::item(der::context(0), der::concat({der::integer(id), *imprint::make_request(key, named("CN=dev-1"))}));
}
Response serve_data(FullPair& p, const Bytes& content) {
  return p.serve(posted(sign_content(kPkiData, content, {cast().old.key, {cast().old.certificate}})->expose()),
                 anonymous());
}

TEST(FullCmc, a_control_that_is_not_known_fails_the_whole_by_its_id) {
  FullPair p;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const Bytes revoke =
      der::sequence({der::integer(99), der::oid("1.3.6.1.5.5.7.7.17"), der::set_of({der::sequence({})})});
  const Response r = serve_data(p, data(revoke, tagged(key)));
  EXPECT_EQ(p.server_refused.back().rule, &kCmcUnsupported);
  const Said said = opened(r);
  EXPECT_EQ(said.response.failure, CmcFailure::bad_request);
  EXPECT_EQ(said.response.body_part, 99U);
}

TEST(FullCmc, one_request_no_more_and_no_less) {
  FullPair p;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  EXPECT_EQ(serve_data(p, data({}, tagged(key, 5))).status, 200);
  const Bytes two = der::concat({tagged(key, 1), tagged(key, 2)});
  EXPECT_EQ(serve_data(p, data({}, two)).status, 400);
  EXPECT_EQ(p.server_refused.back().rule, &kCmcUnsupported);
  EXPECT_EQ(serve_data(p, data({}, {})).status, 400);
  EXPECT_EQ(p.server_refused.back().rule, &kCmcUnreadable);
  EXPECT_EQ(serve_data(p, data({}, tagged(key), der::sequence({}))).status, 400);
  EXPECT_EQ(serve_data(p, data({}, der::item(der::context(2), der::integer(1)))).status, 400) << "orm";
  EXPECT_EQ(serve_data(p, to_bytes("no PKIData")).status, 400);
}

TEST(FullCmc, a_response_survives_and_cut_ones_are_malformed) {
  PkiResponse r;
  r.ids = kIds;
  r.recipient_nonce = Bytes{1, 2};
  r.status = CmcStatus::failed;
  r.failure = CmcFailure::pop_failed;
  r.body_part = 3;
  r.text = "no";
  const Bytes der = encode_pki_response(r);
  const auto again = parse_pki_response(der);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->ids, r.ids);
  EXPECT_EQ(again->recipient_nonce, r.recipient_nonce);
  EXPECT_EQ(again->failure, r.failure);
  EXPECT_EQ(again->body_part, 3U);
  EXPECT_EQ(again->text, "no");
  for (std::size_t n = 0; n < der.size(); ++n) {
    EXPECT_FALSE(parse_pki_response(BytesView(der).first(n))) << n;
    EXPECT_FALSE(parse_pki_data(BytesView(der).first(n)).request) << n;
  }
}

// ---- answers that a client must not take ----

void expect_answer_refused(FullPair& p) {
  p.run();
  EXPECT_EQ(p.rule(), kCmcAnswer.id) << p.states.back() << ' ' << p.detail();
  EXPECT_FALSE(p.installed.has_value());
}

TEST(FullCmc, an_answer_to_another_request_is_refused) {
  FullPair p;
  p.on_request = [first = Bytes()](Request& r) mutable {
    if (r.path.ends_with("fullcmc")) {
      r.body = encode_body(signed_request(cast().device, *PrivateKey::generate(KeyType::p256)));
    }
  };
  expect_answer_refused(p);
}

TEST(FullCmc, an_answer_that_another_device_signed_is_refused) {
  FullPair p;
  p.full_answerer = cast().old;
  expect_answer_refused(p);
}

TEST(FullCmc, an_answer_that_the_ca_signed_is_taken) {
  FullPair p;
  p.full_answerer = cast().issuing;
  p.run();
  expect_enrolled(p);
}

TEST(FullCmc, a_damaged_answer_is_refused) {
  FullPair p;
  p.on_response = [](Response& r, const Request& asked) {
    if (asked.path.ends_with("fullcmc")) {
      Bytes body = *decode_body(r.body);
      body.back() ^= 1;
      r.body = encode_body(body);
    }
  };
  expect_answer_refused(p);
}

TEST(FullCmc, the_owners_refusal_is_told_with_its_reason) {
  FullPair p;
  p.on_decision = [](Decision& d, const Admit&) {
    d.verdict = Verdict::refused;
    d.rule = &kRefused;
  };
  p.run();
  EXPECT_EQ(p.rule(), kRefused.id);
  EXPECT_TRUE(p.detail().find("badIdentity") != std::string::npos) << p.detail();
}

TEST(FullCmc, who_has_to_wait_is_told_so_and_comes_again) {
  FullPair p;
  int asks = 0;
  p.on_decision = [&asks](Decision& d, const Admit&) {
    if (asks++ == 0) {
      d.verdict = Verdict::pending;
      d.retry_after = std::chrono::seconds(30);
    }
  };
  std::vector<CmcStatus> statuses;
  p.on_response = [&statuses](Response& r, const Request& asked) {
    if (asked.path.ends_with("fullcmc")) {
      statuses.push_back(opened(r).response.status);
    }
  };
  p.run();
  expect_enrolled(p);
  EXPECT_EQ(statuses, (std::vector<CmcStatus>{CmcStatus::pending, CmcStatus::success}));
}

TEST(FullCmc, over_coaps_there_is_none) {
  FullPair p;
  p.plan.server = *Uri::parse("coaps://est.example");
  p.run();
  EXPECT_EQ(p.rule(), kCoapsNoFullCmc.id);
  EXPECT_TRUE(p.opened.empty());
}

}  // namespace
}  // namespace imprint::est
