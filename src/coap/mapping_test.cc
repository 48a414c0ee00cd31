#include "coap/mapping.h"

#include <gtest/gtest.h>

#include "coap/formats.h"

namespace imprint::coap {
namespace {

Request asked(std::string path, std::string query = {}) {
  Request out;
  out.path = std::move(path);
  out.query = std::move(query);
  return out;
}

TEST(CoapMapping, paths_and_queries_survive_the_way) {
  for (const auto& [path, query] : {std::pair("/", ""),
                                    {"/.well-known/est/sen", ""},
                                    {"/a/b", "rt=ace.est*"},
                                    {"/a%2Fb/%C3%A4", "x=1&y=%26"},
                                    {"/a//b", ""},
                                    {"/a/", "q"}}) {
    const auto message = to_message(asked(path, query));
    ASSERT_TRUE(message) << path;
    const auto back = to_request(*message);
    ASSERT_TRUE(back) << path;
    EXPECT_EQ(back->path, path);
    EXPECT_EQ(back->query, query);
  }
}

// RFC 9148 appendix A.1: the options of a request for the CA certificates.
TEST(CoapMapping, options_are_those_of_rfc_9148) {
  Message m = *to_message([] {
    Request r = asked("/est/crts");
    r.accept = "application/pkcs7-mime; smime-type=certs-only";
    return r;
  }());
  m.token = {0x9a};
  m.add(kUriHost, "example.com");
  m.add_number(kUriPort, 9085);
  EXPECT_EQ(hex(m.encode()), "410100009a3b6578616d706c652e636f6d42237d436573740463727473620119");
}

TEST(CoapMapping, requests_that_have_no_coap_form_are_refused) {
  for (const char* path : {"x", "/%", "/%4", "/%zz"}) {
    EXPECT_FALSE(to_message(asked(path))) << path;
  }
  EXPECT_FALSE(to_message(asked("/" + std::string(256, 'a'))));
  Request typed = asked("/x");
  typed.content_type = "application/unheard-of";
  EXPECT_EQ(to_message(typed).error().fault, Fault::unsupported);
  typed.content_type = "4711";
  EXPECT_EQ(to_message(typed)->number(kContentFormat), 4711U);
}

TEST(CoapMapping, statuses_and_codes_are_mapped_as_http_proxies_do) {
  struct Row {
    int status;
    Method asked;
    const char* code;
    int back;
  };
  for (const Row& row : {Row{200, Method::get, "2.05", 200},
                         {200, Method::post, "2.04", 200},
                         {200, Method::del, "2.02", 200},
                         {201, Method::post, "2.01", 201},
                         {204, Method::post, "2.04", 200},
                         {304, Method::get, "2.03", 304},
                         {400, Method::post, "4.00", 400},
                         {404, Method::get, "4.04", 404},
                         {415, Method::post, "4.15", 415},
                         {429, Method::post, "4.29", 429},
                         {451, Method::get, "5.00", 500},
                         {500, Method::post, "5.00", 500},
                         {503, Method::post, "5.03", 503},
                         {302, Method::get, "5.00", 500}}) {
    const Message m = to_message(Response{row.status}, row.asked);
    EXPECT_EQ(text(m.code), row.code) << row.status;
    EXPECT_EQ(to_response(m)->status, row.back) << row.status;
  }
  for (const Code c : {kEmpty, kGet, code(1, 0), code(3, 0), code(7, 31)}) {
    EXPECT_FALSE(to_response(Message{Type::acknowledgement, c, 0, {}, {}, {}})) << text(c);
  }
}

TEST(CoapMapping, a_waiting_time_is_max_age_and_a_reason_has_no_format) {
  Response busy{503, "text/plain; charset=utf-8", to_bytes("later")};
  busy.retry_after_s = 120;
  const Message m = to_message(busy, Method::post);
  EXPECT_EQ(m.number(kMaxAge), 120U);
  EXPECT_EQ(m.find(kContentFormat), nullptr);
  EXPECT_EQ(to_response(m)->retry_after_s, 120);
  EXPECT_EQ(to_response(Message{Type::acknowledgement, kUnavailable, 0, {}, {}, {}})->retry_after_s, 60);
}

TEST(CoapMapping, a_content_format_without_name_keeps_its_number) {
  EXPECT_EQ(media_type(286), "application/pkcs10");
  EXPECT_EQ(format_number(media_type(65000)), 65000);
  EXPECT_EQ(format_number("65536"), std::nullopt);
  EXPECT_EQ(format_number(""), std::nullopt);
  EXPECT_EQ(format_number("application/json "), std::nullopt);
}

TEST(CoapMapping, options_of_an_impossible_length_are_as_unknown) {
  Message m = *to_message(asked("/x"));
  m.add(kContentFormat, Bytes(3, 1));
  EXPECT_EQ(to_request(m)->content_type, "");  // elective
  m.add(kAccept, Bytes(3, 1));
  EXPECT_EQ(text(code_of(to_request(m).error())), "4.02");  // critical
}

}  // namespace
}  // namespace imprint::coap
