// The same roles over CoAP: paths, forms and codes of RFC 9148.
#include "proto/est/coap.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "codec/cbor.h"
#include "codec/json.h"
#include "crypto/cms.h"
#include "crypto/key_package.h"
#include "proto/est/anchors.h"
#include "proto/est/multipart.h"
#include "proto/est/pair.h"
#include "proto/est/purpose.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

constexpr std::string_view kCertsOnly = "application/pkcs7-mime; smime-type=certs-only";

struct CoapPair : Pair {
  CoapPair() {
    plan.server.scheme = "coaps";
    plan.server.port = 5684;
  }
};

Request asked(std::string path, std::string accept = {}) {
  Request out;
  out.path = std::move(path);
  out.accept = std::move(accept);
  return out;
}

Request with_csr(std::string path) {
  Request out = asked(std::move(path));
  out.method = Method::post;
  out.content_type = "application/pkcs10";
  out.body = *make_request(cast().device.key, {*Name::from_text("CN=dev-1"), {}, {}, {}, {}, {}, {}, {}});
  return out;
}

std::vector<std::string> paths(const Pair& p) {
  std::vector<std::string> out;
  for (const Request& r : p.requests) {
    out.push_back(r.path);
  }
  return out;
}

TEST(EstCoap, a_device_that_skips_the_wishes_goes_from_the_anchors_to_its_request) {
  CoapPair p;
  p.plan.skips_wishes = true;
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.states.back() << ' ' << p.rule() << ' ' << p.detail();
  EXPECT_EQ(paths(p), (std::vector<std::string>{"/.well-known/est/crts", "/.well-known/est/sen"}));
  EXPECT_EQ(p.states, (std::vector<std::string>{"Opening", "Fetching", "Keying", "Signing", "Enrolling", "Enrolled"}));
  CoapPair before;  // the power went while its request was under way: the key is there
  before.plan.skips_wishes = true;
  before.keys["own"] = *PrivateKey::generate(KeyType::p256);
  before.run(Asked{{"own", before.keys["own"].public_key()}, before.plan.explicit_anchors, purpose_of(before.plan)});
  ASSERT_TRUE(before.is<Client::Enrolled>()) << before.rule();
  EXPECT_EQ(before.states, (std::vector<std::string>{"Opening", "Fetching", "Signing", "Enrolling", "Enrolled"}));
}

TEST(EstCoap, a_device_enrols_by_the_short_names) {
  CoapPair p;
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.states.back() << ' ' << p.rule() << ' ' << p.detail();
  EXPECT_EQ(paths(p),
            (std::vector<std::string>{"/.well-known/est/crts", "/.well-known/est/att", "/.well-known/est/sen"}));
  EXPECT_EQ(p.requests.back().body.front(), 0x30) << "DER as it is";
  EXPECT_EQ(p.issued.size(), 1U);
  EXPECT_TRUE(p.sound);
}

TEST(EstCoap, a_path_in_the_plan_is_the_base_and_a_label_follows_it) {
  CoapPair p;
  p.config.labels["line-7"] = p.config.labels.at("");
  p.plan.server.path = "/est";
  p.plan.label = "line-7";
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(paths(p).front(), "/est/line-7/crts");
}

TEST(EstCoap, a_slow_ca_is_5_03_and_the_device_comes_again) {
  CoapPair p;
  int asks = 0;
  p.on_decision = [&asks](Decision& d, const Admit&) {
    if (asks++ == 0) {
      d.verdict = Verdict::pending;
      d.retry_after = std::chrono::seconds(90);
    }
  };
  std::vector<int> statuses;
  p.on_response = [&statuses](Response& r, const Request&) { statuses.push_back(r.status); };
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(statuses, (std::vector<int>{200, 404, 503, 200})) << "no wishes are 4.04";
  EXPECT_EQ(p.rests, (std::vector<Duration>{std::chrono::seconds(90)}));
}

TEST(EstCoap, without_certificate_or_anchors_the_device_does_not_begin) {
  CoapPair p;
  p.plan.credential.reset();
  p.run();
  EXPECT_EQ(p.rule(), kCoapsNeeds.id);
  CoapPair q;
  q.plan.explicit_anchors.clear();
  q.plan.implicit_anchors.clear();
  q.run();
  EXPECT_EQ(q.rule(), kCoapsNeeds.id);
  EXPECT_TRUE(q.opened.empty());
}

