// EST's bodies and paths: known answers, laws, and what hostile bytes do not do.
#include "proto/est/messages.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "codec/base64.h"
#include "codec/der.h"
#include "codec/json.h"
#include "crypto/cms.h"
#include "proto/est/pair.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

const Json& vectors() {
  static const Json all = [] {
    std::ifstream in(IMPRINT_TEST_DATA "/est.json");
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return *parse_json(text);
  }();
  return all.at("vectors");
}

const Json& vector_of(std::string_view id) {
  for (const Json& one : vectors()) {
    if (one.at("id") == id) {
      return one;
    }
  }
  throw std::runtime_error("no such vector");
}

Bytes der_of(std::string_view id) { return *from_hex(vector_of(id).at("der").get<std::string>()); }
CsrAttributes attributes_of(std::string_view id) { return *CsrAttributes::parse(der_of(id)); }

// ---- csrattrs: known answers ----

TEST(CsrAttrs, every_vector_can_be_read) {
  std::size_t count = 0;
  for (const Json& one : vectors()) {
    if (one.at("kind") == "CsrAttrs") {
      ++count;
      EXPECT_TRUE(CsrAttributes::parse(*from_hex(one.at("der").get<std::string>()))) << one.at("id");
    }
  }
  EXPECT_EQ(count, 10U);
}

TEST(CsrAttrs, the_sample_of_rfc_7030_which_is_wrong) {
  const CsrAttributes a = attributes_of("rfc7030-csrattrs1");
  EXPECT_TRUE(a.link);
  EXPECT_FALSE(a.link_7894);
  EXPECT_EQ(a.key, KeyType::p384);
  EXPECT_EQ(a.signature, "1.2.840.10045.4.3.3");
  EXPECT_TRUE(a.extensions.empty());  // a bare OID where Extensions belong: RFC 9908 section 1
  EXPECT_TRUE(a.others.empty());
}

TEST(CsrAttrs, the_sample_of_rfc_7030_appendix_a) {
  for (const std::string_view id : {"rfc7030-csrattrs2", "rfc9148-a4-att-285"}) {
    const CsrAttributes a = attributes_of(id);
    EXPECT_TRUE(a.link);
    EXPECT_FALSE(a.key.has_value());
    EXPECT_EQ(a.others,
              (std::vector<std::string>{"1.3.6.1.1.1.1.22", "1.3.36.3.3.2.8.1.1.11", "2.16.840.1.101.3.4.2.2"}));
  }
}

TEST(CsrAttrs, the_samples_of_rfc_9908) {
  struct Row {
    std::string_view id;
    KeyType key;
    std::string_view signature;
    std::vector<std::string> others;
  };
  const std::vector<Row> rows{
      {"rfc9908-rfc7030-example01", KeyType::p384, "1.2.840.10045.4.3.3", {"1.3.6.1.1.1.1.22"}},
      {"rfc9908-potato-example",
       KeyType::p521,
       "1.2.840.10045.4.3.4",
       {"1.2.840.113549.1.9.20", "0.9.2342.19200300.100.1.5", "2.5.4.5"}},
      {"rfc9908-harkins01", KeyType::rsa4096, "1.2.840.113549.1.1.11", {}},
      {"rfc9908-harkins02", KeyType::p384, "1.2.840.10045.4.3.3", {"2.5.4.5"}},
      {"rfc9908-harkins03",
       KeyType::p521,
       "1.2.840.10045.4.3.4",
       {"1.2.840.113549.1.9.20", "0.9.2342.19200300.100.1.5", "2.5.4.5"}},
  };
  for (const Row& row : rows) {
    const CsrAttributes a = attributes_of(row.id);
    EXPECT_TRUE(a.link) << row.id;
    EXPECT_EQ(a.key, row.key) << row.id;
    EXPECT_EQ(a.signature, row.signature) << row.id;
    EXPECT_EQ(a.others, row.others) << row.id;
    EXPECT_FALSE(a.from_template);
  }
}

