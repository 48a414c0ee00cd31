#include "io/http.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace imprint::io {
namespace {

constexpr HttpLimits kLimits{.header_bytes = 1024, .body_bytes = 100};

// Feeds everything, `step` bytes at a time, and gives the status of the refusal, 200 for a request, 0 for neither.
int outcome(std::string_view text, std::size_t step = 1000) {
  HttpRequestParser parser(kLimits);
  BytesView in = view(text);
  while (!in.empty() && !parser.refusal()) {
    const std::size_t n = parser.feed(in.first(std::min(step, in.size())));
    in = in.subspan(n);
    if (parser.take()) {
      return 200;
    }
  }
  return parser.refusal() ? parser.refusal()->status : 0;
}

Request read(std::string_view text) {
  HttpRequestParser parser(kLimits);
  EXPECT_EQ(parser.feed(view(text)), text.size());
  EXPECT_FALSE(parser.refusal()) << parser.refusal()->why;
  auto request = parser.take();
  EXPECT_TRUE(request);
  return request ? *std::move(request) : Request{};
}

TEST(HttpRequest, parts_are_found) {
  const Request r = read(
      "POST /.well-known/est/simpleenroll?a=b&c HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10; a=b \r\n"
      "Accept: */*\r\nAuthorization: basic  am9lOnNlY3JldDp4\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(r.method, Method::post);
  EXPECT_EQ(r.path, "/.well-known/est/simpleenroll");
  EXPECT_EQ(r.query, "a=b&c");
  EXPECT_EQ(r.content_type, "application/pkcs10; a=b");
  EXPECT_EQ(r.accept, "*/*");
  EXPECT_EQ(as_text(r.body), "hello");
  ASSERT_TRUE(r.login);
  EXPECT_EQ(r.login->user, "joe");
  EXPECT_EQ(as_text(r.login->password.expose()), "secret:x");
}

TEST(HttpRequest, any_split_gives_the_same_request) {
  constexpr std::string_view kText =
      "PUT /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n";
  for (std::size_t step = 1; step < kText.size(); ++step) {
    HttpRequestParser parser(kLimits);
    for (std::size_t at = 0; at < kText.size(); at += step) {
      const BytesView part = view(kText.substr(at, step));
      ASSERT_EQ(parser.feed(part), part.size());
    }
    const auto r = parser.take();
    ASSERT_TRUE(r) << step;
    EXPECT_EQ(as_text(r->body), "abcde");
    EXPECT_TRUE(parser.keep_alive());
  }
}

TEST(HttpRequest, pipelined_requests_come_out_one_by_one) {
  constexpr std::string_view kText =
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi\r\n"
      "HEAD http://x/3?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  HttpRequestParser parser(kLimits);
  BytesView in = view(kText);
  std::vector<std::string> seen;
  while (!in.empty()) {
    in = in.subspan(parser.feed(in));
    const auto r = parser.take();
    ASSERT_TRUE(r);
    seen.push_back(r->path + "?" + r->query + ":" + std::string(as_text(r->body)));
    EXPECT_EQ(parser.keep_alive(), !in.empty());
    EXPECT_EQ(parser.head(), in.empty());
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"/1?:", "/2?:hi", "/3?q:"}));
}

TEST(HttpRequest, continue_is_wanted_between_head_and_body) {
  HttpRequestParser parser(kLimits);
  parser.feed(view("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"));
  EXPECT_FALSE(parser.wants_continue());
  parser.feed(view("\r\n"));
  EXPECT_TRUE(parser.wants_continue());
  parser.feed(view("a"));
  EXPECT_FALSE(parser.wants_continue());
}

struct Case {
  int status;
  std::string_view text;
};
class Refused : public testing::TestWithParam<Case> {};

