#include "io/dtls_server.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "io/deadlines.h"
#include "io/dtls_client.h"
#include "io/dtls_record.h"
#include "io/dtls_test.h"
#include "io/udp.h"

namespace imprint::io {
namespace {

// A server that echoes, and a client, on one loop.
class DtlsRig {
 public:
  explicit DtlsRig(DtlsListenOptions options = {}, const DtlsServerOptions& dtls = dtls_server_options()) {
    guard.allow_loopback();
    options.dtls = *openssl_dtls_server(dtls);
    DtlsServer::Handlers at_server;
    at_server.opened = [this](std::uint64_t id, const SessionRef& s) { opened[id] = s; };
    at_server.message = [this](std::uint64_t id, BytesView message) {
      received.push_back(to_bytes(message));
      EXPECT_TRUE(server->send(id, message));
    };
    at_server.closed = [this](std::uint64_t id, std::optional<Error> why) { closed[id] = why; };
    at_server.handshake_failed = [this](std::uint64_t, const Error& why) { failures.push_back(why); };
    server = *DtlsServer::listen(loop, std::move(options), std::move(at_server));
    client = new_client();
  }

  std::unique_ptr<DtlsClient> new_client(DtlsClientSettings settings = {}) {
    return DtlsClient::make(loop, guard, settings,
                            [](const std::string&) -> Result<PrivateKey> { return pki().device.key; },
                            {[this](std::uint64_t id, BytesView m) { echoes[id].push_back(to_bytes(m)); },
                             [this](std::uint64_t id, std::optional<Error> why) { lost[id] = why; }});
  }

  Uri uri() const { return *Uri::parse("coaps://127.0.0.1:" + std::to_string(server->port())); }
  DtlsOpen as_device() const {
    return {.to = uri(), .anchors = {pki().ca.certificate}, .as = Credential{"device", pki().device_chain()}};
  }

