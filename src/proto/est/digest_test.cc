// HTTP Digest between the roles: who challenges, who answers, and when the password is sent.
#include "role/digest.h"

#include <gtest/gtest.h>

#include "proto/est/http.h"
#include "proto/est/pair.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

// A device with a token, and a server that knows it by HTTP Digest.
struct DigestPair : Pair {
  std::string nonce = "n1";
  bool offers_basic = false, stale = false;
  int refusals = 0;

  explicit DigestPair(bool only = true) {
    plan.credential.reset();
    plan.login = Login{user, Secret(password)};
    plan.login_by = only ? LoginBy::digest : LoginBy::http;
    on_response = [this](Response& r, const Request& request) { judge(r, request); };
  }

  Response challenge(bool is_stale) const {
    Response out;
    out.status = 401;
    out.authenticate.push_back(challenge_text({"imprint", nonce, "o", is_stale}));
    if (offers_basic) {
      out.authenticate.emplace_back("Basic realm=\"imprint\"");
    }
    return out;
  }
  void judge(Response& r, const Request& request) {
    if (request.method != Method::post) {
      return;
    }
    if (request.login && request.login->digest) {
      const DigestAnswer& a = *request.login->digest;
      const Secret known = digest_secret(user, "imprint", Secret(password));
      const bool good = a.nonce == nonce && a.response == digest_response(known, a);
      counts.push_back(a.nc);
      if (!good || stale) {
        ++refusals;
        nonce += "x";
        r = challenge(stale);
        return;
      }
      r.status = 404;  // enough to end the run: who it is was believed
      r.body = {};
      believed = true;
    } else if (!request.login || !offers_basic) {
      r = challenge(false);
    }
  }
  std::vector<const Request*> posts() const {
    std::vector<const Request*> out;
    for (const Request& each : requests) {
      if (each.method == Method::post) {
        out.push_back(&each);
      }
    }
    return out;
  }
  std::vector<std::string> counts;
  bool believed = false;
};

// Who waits for a person's word comes back for hours, with a nonce that has become too old each time.
TEST(EstDigest, stale_nonces_between_answers_are_no_end) {
  Pair p;
  p.plan.credential.reset();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.plan.login_by = LoginBy::digest;
  int posts = 0;
  p.on_response = [&](Response& r, const Request& request) {
    if (request.method != Method::post) {
      return;
    }
    ++posts;
    r = {};
    r.status = posts % 2 == 1 ? 401 : 202;
    r.retry_after_s = 1;
    r.authenticate.push_back(challenge_text({"imprint", "n" + std::to_string(posts), {}, posts > 1}));
    if (posts == 20) {
      r.status = 404;
    }
  };
  p.run();
  EXPECT_EQ(posts, 20);
  EXPECT_EQ(p.rule(), kRefused.id);
}

TEST(EstDigest, told_to_the_client_sends_no_password_and_answers_the_challenge) {
  DigestPair p;
  p.run();
  EXPECT_TRUE(p.believed);
  const auto posts = p.posts();
  ASSERT_EQ(posts.size(), 2U);
  EXPECT_FALSE(posts[0]->login.has_value());
  ASSERT_TRUE(posts[1]->login && posts[1]->login->digest);
  EXPECT_TRUE(posts[1]->login->password.empty());
  EXPECT_EQ(posts[1]->login->digest->opaque, "o");
  EXPECT_EQ(p.counts, std::vector<std::string>{"00000001"});
  EXPECT_EQ(p.opened.size(), 1U) << "the connection, and what is linked to it, stays";
}

TEST(EstDigest, a_client_that_sent_the_password_answers_where_basic_is_not_offered) {
  DigestPair p(false);
  p.run();
  EXPECT_TRUE(p.believed);
  ASSERT_EQ(p.posts().size(), 2U);
  EXPECT_TRUE(p.posts()[0]->login && !p.posts()[0]->login->digest);
}

