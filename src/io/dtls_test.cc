#include "io/dtls_test.h"

#include <utility>

namespace imprint::io {
namespace {

using State = DtlsConnection::State;

Fault fault_of(const DtlsConnection& c) {
  const auto error = c.error();
  EXPECT_TRUE(error);
  return error ? error->fault : Fault::internal;
}

TEST(Dtls, both_sides_prove_themselves_and_see_the_same_channel) {
  DtlsPair pair;
  ASSERT_TRUE(pair.settle());
  ASSERT_TRUE(pair.open());
  const Session& ours = *pair.client->session();
  const Session& theirs = *pair.server->session();
  EXPECT_EQ(ours.protocol, "DTLSv1.2");
  EXPECT_EQ(ours.host, "server.example");
  ASSERT_TRUE(ours.proven && theirs.proven);
  EXPECT_EQ((*ours.proven)->leaf, pki().server.certificate);
  EXPECT_EQ((*theirs.proven)->leaf, pki().device.certificate);
  EXPECT_EQ(theirs.presented, pki().device_chain());
  EXPECT_EQ(ours.channel_binding.size(), 12U);
  EXPECT_EQ(ours.channel_binding, theirs.channel_binding);
  EXPECT_TRUE(ours.psk_identity.empty());
  EXPECT_FALSE(pair.client->timeout());
}

TEST(Dtls, messages_go_both_ways_one_by_one) {
  DtlsPair pair;
  ASSERT_TRUE(pair.settle() && pair.open());
  ASSERT_TRUE(pair.client->send(view("one")));
  ASSERT_TRUE(pair.client->send(view("two")));
  ASSERT_TRUE(pair.server->send(view("three")));
  pair.carry();
  EXPECT_EQ(pair.server->take_message(), to_bytes("one"));
  EXPECT_EQ(pair.server->take_message(), to_bytes("two"));
  EXPECT_EQ(pair.server->take_message(), std::nullopt);
  EXPECT_EQ(pair.client->take_message(), to_bytes("three"));
}

TEST(Dtls, nothing_larger_than_the_mtu_leaves_and_what_does_not_fit_is_refused) {
  DtlsPair pair;
  std::size_t largest = 0;
  pair.filter = [&](Bytes d, bool) {
    largest = std::max(largest, d.size());
    return std::vector<Bytes>{std::move(d)};
  };
  ASSERT_TRUE(pair.settle() && pair.open());
  const std::size_t most = pair.client->max_message();
  EXPECT_GT(most, 1024U);
  EXPECT_TRUE(pair.client->send(Bytes(most, 7)));
  pair.carry();
  EXPECT_EQ(pair.server->take_message(), Bytes(most, 7));
  EXPECT_LE(largest, kDtlsMtu);
  const Status refused = pair.client->send(Bytes(most + 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::limit);
  EXPECT_FALSE(pair.client->send({}));
  EXPECT_TRUE(pair.open());
}

TEST(Dtls, a_small_mtu_cuts_the_handshake_into_pieces) {
  auto server = dtls_server_options();
  auto client = dtls_client_options();
  server.mtu = client.mtu = 512;
  DtlsPair pair(server, client);
  std::size_t largest = 0;
  pair.filter = [&](Bytes d, bool) {
    largest = std::max(largest, d.size());
    return std::vector<Bytes>{std::move(d)};
  };
  ASSERT_TRUE(pair.settle());
  EXPECT_TRUE(pair.open());
  EXPECT_LE(largest, 512U);
}

TEST(Dtls, close_notify_ends_both_sides_in_order) {
  DtlsPair pair;
  ASSERT_TRUE(pair.settle() && pair.open());
  pair.client->close();
  EXPECT_EQ(pair.client->state(), State::closed);
  pair.carry();
  EXPECT_EQ(pair.server->state(), State::closed);
  EXPECT_FALSE(pair.client->error());
  EXPECT_FALSE(pair.server->error());
  const Status late = pair.server->send(view("late"));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().fault, Fault::unexpected);
}

TEST(Dtls, a_replayed_message_is_dropped) {
  DtlsPair pair;
  ASSERT_TRUE(pair.settle() && pair.open());
  ASSERT_TRUE(pair.client->send(view("once")));
  const auto datagram = pair.client->take_datagram();
  ASSERT_TRUE(datagram);
  pair.to_server(*datagram);
  EXPECT_EQ(pair.server->take_message(), to_bytes("once"));
  pair.to_server(*datagram);
  EXPECT_EQ(pair.server->take_message(), std::nullopt);
  EXPECT_TRUE(pair.open());
}

TEST(Dtls, forged_and_broken_datagrams_change_nothing) {
  DtlsPair pair;
  ASSERT_TRUE(pair.settle() && pair.open());
  SeededRng rng(3);
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(pair.client->send(view("hello there")));
    Bytes datagram = *pair.client->take_datagram();
    if (rng.chance(0.5)) {
      datagram[rng.below(datagram.size())] ^= static_cast<std::uint8_t>(1 + rng.below(255));
    } else {
      datagram.resize(rng.below(datagram.size()));
    }
    pair.to_server(datagram);
    ASSERT_EQ(pair.server->state(), State::open);
  }
  while (pair.server->take_message()) {  // a changed version or length may still leave a good record
  }
  ASSERT_TRUE(pair.client->send(view("good")));
  pair.carry();
  EXPECT_EQ(pair.server->take_message(), to_bytes("good"));
}

TEST(Dtls, messages_that_nobody_takes_are_bounded) {
  DtlsPair pair;
  ASSERT_TRUE(pair.settle() && pair.open());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(pair.client->send(view("x")));
  }
  pair.carry();
  int taken = 0;
  while (pair.server->take_message()) {
    ++taken;
  }
  EXPECT_EQ(taken, 64);
}

