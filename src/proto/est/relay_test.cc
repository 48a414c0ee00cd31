// What a gateway hands on, and what it takes from the EST server upstream.
#include "proto/est/relay.h"

#include <gtest/gtest.h>

#include "codec/der.h"
#include "crypto/cms.h"
#include "proto/est/messages.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr Instant kNow{1'800'000'000'000};
constexpr Duration kDay = std::chrono::hours(24);

Name name_of(std::string_view text) { return *Name::from_text(text); }
GeneralName general(std::string_view text) { return *GeneralName::from_text(text); }

// The CA upstream, another one, a device and what it was granted.
struct Case {
  PrivateKey ca_key = *PrivateKey::generate(KeyType::p256), key = *PrivateKey::generate(KeyType::p256);
  Certificate ca = root(ca_key, "CN=Upstream");
  UpstreamTrust trust{{ca}, {}};
  Grant grant;
  RequestTemplate asked;
  std::vector<Extension> wanted;
  CertificateTemplate given;

  Case() {
    grant.device = "dev-1";
    grant.names = {name_of("CN=dev-1"), {general("dns:dev-1"), general("uri:urn:imprint:device:dev-1")}};
    grant.spki = key.public_key().spki;
    grant.usage = key_usage::kDigitalSignature;
    grant.extended = {std::string(eku::kClientAuth)};
    grant.lifetime = kDay * 365;
    asked.subject = grant.names.subject;
    asked.alt_names = grant.names.alt_names;
    given.serial = {0x11};
    given.issuer = ca.subject;
    given.subject = grant.names.subject;
    given.not_before = kNow - std::chrono::minutes(1);
    given.not_after = kNow + grant.lifetime;
    given.spki = grant.spki;
    given.alt_names = grant.names.alt_names;
    given.usage = grant.usage;
    given.extended = grant.extended;
  }
  static Certificate root(const PrivateKey& key, std::string_view name) {
    CertificateTemplate t;
    t.serial = {1};
    t.issuer = t.subject = name_of(name);
    t.not_before = kNow - kDay;
    t.not_after = kNow + kDay * 3650;
    t.spki = key.public_key().spki;
    t.is_ca = true;
    t.usage = key_usage::kCertSign;
    return *Certificate::parse(*sign_certificate(key, t));
  }
  Certificate make() const { return *Certificate::parse(*sign_certificate(ca_key, given)); }
  Status can_go() const { return can_hand_on({grant, *make_request(key, asked)}, wanted); }
  Result<Bytes> take() const { return granted_certificate({make()}, grant, trust, kNow); }
};

template <class T>
void expect_rule(const Result<T>& result, Fault fault, const Rule& rule) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().fault, fault);
  ASSERT_NE(result.error().rule, nullptr) << result.error().what;
  EXPECT_EQ(result.error().rule->id, rule.id);
}

// ---- what is handed on ----

TEST(Relay, a_request_goes_on_as_it_was_signed) {
  const Case c;
  EXPECT_TRUE(c.can_go());
  const Bytes csr = *make_request(c.key, c.asked);
  const Request r = handed_on(*Uri::parse("https://ca.example/.well-known/est"), "sensors", csr, Login{"gw", {}});
  EXPECT_EQ(r.method, Method::post);
  EXPECT_EQ(r.path, "/.well-known/est/sensors/simpleenroll");
  EXPECT_EQ(*decode_body(r.body), csr);
  ASSERT_TRUE(r.login);
  EXPECT_EQ(r.login->user, "gw");
}

TEST(Relay, names_that_the_request_does_not_have_cannot_be_given) {
  Case c;
  c.asked.subject = name_of("CN=maker's name");
  expect_rule(c.can_go(), Fault::refused, kUpstreamNames);
  c.asked.subject = c.grant.names.subject;
  c.asked.alt_names.pop_back();
  expect_rule(c.can_go(), Fault::refused, kUpstreamNames);
  c.asked.alt_names.push_back(general("dns:dev-2"));
  expect_rule(c.can_go(), Fault::refused, kUpstreamNames);
}

TEST(Relay, a_key_that_the_request_does_not_prove_is_not_asked_for) {
  Case c;
  expect_rule(can_hand_on({c.grant, {}}, {}), Fault::refused, kUpstreamRequest);
  expect_rule(can_hand_on({c.grant, {0x30, 0x00}}, {}), Fault::refused, kUpstreamRequest);
  c.grant.spki = PrivateKey::generate(KeyType::p256)->public_key().spki;
  expect_rule(c.can_go(), Fault::refused, kUpstreamRequest);
}

