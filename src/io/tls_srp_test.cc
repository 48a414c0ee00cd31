#include "io/tls_srp.h"

#include "io/io_test.h"

namespace imprint::io {
namespace {

const Secret kToken("a token of dev-1, long enough");

TlsServerOptions with_users() {
  TlsServerOptions out = pki().server_options();
  out.find_srp = [known = *srp_verifier("dev-1", kToken)](const std::string& user) -> std::optional<SrpSecret> {
    return user == "dev-1" ? std::optional(SrpSecret{known, {1, 2, 3}}) : std::nullopt;
  };
  return out;
}

Result<SessionRef> open_as(Rig& rig, const std::string& user, const Secret& token) {
  Open what;
  what.srp = Login{user, token};
  return rig.open(std::move(what));
}

TEST(TlsSrp, both_sides_prove_the_secret_and_nothing_else) {
  Rig rig(with_users());
  const auto session = open_as(rig, "dev-1", kToken);
  ASSERT_TRUE(session);
  ASSERT_TRUE(rig.get((*session)->id, "/a"));
  const Session& theirs = *rig.requests.at(0).session;
  for (const Session& each : {**session, theirs}) {
    EXPECT_EQ(each.srp_user, "dev-1");
    EXPECT_EQ(each.protocol, "TLSv1.2");
    EXPECT_FALSE(each.proven);
    EXPECT_TRUE(each.presented.empty());
  }
  EXPECT_EQ(theirs.srp_record, (Bytes{1, 2, 3}));
  EXPECT_FALSE(theirs.channel_binding.empty());
  EXPECT_EQ(theirs.channel_binding, (*session)->channel_binding);
}

TEST(TlsSrp, a_wrong_secret_or_a_name_of_nobody_opens_nothing) {
  Rig rig(with_users());
  EXPECT_FALSE(open_as(rig, "dev-1", Secret("a token of dev-1, long enougH")));
  EXPECT_FALSE(open_as(rig, "dev-2", kToken));
  ASSERT_TRUE(rig.until([&] { return rig.handshake_failures.size() == 2; }));
  EXPECT_TRUE(rig.requests.empty());
}

TEST(TlsSrp, a_server_with_another_verifier_learns_nothing_and_is_not_believed) {
  TlsServerOptions impostor = pki().server_options();
  impostor.find_srp = [](const std::string& user) -> std::optional<SrpSecret> {
    return SrpSecret{*srp_verifier(user, Secret("a guess")), {}};
  };
  Rig rig(impostor);
  EXPECT_FALSE(open_as(rig, "dev-1", kToken));
}

TEST(TlsSrp, without_it_the_server_takes_nobody) {
  Rig rig;
  EXPECT_FALSE(open_as(rig, "dev-1", kToken));
}

TEST(TlsSrp, others_are_served_with_certificates_as_before) {
  Rig rig(with_users());
  const auto session = rig.open_as(pki().device, pki().device_chain());
  ASSERT_TRUE(session);
  ASSERT_TRUE(rig.get((*session)->id, "/a"));
  EXPECT_TRUE(rig.requests.at(0).session->proven);
  EXPECT_TRUE(rig.requests.at(0).session->srp_user.empty());
  EXPECT_TRUE((*session)->srp_user.empty());
}

}  // namespace
}  // namespace imprint::io