TEST(CsrAttrs, an_extension_with_its_value) {
  const CsrAttributes a = attributes_of("rfc9908-realistic-acp");
  ASSERT_EQ(a.extensions.size(), 1U);
  EXPECT_EQ(a.extensions[0].oid, "2.5.29.17");
  EXPECT_TRUE(a.extensions[0].critical);
  EXPECT_EQ(a.extensions[0].value.size(), 0x4bU);
  EXPECT_FALSE(a.key.has_value());
}

TEST(CsrAttrs, a_template) {
  const CsrAttributes a = attributes_of("rfc9908-template-constructed");
  EXPECT_TRUE(a.from_template);
  EXPECT_EQ(a.key, KeyType::p256);
  ASSERT_EQ(a.subject.size(), 3U);
  EXPECT_EQ(a.subject[0].oid, "2.5.4.3");
  EXPECT_FALSE(a.subject[0].value.has_value());
  EXPECT_EQ(as_text(BytesView(*a.subject[1].value).subspan(2)), "myDept");
  EXPECT_EQ(as_text(BytesView(*a.subject[2].value).subspan(2)), "myGroup");
  for (const Extension& e : a.extensions) {
    EXPECT_NE(e.oid, "2.5.29.17") << "a name to be filled in is no extension to be copied";
  }
}

// ---- csrattrs: laws ----

std::vector<CsrAttributes> samples() {
  std::vector<CsrAttributes> out(1);
  CsrAttributes a;
  a.link = true;
  a.key = KeyType::p384;
  a.signature = "1.2.840.10045.4.3.3";
  a.extensions = {{"1.2.3", true, {5, 0}}, {"1.2.4", false, {4, 1, 7}}};
  a.others = {"2.5.4.5", "1.2.840.113549.1.9.20"};
  out.push_back(a);
  for (const KeyType type :
       {KeyType::p256, KeyType::p521, KeyType::ed25519, KeyType::rsa2048, KeyType::rsa3072, KeyType::rsa4096}) {
    CsrAttributes b;
    b.link = b.link_7894 = true;
    b.key = type;
    out.push_back(b);
  }
  return out;
}

TEST(CsrAttrs, what_is_encoded_is_read_again) {
  for (const CsrAttributes& a : samples()) {
    const auto again = CsrAttributes::parse(a.encode());
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, a);
  }
}

TEST(CsrAttrs, a_template_is_encoded_and_read_again) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::p521, KeyType::ed25519, KeyType::rsa2048}) {
    CsrAttributes a;
    a.from_template = true;
    a.key = type;
    a.link = true;
    a.subject = {{"2.5.4.3", std::nullopt}, {"2.5.4.11", Bytes{0x0c, 1, 'x'}}};
    a.extensions = {{"1.2.3", false, {5, 0}}};
    const auto again = CsrAttributes::parse(a.encode());
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, a) << name(type);
  }
}

TEST(CsrAttrs, a_cut_message_is_refused) {
  for (const CsrAttributes& a : samples()) {
    const Bytes all = a.encode();
    for (std::size_t n = 0; n < all.size(); ++n) {
      EXPECT_FALSE(CsrAttributes::parse(BytesView(all).first(n))) << n;
    }
  }
}

TEST(CsrAttrs, a_byte_too_many_is_refused) {
  for (const CsrAttributes& a : samples()) {
    Bytes all = a.encode();
    all.push_back(0);
    EXPECT_FALSE(CsrAttributes::parse(all));
  }
}

TEST(CsrAttrs, flipped_bits_are_read_as_something_that_encodes_or_refused) {
  std::vector<Bytes> messages{der_of("rfc9908-template-constructed"), der_of("rfc9908-realistic-acp"),
                              der_of("rfc7030-csrattrs1")};
  for (const CsrAttributes& a : samples()) {
    messages.push_back(a.encode());
  }
  for (const Bytes& message : messages) {
    for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
      Bytes flipped = message;
      flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      if (const auto read = CsrAttributes::parse(flipped)) {
        EXPECT_TRUE(CsrAttributes::parse(read->encode()));
      }
    }
  }
}

