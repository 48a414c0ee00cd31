#include "io/tls.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "io/connection.h"
#include "io/tls_peer.h"
#include "io/tls_testing.h"

namespace imprint::io {
namespace {

Open to_server(Trust trust, std::vector<Certificate> anchors) {
  return {.ticket = 0, .to = {}, .trust = trust, .anchors = std::move(anchors), .as = std::nullopt};
}

TEST(Tls, both_sides_prove_themselves_and_see_the_same_channel_on_1_3) {
  Rig rig;
  const auto session = rig.open_as(pki().device, pki().device_chain());
  ASSERT_TRUE(session);
  ASSERT_TRUE(rig.get((*session)->id, "/a"));
  const Session& ours = **session;
  const Session& theirs = *rig.requests.at(0).session;
  EXPECT_EQ(ours.protocol, "TLSv1.3");
  ASSERT_TRUE(ours.proven);
  EXPECT_EQ((*ours.proven)->leaf, pki().server.certificate);
  EXPECT_EQ((*ours.proven)->anchor, pki().ca.certificate);
  ASSERT_TRUE(theirs.proven);
  EXPECT_EQ((*theirs.proven)->leaf, pki().device.certificate);
  EXPECT_EQ((*theirs.proven)->via, std::vector{pki().line.certificate});
  EXPECT_EQ(theirs.presented, pki().device_chain());
  EXPECT_EQ(ours.channel_binding.size(), 32U);
  EXPECT_EQ(ours.channel_binding, theirs.channel_binding);
}

TEST(Tls, without_a_client_certificate_nothing_is_proven) {
  Rig rig;
  const auto session = rig.open_anonymous();
  ASSERT_TRUE(session);
  ASSERT_TRUE(rig.get((*session)->id, "/a"));
  EXPECT_FALSE(rig.requests.at(0).session->proven);
  EXPECT_TRUE(rig.requests.at(0).session->presented.empty());
}

TEST(Tls, two_sessions_have_two_channel_bindings) {
  Rig rig;
  const auto a = rig.open_anonymous();
  const auto b = rig.open_anonymous();
  ASSERT_TRUE(a && b);
  EXPECT_NE((*a)->channel_binding, (*b)->channel_binding);
  EXPECT_NE((*a)->id, (*b)->id);
}

TEST(Tls, a_server_below_another_anchor_is_unauthentic_to_both) {
  Rig rig;
  const auto session = rig.open(to_server(Trust::anchors, {pki().maker.certificate}));
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().fault, Fault::unauthentic);
  ASSERT_TRUE(rig.until([&] { return !rig.handshake_failures.empty(); }));
  EXPECT_EQ(rig.handshake_failures.at(0).fault, Fault::unauthentic);
  EXPECT_EQ(rig.handshake_failures.at(0).what, "tlsv1 alert unknown ca");
}

TEST(Tls, a_client_below_another_anchor_is_refused_with_an_alert) {
  Rig rig;
  const Identity stranger = make_identity({.name = "stranger"}, &pki().ca);
  const auto session = rig.open_as(stranger, {stranger.certificate});
  ASSERT_TRUE(session);  // TLS 1.3: the server judges after the client is done
  const auto response = rig.get((*session)->id, "/a");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().fault, Fault::unauthentic);
  EXPECT_EQ(rig.handshake_failures.at(0).fault, Fault::unauthentic);
  EXPECT_TRUE(rig.requests.empty());
  EXPECT_TRUE(rig.until([&] { return rig.lost == std::vector{(*session)->id}; }));
}

TEST(Tls, a_refusal_that_comes_before_the_first_request_is_told_to_it) {
  Rig rig;
  const Identity stranger = make_identity({.name = "stranger"}, &pki().ca);
  const auto session = rig.open_as(stranger, {stranger.certificate});
  ASSERT_TRUE(session);
  ASSERT_TRUE(rig.until([&] { return rig.lost == std::vector{(*session)->id}; }));
  const auto response = rig.get((*session)->id, "/a");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().fault, Fault::unauthentic);
}

TEST(Tls, an_expired_client_is_refused_unless_policy_says_otherwise) {
  const Wish old{.name = "old", .from = wall_clock() - 2 * kHour, .until = wall_clock() - kHour};
  const Identity expired = make_identity(old, &pki().maker);
  Rig strict;
  const auto refused = strict.open_as(expired, {expired.certificate});
  ASSERT_TRUE(refused);
  EXPECT_FALSE(strict.get((*refused)->id, "/a"));
  EXPECT_EQ(strict.handshake_failures.at(0).fault, Fault::expired);

  TlsServerOptions options = pki().server_options();
  options.expired_counts_below = {pki().maker.certificate};
  Rig lenient(options);
  const auto taken = lenient.open_as(expired, {expired.certificate});
  ASSERT_TRUE(taken);
  ASSERT_TRUE(lenient.get((*taken)->id, "/a"));
  EXPECT_EQ((*lenient.requests.at(0).session->proven)->leaf, expired.certificate);
}