TEST(Relay, an_extension_that_the_profile_does_not_wish_is_not_handed_on) {
  const Extension account{"1.3.6.1.4.1.311.25.2", false, {0x30, 0x00}};  // whom Windows takes the holder for
  Case c;
  c.asked.other_extensions = {account};
  expect_rule(c.can_go(), Fault::refused, kUpstreamRequest);
  c.wanted = {account};
  EXPECT_TRUE(c.can_go());
  c.asked.other_extensions = {{account.oid, false, {0x30, 0x02, 0x05, 0x00}}};
  expect_rule(c.can_go(), Fault::refused, kUpstreamRequest);  // not with this value
  c.asked.other_extensions = {account, {"2.5.29.32", false, {0x30, 0x00}}};
  expect_rule(c.can_go(), Fault::refused, kUpstreamRequest);
  c.asked.other_extensions = {{"2.5.29.19", true, {0x30, 0x00}}, {"2.5.29.14", false, {0x04, 0x01, 0x07}}};
  EXPECT_TRUE(c.can_go()) << "no CA, and an identifier of its own key";
}

// Extensions in the attribute that Microsoft has for them (1.3.6.1.4.1.311.2.1.14).
TEST(Relay, nor_one_that_is_asked_for_elsewhere) {
  const Case c;
  const Bytes attribute = der::sequence(
      {der::oid("1.3.6.1.4.1.311.2.1.14"),
       der::set_of(
           {der::sequence({der::sequence({der::oid("2.5.29.32"), der::item(der::kOctetString, Bytes{0x30, 0})})})})});
  const Bytes plain = der::sequence({der::oid("1.2.3.4"), der::set_of({der::item(der::kNull, {})})});
  const auto request = [&c](const Bytes& with) {
    const Bytes body =
        der::sequence({der::integer(0), c.asked.subject.der, c.grant.spki, der::item(der::context(0), with)});
    Bytes bits{0};
    const Bytes signature = *c.key.sign(body);
    bits.insert(bits.end(), signature.begin(), signature.end());
    return der::sequence({body, c.key.signature_algorithm(), der::item(der::kBitString, bits)});
  };
  Grant grant = c.grant;
  grant.names.alt_names.clear();
  EXPECT_TRUE(can_hand_on({grant, request(plain)}, {}));
  expect_rule(can_hand_on({grant, request(attribute)}, {}), Fault::refused, kUpstreamRequest);
}

// ---- who is upstream ----

TEST(Relay, only_the_host_that_was_configured_is_upstream) {
  Case c;
  c.given.alt_names = {general("dns:ca.example")};
  c.given.extended = {std::string(eku::kServerAuth), std::string(eku::kCmcRa)};
  const Certificate server = c.make();
  Session tls;
  tls.presented = {server};
  expect_rule(check_upstream_server(tls, "ca.example"), Fault::unauthentic, kUpstreamServer);
  tls.proven = *verify_chain(server, {}, {c.ca}, {Purpose::tls_server, kNow, true});
  EXPECT_TRUE(check_upstream_server(tls, "ca.example"));
  expect_rule(check_upstream_server(tls, "gateway.example"), Fault::unauthentic, kUpstreamServer);
}

// ---- what it answers ----

Response status(int code, std::optional<std::int64_t> retry_after = std::nullopt) {
  Response out;
  out.status = code;
  out.retry_after_s = retry_after;
  return out;
}

TEST(Relay, statuses_have_a_meaning_each) {
  expect_rule(read_upstream_answer(status(500)), Fault::unreachable, kUpstreamAway);
  expect_rule(read_upstream_answer(status(503, 7)), Fault::unreachable, kUpstreamAway);
  for (const int code : {408, 425, 429}) {
    expect_rule(read_upstream_answer(status(code)), Fault::unreachable, kUpstreamAway);
    expect_rule(read_upstream_ca(status(code), {}, kNow), Fault::unreachable, kUpstreamAway);
  }
  expect_rule(read_upstream_answer(status(401)), Fault::unauthentic, kUpstreamCredentials);
  for (const int code : {204, 302, 307, 404, 405, 501}) {
    expect_rule(read_upstream_answer(status(code)), Fault::unsupported, kUpstreamPath);
  }
  expect_rule(read_upstream_answer(status(400)), Fault::refused, kUpstreamRefused);
  expect_rule(read_upstream_answer(status(403)), Fault::refused, kUpstreamRefused);
}

TEST(Relay, later_is_between_a_second_and_a_day) {
  EXPECT_EQ(read_upstream_answer(status(202, 600))->retry_after, std::chrono::seconds(600));
  EXPECT_EQ(read_upstream_answer(status(202, 0))->retry_after, std::chrono::seconds(1));
  EXPECT_EQ(read_upstream_answer(status(202, INT64_MAX))->retry_after, kDay);
  expect_rule(read_upstream_answer(status(202)), Fault::malformed, kUpstreamAnswer);
  expect_rule(read_upstream_answer(status(202, -1)), Fault::malformed, kUpstreamAnswer);
}