// An implicit anchor of a third party let the server speak; its CA certificates must cover itself (section 9.1).
TEST(EstCoap, a_server_that_is_not_under_the_ca_that_it_names_gets_nothing_more) {
  CoapPair p;
  const Party other = make_root("CN=another root");
  p.plan.implicit_anchors = {other.certificate};
  p.plan.explicit_anchors.clear();
  p.server = make_below(other, "CN=est", for_host("dns:est.example"));
  p.plan.server.host = "est.example";
  p.run();
  EXPECT_EQ(p.rule(), kServerNotUnderCa.id) << p.states.back();
  EXPECT_EQ(p.requests.size(), 1U);
  EXPECT_TRUE(p.open_sessions.empty());
}

TEST(EstCoap, paths_methods_and_forms_are_checked) {
  Pair p;
  const auto rule_of = [&p](const Request& r) -> std::string_view {
    const auto message = parse_coap_request({1}, r, p.config);
    return message ? "" : message.error().rule->id;
  };
  EXPECT_EQ(rule_of(asked("/.well-known/est/crts")), "");
  EXPECT_EQ(rule_of(asked("/est/crts", std::string(kCertsOnly))), "");
  EXPECT_EQ(rule_of(asked("/est/crts", "application/multipart-core")), "");
  EXPECT_EQ(rule_of(asked("/est/crts", "application/json")), kNotInThisForm.id);
  EXPECT_EQ(rule_of(asked("/est/att", std::string(kCertsOnly))), kNotInThisForm.id);
  EXPECT_EQ(rule_of(asked("/est/cacerts")), kNoSuchOperation.id);
  EXPECT_EQ(rule_of(asked("/e/crts")), kNoSuchOperation.id);
  EXPECT_EQ(rule_of(asked("/est/nobody/crts")), kNoSuchLabel.id);
  EXPECT_EQ(rule_of(asked("/est//crts")), kNoSuchLabel.id);
  EXPECT_EQ(rule_of(asked("/est/sen")), kWantsPost.id);
  EXPECT_EQ(rule_of(with_csr("/est/crts")), kWantsGet.id);
  EXPECT_EQ(rule_of(with_csr("/est/sen")), "");
  Request wrong = with_csr("/est/sen");
  wrong.content_type = "application/json";
  EXPECT_EQ(rule_of(wrong), kWrongType.id);
  wrong = with_csr("/est/sren");
  wrong.body.pop_back();
  EXPECT_EQ(rule_of(wrong), kRequestUnreadable.id);
  EXPECT_EQ(wire_error(Error{Fault::unsupported, kNotInThisForm}).status, 406);
}

TEST(EstCoap, an_answer_takes_the_form_that_is_accepted) {
  const Bytes root = cast().owner.certificate.der, issuing = cast().issuing.certificate.der;
  const Response one{200, std::string(kCertsOnly), encode_certs_only({root})};
  const Response two{200, std::string(kCertsOnly), encode_certs_only({root, issuing})};
  EXPECT_EQ(to_coap(one, asked("/est/crts")).body, one.body);
  EXPECT_EQ(to_coap(one, asked("/est/crts", "application/pkix-cert")).body, root);
  EXPECT_EQ(to_coap(two, asked("/est/crts", "application/pkix-cert")).status, 406);
  const Response many = to_coap(two, asked("/est/crts", "application/multipart-core"));
  cbor::Reader r(many.body);
  EXPECT_EQ(r.next(cbor::Kind::array).value, 4U);
  EXPECT_EQ(r.next(cbor::Kind::number).value, 287U);
  EXPECT_TRUE(equal(r.next(cbor::Kind::bytes).content, issuing)) << "from the issuer of devices upwards";
  EXPECT_EQ(r.next(cbor::Kind::number).value, 287U);
  EXPECT_TRUE(equal(r.next(cbor::Kind::bytes).content, root));
  EXPECT_TRUE(r.done());
  EXPECT_NE(to_coap(one, asked("/est/crts")).etag, to_coap(two, asked("/est/crts")).etag);
  EXPECT_EQ(to_coap(one, asked("/est/crts")).etag.size(), 18U);
}