// ---- loss ----

class DtlsLoss : public testing::TestWithParam<std::uint64_t> {};

TEST_P(DtlsLoss, the_handshake_survives_a_bad_link) {
  auto server = dtls_server_options();
  auto client = dtls_client_options();
  server.retransmit_first = client.retransmit_first = Duration(20);
  DtlsPair pair(server, client);
  SeededRng rng(GetParam());
  std::array<Bytes, 2> held;
  pair.filter = [&](Bytes d, bool to_server) {
    std::vector<Bytes> out;
    if (rng.chance(0.3)) {
      return out;
    }
    if (rng.chance(0.1)) {
      Bytes noise(1 + rng.below(100));
      rng.fill(noise);
      out.push_back(noise);
    }
    if (rng.chance(0.1)) {
      out.emplace_back(d.begin(), d.begin() + static_cast<std::ptrdiff_t>(rng.below(d.size())));
    }
    if (rng.chance(0.2)) {
      out.push_back(d);
    }
    if (rng.chance(0.2)) {
      out.push_back(std::exchange(held[to_server ? 1 : 0], d));  // overtaken by a later one
    } else {
      out.push_back(std::move(d));
    }
    return out;
  };
  ASSERT_TRUE(pair.settle()) << "seed " << GetParam();
  ASSERT_TRUE(pair.open()) << "seed " << GetParam() << (pair.client->error() ? pair.client->error()->what : "");
  EXPECT_EQ(pair.client->session()->channel_binding, pair.server->session()->channel_binding);
}
INSTANTIATE_TEST_SUITE_P(Seeds, DtlsLoss, testing::Range<std::uint64_t>(1, 13));

TEST(Dtls, a_lost_last_flight_is_sent_again_by_the_open_server) {
  auto server = dtls_server_options();
  auto client = dtls_client_options();
  server.retransmit_first = client.retransmit_first = Duration(20);
  DtlsPair pair(server, client);
  bool lost = false;
  pair.filter = [&](Bytes d, bool to_server) {
    if (!to_server && !lost && pair.server != nullptr && pair.server->state() == State::open) {
      lost = true;
      return std::vector<Bytes>{};
    }
    return std::vector<Bytes>{std::move(d)};
  };
  ASSERT_TRUE(pair.settle());
  EXPECT_TRUE(lost);
  EXPECT_TRUE(pair.open());
}

TEST(Dtls, records_of_the_next_epoch_are_not_kept_without_end) {
  DtlsPair pair;
  pair.filter = [&](Bytes d, bool to_server) {
    if (to_server && pair.server != nullptr) {
      for (int i = 0; i < 200; ++i) {
        Bytes early(13 + 40, 9);
        early[0] = 22;
        early[1] = 0xfe;
        early[2] = 0xfd;
        early[3] = 0;
        early[4] = 1;
        early[9] = 0;
        early[10] = static_cast<std::uint8_t>(i);
        early[11] = 0;
        early[12] = 40;
        pair.server->receive(early);
      }
    }
    return std::vector<Bytes>{std::move(d)};
  };
  pair.carry();
  ASSERT_NE(pair.server, nullptr);
  EXPECT_NE(pair.server->state(), State::open);  // Finished came after its share was used up: a later try may do
}

// ---- refusals ----

TEST(Dtls, a_server_below_another_anchor_is_unauthentic_to_both) {
  auto client = dtls_client_options();
  client.anchors = {pki().maker.certificate};
  DtlsPair pair(dtls_server_options(), client);
  ASSERT_TRUE(pair.settle());
  EXPECT_EQ(fault_of(*pair.client), Fault::unauthentic);
  EXPECT_EQ(fault_of(*pair.server), Fault::unauthentic);
}

