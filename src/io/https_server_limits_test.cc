// What one stranger, or a thousand, can cost a server: memory, places, descriptors and time.
#include <sys/resource.h>

#include "io/descriptors.h"
#include "io/raw_test.h"

namespace imprint::io {
namespace {

// ---- answers that are not read ----

constexpr std::size_t kManyRequests = 25'000;
constexpr std::size_t kAnswerBytes = 2400;
// What the kernel (net.ipv4.tcp_wmem, tcp_rmem) and the server may hold of answers; all of them are 60 MB.
constexpr std::size_t kHeldBytes = 32 * 1024 * 1024;

// Sends pipelined GETs, as many bytes of them as the kernel takes.
class Flood {
 public:
  Flood(const Raw& raw, std::size_t requests) : raw_(raw) {
    for (std::size_t i = 0; i < requests; ++i) {
      all_.append(kGet);
    }
  }
  void go_on() { at_ += raw_.send(std::string_view(all_).substr(at_)); }

 private:
  const Raw& raw_;
  std::string all_;
  std::size_t at_ = 0;
};

// Every answer says its number.
Rig::Answer numbered() {
  return [n = std::size_t{0}](Exchange, const Request&) mutable {
    Response out;
    out.status = 200;
    out.body = to_bytes("#" + std::to_string(n++) + ";");
    out.body.resize(kAnswerBytes);
    return out;
  };
}

// Takes the numbers off the text; false if one is missing or out of order.
bool take_numbers(std::string& text, std::size_t& next) {
  std::size_t at = 0;
  for (std::size_t mark = text.find('#'); mark != std::string::npos; mark = text.find('#', at)) {
    const std::size_t end = text.find(';', mark);
    if (end == std::string::npos) {
      break;
    }
    if (text.substr(mark + 1, end - mark - 1) != std::to_string(next)) {
      return false;
    }
    ++next;
    at = end;
  }
  text.erase(0, at);
  return true;
}

// Runs the loop until a while has brought no further request.
void until_still(Rig& rig, Flood& flood) {
  std::size_t before = 0;
  int quiet = 0;
  EXPECT_TRUE(rig.until([&] {
    flood.go_on();
    quiet = rig.requests.size() == before ? quiet + 1 : 0;
    before = rig.requests.size();
    return quiet > 50;
  }));
}

TEST(Limits, answers_that_nobody_reads_stop_the_requests_until_they_are_read) {
  Rig rig(Rig::Plain{}, {});
  rig.answer = numbered();
  Raw raw(rig.server->port());
  Flood flood(raw, kManyRequests);
  until_still(rig, flood);
  EXPECT_GT(rig.requests.size(), 0U);
  EXPECT_LT(rig.server->stats().bytes_out, kHeldBytes);
  std::size_t next = 0;
  bool in_order = true;
  EXPECT_TRUE(rig.until([&] {
    flood.go_on();
    raw.read();
    in_order = in_order && take_numbers(raw.text, next);
    return next == kManyRequests || !in_order;
  }));
  EXPECT_TRUE(in_order);
  EXPECT_EQ(next, kManyRequests);
  EXPECT_EQ(rig.requests.size(), kManyRequests);
}

TEST(Limits, answers_by_and_by_wait_as_those_at_once) {
  Rig rig(Rig::Plain{}, {});
  Rig::Answer number = numbered();
  rig.answer = [&](Exchange e, const Request& r) {
    rig.loop.post([&, e, answer = *number(e, r)] { rig.server->reply(e, answer); });
    return std::nullopt;
  };
  Raw raw(rig.server->port());
  Flood flood(raw, kManyRequests);
  until_still(rig, flood);
  EXPECT_LT(rig.server->stats().bytes_out, kHeldBytes);
  std::size_t next = 0;
  EXPECT_TRUE(rig.until([&] {
    raw.read();
    return !take_numbers(raw.text, next) || next == rig.requests.size();
  }));
  EXPECT_EQ(next, rig.requests.size());
}

TEST(Limits, who_reads_no_answer_is_cut_off_however_much_it_asks) {
  Rig rig(Rig::Plain{}, quick());
  rig.answer = numbered();
  Raw raw(rig.server->port());
  Flood flood(raw, kManyRequests / 2);
  EXPECT_TRUE(rig.until([&] {
    flood.go_on();
    raw.send(kGet);
    return rig.server->stats().accepted == 1 && rig.server->stats().open == 0;
  }));
}

// ---- who makes room ----

// A connection with an answered request behind it.
std::unique_ptr<Raw> visitor(Rig& rig) {
  auto out = std::make_unique<Raw>(rig.server->port());
  out->send(kGet);
  EXPECT_TRUE(rig.until([&] { return out->read() || !out->text.empty(); }));
  out->text.clear();
  return out;
}

bool is_answered(Rig& rig, Raw& raw) {
  raw.text.clear();
  raw.send(kGet);
  return rig.until([&] { return raw.read() || raw.text.find("seen /x") != std::string::npos; }) && !raw.text.empty();
}

HttpsServerOptions places(std::size_t n) {
  HttpsServerOptions out;
  out.max_connections = n;
  return out;
}

TEST(Limits, the_longest_idle_connection_makes_room) {
  Rig rig(Rig::Plain{}, places(2));
  const auto longest = visitor(rig);
  const auto other = visitor(rig);
  Raw late(rig.server->port());
  EXPECT_TRUE(is_answered(rig, late));
  EXPECT_TRUE(rig.until([&] { return longest->read(); }));
  EXPECT_TRUE(is_answered(rig, *other));
  EXPECT_EQ(rig.server->stats().shed, 1U);
}

TEST(Limits, nobody_goes_before_somebody_comes) {
  Rig rig(Rig::Plain{}, places(2));
  const auto a = visitor(rig);
  const auto b = visitor(rig);
  EXPECT_TRUE(is_answered(rig, *a));
  EXPECT_TRUE(is_answered(rig, *b));
  EXPECT_EQ(rig.server->stats().open, 2U);
  EXPECT_EQ(rig.server->stats().shed, 0U);
}

TEST(Limits, a_connection_at_work_is_kept) {
  Rig rig(Rig::Plain{}, places(2));
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  Raw a(rig.server->port());
  Raw b(rig.server->port());
  a.send(kGet);
  b.send(kGet);
  ASSERT_TRUE(rig.until([&] { return rig.exchanges.size() == 2; }));
  Raw late(rig.server->port());
  EXPECT_TRUE(rig.until([&] { return late.read(); }));
  EXPECT_EQ(rig.server->stats().shed, 1U);
  EXPECT_EQ(rig.server->stats().open, 2U);
  EXPECT_TRUE(rig.gone.empty());
}

TEST(Limits, a_connection_whose_asker_is_known_is_kept) {
  Rig rig(Rig::Plain{}, places(1));
  const auto ordinary = rig.answer;
  rig.answer = [&](Exchange e, const Request& r) {
    rig.server->known(e);
    return ordinary(e, r);
  };
  const auto known = visitor(rig);
  Raw late(rig.server->port());
  EXPECT_TRUE(rig.until([&] { return late.read(); }));
  EXPECT_TRUE(is_answered(rig, *known));
}

TEST(Limits, silent_connections_keep_nobody_out_and_a_proven_one_in) {
  Rig rig(pki().server_options(), places(3));
  const auto device = rig.open_as(pki().device, pki().device_chain());
  ASSERT_TRUE(device);
  std::vector<std::unique_ptr<Raw>> silent;
  for (int i = 0; i < 12; ++i) {
    silent.push_back(std::make_unique<Raw>(rig.server->port()));
  }
  const auto late = rig.open_anonymous();
  ASSERT_TRUE(late) << late.error().what;
  EXPECT_TRUE(rig.get((*late)->id, "/a"));
  EXPECT_TRUE(rig.get((*device)->id, "/a"));
}

// ---- descriptors ----

// The process's limit of descriptors, as it was at the end.
class DescriptorLimit {
 public:
  DescriptorLimit() { getrlimit(RLIMIT_NOFILE, &former_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &former_); }
  rlim_t hard() const { return former_.rlim_max; }
  void set(rlim_t soft) const {
    const rlimit limit{.rlim_cur = soft, .rlim_max = former_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }

 private:
  rlimit former_{};
};

TEST(Limits, who_comes_is_served_though_no_descriptor_is_left) {
  Rig rig(Rig::Plain{}, {});
  std::vector<std::unique_ptr<Raw>> silent;
  for (int i = 0; i < 6; ++i) {
    silent.push_back(std::make_unique<Raw>(rig.server->port()));
  }
  Raw late(rig.server->port());
  late.send(kGet);
  const int next_free = dup(0);
  close(next_free);
  const DescriptorLimit limit;
  limit.set(static_cast<rlim_t>(next_free) + 2);
  EXPECT_TRUE(rig.until([&] { return late.read() || !late.text.empty(); }));
  EXPECT_LE(rig.server->stats().open, 2U);
}

TEST(Limits, the_limit_of_descriptors_is_raised_as_far_as_it_goes) {
  const DescriptorLimit limit;
  limit.set(200);
  EXPECT_EQ(raise_descriptor_limit(), limit.hard());
  rlimit now{};
  getrlimit(RLIMIT_NOFILE, &now);
  EXPECT_EQ(now.rlim_cur, limit.hard());
}

TEST(Limits, descriptors_are_shared_out_and_some_are_kept_back) {
  EXPECT_EQ(connections_a_thread(10'000, 1'000'000, 64, 8), 10'000U);
  EXPECT_EQ(connections_a_thread(10'000, 1024, 64, 2), 480U);
  EXPECT_EQ(connections_a_thread(10, 1024, 64, 2), 10U);
  EXPECT_EQ(connections_a_thread(10'000, 64, 64, 2), 1U);
  EXPECT_EQ(connections_a_thread(10'000, 0, 64, 2), 1U);
}

// ---- how long a connection may live ----

TEST(Limits, an_old_connection_ends_with_its_next_answer) {
  HttpsServerOptions options;
  options.max_age = Duration(0);
  Rig rig(Rig::Plain{}, options);
  const std::string text = answer_to(rig, kGet);
  EXPECT_NE(text.find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(text.find("seen /x"), std::string::npos);
}

TEST(Limits, connections_do_not_outlive_the_anchors_of_their_handshake) {
  Rig rig;
  rig.answer = [](Exchange, const Request&) { return std::nullopt; };
  const auto idle = rig.open_as(pki().device, pki().device_chain());
  const auto busy = rig.open_as(pki().device, pki().device_chain());
  ASSERT_TRUE(idle && busy);
  std::optional<Result<Response>> got;
  rig.client->request((*busy)->id, {.path = "/x", .session = nullptr}, [&](Result<Response> r) { got = std::move(r); });
  ASSERT_TRUE(rig.until([&] { return rig.exchanges.size() == 1; }));
  rig.server->set_tls(*TlsContext::server(pki().server_options()));
  EXPECT_TRUE(rig.until([&] { return rig.lost == std::vector{(*idle)->id}; }));
  rig.server->reply(rig.exchanges.at(0), Response{200});
  EXPECT_TRUE(rig.until([&] { return got.has_value() && rig.lost.size() == 2; }));
  EXPECT_TRUE(*got);
}

TEST(Limits, a_handshake_under_replaced_anchors_ends_with_it) {
  Rig rig;
  Loop far;
  const auto far_turn = [&far] {
    far.after(Duration(1), [&far] { far.stop(); });
    far.run();
  };
  bool lost = false;
  const auto client = HttpsClient::make(
      far, rig.guard, {}, [](const std::string&) -> Result<PrivateKey> { return pki().device.key; },
      [&](std::uint64_t) { lost = true; });
  client->open({.ticket = 0,
                .to = rig.uri(),
                .trust = Trust::anchors,
                .anchors = {pki().ca.certificate},
                .as = Credential{"key", pki().device_chain()}},
               [](const Result<SessionRef>&) {});
  far_turn();
  ASSERT_TRUE(rig.until([&] { return rig.server->stats().open == 1; }));
  ASSERT_EQ(rig.server->stats().handshakes, 0U);
  rig.server->set_tls(*TlsContext::server(pki().server_options()));
  EXPECT_TRUE(rig.until([&] {
    far_turn();
    return lost;
  }));
  EXPECT_EQ(rig.server->stats().handshakes, 1U);
}

// ---- what may be sent ----

constexpr std::string_view kPost = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

TEST(Limits, somebody_unknown_has_so_many_posts_a_connection) {
  HttpsServerOptions options;
  options.max_posts_unknown = 2;
  Rig rig(Rig::Plain{}, options);
  const std::string text =
      answer_to(rig, std::string(kGet) + std::string(kPost) + std::string(kPost) + std::string(kPost));
  EXPECT_EQ(rig.requests.size(), 3U);
  EXPECT_NE(text.find("Connection: close\r\n"), std::string::npos);
}

TEST(Limits, somebody_known_has_as_many_as_it_likes) {
  HttpsServerOptions options;
  options.max_posts_unknown = 0;
  Rig rig(Rig::Plain{}, options);
  rig.answer = [&](Exchange e, const Request&) {
    rig.server->known(e);
    return Response{200};
  };
  Raw raw(rig.server->port());
  raw.send(std::string(kPost) + std::string(kPost));
  EXPECT_TRUE(rig.until([&] { return rig.requests.size() == 2; }));
}

TEST(Limits, a_body_can_be_refused_before_it_comes) {
  HttpsServerOptions options;
  options.max_body_bytes = 100'000;
  Rig rig(Rig::Plain{}, options);
  int asked = 0;
  rig.body_comes = [&](const Request& head) -> std::optional<Response> {
    ++asked;
    return head.bearer ? std::nullopt : std::optional(Response{401});
  };
  constexpr std::string_view kHead = "POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 50000\r\n";
  EXPECT_TRUE(answer_to(rig, std::string(kHead) + "\r\n").starts_with("HTTP/1.1 401 "));
  EXPECT_TRUE(rig.requests.empty());
  EXPECT_EQ(asked, 1);

  Raw raw(rig.server->port());
  raw.send(std::string(kHead) + "Authorization: Bearer me\r\n\r\n");
  EXPECT_TRUE(rig.until([&] { return raw.read() || raw.text == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  raw.send(std::string(20'000, 'a'));
  raw.send(std::string(30'000, 'a'));
  EXPECT_TRUE(rig.until([&] { return raw.read() || raw.text.find("seen /x") != std::string::npos; }));
  EXPECT_EQ(rig.requests.at(0).body.size(), 50'000U);
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace imprint::io
