#include "io/tcp_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <list>

namespace imprint::io {
namespace {

// A plain socket of the test: what it was sent, and whether the other side has ended or cut it.
class End {
 public:
  explicit End(int fd) : fd_(fd) { fcntl(fd_, F_SETFL, O_NONBLOCK); }
  static End to(std::uint16_t port, int buffer = 0) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (buffer != 0) {
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    }
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
    return End(fd);
  }
  End(End&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  ~End() { leave(); }

  void leave() {
    if (fd_ >= 0) {
      close(fd_);
    }
    fd_ = -1;
  }
  void vanish() {  // a cut
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    leave();
  }
  void finish() const { shutdown(fd_, SHUT_WR); }
  std::size_t send(BytesView bytes) const {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  std::size_t send(std::string_view words) const { return send(view(words)); }
  // Reads what is there, at most so much.
  const std::string& read(std::size_t most = std::size_t{1} << 30U) {
    std::array<char, 64 * 1024> buffer{};
    for (std::size_t all = 0; all < most;) {
      const ssize_t n = recv(fd_, buffer.data(), std::min(buffer.size(), most - all), 0);
      ended = ended || n == 0;
      was_cut = was_cut || (n < 0 && errno == ECONNRESET);
      if (n <= 0) {
        break;
      }
      all += static_cast<std::size_t>(n);
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return text;
  }

  std::string text;
  bool ended = false, was_cut = false;

 private:
  int fd_;
};

// A registrar that only takes connections, and a proxy before it.
struct Rig {
  explicit Rig(TcpProxyOptions options = {}) {
    if (options.listen.address.empty()) {
      options.listen.address = "127.0.0.1";
    }
    registrar = *Listener::open(loop, {.address = "127.0.0.1"}, [this] {
      while (const auto fd = registrar->accept()) {
        arrived.emplace_back(*fd);
      }
    });
    proxy =
        *TcpProxy::listen(loop, options,
                          {.began = [this](std::uint64_t, const Address& source) { began.push_back(source); },
                           .ended = [this](const TcpProxy::Ended& one) { ended.push_back(one); },
                           .turned_away = [this](const Address&, std::string_view why) { away.emplace_back(why); }});
    proxy->set_target(*Address::parse("127.0.0.1", registrar->port()));
  }

  bool until(const std::function<bool()>& condition, Duration longest = Duration(10000)) {
    for (const Instant end = loop.now() + longest; !condition() && loop.now() < end;) {
      const std::uint64_t tick = loop.after(Duration(2), [this] { loop.stop(); });
      loop.run();
      loop.cancel(tick);
    }
    return condition();
  }
  // A device whose connection has arrived at the registrar.
  End device() {
    const std::size_t before = arrived.size();
    End out = End::to(proxy->port());
    EXPECT_TRUE(until([&] { return arrived.size() > before; }));
    return out;
  }

  Loop loop;
  std::unique_ptr<Listener> registrar;
  std::list<End> arrived;
  std::vector<Address> began;
  std::vector<TcpProxy::Ended> ended;
  std::vector<std::string> away;
  std::unique_ptr<TcpProxy> proxy;
};

TEST(TcpProxy, carries_bytes_both_ways) {
  Rig rig;
  End device = rig.device();
  End& registrar = rig.arrived.back();
  const std::string any("\x16\x03\x01\0 whatever it is", 20);
  device.send(any);
  ASSERT_TRUE(rig.until([&] { return registrar.read() == any; }));
  registrar.send("and back");
  ASSERT_TRUE(rig.until([&] { return device.read() == "and back"; }));
  device.leave();
  ASSERT_TRUE(rig.until([&] {
    registrar.read();
    return registrar.ended;
  }));
  registrar.leave();
  ASSERT_TRUE(rig.until([&] { return rig.ended.size() == 1; }));
  EXPECT_EQ(rig.ended[0].why, TcpPipe::End::done);
  EXPECT_EQ(rig.ended[0].bytes_up, 20U);
  EXPECT_EQ(rig.ended[0].bytes_down, 8U);
  EXPECT_EQ(rig.began.at(0), rig.ended[0].source);
  EXPECT_EQ(rig.ended[0].source.literal(), "127.0.0.1");
  EXPECT_EQ(rig.proxy->stats().done, 1U);
  EXPECT_EQ(rig.proxy->stats().bytes_up, 20U);
  EXPECT_EQ(rig.proxy->open(), 0U);
}

TEST(TcpProxy, one_way_may_end_before_the_other) {
  Rig rig;
  End device = rig.device();
  End& registrar = rig.arrived.back();
  device.send("all I have");
  device.finish();
  ASSERT_TRUE(rig.until([&] {
    registrar.read();
    return registrar.ended;
  }));
  EXPECT_EQ(registrar.text, "all I have");
  registrar.send("an answer to it");
  ASSERT_TRUE(rig.until([&] { return device.read() == "an answer to it"; }));
  EXPECT_FALSE(device.ended);
  EXPECT_TRUE(rig.ended.empty());
  registrar.finish();
  ASSERT_TRUE(rig.until([&] { return rig.ended.size() == 1; }));
  EXPECT_EQ(rig.ended[0].why, TcpPipe::End::done);
}

TEST(TcpProxy, a_slow_reader_holds_the_writer_back_and_loses_nothing) {
  TcpProxyOptions options;
  options.limits.buffer_bytes = 4096;
  Rig rig(options);
  End device = rig.device();
  End& registrar = rig.arrived.back();
  Bytes flood(std::size_t{64} << 20U);
  for (std::size_t i = 0; i < flood.size(); ++i) {
    flood[i] = static_cast<std::uint8_t>(i * 2654435761U >> 13U);
  }
  std::size_t sent = 0;
  std::size_t last = 1;
  while (sent != last) {  // nobody reads: at some point nothing more is taken
    last = sent;
    rig.until(
        [&] {
          sent += device.send(BytesView(flood).subspan(sent));
          return false;
        },
        Duration(200));
  }
  EXPECT_LT(sent, flood.size()) << "held back, though the kernel has buffers of its own";
  ASSERT_TRUE(rig.until(
      [&] {
        sent += device.send(BytesView(flood).subspan(sent, std::min<std::size_t>(flood.size() - sent, 1U << 20U)));
        return registrar.read(1U << 20U).size() == flood.size();
      },
      Duration(60000)));
  EXPECT_TRUE(equal(view(registrar.text), flood));
}

TEST(TcpProxy, limits_each_source_and_all) {
  TcpProxyOptions options;
  options.most = 3;
  options.most_of_a_source = 2;
  Rig rig(options);
  End one = rig.device();
  End two = rig.device();
  End three = End::to(rig.proxy->port());
  ASSERT_TRUE(rig.until([&] {
    three.read();
    return three.was_cut;
  }));
  EXPECT_EQ(rig.away, std::vector<std::string>{"too many connections of this source"});
  EXPECT_EQ(rig.proxy->stats().refused_source, 1U);
  one.vanish();
  ASSERT_TRUE(rig.until([&] { return rig.ended.size() == 1; }));
  const End four = rig.device();  // its place is free again
  EXPECT_EQ(rig.proxy->open(), 2U);

  options.most = 1;
  Rig small(options);
  const End first = small.device();
  End second = End::to(small.proxy->port());
  ASSERT_TRUE(small.until([&] {
    second.read();
    return second.was_cut;
  }));
  EXPECT_EQ(small.away, std::vector<std::string>{"too many connections in all"});
  EXPECT_EQ(small.proxy->stats().refused_full, 1U);
}

TEST(TcpProxy, counts_ipv4_by_its_addresses_on_a_listener_of_both_families) {
  TcpProxyOptions options;
  options.listen.address = "::";
  Rig rig(options);
  const End device = rig.device();
  EXPECT_EQ(rig.began.at(0).literal(), "127.0.0.1");
  EXPECT_FALSE(rig.began.at(0).v6);
}

TEST(TcpProxy, a_flood_of_connections_leaves_those_there_alone) {
  TcpProxyOptions options;
  options.most_of_a_source = 4;
  Rig rig(options);
  End device = rig.device();
  {
    std::list<End> flood;
    for (int i = 0; i < 200; ++i) {
      flood.push_back(End::to(rig.proxy->port()));
    }
    ASSERT_TRUE(rig.until([&] { return rig.away.size() == 197; }));
    EXPECT_EQ(rig.proxy->open(), 4U);
  }
  device.send("still here");
  EXPECT_TRUE(rig.until([&] { return rig.arrived.front().read() == "still here"; }));
}

TEST(TcpProxy, a_cut_is_passed_on_as_a_cut) {
  Rig rig;
  End device = rig.device();
  rig.arrived.back().vanish();
  ASSERT_TRUE(rig.until([&] {
    device.read();
    return device.was_cut;
  }));
  ASSERT_EQ(rig.ended.size(), 1U);
  EXPECT_EQ(rig.ended[0].why, TcpPipe::End::broken);
  End other = rig.device();
  other.vanish();
  ASSERT_TRUE(rig.until([&] {
    rig.arrived.back().read();
    return rig.arrived.back().was_cut;
  }));
  EXPECT_EQ(rig.proxy->stats().broken, 2U);
}

TEST(TcpProxy, who_says_nothing_for_too_long_is_cut) {
  TcpProxyOptions options;
  options.limits.idle = Duration(300);
  Rig rig(options);
  End device = rig.device();
  for (int i = 0; i < 5; ++i) {  // as long as something is said it stays
    device.send("x");
    rig.until([] { return false; }, Duration(100));
  }
  EXPECT_TRUE(rig.ended.empty());
  ASSERT_TRUE(rig.until([&] { return rig.ended.size() == 1; }));
  EXPECT_EQ(rig.ended[0].why, TcpPipe::End::idle);
  device.read();
  EXPECT_TRUE(device.was_cut);
}

TEST(TcpProxy, half_an_end_waits_less_long) {
  TcpProxyOptions options;
  options.limits.half_open = Duration(100);
  Rig rig(options);
  const End device = rig.device();
  device.finish();
  ASSERT_TRUE(rig.until([&] { return rig.ended.size() == 1; }));
  EXPECT_EQ(rig.ended[0].why, TcpPipe::End::idle);
}

TEST(TcpProxy, a_registrar_that_is_down_is_said_by_a_cut) {
  Rig rig;
  rig.registrar.reset();
  End device = End::to(rig.proxy->port());
  ASSERT_TRUE(rig.until([&] {
    device.read();
    return device.was_cut;
  }));
  EXPECT_EQ(rig.proxy->stats().unreachable, 1U);
  rig.proxy->set_target(std::nullopt);
  End other = End::to(rig.proxy->port());
  ASSERT_TRUE(rig.until([&] {
    other.read();
    return other.was_cut;
  }));
  EXPECT_EQ(rig.away, std::vector<std::string>{"no registrar is there"});
  EXPECT_EQ(rig.proxy->stats().refused_no_target, 1U);
}

TEST(TcpProxy, drains_and_then_says_so) {
  Rig rig;
  End device = rig.device();
  bool drained = false;
  rig.proxy->drain(Duration(10000), [&] { drained = true; });
  device.send("the rest");
  ASSERT_TRUE(rig.until([&] { return rig.arrived.back().read() == "the rest"; }));
  EXPECT_FALSE(drained);
  const int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(rig.proxy->port());
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(connect(late, reinterpret_cast<sockaddr*>(&where), sizeof where), 0) << "nobody is taken any more";
  close(late);
  device.leave();
  rig.arrived.back().leave();
  EXPECT_TRUE(rig.until([&] { return drained; }));
  EXPECT_EQ(rig.proxy->stats().done, 1U);
}

TEST(TcpProxy, what_does_not_end_in_its_time_is_cut) {
  Rig rig;
  End device = rig.device();
  bool drained = false;
  rig.proxy->drain(Duration(50), [&] { drained = true; });
  EXPECT_FALSE(drained);
  ASSERT_TRUE(rig.until([&] { return drained; }));
  device.read();
  EXPECT_TRUE(device.was_cut);
  EXPECT_EQ(rig.proxy->stats().stopped, 1U);
  EXPECT_EQ(rig.ended.at(0).why, TcpPipe::End::stopped);
}

TEST(TcpProxy, with_nobody_there_drains_at_once) {
  Rig rig;
  bool drained = false;
  rig.proxy->drain(Duration(60000), [&] { drained = true; });
  EXPECT_FALSE(drained) << "not inside of the call";
  EXPECT_TRUE(rig.until([&] { return drained; }, Duration(1000)));
}

}  // namespace
}  // namespace imprint::io
