// A key that the server makes (RFC 7030 section 4.4): device and server in conversation, the server alone, and the
// parser of its answers.
#include <gtest/gtest.h>

#include "codec/base64.h"
#include "proto/est/multipart.h"
#include "proto/est/pair.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

// A device that asks for its key, in clear or wrapped.
struct KeyPair : Pair {
  KeyPair() {
    plan.server_key = true;
    config.labels[""].server_keys = true;
    keys["idevid"] = cast().device.key;
  }
  void wrap_for_own_key() { plan.wrap = WrapKey{"idevid", false, key_identifier(cast().device.key.public_key())}; }
  void wrap_with_shared_key() { plan.wrap = WrapKey{"shared", true, shared_key.id}; }
};

void expect_given(const KeyPair& p) {
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.states.back() << ' ' << p.rule() << ' ' << p.detail();
  ASSERT_TRUE(p.installed.has_value());
  EXPECT_EQ(p.installed->key.id, "given");
  EXPECT_EQ(p.installed->certificate.key, p.keys.at("given").public_key());
  EXPECT_EQ(p.requests.back().path, "/.well-known/est/serverkeygen");
  EXPECT_TRUE(p.sound);
  EXPECT_TRUE(p.open_sessions.empty());
  const std::string known = "key-known:" + hex(sha256(p.installed->key.key.spki));
  EXPECT_NE(p.device_mind.find(known), nullptr);
}

void expect_failed(const KeyPair& p, const Rule& rule) {
  EXPECT_EQ(p.rule(), rule.id) << p.detail();
  EXPECT_FALSE(p.installed.has_value());
  EXPECT_TRUE(p.open_sessions.empty());
}

// Changes the parts of the server's answer before they are put together.
auto edit_parts(std::function<void(std::vector<Part>&)> edit) {
  return [edit = std::move(edit)](Response& r, const Request& asked) {
    if (asked.path.ends_with("serverkeygen") && r.status == 200) {
      r.parts = *parts_in(r);
      edit(r.parts);
    }
  };
}

TEST(ServerKey, in_clear) {
  KeyPair p;
  p.run();
  expect_given(p);
  ASSERT_EQ(p.issued.size(), 1U);
  EXPECT_NE(p.installed->key.key, p.asked->key.key) << "the key that signed the request is another one";
}

TEST(ServerKey, wrapped_with_a_shared_key) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.run();
  expect_given(p);
}

TEST(ServerKey, wrapped_for_the_devices_own_key) {
  KeyPair p;
  p.wrap_for_own_key();
  p.run();
  expect_given(p);
}

TEST(ServerKey, of_the_type_that_the_request_has) {
  for (const KeyType type : {KeyType::p384, KeyType::ed25519, KeyType::rsa2048}) {
    KeyPair p;
    p.plan.key_type = type;
    p.run();
    expect_given(p);
    EXPECT_EQ(p.installed->key.key.type, type);
  }
}

TEST(ServerKey, the_servers_belief_is_an_assertion) {
  KeyPair p;
  p.run();
  expect_given(p);
  const std::string digest = hex(sha256(p.installed->key.key.spki));
  EXPECT_EQ(p.server_mind.find("possession:" + digest), nullptr);
  ASSERT_NE(p.server_mind.find("given:" + digest), nullptr);
  EXPECT_EQ(p.server_mind.strength("given:" + digest), Strength::asserted);
}

TEST(ServerKey, a_lost_answer_is_superseded_by_another_key) {
  KeyPair p;
  p.lose_answers["serverkeygen"] = 1;
  p.run();
  expect_given(p);
  ASSERT_EQ(p.issued.size(), 2U);
  EXPECT_EQ(p.issued[0].request_key, p.issued[1].request_key);
  EXPECT_EQ(p.issued[1].supersedes, Certificate::parse(p.issued[0].certificate)->serial);
  EXPECT_NE(Certificate::parse(p.issued[0].certificate)->key, Certificate::parse(p.issued[1].certificate)->key);
}

TEST(ServerKey, after_a_power_cut_the_device_asks_again) {
  KeyPair p;
  p.max_inputs = 6;  // the request has left
  p.run();
  ASSERT_TRUE(p.asked.has_value());
  ASSERT_FALSE(p.installed.has_value());
  p.max_inputs = 300;
  p.open_sessions.clear();
  p.run(p.asked);
  expect_given(p);
}