TEST(CsrAttrs, more_than_64_elements_are_too_many) {
  CsrAttributes a;
  a.others.assign(64, "1.2.3");
  EXPECT_TRUE(CsrAttributes::parse(a.encode()));
  a.others.emplace_back("1.2.3");
  const auto refused = CsrAttributes::parse(a.encode());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::limit);
}

TEST(CsrAttrs, a_message_of_more_than_64_kib_is_too_large) {
  const auto refused = CsrAttributes::parse(Bytes(kMaxBody + 1, 0x30));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::limit);
}

TEST(CsrAttrs, unknown_elements_are_passed_over_and_broken_ones_refused) {
  const Bytes odd = der::sequence({der::integer(5), der::oid("2.5.4.5"), der::text(der::kUtf8, "x")});
  const auto read = CsrAttributes::parse(odd);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->others, std::vector<std::string>{"2.5.4.5"});
  for (const Bytes& broken : {der::sequence({der::sequence({der::oid("1.2.3")})}),  // no values
                              der::sequence({der::sequence({der::integer(1)})}),    // no type
                              der::sequence({der::sequence({der::oid("1.2.3"), der::set_of({}), der::integer(1)})}),
                              der::item(der::kSet, {})}) {
    const auto refused = CsrAttributes::parse(broken);
    ASSERT_FALSE(refused) << hex(broken);
    EXPECT_EQ(refused.error().fault, Fault::malformed);
  }
}

// ---- bodies ----

TEST(EstBody, every_form_that_peers_send) {
  const Bytes der = der_of("rfc7030-a3-simpleenroll-request");
  const std::string one_line = base64(der);
  const std::string wrapped = base64_lines(der);
  std::string crlf;
  for (const char c : wrapped) {
    crlf += c == '\n' ? "\r\n" : std::string(1, c);
  }
  const std::string pem = "-----BEGIN CERTIFICATE REQUEST-----\n" + wrapped + "-----END CERTIFICATE REQUEST-----\n";
  const std::string with_text = "Subject: CN=x\n" + pem;
  for (const std::string& form : {one_line, one_line + "\n", wrapped, crlf, "\n " + wrapped, pem, with_text}) {
    const auto read = decode_body(view(form));
    ASSERT_TRUE(read) << form;
    EXPECT_EQ(*read, der);
  }
  EXPECT_EQ(*decode_body(der), der);
}

TEST(EstBody, the_one_line_of_strongswan) {
  const auto body = decode_body(view(vector_of("est-single-line-base64-body").at("body").get<std::string>()));
  ASSERT_TRUE(body);
  const auto csr = CertificateRequest::parse(*body);
  ASSERT_TRUE(csr);
  EXPECT_EQ(csr->subject.text, "CN=swdev1");
  EXPECT_TRUE(verify_possession(*csr));
}

TEST(EstBody, what_is_encoded_is_read_again) {
  for (const std::size_t n : {1U, 47U, 48U, 49U, 1000U}) {
    Bytes der(n, 0xa5);
    der[0] = 0x30;
    EXPECT_EQ(*decode_body(encode_body(der)), der);
  }
}

TEST(EstBody, garbage_is_refused) {
  for (const std::string_view garbage :
       {"", "#", "MIIB*", "-----BEGIN X", "-----BEGIN X-----\n", "-----BEGIN X-----\nMIIB", "\n\n",
        "-----END X-----\n-----BEGIN X-----", "-----BEGIN X-----\n-----END X-----\n"}) {
    const auto refused = decode_body(view(garbage));
    ASSERT_FALSE(refused) << garbage;
    EXPECT_EQ(refused.error().fault, Fault::malformed);
  }
}

