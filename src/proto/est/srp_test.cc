// EST over TLS-SRP between the roles: no certificates and no anchors, one secret that both sides know.
#include <gtest/gtest.h>

#include "proto/est/pair.h"
#include "proto/est/rules.h"

namespace imprint::est {
namespace {

// A device with a token and nothing else.
struct SrpPair : Pair {
  SrpPair() {
    plan.credential.reset();
    plan.explicit_anchors.clear();
    plan.implicit_anchors.clear();
    plan.login = Login{user, Secret(password)};
    plan.login_by = LoginBy::srp;
  }
};

TEST(EstSrp, a_secret_is_all_that_a_device_needs) {
  SrpPair p;
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule() << " " << p.detail();
  ASSERT_EQ(p.opened.size(), 1U);
  EXPECT_TRUE(p.opened.front().srp.has_value());
  ASSERT_EQ(p.issued.size(), 1U);
  EXPECT_EQ(p.issued.front().spent, p.user);
  EXPECT_EQ(p.installed->anchors, std::vector{cast().owner.certificate});
  EXPECT_TRUE(p.sound);
  for (const Request& each : p.requests) {
    EXPECT_FALSE(each.login.has_value()) << each.path;
  }
}

TEST(EstSrp, the_device_knows_why_it_believes_the_server_and_its_anchors) {
  SrpPair p;
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>());
  EXPECT_EQ(p.device_mind.strength("server:" + p.plan.server.authority() + ":secret"), Strength::label);
  EXPECT_EQ(p.device_mind.strength(anchor_belief(cast().owner.certificate)), Strength::label);
}

TEST(EstSrp, a_session_that_proved_no_secret_is_not_the_owners) {
  for (const std::string user : {"", "dev-2"}) {
    SrpPair p;
    p.on_session = [&](Session& client, Session&) { client.srp_user = user; };
    p.run();
    EXPECT_EQ(p.rule(), kSrpFailed.id);
    EXPECT_TRUE(p.requests.empty());
  }
}

TEST(EstSrp, a_wrong_secret_ends_the_run) {
  SrpPair p;
  p.plan.login = Login{p.user, Secret("a guess")};
  p.run();
  EXPECT_EQ(p.rule(), kSrpFailed.id);
  EXPECT_EQ(p.opened.size(), 1U);
}

TEST(EstSrp, it_wants_a_login_with_a_name_and_https) {
  SrpPair nobody;
  nobody.plan.login.reset();
  nobody.run();
  EXPECT_EQ(nobody.rule(), kSrpNeeds.id);
  SrpPair nameless;
  nameless.plan.login->user.clear();
  nameless.run();
  EXPECT_EQ(nameless.rule(), kSrpNeeds.id);
  SrpPair coaps;
  coaps.plan.server.scheme = "coaps";
  coaps.plan.credential = Pair().plan.credential;
  coaps.plan.explicit_anchors = Pair().plan.explicit_anchors;
  coaps.run();
  EXPECT_EQ(coaps.rule(), kSrpNeeds.id);
}

TEST(EstSrp, a_login_that_the_server_asks_for_all_the_same_does_not_travel) {
  SrpPair p;
  p.on_response = [](Response& r, const Request& request) {
    if (request.method == Method::post) {
      r = {};
      r.status = 401;
      r.authenticate.push_back(challenge_text({"imprint", "n", {}, false}));
    }
  };
  p.run();
  EXPECT_EQ(p.rule(), kUnauthorized.id);
  for (const Request& each : p.requests) {
    EXPECT_FALSE(each.login.has_value());
  }
}

TEST(EstSrp, after_a_202_and_after_a_loss_it_comes_back_by_the_secret) {
  SrpPair p;
  p.lose_connections = 1;
  int waits = 2;
  p.on_decision = [&](Decision& d, const Admit& q) {
    EXPECT_EQ(q.session->srp_user, p.user);
    EXPECT_FALSE(q.login);
    if (waits-- > 0) {
      d.verdict = Verdict::pending;
      d.retry_after = std::chrono::seconds(1);
    }
  };
  p.run();
  ASSERT_TRUE(p.is<Client::Enrolled>()) << p.rule();
  EXPECT_EQ(p.opened.size(), 4U);
  for (const Open& each : p.opened) {
    EXPECT_TRUE(each.srp.has_value());
  }
}

// The same request in HTTP Basic is the same request: who could not wait may come back another way.
TEST(EstSrp, a_request_is_found_again_by_its_user) {
  SrpPair p;
  p.run();
  ASSERT_EQ(p.issued.size(), 1U);
  Session by_srp;
  by_srp.srp_user = p.user;
  const CertificateRequest request = *CertificateRequest::parse(*make_request(cast().device.key, {}));
  EXPECT_EQ(request_key(by_srp, std::nullopt, "", request),
            request_key({}, Login{p.user, Secret("token")}, "", request));
  by_srp.srp_user = "dev-2";
  EXPECT_NE(request_key(by_srp, std::nullopt, "", request),
            request_key({}, Login{p.user, Secret("token")}, "", request));
}

}  // namespace
}  // namespace imprint::est