TEST(Tls, an_expired_certificate_of_our_own_never_counts_nor_one_that_has_not_begun) {
  TlsServerOptions options = pki().server_options();
  options.anchors.push_back(pki().ca.certificate);
  options.expired_counts_below = {pki().maker.certificate};
  Rig rig(options);
  const Wish old{.name = "ours", .from = wall_clock() - 2 * kHour, .until = wall_clock() - kHour};
  const Wish early{.name = "early", .from = wall_clock() + kHour, .until = wall_clock() + 2 * kHour};
  const Identity ours = make_identity(old, &pki().ca);
  const Identity future = make_identity(early, &pki().maker);
  for (const Identity& who : {ours, future}) {
    const auto session = rig.open_as(who, {who.certificate});
    ASSERT_TRUE(session);
    EXPECT_FALSE(rig.get((*session)->id, "/a"));
    EXPECT_EQ(rig.handshake_failures.back().fault, Fault::expired);
  }
}

TEST(Tls, an_expired_server_is_expired) {
  const Wish old{.name = "old", .from = wall_clock() - 2 * kHour, .until = wall_clock() - kHour};
  const Identity expired = make_identity(old, &pki().ca);
  TlsServerOptions options = pki().server_options();
  options.chain = {expired.certificate};
  options.key = expired.key;
  Rig rig(options);
  const auto session = rig.open_anonymous();
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().fault, Fault::expired);
}

TEST(Tls, a_client_certificate_does_not_serve_as_a_servers) {
  const Identity wrong = make_identity({.name = "x", .extended = {std::string(eku::kClientAuth)}}, &pki().ca);
  TlsServerOptions options = pki().server_options();
  options.chain = {wrong.certificate};
  options.key = wrong.key;
  Rig rig(options);
  const auto session = rig.open_anonymous();
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().fault, Fault::refused);
}

TEST(Tls, a_provisional_session_shows_who_answered_and_proves_nothing) {
  Rig rig;
  const auto session = rig.open(to_server(Trust::provisional, {}));
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->trust, Trust::provisional);
  EXPECT_EQ((*session)->presented, std::vector{pki().server.certificate});
  EXPECT_FALSE((*session)->proven);
  EXPECT_EQ((*session)->channel_binding.size(), 32U);
}

TEST(Tls, a_key_that_does_not_belong_to_the_certificate_makes_no_context) {
  TlsServerOptions options = pki().server_options();
  options.key = pki().device.key;
  EXPECT_FALSE(TlsContext::server(options));
  EXPECT_FALSE(TlsContext::client(Trust::anchors, {}, pki().device_chain(), pki().server.key));
}

TEST(Tls, a_renewed_certificate_is_used_from_the_next_connection_on) {
  Rig rig;
  ASSERT_TRUE(rig.open_anonymous());
  const Identity renewed = make_identity({.name = "renewed"}, &pki().ca);
  TlsServerOptions options = pki().server_options();
  options.chain = {renewed.certificate};
  options.key = renewed.key;
  rig.server->set_tls(*TlsContext::server(options));
  const auto session = rig.open_anonymous();
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->presented, std::vector{renewed.certificate});
}

TEST(Tls, on_1_2_the_channel_is_the_first_finished_also_when_resumed) {
  Rig rig;
  OtherClient client;
  SSL_CTX_set_max_proto_version(client.context, TLS1_2_VERSION);
  ASSERT_TRUE(client.ask(rig));
  EXPECT_EQ(client.protocol, "TLSv1.2");
  EXPECT_FALSE(client.reused);
  EXPECT_EQ(client.finished.size(), 12U);
  EXPECT_EQ(rig.requests.at(0).session->channel_binding, client.finished);
  ASSERT_TRUE(client.ask(rig));
  EXPECT_TRUE(client.reused);
  EXPECT_EQ(rig.requests.at(1).session->channel_binding, client.finished);
  EXPECT_NE(rig.requests.at(0).session->channel_binding, rig.requests.at(1).session->channel_binding);
}