TEST(ServerKey, a_key_that_cannot_be_kept_is_not_installed) {
  KeyPair p;
  bool asked = false;
  p.on_response = [&](Response&, const Request& r) {
    asked = asked || r.path.ends_with("serverkeygen");
    p.key_fails = asked;
  };
  p.run();
  expect_failed(p, kKey);
}

TEST(ServerKey, off_by_default) {
  KeyPair p;
  p.config.labels[""].server_keys = false;
  p.run();
  expect_failed(p, kRefused);
  EXPECT_EQ(p.server_refused.size(), 1U) << "asked once, not again";
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kKeysNotMade);
  EXPECT_TRUE(p.issued.empty());
}

TEST(ServerKey, nobody_known_gets_a_challenge) {
  KeyPair p;
  p.plan.credential.reset();
  p.run();
  expect_failed(p, kUnauthorized);
  EXPECT_TRUE(p.issued.empty());
}

TEST(ServerKey, a_wrong_link_gets_nothing) {
  KeyPair p;
  p.on_csr = [](RequestTemplate& t) { t.challenge_password = "another session's"; };
  p.run();
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kLinkingWrong);
}

TEST(ServerKey, the_requests_own_signature_is_ignored) {
  KeyPair p;
  p.on_signed = [](Bytes& csr) { csr.back() ^= 1U; };
  p.run();
  expect_given(p);
}

TEST(ServerKey, two_keys_to_wrap_with_are_one_too_many) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.on_csr = [](RequestTemplate& t) { t.wrapping.own_key_id = Bytes{1}; };
  p.run();
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kWrappingTwice);
}

TEST(ServerKey, a_wrapped_key_without_capabilities_is_refused) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.on_csr = [](RequestTemplate& t) { t.wrapping.capabilities.clear(); };
  p.run();
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().rule, &kNoCapabilities);
}

TEST(ServerKey, without_a_capability_in_common_the_server_refuses) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.on_csr = [](RequestTemplate& t) { t.wrapping.capabilities = {"1.2.840.113549.3.7"}; };
  p.run();
  expect_failed(p, kRefused);
  EXPECT_TRUE(p.issued.empty()) << "nothing is signed for a key that cannot be sent";
}

TEST(ServerKey, a_wrapped_key_in_clear_is_refused) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.on_csr = [](RequestTemplate& t) { t.wrapping = {}; };
  p.run();
  expect_failed(p, kKeyInClear);
}

// Whatever the policy says and whoever makes the key: what the request wants wrapped does not leave in clear.
TEST(ServerKey, the_server_sends_nothing_in_clear_where_the_request_says_wrapped) {
  KeyPair p;
  p.plan.attempts = 1;
  p.wrap_for_own_key();
  p.on_decision = [](Decision& d, const Admit&) { d.delivery->form = KeyDelivery::InClear{}; };
  p.run();
  ASSERT_FALSE(p.server_refused.empty());
  EXPECT_EQ(p.server_refused.back().what, "decision: delivery");
  EXPECT_TRUE(p.issued.empty());

  KeyPair q;
  q.plan.attempts = 1;
  q.wrap_for_own_key();
  q.on_made_key = [](Result<MadeKey>& made) {
    made->wrapped = false;
    made->body = *encode_pkcs8(*PrivateKey::generate(KeyType::p256));
  };
  q.run();
  ASSERT_FALSE(q.server_refused.empty());
  EXPECT_EQ(q.server_refused.back().what, "made key: form");
  EXPECT_TRUE(q.issued.empty());
}

TEST(ServerKey, why_no_key_could_be_made_is_told_by_its_rule) {
  constexpr Rule kWhy{"TEST-WHY", "no key", "ours", "none"};
  KeyPair p;
  p.wrap_for_own_key();
  p.on_made_key = [&kWhy](Result<MadeKey>& made) { made = Error{Fault::refused, kWhy}; };
  p.run();
  expect_failed(p, kRefused);
  EXPECT_NE(p.detail().find("TEST-WHY"), std::string::npos) << p.detail();
  EXPECT_TRUE(p.issued.empty());
}

TEST(ServerKey, a_signature_that_does_not_verify_is_the_signers_fault) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.on_opened = [](Result<Secret>& opened) {
    Bytes changed = to_bytes(opened->expose());
    changed.back() ^= 1U;  // of the signature, which comes last
    opened = Secret(BytesView(changed));
  };
  p.run();
  expect_failed(p, kKeySigner);
}

TEST(ServerKey, what_is_no_signed_key_is_unreadable) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.on_opened = [](Result<Secret>& opened) { opened = Secret("no SignedData"); };
  p.run();
  expect_failed(p, kKeyEnvelope);
}

