// fullcmc (RFC 7030 section 4.3): the same enrolment in a signed envelope; both sides, the server alone, the messages.
#include "proto/est/fullcmc.h"

#include <gtest/gtest.h>

#include "codec/base64.h"
#include "codec/der.h"
#include "crypto/cms.h"
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

Request posted(BytesView cms) { return make_request("", "", Operation::fullcmc, cms); }

// A session on which nobody is proven, and one on which the handshake has proven somebody.
SessionRef anonymous() {
  auto out = std::make_shared<Session>();
  out->channel_binding = to_bytes("this channel and no other");
  return out;
}
SessionRef as(const Party& who, const Party& anchor) {
  auto out = std::make_shared<Session>(*anonymous());
  out->proven = *verify_chain(who.certificate, {}, {anchor.certificate}, {Purpose::any, kStart, true});
  return out;
}

Bytes signed_request(const Party& by, const PrivateKey& key, const RequestTemplate& what = named("CN=dev-1")) {
  return *make_full_request(key, what, kIds, Signer{by.key, {by.certificate}});
}
RequestTemplate linked(std::string_view name = "CN=dev-1", const SessionRef& to = anonymous()) {
  RequestTemplate out = named(name);
  out.challenge_password = base64(to->channel_binding);
  return out;
}
PrivateKey fresh_key() { return *PrivateKey::generate(KeyType::p256); }

struct Said {
  PkiResponse response;
  SignedContent content;
};
Said opened(const Response& r) {
  const Bytes body = *decode_body(r.body);
  const auto content = parse_signed(body);
  EXPECT_TRUE(content);
  EXPECT_TRUE(verified_signer(body, *content));
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

TEST(FullCmc, which_proves_who_asks_where_the_connection_does_not_if_it_is_linked_to_it) {
  FullPair p;
  SessionRef seen;
  p.on_decision = [&seen](Decision&, const Admit& q) { seen = q.session; };
  const Response r = p.serve(posted(signed_request(cast().old, fresh_key(), linked())), anonymous());
  EXPECT_EQ(r.status, 200);
  ASSERT_TRUE(seen && seen->proven);
  EXPECT_EQ((*seen->proven)->leaf, cast().old.certificate);
  EXPECT_TRUE(seen->by_message);
  const Said said = opened(r);
  EXPECT_EQ(said.response.status, CmcStatus::success);
  EXPECT_EQ(said.response.ids.transaction, kIds.transaction);
  EXPECT_EQ(said.response.recipient_nonce, kIds.nonce);
  EXPECT_NE(said.response.ids.nonce, kIds.nonce);
  EXPECT_EQ(said.response.body_part, 1U);
}

// Whoever has seen a signed request could send it otherwise, and be given what its signer may have.
TEST(FullCmc, a_signed_request_is_of_no_use_on_another_connection) {
  FullPair p;
  const auto refused = [&p](const Bytes& message) {
    const Response r = p.serve(posted(message), anonymous());
    EXPECT_EQ(r.status, 403);
    EXPECT_FALSE(r.content_type.starts_with("application/")) << "nothing is signed for a stranger";
    return p.server_refused.back().rule == &kCmcSigner;
  };
  auto other = std::make_shared<Session>(*anonymous());
  other->channel_binding = to_bytes("another channel");
  EXPECT_TRUE(refused(signed_request(cast().old, fresh_key(), linked("CN=dev-1", other))));
  EXPECT_TRUE(refused(signed_request(cast().old, fresh_key()))) << "without a link";
  p.serve(posted(signed_request(cast().old, fresh_key(), linked())), std::make_shared<const Session>());
  EXPECT_EQ(p.server_refused.back().rule, &kCmcSigner) << "a connection without a binding links nothing";
  EXPECT_TRUE(p.issued.empty());
}

TEST(FullCmc, a_certificate_that_may_not_speak_in_a_handshake_may_not_here) {
  FullPair p;
  const Party no_signer =
      make_below(cast().owner, "CN=dev-1", [](CertificateTemplate& what) { what.usage = key_usage::kKeyAgreement; });
  const Party no_client = make_below(
      cast().owner, "CN=dev-1", [](CertificateTemplate& what) { what.extended = {std::string(eku::kServerAuth)}; });
  const Party expired = make_below(cast().owner, "CN=dev-1",
                                   [](CertificateTemplate& what) { what.not_after = kStart - std::chrono::hours(1); });
  const Party stranger = make_below(make_root("CN=elsewhere"), "CN=dev-1");
  for (const Party* by : {&no_signer, &no_client, &expired, &stranger, &cast().device}) {
    EXPECT_EQ(p.serve(posted(signed_request(*by, fresh_key(), linked())), anonymous()).status, 403);
    EXPECT_EQ(p.server_refused.back().rule, &kCmcSigner);
  }
  EXPECT_TRUE(p.issued.empty());
}

TEST(FullCmc, where_nothing_else_proves_who_asks_the_signature_has_to_hold) {
  FullPair p;
  Bytes message = signed_request(cast().old, fresh_key(), linked());
  message.back() ^= 1;
  EXPECT_EQ(p.serve(posted(message), anonymous()).status, 403);
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kCmcSigner);
  EXPECT_TRUE(p.issued.empty());
}