TEST(Tls, without_the_extended_master_secret_there_is_no_channel_binding) {
  Rig rig;
  OtherClient client;
  SSL_CTX_set_max_proto_version(client.context, TLS1_2_VERSION);
  SSL_CTX_set_options(client.context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
  ASSERT_TRUE(client.ask(rig));
  EXPECT_TRUE(rig.requests.at(0).session->channel_binding.empty());
}

class WithCertificate : public testing::TestWithParam<int> {};

TEST_P(WithCertificate, is_never_resumed_and_proven_each_time) {
  Rig rig;
  OtherClient client;
  SSL_CTX_set_max_proto_version(client.context, GetParam());
  const auto as = TlsContext::client(Trust::anchors, {}, pki().device_chain(), pki().device.key);
  SSL_CTX_use_certificate(client.context, SSL_CTX_get0_certificate((*as)->get()));
  SSL_CTX_use_PrivateKey(client.context, SSL_CTX_get0_privatekey((*as)->get()));
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs((*as)->get(), &chain);
  SSL_CTX_set1_chain(client.context, chain);
  ASSERT_TRUE(client.ask(rig));
  ASSERT_TRUE(client.ask(rig));
  EXPECT_FALSE(client.reused);
  EXPECT_TRUE(rig.requests.at(0).session->proven);
  EXPECT_TRUE(rig.requests.at(1).session->proven);
}

INSTANTIATE_TEST_SUITE_P(Tls, WithCertificate, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST(Tls, old_versions_weak_suites_and_1_2_where_it_is_not_allowed_are_refused) {
  Rig rig;
  OtherClient old;
  SSL_CTX_set_security_level(old.context, 0);
  SSL_CTX_set_min_proto_version(old.context, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old.context, TLS1_1_VERSION);
  EXPECT_FALSE(old.ask(rig));
  OtherClient weak;
  SSL_CTX_set_max_proto_version(weak.context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(weak.context,
                          "AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:aNULL:@SECLEVEL=0");
  EXPECT_FALSE(weak.ask(rig));
  TlsServerOptions options = pki().server_options();
  options.allow_tls12 = false;
  Rig modern(options);
  OtherClient twelve;
  SSL_CTX_set_max_proto_version(twelve.context, TLS1_2_VERSION);
  EXPECT_FALSE(twelve.ask(modern));
  EXPECT_EQ(rig.handshake_failures.size(), 2U);
  EXPECT_EQ(modern.handshake_failures.size(), 1U);
}

// What OpenSSL, as a server, reads in the hello of a client of ours.
struct ReadHello {
  Bytes trusted_ca_keys;
  std::vector<std::string> authorities;  // certificate_authorities of TLS 1.3

  ReadHello(SSL_CTX* client, int version) {
    SSL_CTX* const server = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(server, version);
    EXPECT_TRUE(set_identity(server, {pki().server.certificate}, pki().server.key));
    SSL_CTX_add_custom_ext(server, TLSEXT_TYPE_trusted_ca_keys, SSL_EXT_CLIENT_HELLO, nullptr, nullptr, nullptr, read,
                           this);
    SSL *const ours = SSL_new(client), *const theirs = SSL_new(server);
    BIO *a = nullptr, *b = nullptr;
    BIO_new_bio_pair(&a, 0, &b, 0);
    SSL_set_bio(ours, a, a);
    SSL_set_bio(theirs, b, b);
    SSL_set_connect_state(ours);
    SSL_set_accept_state(theirs);
    PeerCheck check;
    watch_peer(ours, &check);
    for (int i = 0; i < 8; ++i) {
      SSL_do_handshake(ours);
      SSL_do_handshake(theirs);
    }
    EXPECT_EQ(SSL_is_init_finished(theirs), 1);
    const STACK_OF(X509_NAME)* const names = SSL_get0_peer_CA_list(theirs);
    for (int i = 0; i < sk_X509_NAME_num(names); ++i) {
      std::array<char, 256> text{};
      authorities.emplace_back(X509_NAME_oneline(sk_X509_NAME_value(names, i), text.data(), text.size()));
    }
    SSL_free(ours);
    SSL_free(theirs);
    SSL_CTX_free(server);
  }
  static int read(SSL*, unsigned, unsigned, const unsigned char* content, std::size_t size, X509*, std::size_t, int*,
                  void* self) {
    static_cast<ReadHello*>(self)->trusted_ca_keys = to_bytes({content, size});
    return 1;
  }
};

TEST(Tls, a_server_is_told_by_which_ca_it_will_be_judged) {
  const auto named = TlsContext::client(Trust::anchors, {pki().ca.certificate}, {}, {}, true);
  const auto silent = TlsContext::client(Trust::anchors, {pki().ca.certificate}, {}, {});
  ASSERT_TRUE(named && silent);
  const Bytes& name = pki().ca.certificate.subject.der;
  const auto length = static_cast<std::uint8_t>(name.size());
  Bytes wanted{0, static_cast<std::uint8_t>(length + 3), 2, 0, length};  // RFC 6066 section 6: x509_name
  wanted.insert(wanted.end(), name.begin(), name.end());
  EXPECT_EQ(ReadHello((*named)->get(), TLS1_2_VERSION).trusted_ca_keys, wanted);
  const ReadHello modern((*named)->get(), TLS1_3_VERSION);
  ASSERT_EQ(modern.authorities.size(), 1U);
  EXPECT_EQ(modern.authorities.front(), "/" + pki().ca.certificate.subject.text);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const ReadHello nothing((*silent)->get(), version);
    EXPECT_TRUE(nothing.trusted_ca_keys.empty());
    EXPECT_TRUE(nothing.authorities.empty());
  }
}

}  // namespace
}  // namespace imprint::io