TEST(Relay, a_body_that_is_no_certificate_is_no_answer) {
  Response r = status(200);
  r.body = to_bytes("no certificate");
  expect_rule(read_upstream_answer(r), Fault::malformed, kUpstreamAnswer);
  const Case c;
  r.body = encode_body(encode_certs_only({c.make().der, c.ca.der}));
  const auto read = read_upstream_answer(r);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->retry_after);
  EXPECT_EQ(read->certificates.size(), 2U);
}

// ---- the certificate that comes back ----

TEST(Relay, what_was_granted_is_taken) {
  Case c;
  const Certificate made = c.make();
  EXPECT_EQ(*granted_certificate({made}, c.grant, c.trust, kNow), made.der);
  std::swap(c.given.alt_names[0], c.given.alt_names[1]);
  EXPECT_TRUE(c.take()) << "their order does not matter";
  EXPECT_TRUE(granted_certificate({c.ca, c.make()}, c.grant, c.trust, kNow)) << "nor what comes along";
}

TEST(Relay, a_certificate_by_way_of_an_issuer_that_is_known_is_taken) {
  Case c;
  const PrivateKey issuer_key = *PrivateKey::generate(KeyType::p256);
  CertificateTemplate t;
  t.serial = {2};
  t.issuer = c.ca.subject;
  t.subject = name_of("CN=Issuing");
  t.not_before = kNow - kDay;
  t.not_after = kNow + kDay;
  t.spki = issuer_key.public_key().spki;
  t.is_ca = true;
  t.usage = key_usage::kCertSign;
  const Certificate issuer = *Certificate::parse(*sign_certificate(c.ca_key, t));
  c.given.issuer = issuer.subject;
  c.ca_key = issuer_key;
  expect_rule(c.take(), Fault::refused, kUpstreamChain);
  expect_rule(granted_certificate({c.make(), issuer}, c.grant, c.trust, kNow), Fault::refused, kUpstreamChain);
  c.trust.issuers = {issuer};
  EXPECT_TRUE(c.take());
}

TEST(Relay, one_for_another_key_or_two_for_one_key_are_refused) {
  Case c;
  const Certificate first = c.make();
  c.given.serial = {0x12};
  expect_rule(granted_certificate({first, c.make()}, c.grant, c.trust, kNow), Fault::refused, kUpstreamKey);
  c.given.spki = PrivateKey::generate(KeyType::p256)->public_key().spki;
  expect_rule(c.take(), Fault::refused, kUpstreamKey);
  expect_rule(granted_certificate({}, c.grant, c.trust, kNow), Fault::refused, kUpstreamKey);
}

TEST(Relay, one_of_a_foreign_ca_is_refused) {
  Case c;
  c.ca_key = *PrivateKey::generate(KeyType::p256);  // of the same name
  expect_rule(c.take(), Fault::refused, kUpstreamChain);
}

TEST(Relay, one_with_other_names_is_refused) {
  Case c;
  c.given.subject = name_of("CN=dev-2");
  expect_rule(c.take(), Fault::refused, kUpstreamOtherNames);
  c.given.subject = name_of("CN=dev-1,O=Somebody");
  expect_rule(c.take(), Fault::refused, kUpstreamOtherNames);
  c.given.subject = c.grant.names.subject;
  c.given.alt_names.push_back(general("dns:bank.example"));
  expect_rule(c.take(), Fault::refused, kUpstreamOtherNames);
  c.given.alt_names.clear();
  expect_rule(c.take(), Fault::refused, kUpstreamOtherNames);
}

TEST(Relay, one_that_allows_more_than_was_granted_is_refused) {
  Case c;
  c.given.extended.emplace_back(eku::kServerAuth);
  expect_rule(c.take(), Fault::refused, kUpstreamUsages);
  c.given.extended.clear();  // any use
  expect_rule(c.take(), Fault::refused, kUpstreamUsages);
  c.given.extended = c.grant.extended;
  c.given.usage = key_usage::kDigitalSignature | key_usage::kKeyAgreement;
  expect_rule(c.take(), Fault::refused, kUpstreamUsages);
  c.given.usage.reset();  // any use
  expect_rule(c.take(), Fault::refused, kUpstreamUsages);
  c.grant.usage.reset();
  EXPECT_TRUE(c.take()) << "a profile without key usages allows all";
  c.grant.extended.clear();
  c.given.extended = {std::string(eku::kServerAuth)};
  EXPECT_TRUE(c.take()) << "a profile without extended usages allows all";
}

TEST(Relay, a_ca_is_refused) {
  Case c;
  c.given.is_ca = true;
  expect_rule(c.take(), Fault::refused, kUpstreamUsages);
}