TEST(EstCoap, discovery_names_what_there_is) {
  const ServerConfig config;
  Request all = asked("/.well-known/core");
  all.query = "rt=ace.est*";
  const Response answer = discovery(all, config);
  EXPECT_EQ(answer.content_type, "application/link-format");
  EXPECT_EQ(as_text(answer.body),
            "</est>;rt=\"ace.est\",</est/crts>;rt=\"ace.est.crts\";ct=\"281 287 62\","
            "</est/sen>;rt=\"ace.est.sen\";ct=\"281 287\",</est/sren>;rt=\"ace.est.sren\";ct=\"281 287\","
            "</est/att>;rt=\"ace.est.att\";ct=285");
  all.query = "rt=other";
  EXPECT_TRUE(discovery(all, config).body.empty());
}

// A server that has EST at one place alone, and says so at /.well-known/core as `links`.
struct ElsewherePair : CoapPair {
  explicit ElsewherePair(const std::string& links, const std::string& place = "/e") {
    on_request = [place](Request& r) {
      if (r.path.starts_with(place + "/")) {
        r.path = "/est" + r.path.substr(place.size());
      } else if (r.path != "/.well-known/core") {
        r.path = "/nothing";
      }
    };
    on_response = [links](Response& r, const Request& request) {
      if (request.path == "/.well-known/core") {
        r.body = to_bytes(links);
      }
    };
  }
};

TEST(EstCoap, a_server_that_has_est_elsewhere_is_asked_where) {
  ElsewherePair p("</e>;rt=\"ace.est\",</e/crts>;rt=\"ace.est.crts\";ct=\"281 287\",</e/sen>;rt=\"ace.est.sen\"");
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.states.back() << ' ' << p.rule() << ' ' << p.detail();
  EXPECT_EQ(p.states, (std::vector<std::string>{"Opening", "Fetching", "Finding", "Fetching", "Wishing", "Keying",
                                                "Signing", "Enrolling", "Enrolled"}));
  EXPECT_EQ(p.requests[1].query, "rt=ace.est*");
  EXPECT_EQ(p.opened.size(), 1U) << "on the same association";
  EXPECT_TRUE(p.sound);
}

TEST(EstCoap, it_may_be_at_another_port_of_the_host) {
  ElsewherePair p("<coaps://est.example:6684/e/crts>;rt=\"ace.est.crts\"");
  p.plan.server.host = "est.example";
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule() << ' ' << p.detail();
  ASSERT_EQ(p.opened.size(), 2U);
  EXPECT_EQ(p.opened[1].to.port, 6684);
  EXPECT_EQ(p.opened[1].trust, Trust::anchors);
}

TEST(EstCoap, a_list_that_leads_nowhere_ends_the_run) {
  for (const char* links :
       {"", "</e/sen>;rt=\"ace.est.sen\"", "</e/other>;rt=\"ace.est.crts\"", "</crts>;rt=\"ace.est.crts\"",
        "<coaps://elsewhere.example/e/crts>;rt=\"ace.est.crts\"", "<https://est.example/e/crts>;rt=\"ace.est.crts\"",
        "<e/crts>;rt=\"ace.est.crts\"", "</e/crts", "<//crts>;rt=\"ace.est.crts\"",
        "<//evil.example/crts>;rt=\"ace.est.crts\"", "<coaps://est.example//crts>;rt=\"ace.est.crts\""}) {
    ElsewherePair p(links);
    p.plan.server.host = "est.example";
    p.run();
    EXPECT_EQ(p.rule(), kDiscovery.id) << links;
    EXPECT_TRUE(p.open_sessions.empty()) << links;
    EXPECT_FALSE(p.installed.has_value());
  }
}

TEST(EstCoap, a_refusal_is_no_list) {
  const Response refused{404, "application/link-format", to_bytes("</e/crts>;rt=\"ace.est.crts\"")};
  EXPECT_FALSE(discovered(*Uri::parse("coaps://est.example"), refused));
}