TEST(FullCmc, by_the_key_alone_possession_is_shown_and_nobody) {
  FullPair p;
  const Response r = p.serve(posted(*make_full_request(fresh_key(), linked(), kIds, std::nullopt)), anonymous());
  EXPECT_EQ(r.status, 401);
  EXPECT_TRUE(r.body.empty());
  EXPECT_TRUE(p.issued.empty());
}

// RFC 5272 section 3.2: such a signer is named by the identifier that the request asks for.
TEST(FullCmc, the_keys_identifier_has_to_be_in_the_request) {
  FullPair p;
  const PrivateKey key = fresh_key();
  const Bytes content = encode_pki_data(kIds, *imprint::make_request(key, named("CN=dev-1")));
  p.serve(posted(sign_content(kPkiData, content, {key, {}})->expose()), as(cast().old, cast().owner));
  EXPECT_EQ(p.server_refused.back().rule, &kCmcOwnKey);
  EXPECT_TRUE(p.issued.empty());
}

TEST(FullCmc, another_certificate_than_the_connections_is_refused) {
  FullPair p;
  const Response r =
      p.serve(posted(signed_request(cast().old, fresh_key(), linked())), as(cast().device, cast().maker));
  EXPECT_EQ(p.server_refused.back().rule, &kCmcSigner);
  const Said said = opened(r);
  EXPECT_EQ(said.response.status, CmcStatus::failed);
  EXPECT_EQ(said.response.failure, CmcFailure::bad_identity);
  EXPECT_EQ(said.response.ids.transaction, kIds.transaction);
}

TEST(FullCmc, a_damaged_request_is_refused_in_the_same_form) {
  FullPair p;
  const SessionRef session = as(cast().old, cast().owner);
  const Bytes good = signed_request(cast().old, fresh_key());
  Bytes bad = good;
  bad.back() ^= 1;  // of the signature
  const Response r = p.serve(posted(bad), session);
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(p.server_refused.back().rule, &kCmcSignature);
  const Said said = opened(r);
  EXPECT_EQ(said.response.failure, CmcFailure::bad_message_check) << "RFC 5272 section 3.2.1.3.4";
  EXPECT_EQ(said.response.body_part, 0U);
  for (std::size_t n = 1; n < good.size(); n += 7) {
    EXPECT_EQ(p.serve(posted(BytesView(good).first(n)), session).status, 400) << n;
  }
  EXPECT_TRUE(p.issued.empty());
}

TEST(FullCmc, a_request_whose_own_signature_fails_is_no_proof_of_possession) {
  FullPair p;
  Bytes request = *imprint::make_request(fresh_key(), named("CN=dev-1"));
  request.back() ^= 1;
  const Bytes content = encode_pki_data(kIds, request);
  const Response r =
      p.serve(posted(sign_content(kPkiData, content, {cast().old.key, {cast().old.certificate}})->expose()),
              as(cast().old, cast().owner));
  EXPECT_EQ(p.server_refused.back().rule, &kPossession);
  EXPECT_EQ(opened(r).response.failure, CmcFailure::pop_failed);
}

TEST(FullCmc, another_name_makes_it_no_renewal) {
  FullPair p;
  std::vector<bool> renewals;
  p.on_decision = [&renewals](Decision&, const Admit& q) { renewals.push_back(q.renewal); };
  const RequestTemplate other = linked("CN=dev-2");
  EXPECT_EQ(p.serve(posted(signed_request(cast().old, fresh_key(), other)), as(cast().old, cast().owner)).status, 200);
  EXPECT_EQ(renewals, std::vector<bool>{false}) << "as simpleenroll by an earlier certificate";
  p.serve(posted(signed_request(cast().old, fresh_key(), other)), anonymous());
  EXPECT_EQ(p.server_refused.back().rule, &kRenewalNames) << "where nothing else proves who asks";
}