TEST(EstBody, bodies_are_bounded) {
  EXPECT_FALSE(decode_body(Bytes(2 * kMaxBody + 1, 'A')));
  EXPECT_FALSE(decode_body(Bytes(2 * kMaxBody, 'A')));  // decodes to more than 64 KiB
  EXPECT_TRUE(decode_body(Bytes(kMaxBody, 'A')));
  const std::string padded = std::string(2 * kMaxBody, ' ') + "MAA=";
  EXPECT_FALSE(decode_body(view(padded)));
  EXPECT_TRUE(decode_body(view(padded).subspan(8)));
  Bytes der(2 * kMaxBody, 0);
  der[0] = 0x30;
  EXPECT_FALSE(decode_body(der)) << "DER is a body of its own size";
}

// ---- paths ----

struct Asked {
  Method method;
  std::string path, type;
  const Rule* rule;
  int status;
};

TEST(EstHttp, refuses_with_its_own_codes) {
  ServerConfig config;
  config.labels[""] = {};
  config.labels["meters"] = {};
  const std::string pkcs10 = "application/pkcs10";
  const std::string root = "/.well-known/est";
  const std::vector<Asked> rows{
      {Method::get, "/", "", &kNoSuchOperation, 404},
      {Method::get, root, "", &kNoSuchOperation, 404},
      {Method::get, root + "/", "", &kNoSuchOperation, 404},
      {Method::get, root + "/cacert", "", &kNoSuchOperation, 404},
      {Method::get, root + "/CACERTS", "", &kNoSuchOperation, 404},
      {Method::get, root + "/cacerts/", "", &kNoSuchLabel, 404},
      {Method::get, root + "//cacerts", "", &kNoSuchLabel, 404},
      {Method::get, root + "/pumps/cacerts", "", &kNoSuchLabel, 404},
      {Method::get, root + "/meters/x/cacerts", "", &kNoSuchOperation, 404},
      {Method::post, root + "/fullcmc", pkcs10, &kNoSuchOperation, 404},
      {Method::post, root + "/cacerts", pkcs10, &kWantsGet, 405},
      {Method::put, root + "/csrattrs", "", &kWantsGet, 405},
      {Method::get, root + "/simpleenroll", "", &kWantsPost, 405},
      {Method::del, root + "/meters/simplereenroll", "", &kWantsPost, 405},
      {Method::post, root + "/simpleenroll", "", &kWrongType, 415},
      {Method::post, root + "/simpleenroll", "application/pkcs7-mime", &kWrongType, 415},
      {Method::post, root + "/simpleenroll", "application/pkcs10x", &kWrongType, 415},
      {Method::post, root + "/simpleenroll", pkcs10, &kBodyUnreadable, 400},
      {Method::get, root + "/serverkeygen", "", &kWantsPost, 405},
      {Method::post, root + "/serverkeygen", "", &kWrongType, 415},
      {Method::post, root + "/serverkeygen", pkcs10, &kBodyUnreadable, 400},
  };
  for (const Asked& row : rows) {
    Request r;
    r.method = row.method;
    r.path = row.path;
    r.content_type = row.type;
    r.body = to_bytes("#");
    const auto refused = parse_request({1}, r, config);
    ASSERT_FALSE(refused) << row.path;
    EXPECT_EQ(refused.error().rule, row.rule) << row.path;
    const Response answer = wire_error(refused.error());
    EXPECT_EQ(answer.status, row.status) << row.path;
    // RFC 9110 section 15.5.6: a 405 says what is allowed.
    EXPECT_EQ(answer.allow, row.rule == &kWantsGet ? "GET, HEAD" : row.rule == &kWantsPost ? "POST" : "") << row.path;
  }
}

TEST(EstHttp, a_body_that_is_no_request_is_refused) {
  ServerConfig config;
  config.labels[""] = {};
  Request r = make_request("", "", Operation::simpleenroll, Bytes{0x30, 0x00});
  const auto refused = parse_request({1}, r, config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, &kRequestUnreadable);
  EXPECT_EQ(wire_error(refused.error()).status, 400);
}