TEST(Dtls, a_provisional_client_takes_any_server_and_proves_nothing) {
  auto client = dtls_client_options();
  client.anchors = {};
  client.trust = Trust::provisional;
  DtlsPair pair(dtls_server_options(), client);
  ASSERT_TRUE(pair.settle());
  ASSERT_TRUE(pair.open());
  EXPECT_EQ(pair.client->session()->trust, Trust::provisional);
  EXPECT_FALSE(pair.client->session()->proven);
  EXPECT_EQ(pair.client->session()->presented, std::vector{pki().server.certificate});
}

// RFC 6066 section 3: the name is in the first hello, in the clear.
TEST(Dtls, a_provisional_client_asks_for_no_name) {
  for (const Trust trust : {Trust::anchors, Trust::provisional}) {
    auto client = dtls_client_options();
    client.trust = trust;
    client.anchors = trust == Trust::provisional ? std::vector<Certificate>{} : client.anchors;
    const auto connection = (*openssl_dtls_client(client))->connect("server.example");
    connection->start();
    const Bytes hello = *connection->take_datagram();
    EXPECT_EQ(as_text(hello).find("server.example") == std::string_view::npos, trust == Trust::provisional);
  }
}

// RFC 6066 section 4: what the client asks for counts for both, and is what they then send.
TEST(Dtls, a_client_that_takes_small_records_gets_small_ones) {
  for (const std::size_t most : {std::size_t{512}, std::size_t{1024}}) {
    auto client = dtls_client_options();
    client.max_record = most;
    DtlsPair pair(dtls_server_options(), client);
    ASSERT_TRUE(pair.settle());
    ASSERT_TRUE(pair.open());
    EXPECT_EQ(pair.client->max_message(), most);
    EXPECT_EQ(pair.server->max_message(), most);
    ASSERT_TRUE(pair.server->send(Bytes(most, 7)));
    EXPECT_FALSE(pair.server->send(Bytes(most + 1, 7)));
    pair.carry();
    EXPECT_EQ(pair.client->take_message(), Bytes(most, 7));
  }
  DtlsPair usual;
  ASSERT_TRUE(usual.settle());
  EXPECT_GT(usual.server->max_message(), 1024U);
}

// Who has this credential and who has the usual one, on either side.
void expect_open_on_both_sides(const Identity& client_has, const Identity& server_has) {
  auto client = dtls_client_options();
  client.chain = {client_has.certificate};
  client.key = client_has.key;
  auto server = dtls_server_options();
  server.chain = {server_has.certificate};
  server.key = server_has.key;
  DtlsPair pair(server, client);
  ASSERT_TRUE(pair.settle());
  ASSERT_TRUE(pair.open());
  ASSERT_TRUE(pair.server->session()->proven);
  EXPECT_EQ((*pair.server->session()->proven)->leaf, client_has.certificate);
  ASSERT_TRUE(pair.client->session()->proven);
  EXPECT_EQ((*pair.client->session()->proven)->leaf, server_has.certificate);
}

TEST(Dtls, credentials_on_p384_are_taken_on_either_side) {
  const std::vector<std::string> host{"dns:server.example"};
  const Identity large_device = make_identity({.name = "device", .key = KeyType::p384}, &pki().maker);
  const Identity device = make_identity({.name = "device"}, &pki().maker);
  const Identity large_server = make_identity({.name = "server", .alt_names = host, .key = KeyType::p384}, &pki().ca);
  const Identity server = make_identity({.name = "server", .alt_names = host}, &pki().ca);
  expect_open_on_both_sides(large_device, server);
  expect_open_on_both_sides(device, large_server);
  expect_open_on_both_sides(large_device, large_server);
}

TEST(Dtls, a_credential_on_a_curve_that_is_not_offered_opens_nothing) {
  auto client = dtls_client_options();
  const Identity larger = make_identity({.name = "device", .key = KeyType::p521}, &pki().maker);
  client.chain = {larger.certificate};
  client.key = larger.key;
  DtlsPair pair(dtls_server_options(), client);
  ASSERT_TRUE(pair.settle());
  EXPECT_FALSE(pair.open());
}

TEST(Dtls, a_client_below_another_anchor_is_unauthentic_to_both) {
  auto client = dtls_client_options();
  const Identity stranger = make_identity({.name = "stranger"}, &pki().ca);
  client.chain = {stranger.certificate};
  client.key = stranger.key;
  DtlsPair pair(dtls_server_options(), client);
  ASSERT_TRUE(pair.settle());
  EXPECT_EQ(fault_of(*pair.client), Fault::unauthentic);
  EXPECT_EQ(fault_of(*pair.server), Fault::unauthentic);
}