TEST(FullCmc, its_content_type_is_looked_at_as_any) {
  FullPair p;
  Request r = posted(signed_request(cast().old, fresh_key()));
  r.content_type = "Application/PKCS7-MIME; smime-type=CMC-request";
  EXPECT_EQ(p.serve(r, as(cast().old, cast().owner)).status, 200);
  r.content_type = "application/pkcs7-mimeXYZ";
  EXPECT_EQ(p.serve(r, as(cast().old, cast().owner)).status, 415);
  r.method = Method::get;
  EXPECT_EQ(p.serve(r, as(cast().old, cast().owner)).status, 405);
}

TEST(FullCmc, a_body_that_is_no_base64_is_refused) {
  FullPair p;
  Request r = posted(signed_request(cast().old, fresh_key()));
  r.body.insert(r.body.begin(), '*');
  EXPECT_EQ(p.serve(r, as(cast().old, cast().owner)).status, 400);
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kBodyUnreadable);
}

TEST(FullCmc, where_nobody_signs_cms_nothing_is_begun) {
  const Request r = posted(signed_request(cast().old, fresh_key()));
  ServerConfig config;
  config.labels[""];
  const HttpRequest read = parse_http_request({1}, r, config, kStart, false);
  ASSERT_FALSE(read.message);
  EXPECT_EQ(wire_error(read.message.error()).status, 501);
  EXPECT_FALSE(read.full);
}

// ---- what a PKIData may hold ----

Bytes data(BytesView controls, BytesView requests, BytesView cms = {}, BytesView other = {}) {
  return der::sequence({der::item(der::kSequence, controls), der::item(der::kSequence, requests),
                        der::item(der::kSequence, cms), der::item(der::kSequence, other)});
}
Bytes tagged(const PrivateKey& key, std::uint64_t id = 1) {
  return der::item(der::context(0), der::concat({der::integer(id), *imprint::make_request(key, named("CN=dev-1"))}));
}
Response serve_data(FullPair& p, const Bytes& content) {
  return p.serve(posted(sign_content(kPkiData, content, {cast().old.key, {cast().old.certificate}})->expose()),
                 as(cast().old, cast().owner));
}

TEST(FullCmc, a_control_that_is_not_known_fails_the_whole_by_its_id) {
  FullPair p;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const Bytes revoke =
      der::sequence({der::integer(99), der::oid("1.3.6.1.5.5.7.7.17"), der::set_of({der::sequence({})})});
  const Response r = serve_data(p, data(revoke, tagged(key)));
  ASSERT_FALSE(p.server_refused.empty());
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
  EXPECT_EQ(serve_data(p, data({}, tagged(key), {}, der::sequence({}))).status, 400);
  const Said orm = opened(serve_data(p, data({}, der::item(der::context(2), der::integer(6)))));
  EXPECT_EQ(orm.response.status, CmcStatus::no_support) << "RFC 5272 section 3.2.1";
  EXPECT_EQ(orm.response.body_part, 6U);
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

TEST(FullCmc, what_is_signed_has_to_say_that_it_is_a_request) {
  FullPair p;
  const Bytes content = data({}, tagged(fresh_key()));
  p.serve(posted(sign_content("1.2.840.113549.1.7.1", content, {cast().old.key, {cast().old.certificate}})->expose()),
          as(cast().old, cast().owner));
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kCmcUnreadable);
}

TEST(FullCmc, a_signature_by_the_key_itself_is_verified_too) {
  FullPair p;
  Bytes message = *make_full_request(fresh_key(), named("CN=dev-1"), kIds, std::nullopt);
  message.back() ^= 1;
  p.serve(posted(message), as(cast().old, cast().owner));
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kCmcSignature);
}

// ---- structures ----

Bytes control_of(std::string_view type, std::initializer_list<BytesView> values) {
  Bytes all;
  for (const BytesView one : values) {
    all.insert(all.end(), one.begin(), one.end());
  }
  return der::sequence({der::integer(1), der::oid(type), der::item(der::kSet, all)});
}
constexpr std::string_view kNonceType = "1.3.6.1.5.5.7.7.6", kStatusType = "1.3.6.1.5.5.7.7.25";