TEST(EstCoap, it_asks_once_and_not_at_all_where_the_plan_names_a_base) {
  ElsewherePair again("</f/crts>;rt=\"ace.est.crts\"");
  again.run();
  EXPECT_EQ(again.rule(), kCaCertificates.id) << "nothing at the place named either";
  EXPECT_EQ(again.requests.size(), 3U);
  ElsewherePair given("</e/crts>;rt=\"ace.est.crts\"");
  given.plan.server.path = "/f";
  given.run();
  EXPECT_EQ(given.rule(), kCaCertificates.id);
  EXPECT_EQ(given.requests.size(), 1U);
}

// ---- RFC 9148 appendix A ----

Json vector(std::string_view id) {
  std::ifstream in(IMPRINT_TEST_DATA "/est.json");
  std::stringstream text;
  text << in.rdbuf();
  const Json all = *parse_json(text.str());
  for (const Json& one : all.at("vectors")) {
    if (one.at("id") == id) {
      return one;
    }
  }
  ADD_FAILURE() << "no vector " << id;
  return {};
}

Bytes bytes_of(const Json& one, const char* name) { return *from_hex(one.at(name).get<std::string>()); }

TEST(EstCoap, ca_certificates_of_rfc_9148_are_read) {
  const Json v = vector("rfc9148-a1-crts-281");
  const auto many = certificates_in(Response{200, std::string(kCertsOnly), bytes_of(v, "der")});
  ASSERT_TRUE(many);
  ASSERT_EQ(many->size(), 1U);
  EXPECT_EQ(many->front().der, bytes_of(v, "single_cert_287"));
  const auto one = certificates_in(Response{200, "application/pkix-cert", bytes_of(v, "single_cert_287")});
  ASSERT_TRUE(one);
  EXPECT_EQ(one->front(), many->front());
}

TEST(EstCoap, the_request_of_rfc_9148_is_taken_and_its_answer_is_for_it) {
  const Json request = vector("rfc9148-a2-sen-request-286");
  Pair p;
  Request r = with_csr("/est/sen");
  r.body = bytes_of(request, "der");
  const auto message = parse_coap_request({1}, r, p.config);
  ASSERT_TRUE(message);
  const auto& csr = std::get<Server::Enrol>(*message).request;
  EXPECT_TRUE(verify_possession(csr));
  const auto answer =
      certificates_in(Response{200, std::string(kCertsOnly), bytes_of(vector("rfc9148-a2-sen-response-281"), "der")});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->front().key, csr.key);
  EXPECT_TRUE(CsrAttributes::parse(bytes_of(vector("rfc9148-a4-att-285"), "der")));
}

TEST(EstCoap, the_key_that_the_server_of_rfc_9148_made_is_its_certificates) {
  const Json v = vector("rfc9148-a3-skg-response-62");
  const Bytes body = bytes_of(v, "cbor");
  const auto parts = parse_multipart_core(body);
  ASSERT_TRUE(parts) << parts.error().what;
  ASSERT_EQ(parts->size(), 2U);
  EXPECT_EQ(encode_multipart_core(*parts), body);
  const Part& first = parts->at(0);
  const Part& second = parts->at(1);
  EXPECT_EQ(first.content_type, "application/pkcs8");  // Content-Format 284
  EXPECT_EQ(to_bytes(first.body.expose()), bytes_of(v, "pkcs8_284"));
  EXPECT_EQ(second.content_type, kCertsOnly);  // Content-Format 281
  EXPECT_EQ(to_bytes(second.body.expose()), bytes_of(v, "certs_only_281"));

  const auto key = parse_pkcs8(first.body);
  ASSERT_TRUE(key) << key.error().what;
  EXPECT_EQ(key->public_key().type, KeyType::p256);
  const auto certificates = certificates_in(Response{200, second.content_type, to_bytes(second.body.expose())});
  ASSERT_TRUE(certificates);
  ASSERT_EQ(certificates->size(), 1U);
  EXPECT_EQ(certificates->front().key, key->public_key());
  EXPECT_EQ(certificates->front().subject.text, "O=skg example");
}

}  // namespace
}  // namespace imprint::est