TEST_P(Refused, whole_and_byte_by_byte) {
  EXPECT_EQ(outcome(GetParam().text), GetParam().status) << GetParam().text;
  EXPECT_EQ(outcome(GetParam().text, 1), GetParam().status) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Smuggling, Refused,
    testing::Values(
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3 3\r\n\r\nabc"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabc"},
        Case{400,
             "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        Case{501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc"},
        Case{501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
        Case{501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"},
        Case{501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
        Case{400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"}, Case{400, "GET / HTTP/1.1\r\n Host: x\r\n\r\n"},
        Case{400, "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"}, Case{400, "GET / HTTP/1.1\nHost: x\n\n"},
        Case{400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"},
        Case{400, std::string_view("GET / HTTP/1.1\r\nHost: x\r\nA: \0b\r\n\r\n", 34)},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXY0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\rXabc\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\rX"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n000000001\r\na\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"},
        Case{400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc"}));

INSTANTIATE_TEST_SUITE_P(
    Malformed, Refused,
    testing::Values(Case{400, "GET / HTTP/1.1\r\n\r\n"}, Case{400, "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"},
                    Case{505, "GET / HTTP/1.2\r\nHost: x\r\n\r\n"}, Case{505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n"},
                    Case{505, "GET /\r\n\r\n"}, Case{400, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n"},
                    Case{400, "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"},
                    Case{400, "GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"}, Case{400, "GET a HTTP/1.1\r\nHost: x\r\n\r\n"},
                    Case{400, "GET * HTTP/1.1\r\nHost: x\r\n\r\n"},
                    Case{400, "GET http://u:p@x/ HTTP/1.1\r\nHost: x\r\n\r\n"},
                    Case{400, "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"},
                    Case{417, "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n"},
                    Case{400,
                         "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpj\r\n\r\n"},
                    Case{400, "\x16\x03\x01\x02\x05"}));

TEST(HttpRequest, limits_hold_and_their_last_byte_passes) {
  const auto with_body = [](std::size_t n) {
    return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(n) + "\r\n\r\n" + std::string(n, 'a');
  };
  EXPECT_EQ(outcome(with_body(100)), 200);
  EXPECT_EQ(outcome(with_body(101)), 413);
  const std::string chunked =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + std::string(100, 'a');
  EXPECT_EQ(outcome(chunked + "\r\n0\r\n\r\n"), 200);
  EXPECT_EQ(outcome(chunked + "\r\n1\r\na"), 413);
  const std::string head = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
  const std::size_t rest = kLimits.header_bytes - head.size() - 4;
  EXPECT_EQ(outcome(head + std::string(rest, 'a') + "\r\n\r\n"), 200);
  EXPECT_EQ(outcome(head + std::string(rest + 1, 'a') + "\r\n\r\n"), 431);
}

TEST(HttpRequest, endless_chunk_extensions_and_trailers_are_refused) {
  const std::string start = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(outcome(start + "1;" + std::string(5000, 'x'), 100), 400);
  EXPECT_EQ(outcome(start + "0\r\nA: " + std::string(5000, 'x'), 100), 400);
  std::string small = start;
  for (int i = 0; i < 100; ++i) {
    small += "1\r\na\r\n";
  }
  EXPECT_EQ(outcome(small + "0\r\n\r\n", 7), 200);
}

TEST(HttpRequest, upgrade_and_old_clients_are_plain_requests) {
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), 200);
  HttpRequestParser parser(kLimits);
  parser.feed(view("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  EXPECT_TRUE(parser.take());
  EXPECT_FALSE(parser.keep_alive());
}

TEST(HttpRequest, other_schemes_and_broken_basic_leave_nobody_logged_in) {
  for (const char* value : {"Bearer abc", "Basic", "Basic ", "Basic !!!", "Basic YWJj", "BasicYTpi"}) {
    const Request r = read(std::string("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: ") + value + "\r\n\r\n");
    EXPECT_FALSE(r.login) << value;
  }
}

TEST(HttpRequest, what_we_write_we_read) {
  Request r;
  r.method = Method::post;
  r.path = "/a/b";
  r.query = "x=1";
  r.content_type = "application/pkcs10";
  r.accept = "text/plain";
  r.body = to_bytes("hello");
  r.login = Login{"joe", Secret(std::string_view("p:w"))};
  const Bytes bytes = encode_request(r, "h:1");
  EXPECT_NE(as_text(bytes).find("\r\nContent-Transfer-Encoding: base64\r\n"), std::string_view::npos);
  const Request back = read(as_text(bytes));
  EXPECT_EQ(back.method, r.method);
  EXPECT_EQ(back.path, r.path);
  EXPECT_EQ(back.query, r.query);
  EXPECT_EQ(back.content_type, r.content_type);
  EXPECT_EQ(back.accept, r.accept);
  EXPECT_EQ(back.body, r.body);
  ASSERT_TRUE(back.login);
  EXPECT_EQ(back.login->user, "joe");
  EXPECT_TRUE(same(back.login->password, r.login->password));
}

Response read_response(std::string_view text, Instant now = {}) {
  HttpResponseParser parser({});
  parser.feed(view(text));
  auto response = parser.take(now);
  EXPECT_TRUE(response) << text;
  return response ? *std::move(response) : Response{};
}

TEST(HttpResponse, what_we_write_we_read) {
  Response r;
  r.status = 401;
  r.content_type = "text/plain";
  r.body = to_bytes("no\n");
  r.retry_after_s = 30;
  r.location = "https://x/";
  r.authenticate = {"Basic realm=\"a b\""};
  EXPECT_EQ(read_response(as_text(encode_response(r, {}, true))), r);
}

TEST(HttpResponse, headers_that_peers_need_are_written) {
  Response r;
  r.status = 200;
  r.content_type = "application/pkcs7-mime; smime-type=certs-only";
  const std::string text(as_text(encode_response(r, Instant{784111777000}, false)));
  EXPECT_EQ(text,
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\nContent-Transfer-Encoding: base64\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(HttpResponse, a_value_with_a_line_break_is_left_out) {
  Response r;
  r.status = 302;
  r.location = "https://x/\r\nSet-Cookie: a=b";
  const Bytes bytes = encode_response(r, {}, true);
  EXPECT_EQ(as_text(bytes).find("Cookie"), std::string_view::npos);
}

TEST(HttpResponse, retry_after_as_seconds_or_date) {
  const auto retry = [](const std::string& value) {
    return read_response("HTTP/1.1 202 A\r\nRetry-After: " + value + "\r\nContent-Length: 0\r\n\r\n",
                         Instant{784111777000})
        .retry_after_s;
  };
  EXPECT_EQ(retry("120"), 120);
  EXPECT_EQ(retry("Sun, 06 Nov 1994 08:50:37 GMT"), 60);
  EXPECT_EQ(retry("Sunday, 06-Nov-94 08:50:37 GMT"), 60);
  EXPECT_EQ(retry("Sun Nov  6 08:50:37 1994"), 60);
  EXPECT_EQ(retry("Sun, 06 Nov 1994 08:00:00 GMT"), 0);
  for (const char* bad : {"", "-1", "1.5", "soon", "99999999999999999999", "Sun, 06 Nov 1994 08:50:37 GMT x"}) {
    EXPECT_EQ(retry(bad), std::nullopt) << bad;
  }
}

TEST(HttpResponse, interim_answers_are_skipped_and_a_close_ends_a_body_without_length) {
  HttpResponseParser parser({});
  parser.feed(view("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello"));
  EXPECT_FALSE(parser.take({}));
  parser.end();
  const auto r = parser.take({});
  ASSERT_TRUE(r);
  EXPECT_EQ(as_text(r->body), "hello");
  EXPECT_FALSE(parser.keep_alive());
}

TEST(HttpResponse, a_body_cut_off_is_no_answer) {
  HttpResponseParser parser({});
  parser.feed(view("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"));
  parser.end();
  EXPECT_FALSE(parser.take({}));
  EXPECT_TRUE(parser.failed());
  EXPECT_FALSE(parser.too_large());
}

TEST(HttpResponse, bad_answers_fail) {
  for (const char* text :
       {"SSH-2.0-x\r\n\r\n", "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 99 S\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HTTP/2.0 200 OK\r\n\r\n"}) {
    HttpResponseParser parser({});
    parser.feed(view(text));
    EXPECT_TRUE(parser.failed()) << text;
  }
  HttpResponseParser parser({.header_bytes = 100, .body_bytes = 3});
  parser.feed(view("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"));
  EXPECT_TRUE(parser.too_large());
}

TEST(Http, a_thousand_garbage_streams_do_no_harm) {
  SeededRng rng(11);
  constexpr std::string_view kStart = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 1000; ++i) {
    Bytes in = to_bytes(rng.chance(0.5) ? kStart : std::string_view{});
    Bytes noise(rng.below(300));
    rng.fill(noise);
    in.insert(in.end(), noise.begin(), noise.end());
    for (std::uint64_t n = in.empty() ? 0 : rng.below(6); n > 0; --n) {
      in[rng.below(in.size())] = static_cast<std::uint8_t>(rng.next());
    }
    HttpRequestParser requests(kLimits);
    HttpResponseParser responses(kLimits);
    EXPECT_LE(requests.feed(in), in.size());
    EXPECT_LE(responses.feed(in), in.size());
  }
}

}  // namespace
}  // namespace imprint::io