  Result<SessionRef> open(const DtlsOpen& what) {
    std::optional<Result<SessionRef>> got;
    client->open(what, [&](Result<SessionRef> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    return got ? *got : Error{Fault::internal, "test: nothing came"};
  }
  Result<SessionRef> open() { return open(as_device()); }

  // Runs the loop until the condition holds; false after the time.
  bool until(const std::function<bool()>& condition, Duration time = Duration(10000)) {
    for (const Instant end = loop.now() + time; !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }

  Loop loop;
  Guard guard;
  std::map<std::uint64_t, SessionRef> opened;
  std::map<std::uint64_t, std::optional<Error>> closed, lost;
  std::vector<Error> failures;
  std::vector<Bytes> received;
  std::map<std::uint64_t, std::vector<Bytes>> echoes;
  std::unique_ptr<DtlsServer> server;
  std::unique_ptr<DtlsClient> client;
};

// A client by hand on a port of its own, so that it can begin anew from the same address.
class ByHand {
 public:
  explicit ByHand(DtlsRig& rig) {
    context_ = *openssl_dtls_client(dtls_client_options());
    const auto to = Address::parse("127.0.0.1", rig.server->port());
    socket_ = *UdpSocket::connect(rig.loop, *to,
                                  {[this](const Address&, BytesView d) {
                                     ++datagrams;
                                     last = to_bytes(d);
                                     if (dtls != nullptr && datagrams <= hears) {
                                       dtls->receive(d);
                                       flush();
                                     }
                                   },
                                   nullptr});
  }
  void begin() {
    dtls = context_->connect("");
    dtls->start();
    flush();
  }
  bool is_open() const { return dtls->state() == DtlsConnection::State::open; }
  void flush() {
    while (const auto datagram = dtls->take_datagram()) {
      if (const auto head = client_hello(*datagram); head && head->has_cookie) {
        hello = *datagram;
      }
      send(*datagram);
    }
  }
  void send(BytesView datagram) { ASSERT_TRUE(socket_->send(datagram)); }
  bool say(std::string_view words) {
    const bool done = static_cast<bool>(dtls->send(view(words)));
    flush();
    return done;
  }

  std::unique_ptr<DtlsConnection> dtls;
  int datagrams = 0;
  int hears = 1000000;  // of the datagrams that come
  Bytes last;           // of them
  Bytes hello;          // the latest of its own that showed a cookie

 private:
  std::shared_ptr<DtlsContext> context_;
  std::unique_ptr<UdpSocket> socket_;
};

TEST(DtlsServer, echoes_to_fifty_clients_at_once) {
  DtlsListenOptions options;
  options.max_of_one = 50;
  DtlsRig rig(options);
  std::vector<SessionRef> sessions;
  for (int i = 0; i < 50; ++i) {
    rig.client->open(rig.as_device(), [&](const Result<SessionRef>& r) {
      ASSERT_TRUE(r);
      sessions.push_back(*r);
    });
  }
  ASSERT_TRUE(rig.until([&] { return sessions.size() == 50 && rig.opened.size() == 50; }));
  std::set<Bytes> bindings, theirs;
  for (const SessionRef& s : sessions) {
    bindings.insert(s->channel_binding);
    ASSERT_TRUE(rig.client->send(s->id, view("from " + std::to_string(s->id))));
  }
  for (const auto& [id, s] : rig.opened) {
    ASSERT_TRUE(s->proven);
    theirs.insert(s->channel_binding);
  }
  EXPECT_EQ(bindings.size(), 50U);
  EXPECT_EQ(bindings, theirs);
  ASSERT_TRUE(rig.until([&] { return rig.echoes.size() == 50; }));
  for (const auto& [id, messages] : rig.echoes) {
    EXPECT_EQ(messages, std::vector<Bytes>{to_bytes("from " + std::to_string(id))});
  }
  const DtlsServerStats stats = rig.server->stats();
  EXPECT_EQ(stats.accepted, 50U);
  EXPECT_EQ(stats.handshakes, 50U);
  EXPECT_GE(stats.cookies, 50U);
  EXPECT_EQ(stats.open, 50U);
  EXPECT_EQ(stats.handshake_failures, 0U);
  EXPECT_GT(stats.bytes_in, stats.datagrams_in);
}

TEST(DtlsServer, tells_of_a_client_that_closes) {
  DtlsRig rig;
  const auto session = rig.open();
  ASSERT_TRUE(session);
  rig.client->close((*session)->id);
  ASSERT_TRUE(rig.until([&] { return rig.closed.size() == 1; }));
  EXPECT_FALSE(rig.closed.begin()->second);
  EXPECT_TRUE(rig.lost.empty());
  EXPECT_EQ(rig.server->stats().open, 0U);
  EXPECT_EQ(rig.client->send((*session)->id, view("x")).error().fault, Fault::stale);
}

TEST(DtlsServer, closes_what_is_idle_and_its_client_hears_of_it) {
  DtlsListenOptions options;
  options.idle_timeout = Duration(100);
  DtlsRig rig(options);
  const auto session = rig.open();
  ASSERT_TRUE(session);
  ASSERT_TRUE(rig.until([&] { return rig.closed.size() == 1 && rig.lost.size() == 1; }));
  ASSERT_TRUE(rig.closed.begin()->second);
  EXPECT_EQ(rig.closed.begin()->second->fault, Fault::unreachable);
  EXPECT_FALSE(rig.lost.begin()->second);
}

TEST(DtlsServer, gives_up_a_handshake_that_does_not_go_on) {
  DtlsListenOptions options;
  options.handshake_timeout = Duration(100);
  DtlsRig rig(options);
  ByHand client(rig);
  client.hears = 1;  // the cookie
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.failures.size() == 1; }));
  EXPECT_EQ(rig.failures[0].fault, Fault::unreachable);
  EXPECT_EQ(rig.server->stats().open, 0U);
}

DtlsServerOptions hasty() {
  auto out = dtls_server_options();
  out.retransmit_first = Duration(30);
  return out;
}

TEST(DtlsServer, sends_its_flight_again) {
  DtlsRig rig({}, hasty());
  ByHand client(rig);
  client.hears = 1;
  client.begin();
  ASSERT_TRUE(rig.until([&] { return client.datagrams >= 6; }));  // more than one flight
  client.hears = 1000000;
  ASSERT_TRUE(rig.until([&] { return client.is_open(); }));
}

TEST(DtlsServer, a_client_that_begins_anew_replaces_its_association_when_it_has_finished) {
  DtlsRig rig({}, hasty());
  ByHand client(rig);
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.opened.size() == 1 && client.is_open(); }));
  const std::uint64_t first = rig.opened.begin()->first;
  client.hears = client.datagrams + 1;
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().accepted == 2; }));
  EXPECT_TRUE(rig.closed.empty());
  client.hears = 1000000;
  ASSERT_TRUE(rig.until([&] { return rig.opened.size() == 2 && client.is_open(); }));
  ASSERT_TRUE(rig.closed.contains(first));
  EXPECT_EQ(rig.closed[first]->fault, Fault::stale);
  ASSERT_TRUE(client.say("again"));
  ASSERT_TRUE(rig.until([&] { return rig.received.size() == 1; }));
  EXPECT_EQ(rig.server->stats().open, 1U);
}