// RFC 9148 section 4.8: the same roles, the parts as a CBOR array.
struct CoapKeyPair : KeyPair {
  CoapKeyPair() { plan.server = *Uri::parse("coaps://est.example"); }
};

TEST(ServerKey, over_coaps_in_clear_and_wrapped) {
  CoapKeyPair clear, wrapped;
  wrapped.wrap_for_own_key();
  for (CoapKeyPair* const p : {&clear, &wrapped}) {
    std::string type;
    p->on_response = [&type](Response& r, const Request&) { type = r.content_type; };
    p->run();
    ASSERT_TRUE(p->is<Client::Enrolled>()) << p->states.back() << ' ' << p->rule() << ' ' << p->detail();
    EXPECT_EQ(p->requests.back().path, "/.well-known/est/skg");
    EXPECT_EQ(p->installed->certificate.key, p->keys.at("given").public_key());
    EXPECT_EQ(type, "application/multipart-core");
    EXPECT_TRUE(p->sound);
  }
}

TEST(ServerKey, over_coaps_skc_has_the_certificate_by_itself) {
  CoapKeyPair p;
  p.on_request = [](Request& r) {
    if (r.path.ends_with("/skg")) {
      r.path = "/est/skc";
    }
  };
  std::vector<Part> parts;
  p.on_response = [&parts](Response& r, const Request&) {
    if (r.content_type == kMultipartCore) {
      parts = *parts_in(r);
    }
  };
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule() << ' ' << p.detail();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].content_type, "application/pkcs8");
  EXPECT_EQ(parts[1].content_type, "application/pkix-cert");
  EXPECT_EQ(to_bytes(parts[1].body.expose()), p.installed->certificate.der);
}

TEST(ServerKey, over_coaps_a_profile_without_it_says_so) {
  CoapKeyPair p;
  p.config.labels[""].server_keys = false;
  p.run();
  expect_failed(p, kRefused);
  EXPECT_TRUE(p.detail().starts_with("501")) << p.detail();
  EXPECT_EQ(coap_resources(p.config).size(), 5U);
  EXPECT_EQ(coap_resources(CoapKeyPair().config).size(), 7U);
}

Bytes core(std::string_view text) { return *from_hex(text); }

TEST(ServerKey, parts_in_cbor_are_read_strictly) {
  const auto parts = parse_multipart_core(core("8419011c480123456789abcdef19011948fedcba9876543210"));
  ASSERT_TRUE(parts);  // the example of RFC 9148 section 4.8, with its Content-Formats
  EXPECT_EQ((*parts)[0].content_type, "application/pkcs8");
  EXPECT_EQ(to_bytes((*parts)[0].body.expose()), core("0123456789abcdef"));
  EXPECT_EQ((*parts)[1].content_type, "application/pkcs7-mime; smime-type=certs-only");
  const auto fault = [](std::string_view text) { return parse_multipart_core(core(text)).error().fault; };
  EXPECT_EQ(fault("8319011c480123456789abcdef190119"), Fault::malformed) << "an odd number of items";
  EXPECT_EQ(fault("8219011cf6"), Fault::malformed) << "a part that is null";
  EXPECT_EQ(fault("8219011c480123456789abcd"), Fault::malformed) << "cut short";
  EXPECT_EQ(fault("8219011c410100"), Fault::malformed) << "something after it";
  EXPECT_EQ(fault("80"), Fault::malformed) << "no parts";
  EXPECT_EQ(fault("82182a4101"), Fault::unsupported) << "another Content-Format";
  EXPECT_EQ(fault("9b000000010000000019011c4101"), Fault::limit) << "more parts than there can be";
  EXPECT_FALSE(encode_multipart_core({{"text/plain", Secret("x")}}));
}

TEST(ServerKey, an_envelope_for_somebody_else_is_refused) {
  KeyPair p;
  p.wrap_for_own_key();
  p.keys["idevid"] = *PrivateKey::generate(KeyType::p256);
  p.run();
  expect_failed(p, kKeyEnvelope);
}

TEST(ServerKey, another_device_of_the_owners_may_not_sign_it) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.key_signer = cast().old;
  p.run();
  expect_failed(p, kKeySigner);
}

TEST(ServerKey, a_stranger_may_not_sign_it) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.key_signer = cast().maker;
  p.run();
  expect_failed(p, kKeySigner);
}