TEST(FullCmc, controls_are_read_strictly) {
  const Bytes request = tagged(fresh_key()), nonce = der::item(der::kOctetString, Bytes{1});
  const auto fault = [&request](BytesView controls) { return parse_pki_data(data(controls, request)).request; };
  EXPECT_TRUE(fault(control_of(kNonceType, {nonce})));
  EXPECT_FALSE(fault(control_of(kNonceType, {nonce, nonce}))) << "two values";
  EXPECT_FALSE(fault(control_of(kNonceType, {der::item(der::kOctetString, Bytes(65, 1))}))) << "too long";
  EXPECT_FALSE(fault(control_of(kNonceType, {der::item(der::kUtf8, Bytes{1})}))) << "of another type";
  Bytes many;
  for (int i = 0; i < 33; ++i) {
    const Bytes one = control_of(kNonceType, {nonce});
    many.insert(many.end(), one.begin(), one.end());
  }
  EXPECT_FALSE(fault(many));
  const Bytes longer = der::sequence(
      {der::sequence({}), der::sequence({request}), der::sequence({}), der::sequence({}), der::sequence({})});
  EXPECT_FALSE(parse_pki_data(longer).request) << "five parts";
}

TEST(FullCmc, a_status_is_read_strictly) {
  const auto parsed = [](BytesView status) {
    const Bytes controls = control_of(kStatusType, {status});
    return static_cast<bool>(
        parse_pki_response(der::sequence({der::item(der::kSequence, controls), der::sequence({}), der::sequence({})})));
  };
  const Bytes list = der::sequence({der::integer(1)}), success = der::integer(0);
  EXPECT_TRUE(parsed(der::sequence({success, list})));
  EXPECT_FALSE(parsed(der::item(der::kSet, der::concat({success, list})))) << "no SEQUENCE";
  EXPECT_FALSE(parsed(der::sequence({der::item(der::kInteger, Bytes{}), list}))) << "no number";
  EXPECT_FALSE(parsed(der::sequence({success}))) << "no list";
  EXPECT_FALSE(parsed(der::sequence({der::integer(5), list}))) << "confirmRequired, which we do not know";
}

// ---- answers that a client must not take ----

void expect_answer_refused(FullPair& p) {
  p.run();
  EXPECT_EQ(p.rule(), kCmcAnswer.id) << p.states.back() << ' ' << p.detail();
  EXPECT_FALSE(p.installed.has_value());
}

// Puts another answer in the place of the server's.
void answer_otherwise(FullPair& p, const std::function<void(PkiResponse&)>& change) {
  p.on_response = [change](Response& r, const Request& asked) {
    if (asked.path.ends_with("fullcmc")) {
      Said said = opened(r);
      change(said.response);
      const Party& by = cast().server;
      r.body = encode_body(
          sign_content(kPkiResponse, encode_pki_response(said.response), {by.key, {by.certificate}}, said.content.along)
              ->expose());
    }
  };
}

TEST(FullCmc, an_answer_has_to_repeat_transaction_and_nonce) {
  FullPair p, q, r;
  answer_otherwise(p, [](PkiResponse& said) { said.ids.transaction = Bytes{1}; });
  expect_answer_refused(p);
  answer_otherwise(q, [](PkiResponse& said) { said.recipient_nonce = Bytes{1}; });
  expect_answer_refused(q);
  answer_otherwise(r, [](PkiResponse&) {});
  r.run();
  expect_enrolled(r);
}

TEST(FullCmc, an_answer_has_to_be_one_and_to_say_success) {
  FullPair p, q;
  answer_otherwise(p, [](PkiResponse& said) { said.status = CmcStatus::failed; });
  expect_answer_refused(p);
  q.on_response = [](Response& r, const Request& asked) {
    if (asked.path.ends_with("fullcmc")) {
      const Said said = opened(r);
      const Party& by = cast().server;
      r.body = encode_body(
          sign_content(kPkiData, said.content.content.expose(), {by.key, {by.certificate}}, said.content.along)
              ->expose());
    }
  };
  expect_answer_refused(q);
}

TEST(FullCmc, a_simple_response_is_the_word_of_the_server_itself) {
  FullPair p;
  p.on_response = [](Response& r, const Request& asked) {
    if (asked.path.ends_with("fullcmc")) {
      std::vector<Bytes> certificates;
      for (const Certificate& c : opened(r).content.along) {
        certificates.push_back(c.der);
      }
      r.content_type = "application/pkcs7-mime; smime-type=certs-only";
      r.body = encode_body(encode_certs_only(certificates));
    }
  };
  p.run();
  expect_enrolled(p);
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
