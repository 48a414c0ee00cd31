// A server whose clients come through stateless join proxies: many associations behind one address, told apart by the
// header that goes before each datagram.
#include <algorithm>

#include "base/reader.h"
#include "io/dtls_client.h"
#include "io/dtls_record.h"
#include "io/dtls_server.h"
#include "io/dtls_test.h"
#include "io/udp.h"

namespace imprint::io {
namespace {

// The length of the header in a byte, the header, the content.
Envelope envelope() {
  Envelope out;
  out.open = [](BytesView d) -> Result<Enclosed> {
    Reader r(d);
    const BytesView header = r.take(r.u8());
    CHECK_OR(r.good(), Error{Fault::malformed, "test: envelope"});
    return Enclosed{header, r.take_rest()};
  };
  out.wrap = [](BytesView header, BytesView content) {
    Bytes all{static_cast<std::uint8_t>(header.size())};
    all.insert(all.end(), header.begin(), header.end());
    all.insert(all.end(), content.begin(), content.end());
    return all;
  };
  return out;
}

class WrappedRig {
 public:
  explicit WrappedRig(bool wrapped = true) {
    DtlsListenOptions options;
    options.max_of_one = 100;
    DtlsServerOptions dtls = dtls_server_options();
    dtls.mtu = kWrappedMtu;
    options.dtls = *openssl_dtls_server(dtls);
    if (wrapped) {
      options.wrapped = DtlsWrapped{0, envelope()};
    }
    DtlsServer::Handlers at_server;
    at_server.opened = [this](std::uint64_t, const SessionRef&) { ++opened; };
    at_server.message = [this](std::uint64_t id, BytesView m) { EXPECT_TRUE(server->send(id, m)); };
    at_server.closed = [this](std::uint64_t, std::optional<Error>) { ++closed; };
    server = *DtlsServer::listen(loop, std::move(options), std::move(at_server));
  }
  bool until(const std::function<bool()>& condition, Duration time = Duration(20000)) {
    for (const Instant end = loop.now() + time; !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }

  Loop loop;
  std::unique_ptr<DtlsServer> server;
  std::size_t opened = 0, closed = 0;
};

// A proxy that knows its pledges by the header; the pledges are in it.
class ByProxy {
 public:
  explicit ByProxy(WrappedRig& rig) : context_(*openssl_dtls_client(dtls_client_options())) {
    socket_ = *UdpSocket::connect(rig.loop, *Address::parse("127.0.0.1", rig.server->wrapped_port()),
                                  {[this](const Address&, BytesView d) { receive(d); }, nullptr});
  }
  void begin(const Bytes& header) {
    auto& dtls = pledges[header] = context_->connect("");
    dtls->start();
    flush(header);
  }
  bool is_open(const Bytes& header) const { return pledges.at(header)->state() == DtlsConnection::State::open; }
  std::size_t open() const {
    return static_cast<std::size_t>(std::ranges::count_if(pledges, [this](const auto& p) { return is_open(p.first); }));
  }
  void say(const Bytes& header, std::string_view words) {
    ASSERT_TRUE(pledges.at(header)->send(view(words)));
    flush(header);
  }
  void send(BytesView header, BytesView content) { ASSERT_TRUE(socket_->send(envelope().wrap(header, content))); }
  void send_raw(BytesView datagram) { ASSERT_TRUE(socket_->send(datagram)); }

  std::map<Bytes, std::unique_ptr<DtlsConnection>> pledges;
  std::map<Bytes, std::vector<std::string>> echoes;
  std::size_t longest = 0;  // of the datagrams that came
  std::size_t unknown = 0;  // with a header of nobody
  Bytes hello;              // the latest that showed a cookie

 private:
  void receive(BytesView d) {
    longest = std::max(longest, d.size());
    const auto inner = envelope().open(d);
    const auto pledge = inner ? pledges.find(to_bytes(inner->header)) : pledges.end();
    if (pledge == pledges.end()) {
      ++unknown;
      return;
    }
    pledge->second->receive(inner->content);
    while (const auto message = pledge->second->take_message()) {
      echoes[pledge->first].emplace_back(as_text(*message));
    }
    flush(pledge->first);
  }
  void flush(const Bytes& header) {
    while (const auto datagram = pledges.at(header)->take_datagram()) {
      if (const auto head = client_hello(*datagram); head && head->has_cookie) {
        hello = *datagram;
      }
      send(header, *datagram);
    }
  }

