// HTTP Digest: the RFC's own example, what is read and what is not, and nonces.
#include "role/digest.h"

#include <gtest/gtest.h>

namespace imprint {
namespace {

const Secret kKey("the key of the nonces of this test");
constexpr std::array<std::uint8_t, 8> kLuck{1, 2, 3, 4, 5, 6, 7, 8};

// RFC 7616 section 3.9.1.
const char* const kExample =
    "username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=SHA-256, "
    "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, "
    "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "
    "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", "
    "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

TEST(Digest, the_example_of_rfc_7616) {
  const auto login = parse_digest(kExample, "GET", "/dir/index.html");
  ASSERT_TRUE(login);
  EXPECT_EQ(login->user, "Mufasa");
  EXPECT_EQ(login->digest->uri, "/dir/index.html");
  const Secret secret = digest_secret("Mufasa", "http-auth@example.org", Secret("Circle of Life"));
  EXPECT_EQ(digest_response(secret, *login->digest), login->digest->response);
  const Secret wrong = digest_secret("Mufasa", "http-auth@example.org", Secret("Circle of Lif3"));
  EXPECT_NE(digest_response(wrong, *login->digest), login->digest->response);
}

// Each part of an answer changes what it has to be.
TEST(Digest, every_part_counts) {
  const auto login = parse_digest(kExample, "GET", "/dir/index.html");
  ASSERT_TRUE(login);
  const Secret secret = digest_secret("Mufasa", "http-auth@example.org", Secret("Circle of Life"));
  using Part = std::string DigestAnswer::*;
  for (const Part part : {Part(&DigestAnswer::nonce), Part(&DigestAnswer::uri), Part(&DigestAnswer::cnonce),
                          Part(&DigestAnswer::nc), Part(&DigestAnswer::method)}) {
    DigestAnswer other = *login->digest;
    (other.*part) += "x";
    EXPECT_NE(digest_response(secret, other), login->digest->response);
  }
  EXPECT_FALSE(same(secret, digest_secret("Mufasa", "another realm", Secret("Circle of Life"))));
  EXPECT_FALSE(same(secret, digest_secret("mufasa", "http-auth@example.org", Secret("Circle of Life"))));
}

TEST(Digest, an_answer_is_read_as_it_was_written) {
  Request request;
  request.method = Method::post;
  request.path = "/.well-known/est/simpleenroll";
  request.query = "a=b";
  const DigestChallenge challenge{"a \"realm\"", "n,o", "opa=que", false};
  const Login login = answer_challenge(challenge, {"dev\\1", Secret("pass")}, request, 0x1a, kLuck);
  EXPECT_TRUE(login.password.empty());
  const std::string text = digest_text(login);
  ASSERT_TRUE(text.starts_with("Digest "));
  EXPECT_EQ(text.find("pass"), std::string::npos);
  const auto read = parse_digest(text.substr(7), "POST", "/.well-known/est/simpleenroll?a=b");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->user, "dev\\1");
  EXPECT_EQ(read->digest->realm, "a \"realm\"");
  EXPECT_EQ(read->digest->nonce, "n,o");
  EXPECT_EQ(read->digest->nc, "0000001a");
  EXPECT_EQ(read->digest->target, read->digest->uri);
  EXPECT_EQ(read->digest->response,
            digest_response(digest_secret("dev\\1", challenge.realm, Secret("pass")), *read->digest));
}

TEST(Digest, an_answer_that_is_not_whole_is_none) {
  const std::string good = kExample;
  const auto without = [&](const std::string& from, const std::string& to) {
    std::string out = good;
    const std::size_t at = out.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return out.replace(at, from.size(), to);
  };
  for (const std::string& bad :
       {std::string(), std::string("Basic"), without("qop=auth, ", ""), without("qop=auth", "qop=auth-int"),
        without("algorithm=SHA-256, ", ""), without("SHA-256", "MD5"), without("SHA-256", "SHA-256-sess"),
        without("nc=00000001", "nc=1"), without("nc=00000001", "nc=0000000g"), without("nc=00000001, ", ""),
        without("753927fa", "753927f"), without("username=\"Mufasa\"", "username*=UTF-8''Mufasa"),
        without("username=\"Mufasa\", ", ""), without("realm=\"http-auth@example.org\", ", ""),
        without("username", "username=\"a\", username"), good + ", userhash=true", good + ", \"", good + ", x=\"\\"}) {
    EXPECT_FALSE(parse_digest(bad, "GET", "/dir/index.html")) << bad;
  }
}

TEST(Digest, the_challenge_that_can_be_answered_is_found) {
  const std::string sha = "Digest realm=\"r\", qop=\"auth, auth-int\", algorithm=SHA-256, nonce=\"n\", opaque=\"o\"";
  const DigestChallenge wanted{"r", "n", "o", false};
  EXPECT_EQ(find_challenge({sha}), wanted);
  EXPECT_EQ(find_challenge({"Basic realm=\"x\"", sha}), wanted);
  EXPECT_EQ(find_challenge({"Basic realm=\"x, y\", " + sha}), wanted);
  EXPECT_EQ(find_challenge({"Negotiate, " + sha}), wanted);
  EXPECT_EQ(find_challenge({"Negotiate YWJj==, " + sha}), wanted);
  EXPECT_EQ(find_challenge({"NTLM a/b+c , " + sha}), wanted);
  EXPECT_EQ(find_challenge({"Digest realm=\"m\", qop=\"auth\", nonce=\"n\"", sha}), wanted);
  EXPECT_EQ(find_challenge({sha + ", Basic realm=\"x\""}), wanted);
  EXPECT_TRUE(find_challenge({sha + ", stale=TRUE"})->stale);
  EXPECT_EQ(find_challenge({challenge_text(wanted)}), wanted);
  for (const char* bad :
       {"", "Basic realm=\"r\"", "Digest realm=\"r\", qop=\"auth\", nonce=\"n\"",
        "Digest realm=\"r\", qop=\"auth\", algorithm=MD5, nonce=\"n\"",
        "Digest realm=\"r\", algorithm=SHA-256, nonce=\"n\"",
        "Digest realm=\"r\", qop=\"auth-int\", algorithm=SHA-256, nonce=\"n\"",
        "Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256", "Digest qop=\"auth\", algorithm=SHA-256, nonce=\"n\"",
        "Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256, nonce=\"n\", userhash=true",
        "Digest realm=\"r, qop=\"auth\", algorithm=SHA-256, nonce=\"n\""}) {
    EXPECT_FALSE(find_challenge({bad})) << bad;
  }
  EXPECT_TRUE(offers_basic({sha, "basic realm=\"x\""}));
  EXPECT_FALSE(offers_basic({sha}));
}

TEST(Digest, a_nonce_says_when_it_was_made_to_who_made_it) {
  const Instant then{1'700'000'000'123};
  const std::string nonce = make_nonce(kKey, then, kLuck);
  EXPECT_EQ(nonce_made(kKey, nonce), then);
  EXPECT_FALSE(nonce_made(Secret("another key"), nonce));
  EXPECT_NE(nonce, make_nonce(kKey, then, std::array<std::uint8_t, 8>{9}));
  std::string changed = nonce;
  changed[3] = changed[3] == '0' ? '1' : '0';
  for (const std::string& bad : {std::string(), std::string("n"), changed, nonce + "00", nonce.substr(2), nonce + "0",
                                 std::string(10'000, 'a')}) {
    EXPECT_FALSE(nonce_made(kKey, bad)) << bad;
  }
}

}  // namespace
}  // namespace imprint
