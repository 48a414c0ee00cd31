#define OPENSSL_SUPPRESS_DEPRECATED  // OpenSSL 3.0 has SRP, and no other way to it
#include "io/tls_srp.h"

#include "io/tls_testing.h"

namespace imprint::io {
namespace {

const Secret kToken("a token of dev-1, long enough");

TlsServerOptions with_users() {
  TlsServerOptions out = pki().server_options();
  out.find_srp = [known = *srp_verifier("dev-1", kToken)](const std::string& user) -> Result<SrpSecret> {
    CHECK_OR(user == "dev-1", Error{Fault::unreachable, "store: away"});
    return SrpSecret{known, {1, 2, 3}};
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

TEST(TlsSrp, a_wrong_secret_opens_nothing_and_neither_does_a_server_that_cannot_look) {
  Rig rig(with_users());
  const auto wrong = open_as(rig, "dev-1", Secret("a token of dev-1, long enougH"));
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().fault, Fault::unreachable);
  const auto away = open_as(rig, "dev-2", kToken);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().fault, Fault::unreachable) << "later it may be there: the secret is not wrong";
  ASSERT_TRUE(rig.until([&] { return rig.handshake_failures.size() == 2; }));
  EXPECT_TRUE(rig.requests.empty());
}

TEST(TlsSrp, a_server_with_another_verifier_learns_nothing_and_is_not_believed) {
  TlsServerOptions impostor = pki().server_options();
  impostor.find_srp = [](const std::string& user) -> Result<SrpSecret> {
    return SrpSecret{*srp_verifier(user, Secret("a guess")), {}};
  };
  Rig rig(impostor);
  EXPECT_FALSE(open_as(rig, "dev-1", kToken));
}

// What a client of ours never does: it offers a session again, and a name along with a suite that proves none.
struct SrpClient : OtherClient {
  explicit SrpClient(const char* suites) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, suites);
    std::string user = "dev-1";
    SSL_CTX_set_srp_username(context, user.data());
    SSL_CTX_set_srp_client_pwd_callback(context, [](SSL*, void*) {
      return OPENSSL_strndup(reinterpret_cast<const char*>(kToken.expose().data()), kToken.size());
    });
  }
};

TEST(TlsSrp, a_session_is_never_resumed_and_proven_each_time) {
  Rig rig(with_users());
  SrpClient client("SRP");
  ASSERT_TRUE(client.ask(rig));
  ASSERT_NE(client.kept, nullptr);
  ASSERT_TRUE(client.ask(rig));
  EXPECT_FALSE(client.reused);
  EXPECT_EQ(rig.requests.at(1).session->srp_user, "dev-1");
  EXPECT_EQ(rig.requests.at(1).session->srp_record, (Bytes{1, 2, 3}));
}

TEST(TlsSrp, a_name_beside_another_suite_proves_nothing) {
  Rig rig(with_users());
  SrpClient client("ECDHE-ECDSA-AES128-GCM-SHA256:SRP");
  ASSERT_TRUE(client.ask(rig));
  EXPECT_EQ(client.suite, "ECDHE-ECDSA-AES128-GCM-SHA256");
  EXPECT_TRUE(rig.requests.at(0).session->srp_user.empty());
  EXPECT_TRUE(rig.requests.at(0).session->srp_record.empty());
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
