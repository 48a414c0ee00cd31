#include "proto/brski/coap.h"

#include <set>

#include "coap/mapping.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/coap_rules.h"

namespace imprint::brski {
namespace {

using testing::vector_of;

Bytes bytes_in(std::string_view id, std::string_view field) {
  return *from_hex(vector_of(id)[std::string(field)].get<std::string>());
}

Request post(std::string path, std::string type, std::string accept = {}) {
  Request out;
  out.method = Method::post;
  out.path = std::move(path);
  out.content_type = std::move(type);
  out.accept = std::move(accept);
  return out;
}

Request core(std::string query = {}, std::string accept = {}) {
  Request out;
  out.path = "/.well-known/core";
  out.query = std::move(query);
  out.accept = std::move(accept);
  return out;
}

Response listed(std::string_view text) { return {200, "application/link-format", to_bytes(text)}; }

constexpr std::string_view kCose = "application/voucher+cose";

const CoapOffer kRegistrar{.host = "2001:db8::52", .coaps = 7634, .jpy = 7635};
const CoapOffer kProxy{.host = "fe80::1%eth0", .join = 8485};

// ---- requests and answers ----

TEST(BrskiCoap, the_sample_of_the_draft_is_read_and_answered_byte_for_byte) {
  const auto message = coap::Message::parse(bytes_in("cbrski-coap-es-request", "message"));
  ASSERT_TRUE(message);
  const auto request = coap::to_request(*message);
  ASSERT_TRUE(request);
  const auto operation = parse_coap_request(*request);
  ASSERT_TRUE(operation);
  EXPECT_EQ(*operation, Operation::enrol_status);
  EXPECT_EQ(request->body, bytes_in("cbrski-telemetry-es-ok", "cbor"));

  coap::Message answer = coap::to_message(to_coap(Response{200}, *operation), request->method);
  answer.type = coap::Type::acknowledgement;
  answer.id = message->id;
  answer.token = message->token;
  // The sample's answer is 2.04 alone.
  EXPECT_EQ(hex(answer.encode()), hex(bytes_in("cbrski-coap-es-request", "response")));
}

TEST(BrskiCoap, the_sample_of_the_draft_is_made_byte_for_byte) {
  const Request request = make_coap_request("/b", Operation::enrol_status, bytes_in("cbrski-telemetry-es-ok", "cbor"));
  auto message = coap::to_message(request);
  ASSERT_TRUE(message);
  message->payload = request.body;
  message->id = 0xab0f;
  message->token = {0x4d};
  EXPECT_EQ(hex(message->encode()), hex(bytes_in("cbrski-coap-es-request", "message")));
}

TEST(BrskiCoap, what_we_ask_is_what_we_read) {
  for (const std::string_view base : {"", "/", "/b", "/b/", "/.well-known/brski"}) {
    for (const Operation operation : {Operation::request_voucher, Operation::voucher_status, Operation::enrol_status}) {
      const Request request = make_coap_request(base, operation, {1});
      EXPECT_EQ(request.method, Method::post);
      const auto read = parse_coap_request(request);
      ASSERT_TRUE(read) << request.path;
      EXPECT_EQ(*read, operation);
    }
  }
  const Request voucher = make_coap_request("/", Operation::request_voucher, {1});
  EXPECT_EQ(voucher.path, "/.well-known/brski/rv");
  const auto message = coap::to_message(voucher);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->number(coap::kContentFormat), 836U);
  EXPECT_EQ(message->number(coap::kAccept), 836U);
  EXPECT_TRUE(make_coap_request("/b", Operation::voucher_status, {1}).accept.empty());
}

TEST(BrskiCoap, forms_are_those_of_the_draft) {
  EXPECT_TRUE(parse_coap_request(post("/b/rv", std::string(kCose))));
  EXPECT_TRUE(parse_coap_request(post("/b/rv", std::string(kCose), std::string(kCose))));
  EXPECT_TRUE(parse_coap_request(post("/b/vs", "application/json")));
  EXPECT_TRUE(parse_coap_request(post("/b/es", "application/cbor")));
}

TEST(BrskiCoap, each_refusal_has_its_code) {
  struct Case {
    Request request;
    const Rule* rule;
    Fault fault;
    coap::Code code;
  };
  Request get = post("/b/rv", std::string(kCose));
  get.method = Method::get;
  const std::vector<Case> cases{
      {post("/b/rx", std::string(kCose)), &kCoapPath, Fault::unsupported, coap::code(4, 4)},
      {post("/b", std::string(kCose)), &kCoapPath, Fault::unsupported, coap::code(4, 4)},
      {post("/.well-known/est/rv", std::string(kCose)), &kCoapPath, Fault::unsupported, coap::code(4, 4)},
      {post("/b/rv/x", std::string(kCose)), &kCoapPath, Fault::unsupported, coap::code(4, 4)},
      {get, &kCoapMethod, Fault::unexpected, coap::code(4, 5)},
      {post("/b/rv", "application/cbor"), &kCoapFormat, Fault::unsupported, coap::code(4, 15)},
      {post("/b/rv", ""), &kCoapFormat, Fault::unsupported, coap::code(4, 15)},
      {post("/b/vs", std::string(kCose)), &kCoapFormat, Fault::unsupported, coap::code(4, 15)},
      {post("/b/es", ""), &kCoapFormat, Fault::unsupported, coap::code(4, 15)},
      {post("/b/rv", std::string(kCose), "application/cbor"), &kCoapAccept, Fault::unsupported, coap::code(4, 6)}};
  for (const Case& one : cases) {
    const auto read = parse_coap_request(one.request);
    ASSERT_FALSE(read) << one.request.path << ' ' << one.rule->id;
    EXPECT_EQ(read.error(), Error(one.fault, *one.rule)) << one.rule->id;
    const coap::Message answer = coap::to_message(coap_refusal(read.error()), Method::post);
    EXPECT_EQ(coap::text(answer.code), coap::text(one.code)) << one.rule->id;
    EXPECT_EQ(answer.find(coap::kContentFormat), nullptr) << "a diagnostic payload has none";
  }
  EXPECT_EQ(coap_refusal(Error{Fault::malformed, "x"}).status, 400);
}

TEST(BrskiCoap, come_again_is_5_03_with_max_age_and_back) {
  Response wait{202, "text/plain", to_bytes("later")};
  wait.retry_after_s = 30;
  const Response answer = to_coap(wait, Operation::request_voucher);
  const coap::Message message = coap::to_message(answer, Method::post);
  EXPECT_EQ(coap::text(message.code), "5.03");
  EXPECT_EQ(message.number(coap::kMaxAge), 30U);
  EXPECT_TRUE(answer.body.empty());
  const auto back = coap::to_response(message);
  ASSERT_TRUE(back);
  EXPECT_EQ(from_coap(*back).status, 202);
  EXPECT_EQ(from_coap(*back).retry_after_s, 30);
  EXPECT_EQ(from_coap(Response{403}).status, 403);
}

TEST(BrskiCoap, a_voucher_goes_back_as_2_04_in_its_form) {
  const Response answer = to_coap(Response{200, std::string(kCose), Bytes{1, 2}}, Operation::request_voucher);
  const coap::Message message = coap::to_message(answer, Method::post);
  EXPECT_EQ(coap::text(message.code), "2.04");
  EXPECT_EQ(message.number(coap::kContentFormat), 836U);
  EXPECT_EQ(answer.body, (Bytes{1, 2}));
}

TEST(BrskiCoap, thanks_for_a_status_are_2_04_alone) {
  for (const Response& thanks : {Response{204}, Response{200, "text/plain", to_bytes("thanks")}}) {
    EXPECT_EQ(to_coap(thanks, Operation::voucher_status), Response{200});
  }
}

TEST(BrskiCoap, every_status_becomes_a_code_that_there_is) {
  const auto code = [](int status) {
    return coap::text(coap::to_message(to_coap(Response{status}, Operation::request_voucher), Method::post).code);
  };
  for (const auto& [status, text] : {std::pair(401, "4.01"),
                                     {403, "4.03"},
                                     {404, "4.04"},
                                     {406, "4.06"},
                                     {409, "4.09"},
                                     {410, "4.00"},
                                     {415, "4.15"},
                                     {429, "4.29"},
                                     {431, "4.00"},
                                     {302, "5.02"},
                                     {500, "5.00"},
                                     {502, "5.02"},
                                     {511, "5.00"},
                                     {100, "5.00"}}) {
    EXPECT_EQ(code(status), text) << status;
  }
  Response away{302};
  away.location = "https://elsewhere.example/";
  EXPECT_TRUE(to_coap(away, Operation::request_voucher).location.empty());
}

// ---- discovery: what we say ----

std::string said(const std::vector<Link>& links, std::string query) {
  const Response answer = list_resources(core(std::move(query)), links);
  EXPECT_EQ(answer.content_type, "application/link-format");
  return std::string(as_text(answer.body));
}

TEST(BrskiCoap, the_registrars_resources_are_listed_as_in_the_draft) {
  EXPECT_EQ(said(registrar_resources(), "rt=brski*"),
            "</b>;rt=\"brski\",</b/rv>;rt=\"brski.rv\";ct=836,</b/vs>;rt=\"brski.vs\";ct=\"50 60\","
            "</b/es>;rt=\"brski.es\";ct=\"50 60\"");
  EXPECT_EQ(said(registrar_resources(), "rt=brski.es"), "</b/es>;rt=\"brski.es\";ct=\"50 60\"");
}

TEST(BrskiCoap, a_registrar_says_where_it_is_in_the_words_of_both_drafts) {
  EXPECT_EQ(said(registrar_links(kRegistrar), "rt=brski"), "<coaps://[2001:db8::52]:7634/b>;rt=\"brski\"");
  EXPECT_EQ(said(registrar_links(kRegistrar), "rt=brski.rjp"), "<jpy://[2001:db8::52]:7635>;rt=\"brski.rjp\"");
  EXPECT_EQ(said(registrar_links(kRegistrar), "rt=brski.rs"), "<coaps://[2001:db8::52]:7634/b>;rt=\"brski.rs\"");
  EXPECT_EQ(said(registrar_links(kRegistrar), "rt=brski.rjpy"),
            "<coaps+jpy://[2001:db8::52]:7635/b>;rt=\"brski.rjpy\"");
  CoapOffer plain{.host = "192.0.2.1", .coaps = 5684, .old_names = false};
  EXPECT_EQ(said(registrar_links(plain), ""), "<coaps://192.0.2.1:5684/b>;rt=\"brski\"");
  EXPECT_TRUE(registrar_links({.host = "192.0.2.1"}).empty());
}

TEST(BrskiCoap, a_join_proxy_says_its_port_in_the_words_of_both_drafts) {
  EXPECT_EQ(said(join_proxy_links(kProxy), "brski-jp=*"), "<>;brski-jp=8485");
  EXPECT_EQ(said(join_proxy_links(kProxy), "rt=brski.jp"), "<coaps://[fe80::1]:8485>;rt=\"brski.jp\"");
  CoapOffer modern = kProxy;
  modern.old_names = false;
  EXPECT_EQ(said(join_proxy_links(modern), ""), "<>;brski-jp=8485");
  EXPECT_TRUE(join_proxy_links({}).empty());
}

TEST(BrskiCoap, the_list_is_refused_in_another_way_than_by_get_and_in_another_form) {
  Request put = core();
  put.method = Method::put;
  EXPECT_EQ(list_resources(put, {}).status, 405);
  EXPECT_EQ(list_resources(core({}, "application/json"), {}).status, 406);
  EXPECT_EQ(list_resources(core({}, "application/link-format"), {}).status, 200);
  Request elsewhere = core();
  elsewhere.path = "/core";
  EXPECT_EQ(list_resources(elsewhere, {}).status, 404);
}

TEST(BrskiCoap, a_group_hears_only_of_what_there_is) {
  EXPECT_TRUE(is_silent(list_resources(core("rt=brski.jp"), registrar_links(kRegistrar))));
  EXPECT_TRUE(is_silent(Response{404, {}, {1}}));
  EXPECT_FALSE(is_silent(list_resources(core("rt=brski*"), registrar_links(kRegistrar))));
}

// ---- discovery: what we hear ----

TEST(BrskiCoap, what_we_say_is_what_we_hear) {
  const auto answer = [](CoapWanted what, const std::vector<Link>& links) {
    return list_resources(find_by_coap(what), links);
  };
  const std::vector<CoapFound> proxy{{CoapFound::Way::coaps, "fe80::1%eth0", 8485}};
  EXPECT_EQ(join_proxies_in(answer(CoapWanted::join_proxies, join_proxy_links(kProxy)), "fe80::1%eth0"), proxy);
  EXPECT_EQ(join_proxies_in(answer(CoapWanted::old_join_proxies, join_proxy_links(kProxy)), "fe80::1%eth0"), proxy);
  const std::vector<CoapFound> registrar{{CoapFound::Way::coaps, "2001:db8::52", 7634},
                                         {CoapFound::Way::jpy, "2001:db8::52", 7635}};
  EXPECT_EQ(registrars_in(answer(CoapWanted::registrars, registrar_links(kRegistrar))), registrar);
}

TEST(BrskiCoap, join_ports_are_read_in_every_spelling) {
  const auto ports = [](std::string_view text) {
    std::vector<std::uint16_t> out;
    for (const CoapFound& one : join_proxies_in(listed(text), "fe80::9")) {
      EXPECT_EQ(one.host, "fe80::9");
      out.push_back(one.port);
    }
    return out;
  };
  using Ports = std::vector<std::uint16_t>;
  EXPECT_EQ(ports("<>;brski-jp=8485"), Ports{8485});
  EXPECT_EQ(ports("<>;brski-jp=\"8485\""), Ports{8485});
  EXPECT_EQ(ports("</>;brski-jp=1,<>;brski-jp=2,</x>;rt=y"), (Ports{1, 2}));
  EXPECT_EQ(ports("<coaps://[fe80::9]>; rt=\"brski.jp\""), Ports{5684});
  EXPECT_EQ(ports("<>;brski-jp=7,<coaps://[fe80::9]:7>;rt=brski.jp"), Ports{7}) << "one in both drafts' words";
}

TEST(BrskiCoap, a_join_proxy_leads_nobody_to_another_host) {
  for (const std::string_view text :
       {"<coap://[2001:db8::1]>;brski-jp=8485", "<//[2001:db8::1]>;brski-jp=8485", "<>;brski-jp=0", "<>;brski-jp=65536",
        "<>;brski-jp=", "<>;brski-jp=84x", "<>;brski-jp", "<coap://[fe80::9]:7>;rt=brski.jp", "</b>;rt=brski.jp",
        "<>;brski-jp", "brski-jp=1", ""}) {
    EXPECT_TRUE(join_proxies_in(listed(text), "fe80::9").empty()) << text;
  }
  EXPECT_EQ(join_proxies_in(listed("<coaps://[2001:db8::1]:77>;rt=brski.jp"), "fe80::9"),
            (std::vector<CoapFound>{{CoapFound::Way::coaps, "fe80::9", 77}}));
  EXPECT_TRUE(join_proxies_in(Response{404, {}, to_bytes("<>;brski-jp=1")}, "fe80::9").empty());
  EXPECT_TRUE(join_proxies_in(Response{200, "text/plain", to_bytes("<>;brski-jp=1")}, "fe80::9").empty());
}

TEST(BrskiCoap, registrars_of_others_are_read) {
  const auto found = registrars_in(
      listed("<coaps+jpy://[2001:db8::52]:7634/b/s>;rt=brski.rjpy,<coaps://[2001:db8::52]/.well-known/brski>;rt=brski,"
             "<coaps://[2001:db8::52]/.well-known/brski/rv>;rt=brski.rv;ct=836,<jpy://[2001:db8::53]>;rt=brski.rjp,"
             "</b/s>;rt=brski.rjpy,<http://[2001:db8::54]>;rt=brski,<coaps://[2001:db8::55]:9>;rt=\"x brski.rs\""));
  const std::vector<CoapFound> wanted{{CoapFound::Way::jpy, "2001:db8::52", 7634},
                                      {CoapFound::Way::coaps, "2001:db8::52", 5684},
                                      {CoapFound::Way::coaps, "2001:db8::55", 9}};
  EXPECT_EQ(found, wanted) << "a port for JPY has no default, a path has no port";
  EXPECT_EQ(preferred(found), &found[0]);
  EXPECT_EQ(preferred(std::span(found).subspan(1)), &found[1]);
  EXPECT_EQ(preferred({}), nullptr);
  std::string many;
  for (int i = 1; i < 40; ++i) {
    many += (i == 1 ? "" : ",") + ("<coaps://192.0.2.1:" + std::to_string(i) + ">;rt=brski");
  }
  EXPECT_EQ(registrars_in(listed(many)).size(), kMaxFound);
}

TEST(BrskiCoap, a_device_finds_the_paths_of_its_registrar) {
  const Uri server = *Uri::parse("coaps://[fe80::9]:8485");
  const auto own = resources_in(server, list_resources(find_by_coap(CoapWanted::resources), registrar_resources()));
  ASSERT_TRUE(own);
  EXPECT_EQ(*own, (CoapResources{"/b/rv", "/b/vs", "/b/es"}));
  EXPECT_EQ(own->path(Operation::voucher_status), "/b/vs");
  const auto others = resources_in(server, listed("</x>;rt=brski,<coaps://[fe80::9]:8485/y>;rt=brski.rv"));
  ASSERT_TRUE(others);
  EXPECT_EQ(*others, (CoapResources{"/y", "/x/vs", "/x/es"}));
  const auto none = resources_in(server, listed(""));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->request_voucher, "/.well-known/brski/rv");
}