TEST(Dtls, without_a_clock_no_server_is_too_old) {
  const Identity old = make_identity({.name = "server",
                                      .alt_names = {"dns:server.example"},
                                      .from = wall_clock() - 48 * kHour,
                                      .until = wall_clock() - 24 * kHour},
                                     &pki().ca);
  auto server = dtls_server_options();
  server.chain = {old.certificate};
  server.key = old.key;
  for (const bool judges : {true, false}) {
    auto client = dtls_client_options();
    client.judges_time = judges;
    DtlsPair pair(server, client);
    ASSERT_TRUE(pair.settle());
    EXPECT_EQ(pair.open(), !judges);
  }
}

TEST(Dtls, a_client_whose_time_is_over_is_expired_to_both_unless_policy_says_that_it_counts) {
  const Identity old =
      make_identity({.name = "old", .from = wall_clock() - 3 * kHour, .until = wall_clock() - kHour}, &pki().maker);
  auto client = dtls_client_options();
  client.chain = {old.certificate};
  client.key = old.key;
  DtlsPair pair(dtls_server_options(), client);
  ASSERT_TRUE(pair.settle());
  EXPECT_EQ(fault_of(*pair.client), Fault::expired);
  EXPECT_EQ(fault_of(*pair.server), Fault::expired);

  auto lenient = dtls_server_options();
  lenient.expired_counts_below = {pki().maker.certificate};
  DtlsPair again(lenient, client);
  ASSERT_TRUE(again.settle());
  EXPECT_TRUE(again.open());
}

TEST(Dtls, a_client_without_a_certificate_is_refused_where_one_is_needed) {
  auto client = dtls_client_options();
  client.chain.clear();
  DtlsPair pair(dtls_server_options(), client);
  ASSERT_TRUE(pair.settle());
  EXPECT_EQ(fault_of(*pair.server), Fault::unauthentic);
  EXPECT_EQ(fault_of(*pair.client), Fault::malformed);  // handshake_failure says no more

  auto open_to_all = dtls_server_options();
  open_to_all.client_certificate_needed = false;
  DtlsPair again(open_to_all, client);
  ASSERT_TRUE(again.settle());
  ASSERT_TRUE(again.open());
  EXPECT_FALSE(again.server->session()->proven);
}

TEST(Dtls, a_handshake_that_its_owner_gives_up_is_unreachable) {
  DtlsPair pair;
  pair.client->give_up();
  EXPECT_EQ(fault_of(*pair.client), Fault::unreachable);
  EXPECT_FALSE(pair.client->timeout());
}

TEST(Dtls, a_context_needs_something_to_prove_itself_by) {
  EXPECT_FALSE(openssl_dtls_server({}));
  auto small = dtls_server_options();
  small.mtu = 100;
  EXPECT_EQ(openssl_dtls_server(small).error().fault, Fault::limit);
  auto long_identity = psk_client_options(std::string(129, 'x'));
  EXPECT_EQ(openssl_dtls_client(long_identity).error().fault, Fault::limit);
}

// ---- pre-shared keys ----

TEST(DtlsPsk, the_right_key_proves_both_sides) {
  DtlsPair pair(psk_server_options(), psk_client_options());
  ASSERT_TRUE(pair.settle());
  ASSERT_TRUE(pair.open());
  EXPECT_EQ(pair.server->session()->psk_identity, "urn:dev:1");
  EXPECT_EQ(pair.client->session()->psk_identity, "urn:dev:1");
  EXPECT_FALSE(pair.server->session()->proven);
  EXPECT_EQ(pair.client->session()->channel_binding.size(), 12U);
  EXPECT_EQ(pair.client->session()->channel_binding, pair.server->session()->channel_binding);
}

TEST(DtlsPsk, a_wrong_key_is_unauthentic_to_both) {
  DtlsPair pair(psk_server_options(), psk_client_options("urn:dev:1", "0123456789abcdeX"));
  ASSERT_TRUE(pair.settle());
  EXPECT_EQ(fault_of(*pair.server), Fault::unauthentic);
  EXPECT_EQ(fault_of(*pair.client), Fault::unauthentic);
}

TEST(DtlsPsk, an_unknown_identity_is_unauthentic_to_both) {
  DtlsPair pair(psk_server_options(), psk_client_options("urn:dev:2"));
  ASSERT_TRUE(pair.settle());
  EXPECT_EQ(fault_of(*pair.server), Fault::unauthentic);
  EXPECT_EQ(fault_of(*pair.client), Fault::unauthentic);
}

TEST(DtlsPsk, one_server_takes_keys_and_certificates) {
  auto both = dtls_server_options();
  both.psk = one_psk("urn:dev:1", "0123456789abcdef");
  DtlsPair by_key(both, psk_client_options());
  ASSERT_TRUE(by_key.settle());
  EXPECT_TRUE(by_key.open());
  DtlsPair by_certificate(both);
  ASSERT_TRUE(by_certificate.settle());
  ASSERT_TRUE(by_certificate.open());
  EXPECT_TRUE(by_certificate.server->session()->psk_identity.empty());
}

}  // namespace
}  // namespace imprint::io