TEST(DtlsServer, a_new_handshake_that_does_not_finish_leaves_the_open_association_alone) {
  DtlsListenOptions options;
  options.handshake_timeout = Duration(200);
  DtlsRig rig(options);
  ByHand client(rig);
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.opened.size() == 1 && client.is_open(); }));
  auto open = std::move(client.dtls);
  client.hears = client.datagrams + 1;
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().accepted == 2; }));
  std::swap(open, client.dtls);
  ASSERT_TRUE(client.say("still here"));
  ASSERT_TRUE(rig.until([&] { return rig.received.size() == 1; }));
  ASSERT_TRUE(rig.until([&] { return rig.failures.size() == 1; }));
  EXPECT_TRUE(rig.closed.empty());
  ASSERT_TRUE(client.say("and now"));
  ASSERT_TRUE(rig.until([&] { return rig.received.size() == 2; }));
}

TEST(DtlsServer, makes_room_by_the_longest_idle_of_those_unknown_and_keeps_the_others) {
  auto dtls = dtls_server_options();
  dtls.client_certificate_needed = false;
  DtlsListenOptions options;
  options.max_associations = 2;
  DtlsRig rig(options, dtls);
  ASSERT_TRUE(rig.open());
  const std::uint64_t known = rig.opened.begin()->first;
  const DtlsOpen nobody{.to = rig.uri(), .anchors = {pki().ca.certificate}};
  ASSERT_TRUE(rig.open(nobody));
  const std::uint64_t unknown = rig.opened.rbegin()->first;
  ASSERT_TRUE(rig.open(nobody));  // the hello comes again until the idle one has rested long enough
  ASSERT_TRUE(rig.closed.contains(unknown));
  EXPECT_EQ(rig.closed[unknown]->fault, Fault::limit);
  EXPECT_FALSE(rig.closed.contains(known));
  EXPECT_GE(rig.server->stats().shed, 1U);
}

TEST(DtlsServer, sheds_the_new_one_if_all_are_known) {
  DtlsListenOptions options;
  options.max_associations = 1;
  DtlsRig rig(options);
  ASSERT_TRUE(rig.open());
  rig.client = nullptr;
  rig.client = rig.new_client({.connect_timeout = Duration(300)});
  const auto second = rig.open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, Fault::unreachable);
  EXPECT_GE(rig.server->stats().shed, 1U);
  EXPECT_EQ(rig.server->stats().open, 1U);
  EXPECT_TRUE(rig.closed.empty());
}

TEST(DtlsServer, new_credentials_end_the_handshakes_that_the_old_ones_began) {
  DtlsRig rig;
  ByHand client(rig);
  client.hears = 1;  // the cookie; what the server says then stays unheard
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().open == 1; }));
  rig.server->set_context(*openssl_dtls_server(dtls_server_options()));
  EXPECT_EQ(rig.server->stats().open, 0U);
  ASSERT_EQ(rig.failures.size(), 1U);
  EXPECT_EQ(rig.failures.front().fault, Fault::stale);
}

TEST(DtlsServer, one_certificate_has_so_many_associations_and_its_quietest_goes_for_one_more) {
  DtlsListenOptions options;
  options.max_of_one = 2;
  DtlsRig rig(options);
  const auto first = rig.open(), second = rig.open();
  ASSERT_TRUE(first && second);
  rig.until([&] { return false; }, Duration(20));
  ASSERT_TRUE(rig.client->send((*first)->id, view("I am here")));
  ASSERT_TRUE(rig.until([&] { return rig.echoes.contains((*first)->id); }));
  ASSERT_TRUE(rig.open());
  ASSERT_TRUE(rig.until([&] { return !rig.lost.empty(); }));
  EXPECT_EQ(rig.lost.begin()->first, (*second)->id);
  EXPECT_EQ(rig.server->stats().open, 2U);
}