TEST(EstDigest, where_basic_is_offered_a_wrong_password_is_wrong) {
  DigestPair p(false);
  p.offers_basic = true;
  p.plan.login = Login{p.user, Secret("a guess")};
  p.run();
  EXPECT_EQ(p.posts().size(), 1U);
  EXPECT_EQ(p.rule(), kUnauthorized.id);
}

TEST(EstDigest, a_wrong_password_is_refused_once) {
  DigestPair p;
  p.plan.login = Login{p.user, Secret("a guess")};
  p.run();
  EXPECT_EQ(p.refusals, 1);
  EXPECT_EQ(p.rule(), kUnauthorized.id);
}

TEST(EstDigest, a_stale_nonce_is_changed_for_a_fresh_one_a_few_times) {
  DigestPair p;
  p.stale = true;
  p.run();
  EXPECT_EQ(p.refusals, 3);
  EXPECT_EQ(p.rule(), kUnauthorized.id);
}

TEST(EstDigest, told_to_the_client_sends_no_password_to_a_server_that_wants_it) {
  Pair p;
  p.plan.credential.reset();
  p.plan.login = Login{p.user, Secret(p.password)};
  p.plan.login_by = LoginBy::digest;
  p.run();
  EXPECT_EQ(p.rule(), kNoDigest.id);
  for (const Request& each : p.requests) {
    EXPECT_FALSE(each.login.has_value());
  }
}

// ---- our server ----

Request enrolment(const Bytes& body) {
  Request out;
  out.method = Method::post;
  out.path = "/.well-known/est/simpleenroll";
  out.content_type = "application/pkcs10";
  out.body = body;
  return out;
}

struct Strangers : Pair {
  Response ask(const Bytes& body) { return serve(enrolment(body), std::make_shared<const Session>()); }
};

// curl sends the body only once it has a challenge.
TEST(EstDigest, an_empty_body_of_a_stranger_gets_the_challenge) {
  Strangers s;
  EXPECT_EQ(s.ask({}).status, 401);
  EXPECT_EQ(s.ask(to_bytes("text")).status, 400);
  Request request = enrolment({});
  request.login = Login{s.user, Secret(s.password)};
  EXPECT_EQ(s.serve(request, std::make_shared<const Session>()).status, 400);
  request.path = "/.well-known/est/simplereenroll";
  request.login.reset();
  EXPECT_EQ(s.serve(request, std::make_shared<const Session>()).status, 401);
}

TEST(EstDigest, the_server_offers_what_it_is_told_to) {
  Strangers s;
  s.config.nonce_key = Secret("a key");
  const Response both = s.ask({});
  ASSERT_EQ(both.authenticate.size(), 2U);
  const auto challenge = find_challenge(both.authenticate);
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->realm, kDeviceRealm);
  EXPECT_FALSE(challenge->stale);
  EXPECT_EQ(nonce_made(s.config.nonce_key, challenge->nonce), s.now);
  EXPECT_NE(find_challenge(s.ask({}).authenticate)->nonce, challenge->nonce);
  s.config.basic = false;
  EXPECT_EQ(s.ask({}).authenticate.size(), 1U);
  EXPECT_FALSE(offers_basic(s.ask({}).authenticate));
}

TEST(EstDigest, a_stale_answer_is_told_so) {
  Strangers s;
  s.config.nonce_key = Secret("a key");
  for (const bool stale : {false, true}) {
    s.on_decision = [stale](Decision& d, const Admit&) {
      d.verdict = Verdict::unauthenticated;
      d.stale = stale;
    };
    RequestTemplate what;
    what.subject = *Name::from_text("CN=dev-1");
    Request request =
        est::make_request("", "", Operation::simpleenroll, *make_request(*PrivateKey::generate(KeyType::p256), what));
    request.login = Login{s.user, {}, DigestAnswer{}};
    const Response r = s.serve(request, std::make_shared<const Session>());
    EXPECT_EQ(r.status, 401);
    EXPECT_EQ(find_challenge(r.authenticate)->stale, stale);
  }
}

}  // namespace
}  // namespace imprint::est