TEST(ServerKey, the_owners_ca_may_sign_it) {
  KeyPair p;
  p.wrap_with_shared_key();
  p.key_signer = cast().owner;
  p.run();
  expect_given(p);
}

TEST(ServerKey, a_weaker_key_than_asked_for_is_refused) {
  KeyPair p;
  p.plan.key_type = KeyType::p384;
  p.made_type = KeyType::p256;
  p.run();
  expect_failed(p, kKeyWeak);
}

TEST(ServerKey, a_certificate_for_another_key_is_refused) {
  KeyPair p;
  p.on_response =
      edit_parts([](std::vector<Part>& parts) { parts[0].body = *encode_pkcs8(*PrivateKey::generate(KeyType::p256)); });
  p.run();
  expect_failed(p, kNotMyKey);
}

TEST(ServerKey, the_parts_may_come_in_either_order) {
  KeyPair p;
  p.on_response = edit_parts([](std::vector<Part>& parts) { std::swap(parts[0], parts[1]); });
  p.run();
  expect_given(p);
}

TEST(ServerKey, an_answer_without_one_of_its_parts_is_refused) {
  for (const std::size_t left_out : {0U, 1U}) {
    KeyPair p;
    p.on_response = edit_parts(
        [left_out](std::vector<Part>& parts) { parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(left_out)); });
    p.run();
    expect_failed(p, kKeyAnswer);
  }
}

TEST(ServerKey, a_pending_request_waits) {
  KeyPair p;
  int asked = 0;
  p.on_decision = [&asked](Decision& d, const Admit&) {
    if (++asked < 3) {
      d.verdict = Verdict::pending;
      d.retry_after = std::chrono::seconds(30);
    }
  };
  p.run();
  expect_given(p);
  EXPECT_EQ(p.pended.size(), 2U);
  EXPECT_EQ(p.issued.size(), 1U);
}

TEST(Multipart, what_is_encoded_is_parsed) {
  const std::vector<Part> parts{{"application/pkcs8", Secret("a key")}, {"application/pkcs7-mime", Secret("the rest")}};
  const auto read = parse_multipart(multipart_type(), encode_multipart(parts));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].content_type, "application/pkcs8");
  EXPECT_EQ(*parse_base64(as_text((*read)[1].body.expose())), to_bytes("the rest"));
}

TEST(Multipart, preamble_epilogue_folding_and_line_ends_are_taken) {
  const std::string body =
      "This is the preamble.\r\n--b 1\r\ncontent-type: application/pkcs7-mime;\r\n smime-type=certs-only\r\n"
      "Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b 1  \nX-Other: 1\n\nREVG\n--b 1--\r\nepilogue --b 1\n";
  const auto read = parse_multipart("Multipart/Mixed ; charset=x; boundary=\"b 1\"", to_bytes(body));
  ASSERT_TRUE(read) << read.error().what;
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].content_type, "application/pkcs7-mime; smime-type=certs-only");
  EXPECT_EQ(as_text((*read)[0].body.expose()), "QUJD\r\n");
  EXPECT_EQ(as_text((*read)[1].body.expose()), "REVG\n");
}

TEST(Multipart, what_does_not_end_or_begin_is_refused) {
  const std::string good = "--b\n\nQUJD\n--b--\n";
  EXPECT_TRUE(parse_multipart("multipart/mixed; boundary=b", to_bytes(good)));
  for (std::size_t n = 0; n + 1 < good.size(); ++n) {
    EXPECT_FALSE(parse_multipart("multipart/mixed; boundary=b", to_bytes(good.substr(0, n)))) << n;
  }
  for (const char* type : {"", "text/plain; boundary=b", "multipart/mixed",
                           "multipart/mixed; boundary=", "multipart/mixed; boundary", "multipart/mixed; boundary=\""}) {
    EXPECT_FALSE(parse_multipart(type, to_bytes(good))) << type;
  }
  std::string many;
  for (int i = 0; i < 10; ++i) {
    many += "--b\n\nQUJD\n";
  }
  EXPECT_EQ(parse_multipart("multipart/mixed; boundary=b", to_bytes(many + "--b--\n")).error().fault, Fault::limit);
  std::string full = "--b\n";
  for (int i = 0; i < 20; ++i) {
    full += "X: y\n";
  }
  EXPECT_EQ(parse_multipart("multipart/mixed; boundary=b", to_bytes(full + "\nQ\n--b--\n")).error().fault,
            Fault::limit);
}

}  // namespace
}  // namespace imprint::est