TEST(Relay, one_that_is_over_or_lasts_too_long_is_refused) {
  Case c;
  c.given.not_after = kNow + c.grant.lifetime + std::chrono::minutes(4);
  EXPECT_TRUE(c.take()) << "clocks differ";
  c.given.not_after = kNow + c.grant.lifetime + std::chrono::minutes(6);
  expect_rule(c.take(), Fault::refused, kUpstreamLifetime);
  c.given.not_after = kNow - std::chrono::seconds(1);
  expect_rule(c.take(), Fault::refused, kUpstreamLifetime);
  c.given.not_after = kNow + kDay;
  c.given.not_before = kNow + std::chrono::minutes(4);
  EXPECT_TRUE(c.take()) << "clocks differ";
  c.given.not_before = kNow + std::chrono::minutes(6);
  expect_rule(c.take(), Fault::refused, kUpstreamLifetime);
}

// ---- the CA certificates ----

TEST(Relay, ca_certificates_lead_to_the_anchors_that_were_given) {
  const Case c, other;
  Response r = status(200);
  r.body = encode_body(encode_certs_only({c.ca.der}));
  EXPECT_EQ(read_upstream_ca(r, {c.ca}, kNow).operator*(), std::vector<Certificate>{c.ca});
  expect_rule(read_upstream_ca(r, {other.ca}, kNow), Fault::unauthentic, kUpstreamCa);
  r.body = encode_body(encode_certs_only({c.make().der}));
  expect_rule(read_upstream_ca(r, {c.ca}, kNow), Fault::unauthentic, kUpstreamCa);
  r.body = to_bytes("nothing");
  expect_rule(read_upstream_ca(r, {c.ca}, kNow), Fault::malformed, kUpstreamCa);
  expect_rule(read_upstream_ca(status(500), {c.ca}, kNow), Fault::unreachable, kUpstreamAway);
  expect_rule(read_upstream_ca(status(404), {c.ca}, kNow), Fault::unsupported, kUpstreamPath);
  expect_rule(read_upstream_ca(status(501), {c.ca}, kNow), Fault::unsupported, kUpstreamPath);
}

// The key and name of the one, signed by the other.
Certificate crossed(const Certificate& of, const PrivateKey& by, const Certificate& issuer) {
  CertificateTemplate t;
  t.serial = {9};
  t.issuer = issuer.subject;
  t.subject = of.subject;
  t.not_before = kNow - kDay;
  t.not_after = kNow + kDay * 300;
  t.spki = of.key.spki;
  t.is_ca = true;
  t.usage = key_usage::kCertSign;
  t.authority_key_id = issuer.key_id;
  return *Certificate::parse(*sign_certificate(by, t));
}

TEST(Relay, links_to_the_root_of_before_are_kept) {
  const Case first;
  for (const std::string_view name : {"CN=Upstream G2", "CN=Upstream"}) {  // a root may keep its name
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    const Certificate second = Case::root(key, name), link = crossed(second, first.ca_key, first.ca);
    Response r = status(200);
    r.body = encode_body(encode_certs_only({link.der, second.der}));
    const auto read = read_upstream_ca(r, {first.ca}, kNow);
    ASSERT_TRUE(read) << name;
    EXPECT_EQ(*read, (std::vector<Certificate>{second, link})) << name;
  }
}

// Anybody can sign the root's key, and put that among the certificates.
TEST(Relay, links_by_nobody_we_trust_are_left_out) {
  const Case c;
  const PrivateKey strangers = *PrivateKey::generate(KeyType::p256), more = *PrivateKey::generate(KeyType::p256);
  const Certificate stranger = Case::root(strangers, "CN=Stranger"), other = Case::root(more, "CN=Other");
  const Certificate link = crossed(c.ca, strangers, stranger), further = crossed(stranger, more, other);
  Response r = status(200);
  // The stranger's own root would end last, and be the root, if it were not short.
  r.body = encode_body(encode_certs_only({c.ca.der, link.der, further.der}));
  const auto read = read_upstream_ca(r, {c.ca}, kNow);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, std::vector<Certificate>{c.ca});
}

TEST(Relay, and_those_to_the_roots_before_that) {
  const Case first;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256), last_key = *PrivateKey::generate(KeyType::p256);
  const Certificate second = Case::root(key, "CN=Upstream G2"), third = Case::root(last_key, "CN=Upstream G3");
  const Certificate one = crossed(second, first.ca_key, first.ca), two = crossed(third, key, second);
  Response r = status(200);
  r.body = encode_body(encode_certs_only({one.der, two.der, third.der}));
  const auto read = read_upstream_ca(r, {first.ca}, kNow);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (std::vector<Certificate>{third, two, one}));
}

}  // namespace
}  // namespace imprint::est