  std::shared_ptr<DtlsContext> context_;
  std::unique_ptr<UdpSocket> socket_;
};

Bytes header_of(int i) { return {0xaa, static_cast<std::uint8_t>(i)}; }

TEST(DtlsWrapped, fifty_pledges_behind_one_proxy_are_fifty_associations) {
  WrappedRig rig;
  ByProxy proxy(rig);
  for (int i = 0; i < 50; ++i) {
    proxy.begin(header_of(i));
  }
  ASSERT_TRUE(rig.until([&] { return proxy.open() == 50 && rig.opened == 50; })) << proxy.open();
  for (int i = 0; i < 50; ++i) {
    proxy.say(header_of(i), "from " + std::to_string(i));
  }
  ASSERT_TRUE(rig.until([&] { return proxy.echoes.size() == 50; }));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(proxy.echoes[header_of(i)], std::vector<std::string>{"from " + std::to_string(i)});
  }
  EXPECT_EQ(proxy.unknown, 0U);
  EXPECT_EQ(rig.server->stats().open, 50U);
  EXPECT_EQ(rig.closed, 0U);
  EXPECT_LE(proxy.longest, kDtlsMtu) << "with the header it still fits";
}

TEST(DtlsWrapped, headers_of_any_length_come_back_as_they_were) {
  WrappedRig rig;
  ByProxy proxy(rig);
  const Bytes none, longest(32, 0xff);
  proxy.begin(none);
  proxy.begin(longest);
  ASSERT_TRUE(rig.until([&] { return proxy.open() == 2; }));
  EXPECT_EQ(proxy.unknown, 0U);
}

TEST(DtlsWrapped, the_same_header_from_another_proxy_is_another_pledge) {
  WrappedRig rig;
  ByProxy one(rig), other(rig);
  one.begin(header_of(1));
  ASSERT_TRUE(rig.until([&] { return rig.opened == 1; }));
  other.begin(header_of(1));
  ASSERT_TRUE(rig.until([&] { return rig.opened == 2 && other.is_open(header_of(1)); }));
  EXPECT_EQ(rig.closed, 0U);
  one.say(header_of(1), "still there");
  EXPECT_TRUE(rig.until([&] { return one.echoes[header_of(1)].size() == 1; }));
}

TEST(DtlsWrapped, a_cookie_counts_for_its_header_alone) {
  WrappedRig rig;
  ByProxy proxy(rig);
  proxy.begin(header_of(1));
  ASSERT_TRUE(rig.until([&] { return rig.opened == 1; }));
  const std::uint64_t cookies = rig.server->stats().cookies;
  proxy.send(header_of(2), proxy.hello);
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().cookies > cookies; }));
  EXPECT_EQ(rig.server->stats().accepted, 1U);
}

TEST(DtlsWrapped, a_pledge_that_begins_anew_replaces_its_own_association_only) {
  WrappedRig rig;
  ByProxy proxy(rig);
  proxy.begin(header_of(1));
  proxy.begin(header_of(2));
  ASSERT_TRUE(rig.until([&] { return rig.opened == 2 && proxy.open() == 2; }));
  proxy.begin(header_of(1));
  ASSERT_TRUE(rig.until([&] { return rig.opened == 3 && rig.closed == 1; }));
  proxy.say(header_of(2), "hello");
  EXPECT_TRUE(rig.until([&] { return proxy.echoes[header_of(2)].size() == 1; }));
}

TEST(DtlsWrapped, what_wraps_nothing_is_dropped_and_counted) {
  WrappedRig rig;
  ByProxy proxy(rig);
  proxy.send_raw(Bytes{9, 1});
  proxy.send(header_of(1), {});
  proxy.send(header_of(1), Bytes{0x17, 0xfe, 0xfd});
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().datagrams_in == 3; }));
  EXPECT_EQ(rig.server->stats().unreadable, 1U);
  EXPECT_EQ(rig.server->stats().datagrams_out, 0U);
  EXPECT_EQ(rig.server->stats().open, 0U);
}

TEST(DtlsWrapped, the_other_port_still_takes_who_comes_by_himself) {
  WrappedRig rig;
  ASSERT_NE(rig.server->wrapped_port(), rig.server->port());
  ByProxy proxy(rig);
  proxy.begin({});
  Guard guard;
  guard.allow_loopback();
  std::vector<std::string> echoes;
  const auto client =
      DtlsClient::make(rig.loop, guard, {}, [](const std::string&) -> Result<PrivateKey> { return pki().device.key; },
                       {[&](std::uint64_t, BytesView m) { echoes.emplace_back(as_text(m)); },
                        [](std::uint64_t, std::optional<Error>) {}});
  SessionRef session;
  client->open({.to = *Uri::parse("coaps://127.0.0.1:" + std::to_string(rig.server->port())),
                .anchors = {pki().ca.certificate},
                .as = Credential{"device", pki().device_chain()}},
               [&](const Result<SessionRef>& r) { session = r ? *r : nullptr; });
  ASSERT_TRUE(rig.until([&] { return session != nullptr && rig.opened == 2; }));
  ASSERT_TRUE(client->send(session->id, view("hello")));
  EXPECT_TRUE(rig.until([&] { return echoes.size() == 1; }));
}

TEST(DtlsWrapped, without_it_there_is_no_such_port) {
  WrappedRig rig(false);
  EXPECT_EQ(rig.server->wrapped_port(), 0U);
}

TEST(DtlsWrapped, paths_are_told_apart) {
  const DatagramPath plain(address_of(7)), wrapped(address_of(7), Bytes{}), other(address_of(7), Bytes{1});
  EXPECT_FALSE(plain == wrapped);
  EXPECT_FALSE(wrapped == other);
  EXPECT_NE(plain.bytes(), wrapped.bytes());
  EXPECT_NE(wrapped.bytes(), other.bytes());
  EXPECT_NE(std::hash<DatagramPath>()(wrapped), std::hash<DatagramPath>()(other));
}

}  // namespace
}  // namespace imprint::io