TEST(DtlsServer, ten_thousand_hellos_from_nowhere_leave_no_association) {
  DtlsRig rig;
  ByHand client(rig);
  client.hears = 0;
  for (int i = 0; i < 10000; ++i) {
    client.begin();
    if (i % 20 == 19) {
      const std::uint64_t seen = rig.server->stats().cookies;
      ASSERT_TRUE(rig.until([&] { return rig.server->stats().cookies >= seen + 1 || i < 20; }));
    }
  }
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().cookies >= 5000; }));
  EXPECT_EQ(rig.server->stats().open, 0U);
  EXPECT_EQ(rig.server->stats().accepted, 0U);
}

// What somebody recorded, so often, until the server has read all of it. In portions, so that no buffer runs over.
bool replay(DtlsRig& rig, ByHand& from, const Bytes& recorded, int times) {
  for (int sent = 0; sent < times; sent += 20) {
    const std::uint64_t seen = rig.server->stats().datagrams_in;
    for (int i = 0; i < 20; ++i) {
      from.send(recorded);
    }
    if (!rig.until([&] { return rig.server->stats().datagrams_in >= seen + 20; })) {
      return false;
    }
  }
  return true;
}

constexpr int kReplays = 500;
constexpr std::size_t kNoise = 4096;  // less than 10 bytes for each replay

// A cookie is good for a minute or two: who has heard a hello that shows one can send it as the client itself could.
TEST(DtlsServer, a_hello_with_a_good_cookie_that_is_sent_again_and_again_begins_one_handshake) {
  DtlsRig rig;
  ByHand client(rig);
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.opened.size() == 1 && client.is_open(); }));
  const Bytes recorded = client.hello;
  ASSERT_FALSE(recorded.empty());

  ASSERT_TRUE(replay(rig, client, recorded, kReplays));  // beside the association that it began
  EXPECT_EQ(rig.server->stats().accepted, 1U);
  EXPECT_EQ(rig.server->stats().open, 1U);
  ASSERT_TRUE(client.say("still here"));
  ASSERT_TRUE(rig.until([&] { return rig.received.size() == 1; }));

  client.dtls->close();
  client.flush();
  ASSERT_TRUE(rig.until([&] { return rig.closed.size() == 1; }));
  ASSERT_TRUE(replay(rig, client, recorded, 20));  // nobody goes on with the handshake that this begins
  const DtlsServerStats before = rig.server->stats();
  const std::size_t held = allocated_bytes();
  ASSERT_TRUE(replay(rig, client, recorded, kReplays));
  const DtlsServerStats after = rig.server->stats();
  EXPECT_LT(allocated_bytes(), held + kNoise);
  EXPECT_EQ(after.accepted, 2U);
  EXPECT_EQ(after.handshakes, 1U);
  EXPECT_EQ(after.open, 1U);
  EXPECT_LT(after.bytes_out - before.bytes_out, after.bytes_in - before.bytes_in);
}

TEST(DtlsServer, an_old_hello_beside_a_newer_association_does_not_harm_it) {
  DtlsListenOptions options;
  options.handshake_timeout = Duration(500);
  DtlsRig rig(options);
  ByHand client(rig);
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.opened.size() == 1 && client.is_open(); }));
  const Bytes recorded = client.hello;
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.opened.size() == 2 && client.is_open(); }));
  client.hears = client.datagrams;  // what the server says from here on is not for this association
  ASSERT_TRUE(replay(rig, client, recorded, 100));
  EXPECT_LE(rig.server->stats().open, 2U);
  ASSERT_TRUE(client.say("still here"));
  ASSERT_TRUE(rig.until([&] { return rig.received.size() == 1; }));
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().open == 1; }));
  EXPECT_EQ(rig.closed.size(), 1U);  // the first one, by the second
  ASSERT_TRUE(client.say("and now"));
  ASSERT_TRUE(rig.until([&] { return rig.received.size() == 2; }));
}

TEST(DtlsServer, a_recorded_hello_from_another_address_gets_a_cookie_and_no_more) {
  DtlsRig rig;
  ByHand client(rig), other(rig);
  client.begin();
  ASSERT_TRUE(rig.until([&] { return rig.opened.size() == 1 && client.is_open(); }));
  ASSERT_TRUE(replay(rig, other, client.hello, 20));
  const DtlsServerStats before = rig.server->stats();
  const std::size_t held = allocated_bytes();
  ASSERT_TRUE(replay(rig, other, client.hello, kReplays));
  EXPECT_LT(allocated_bytes(), held + kNoise);
  const DtlsServerStats after = rig.server->stats();
  EXPECT_EQ(after.cookies - before.cookies, std::uint64_t{kReplays});
  EXPECT_LT(after.bytes_out - before.bytes_out, after.bytes_in - before.bytes_in);
  EXPECT_EQ(after.accepted, 1U);
  EXPECT_EQ(after.open, 1U);
  ASSERT_TRUE(rig.until([&] { return other.datagrams > 0; }));
  ASSERT_GT(other.last.size(), 13U);
  EXPECT_EQ(other.last[13], 3) << "HelloVerifyRequest";
}