TEST(BrskiCoap, a_list_that_leads_elsewhere_is_refused) {
  const Uri server = *Uri::parse("coaps://[fe80::9]:8485");
  for (const std::string_view text :
       {"<coaps://[fe80::8]:8485/b>;rt=brski", "<coaps://[fe80::9]:1/b>;rt=brski", "<//[fe80::8]/b>;rt=brski.rv",
        "<coap://[fe80::9]:8485/b>;rt=brski", "<b>;rt=brski.vs", "</b?x>;rt=brski.vs", "</b c>;rt=brski.vs"}) {
    const auto read = resources_in(server, listed(text));
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error(), Error(Fault::unauthentic, kLinksElsewhere)) << text;
  }
  EXPECT_EQ(resources_in(server, Response{404}).error(), Error(Fault::refused, kLinksRefused));
  EXPECT_EQ(resources_in(server, listed("b")).error().fault, Fault::malformed);
}

TEST(BrskiCoap, every_rule_is_in_the_list_once) {
  std::set<std::string_view> ids;
  for (const Rule* rule : kCoapRules) {
    EXPECT_TRUE(ids.insert(rule->id).second) << rule->id;
    EXPECT_TRUE(rule->id.starts_with("BRSKI-"));
  }
}

}  // namespace
}  // namespace imprint::brski