TEST(EstHttp, reads_what_the_client_writes) {
  ServerConfig config;
  config.labels[""] = {};
  config.labels["meters"] = {};
  const Bytes csr = der_of("rfc7030-a3-simpleenroll-request");
  for (const std::string label : {"", "meters"}) {
    for (const std::string base : {"", "/", "/.well-known/est", "/.well-known/est/"}) {
      const auto ca = parse_request({1}, make_request(base, label, Operation::cacerts), config);
      ASSERT_TRUE(ca && std::holds_alternative<Server::GetCaCertificates>(*ca));
      EXPECT_EQ(std::get<Server::GetCaCertificates>(*ca).label, label);
      const auto attributes = parse_request({1}, make_request(base, label, Operation::csrattrs), config);
      EXPECT_TRUE(attributes && std::holds_alternative<Server::GetCsrAttributes>(*attributes));
      for (const Operation o : {Operation::simpleenroll, Operation::simplereenroll}) {
        const auto enrol = parse_request({1}, make_request(base, label, o, csr), config);
        ASSERT_TRUE(enrol && std::holds_alternative<Server::Enrol>(*enrol));
        EXPECT_EQ(std::get<Server::Enrol>(*enrol).renewal, o == Operation::simplereenroll);
        EXPECT_EQ(std::get<Server::Enrol>(*enrol).label, label);
        EXPECT_EQ(std::get<Server::Enrol>(*enrol).request.der, csr);
      }
    }
  }
}

TEST(EstHttp, takes_the_media_type_in_any_case_and_with_parameters) {
  ServerConfig config;
  config.labels[""] = {};
  for (const std::string type :
       {"application/pkcs10", "Application/PKCS10", "application/pkcs10 ; charset=x", "application/pkcs10;x"}) {
    Request r = make_request("", "", Operation::simpleenroll, der_of("rfc7030-a3-simpleenroll-request"));
    r.content_type = type;
    EXPECT_TRUE(parse_request({1}, r, config)) << type;
  }
}

TEST(EstHttp, a_base_is_what_is_left_of_a_path) {
  for (const std::string label : {"", "meters"}) {
    for (const Operation o : {Operation::cacerts, Operation::simpleenroll}) {
      EXPECT_EQ(base_of(path("/base", label, o), label, o), "/base");
    }
  }
  EXPECT_EQ(base_of("/somewhere", "", Operation::cacerts), "/somewhere");
}

TEST(EstHttp, gives_libest_lines_and_everybody_else_one) {
  Response r;
  r.content_type = "application/pkcs7-mime; smime-type=certs-only";
  r.body = Bytes(100, 0x30);
  Request asked;
  EXPECT_EQ(to_http(r, asked).body, to_bytes(base64(r.body) + "\n"));
  asked.user_agent = "libest 3.2.0";
  EXPECT_EQ(to_http(r, asked).body, to_bytes(base64_lines(r.body)));
  r.content_type = "text/plain";
  EXPECT_EQ(to_http(r, asked).body, r.body);
}

TEST(EstHttp, every_fault_has_a_code) {
  const std::vector<std::pair<Fault, int>> codes{
      {Fault::malformed, 400}, {Fault::unexpected, 400}, {Fault::unauthentic, 400}, {Fault::unsupported, 400},
      {Fault::refused, 403},   {Fault::expired, 403},    {Fault::stale, 409},       {Fault::unreachable, 503},
      {Fault::limit, 413},     {Fault::conflict, 409},   {Fault::internal, 500}};
  for (const auto& [fault, status] : codes) {
    const Response r = wire_error({fault, "x"});
    EXPECT_EQ(r.status, status) << name(fault);
    EXPECT_EQ(r.retry_after_s.has_value(), fault == Fault::unreachable);
    EXPECT_EQ(as_text(r.body), "x\n");
  }
}

TEST(EstRules, ids_are_unique_and_every_rule_says_what_to_do) {
  std::set<std::string_view> ids;
  for (const Rule* rule : kRules) {
    EXPECT_TRUE(ids.insert(rule->id).second) << rule->id;
    EXPECT_FALSE(rule->what.empty() || rule->source.empty() || rule->next.empty()) << rule->id;
  }
}

}  // namespace
}  // namespace imprint::est