TEST(DtlsServer, uses_a_new_context_for_later_handshakes_only) {
  DtlsRig rig;
  const auto first = rig.open();
  ASSERT_TRUE(first);
  const Identity renewed = make_identity({.name = "renewed", .extended = {std::string(eku::kServerAuth)}}, &pki().ca);
  auto options = dtls_server_options();
  options.chain = {renewed.certificate};
  options.key = renewed.key;
  rig.server->set_context(*openssl_dtls_server(options));
  const auto second = rig.open();
  ASSERT_TRUE(second);
  EXPECT_EQ((*first)->presented, std::vector{pki().server.certificate});
  EXPECT_EQ((*second)->presented, std::vector{renewed.certificate});
  ASSERT_TRUE(rig.client->send((*first)->id, view("old")));
  EXPECT_TRUE(rig.until([&] { return rig.echoes.contains((*first)->id); }));
}

TEST(DtlsServer, drains_when_the_last_has_closed_or_the_grace_is_over) {
  DtlsRig rig;
  const auto session = rig.open();
  ASSERT_TRUE(session);
  bool done = false;
  rig.server->drain(Duration(8000), [&] { done = true; });
  rig.client->close((*session)->id);
  EXPECT_TRUE(rig.until([&] { return done; }));

  DtlsRig impatient;
  ASSERT_TRUE(impatient.open());
  done = false;
  impatient.server->drain(Duration(20), [&] { done = true; });
  EXPECT_TRUE(impatient.until([&] { return done && impatient.lost.size() == 1; }));
}

// ---- the client ----

TEST(DtlsClient, says_why_it_cannot_open) {
  DtlsRig rig;
  DtlsOpen what = rig.as_device();
  what.anchors = {pki().maker.certificate};
  EXPECT_EQ(rig.open(what).error().fault, Fault::unauthentic);
  what = rig.as_device();
  what.to.scheme = "https";
  EXPECT_EQ(rig.open(what).error().fault, Fault::unsupported);
  what = rig.as_device();
  what.to = *Uri::parse("coaps://no-such-host.invalid");
  EXPECT_EQ(rig.open(what).error().fault, Fault::unreachable);
}

TEST(DtlsClient, hears_that_nobody_has_the_port) {
  DtlsRig rig;
  DtlsOpen what = rig.as_device();
  {
    const auto taken = UdpSocket::bind(rig.loop, {}, {[](const Address&, BytesView) {}, nullptr});
    what.to.port = (*taken)->port();
  }
  const auto refused = rig.open(what);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::unreachable);
  EXPECT_EQ(refused.error().what, "connect: nobody has this port");
}

TEST(DtlsClient, asks_the_guard) {
  DtlsRig rig;
  rig.guard = Guard();
  EXPECT_EQ(rig.open().error().fault, Fault::refused);
}

TEST(DtlsClient, opens_with_a_pre_shared_key) {
  DtlsRig rig({}, psk_server_options());
  const auto session =
      rig.open({.to = rig.uri(), .psk = Psk{"urn:dev:1", Secret(std::string_view("0123456789abcdef"))}});
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->psk_identity, "urn:dev:1");
  ASSERT_TRUE(rig.client->send((*session)->id, view("psk")));
  EXPECT_TRUE(rig.until([&] { return rig.echoes.size() == 1; }));
  EXPECT_EQ(rig.open({.to = rig.uri(), .psk = Psk{"urn:dev:1", Secret(std::string_view("another"))}}).error().fault,
            Fault::unauthentic);
}

TEST(DtlsClient, has_a_time_for_opening) {
  DtlsRig rig;
  const auto silent = UdpSocket::bind(rig.loop, {}, {[](const Address&, BytesView) {}, nullptr});
  rig.client = rig.new_client({.connect_timeout = Duration(100)});
  DtlsOpen what = rig.as_device();
  what.to.port = (*silent)->port();
  const auto late = rig.open(what);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().fault, Fault::unreachable);
}

}  // namespace
}  // namespace imprint::io
