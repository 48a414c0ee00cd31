#include "proto/brski/dnssd.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "proto/brski/discovery_rules.h"
#include "proto/brski/dnssd_browser.h"
#include "proto/brski/dnssd_responder.h"

namespace imprint::brski {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr Instant kStart{1'790'000'000'000};

Service hall() {
  return {"Hall", std::string(kRegistrarService), "imprint-1", 8443, {"est-tls"}, {*from_hex("c0000201")}};
}

DnsPacket packet(BytesView bytes, Instant at) { return {bytes, kMdnsPort, true, at}; }

DnsMessage read(BytesView bytes) {
  const auto message = DnsMessage::parse(bytes);
  EXPECT_TRUE(message);
  return message ? *message : DnsMessage{};
}

// ---- messages ----

TEST(DnsMessage, reads_compressed_names) {
  // PTR, TXT, and an SRV whose target points into the first name.
  const Bytes bytes = *from_hex(
      "000084000000000300000000"
      "0c5f6272736b692d70726f7879"
      "045f746370"
      "056c6f63616c"
      "00"
      "000c0001"
      "00001194"
      "0007"
      "0448616c6c"
      "c00c"
      "c02f"
      "00108001"
      "00001194"
      "0008"
      "07"
      "6573742d746c73"
      "c02f"
      "00218001"
      "00000078"
      "000b"
      "0000"
      "0000"
      "115b"
      "026831"
      "c01e");
  const DnsMessage message = read(bytes);
  ASSERT_EQ(message.answers.size(), 3U);
  EXPECT_TRUE(message.response);
  EXPECT_EQ(message.answers[0].name.text(), "_brski-proxy._tcp.local");
  EXPECT_EQ(std::get<DnsPointer>(message.answers[0].data).to.text(), "Hall._brski-proxy._tcp.local");
  EXPECT_EQ(message.answers[0].ttl_s, 4500U);
  EXPECT_FALSE(message.answers[0].flush);
  EXPECT_EQ(std::get<DnsText>(message.answers[1].data).entries, std::vector<std::string>{"est-tls"});
  EXPECT_TRUE(message.answers[1].flush);
  EXPECT_EQ(message.answers[2].name.text(), "Hall._brski-proxy._tcp.local");
  const auto server = std::get<DnsServer>(message.answers[2].data);
  EXPECT_EQ(server.port, 4443);
  EXPECT_EQ(server.host.text(), "h1.local");
  EXPECT_EQ(read(message.encode()), message);
}

TEST(DnsMessage, names_that_point_forward_or_at_themselves_are_refused) {
  const std::string head = "000000000001000000000000";
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "c00c000c0001"))) << "itself";
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "0161c00c000c0001"))) << "its own beginning";
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "c012000c00010161 00"))) << "what follows";
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "4161000c0001"))) << "a reserved kind of label";
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "c0")));
  EXPECT_TRUE(DnsMessage::parse(*from_hex(head + "0161 00000c0001")));
}

TEST(DnsMessage, names_are_bounded_however_they_are_put_together) {
  // A chain of 40 names, each one label and a pointer to the one before.
  std::string bytes =
      "000000000029000000000000"
      "0161"
      "00"
      "000c0001";
  std::size_t last = 12;
  std::size_t at = 12 + 7;
  for (int i = 0; i < 40; ++i) {
    const Bytes pointer{static_cast<std::uint8_t>(0xc0U | (last >> 8U)), static_cast<std::uint8_t>(last)};
    bytes += "0161" + hex(pointer) + "000c0001";
    last = at;
    at += 8;
  }
  EXPECT_FALSE(DnsMessage::parse(*from_hex(bytes))) << "more jumps than anybody needs";
  const std::string label = "3f" + hex(Bytes(63, 'a'));
  const std::string head = "000000000001000000000000";
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + label + label + label + label + "00000c0001"))) << "257 octets";
  EXPECT_TRUE(DnsMessage::parse(*from_hex(head + label + label + label + "00000c0001")));
}

TEST(DnsMessage, content_has_to_fit_its_length) {
  const std::string head =
      "000084000000000100000000"
      "0161"
      "00";
  EXPECT_TRUE(DnsMessage::parse(*from_hex(head + "00010001"
                                                 "00000001"
                                                 "0004"
                                                 "c0000201")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "00010001"
                                                  "00000001"
                                                  "0005"
                                                  "c000020100")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "001c0001"
                                                  "00000001"
                                                  "0004"
                                                  "c0000201")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "000c0001"
                                                  "00000001"
                                                  "0004"
                                                  "01620000")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "00100001"
                                                  "00000001"
                                                  "0002"
                                                  "0561")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "00210001"
                                                  "00000001"
                                                  "0004"
                                                  "00000000")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex(head + "00010001"
                                                  "00000001"
                                                  "0004"
                                                  "c00002")));
  const DnsMessage unknown = read(*from_hex(head + "002f0001"
                                                   "00000001"
                                                   "0002"
                                                   "ffff"));
  EXPECT_TRUE(unknown.answers.empty()) << "a type that we do not know is left out";
  EXPECT_TRUE(read(*from_hex(head + "00010003"
                                    "00000001"
                                    "0004"
                                    "c0000201"))
                  .answers.empty())
      << "and a class";
}

TEST(DnsMessage, other_operations_errors_and_sizes_are_passed_over) {
  EXPECT_FALSE(DnsMessage::parse(*from_hex("0000280000000000000000 00")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex("000084030000000000000000")));
  EXPECT_TRUE(DnsMessage::parse(*from_hex("000084000000000000000000")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex("0000840000000000000000")));
  EXPECT_FALSE(DnsMessage::parse(*from_hex("000000000001000000000000"))) << "a count that lies";
  Bytes large(kMaxDnsBytes + 1);
  EXPECT_FALSE(DnsMessage::parse(large));
  large.resize(kMaxDnsBytes);
  EXPECT_TRUE(DnsMessage::parse(large));
}

TEST(DnsName, is_compared_without_case_and_written_with_escapes) {
  EXPECT_EQ(DnsName::of("_BRSKI-Proxy._tcp.LOCAL"), DnsName::of("_brski-proxy._tcp.local"));
  EXPECT_NE(DnsName::of("a.b"), DnsName::of("a.b.c"));
  EXPECT_NE(DnsName::of("a.b"), DnsName{{"a.b"}});
  EXPECT_EQ(DnsName{{"Hall 1.2\\"}}.below(DnsName::of("local")).text(), "Hall 1\\.2\\\\.local");
}

TEST(Service, what_is_no_name_is_refused) {
  const auto refused = [](auto change) {
    Service service = hall();
    change(service);
    const Status checked = service.check();
    return !checked && checked.error().rule == &kDnsService;
  };
  EXPECT_TRUE(hall().check());
  EXPECT_TRUE(refused([](Service& s) { s.instance = ""; }));
  EXPECT_TRUE(refused([](Service& s) { s.instance = std::string(64, 'a'); }));
  EXPECT_TRUE(refused([](Service& s) { s.host = ""; }));
  EXPECT_TRUE(refused([](Service& s) { s.type = std::string(250, 'a'); }));
  EXPECT_TRUE(refused([](Service& s) { s.port = 0; }));
  EXPECT_TRUE(refused([](Service& s) { s.addresses.clear(); }));
  EXPECT_TRUE(refused([](Service& s) { s.addresses = {Bytes(5)}; }));
  EXPECT_TRUE(refused([](Service& s) { s.addresses.resize(17, Bytes(4)); }));
  EXPECT_TRUE(refused([](Service& s) { s.text = {""}; }));
  EXPECT_TRUE(refused([](Service& s) { s.text = {std::string(256, 'a')}; }));
  EXPECT_TRUE(refused([](Service& s) { s.text.assign(33, "a"); }));
  EXPECT_TRUE(refused([](Service& s) { s.text.assign(6, std::string(255, 'a')); })) << "more than a packet";
}

// ---- the responder ----

// Runs the responder until it has nothing more to say by itself.
struct Speaker {
  explicit Speaker(Service service = hall(), std::uint64_t seed = 1)
      : rng(seed), role(*Responder::make(std::move(service), kStart, rng)) {}

  // What it sends until then, with its time.
  std::vector<std::pair<Instant, DnsMessage>> until(Instant end) {
    std::vector<std::pair<Instant, DnsMessage>> out;
    for (auto when = role.wakes(); when && *when <= end; when = role.wakes()) {
      now = std::max(now, *when);
      for (const Bytes& one : role.due(now)) {
        out.emplace_back(now, read(one));
      }
    }
    now = end;
    return out;
  }
  void settle() { until(now + seconds(10)); }
  std::optional<Bytes> hear(const DnsMessage& message, std::uint16_t port = kMdnsPort, bool near = true) {
    const Bytes bytes = message.encode();
    return role.on({bytes, port, near, now}, rng);
  }

  SeededRng rng;
  Responder role;
  Instant now = kStart;
};

DnsMessage question(const DnsName& name, DnsType type) {
  DnsMessage out;
  out.questions = {{name, type, kInternet, false}};
  return out;
}

TEST(Responder, probes_three_times_then_announces_twice) {
  Speaker speaker;
  const auto sent = speaker.until(kStart + seconds(60));
  ASSERT_EQ(sent.size(), 5U);
  EXPECT_LE(sent[0].first, kStart + Duration(250));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(sent[i].second.response);
    ASSERT_EQ(sent[i].second.questions.size(), 2U);
    EXPECT_EQ(sent[i].second.questions[0].name.text(), "Hall._brski-registrar._tcp.local");
    EXPECT_EQ(sent[i].second.questions[0].type, DnsType::any);
    ASSERT_EQ(sent[i].second.authority.size(), 3U);
    EXPECT_FALSE(sent[i].second.authority[0].flush);
    EXPECT_EQ(sent[i + 1].first - sent[i].first, Duration(250));
  }
  EXPECT_EQ(sent[4].first - sent[3].first, Duration(1000));
  for (std::size_t i = 3; i < 5; ++i) {
    const DnsMessage& said = sent[i].second;
    EXPECT_TRUE(said.response);
    ASSERT_EQ(said.answers.size(), 5U);
    for (const DnsRecord& one : said.answers) {
      EXPECT_EQ(one.flush, one.type() != DnsType::ptr);
      EXPECT_EQ(one.ttl_s, one.type() == DnsType::srv || one.type() == DnsType::a ? 120U : 4500U);
    }
  }
  EXPECT_TRUE(speaker.role.announced());
}

TEST(Responder, answers_for_its_type_after_a_random_moment) {
  std::vector<Duration> delays;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Speaker speaker(hall(), seed);
    speaker.settle();
    const Instant asked = speaker.now;
    EXPECT_FALSE(speaker.hear(question(hall().type_name(), DnsType::ptr)));
    const auto sent = speaker.until(asked + seconds(5));
    ASSERT_EQ(sent.size(), 1U);
    delays.push_back(sent[0].first - asked);
    ASSERT_EQ(sent[0].second.answers.size(), 1U);
    EXPECT_EQ(sent[0].second.answers[0], records_of(hall(), Part::pointer)[0]);
    EXPECT_EQ(sent[0].second.additional.size(), 3U) << "what will be asked next comes along";
  }
  EXPECT_GE(*std::ranges::min_element(delays), Duration(20));
  EXPECT_LE(*std::ranges::max_element(delays), Duration(120));
  EXPECT_GT(*std::ranges::max_element(delays) - *std::ranges::min_element(delays), Duration(50));
}

TEST(Responder, answers_for_what_is_its_own_at_once) {
  Speaker speaker;
  speaker.settle();
  speaker.hear(question(DnsName::of("hall._BRSKI-registrar._tcp.LOCAL"), DnsType::srv));
  const auto sent = speaker.until(speaker.now);
  ASSERT_EQ(sent.size(), 1U);
  ASSERT_EQ(sent[0].second.answers.size(), 1U);
  EXPECT_EQ(sent[0].second.answers[0].type(), DnsType::srv);
  EXPECT_TRUE(sent[0].second.answers[0].flush);
  ASSERT_EQ(sent[0].second.additional.size(), 1U);
  EXPECT_EQ(sent[0].second.additional[0].type(), DnsType::a);
}

TEST(Responder, says_nothing_that_was_not_asked) {
  Speaker speaker;
  speaker.settle();
  speaker.hear(question(DnsName::of("_ipp._tcp.local"), DnsType::ptr));
  speaker.hear(question(hall().type_name(), DnsType::srv));
  DnsMessage other = question(hall().type_name(), DnsType::ptr);
  other.questions[0].of_class = 3;
  speaker.hear(other);
  speaker.hear(question(hall().type_name(), DnsType::ptr), kMdnsPort, false);  // not of this link
  EXPECT_FALSE(speaker.role.on({view("no message"), kMdnsPort, true, speaker.now}, speaker.rng));
  EXPECT_TRUE(speaker.until(speaker.now + seconds(5)).empty());
}

TEST(Responder, is_in_the_list_of_all_types) {
  Speaker speaker;
  speaker.settle();
  speaker.hear(question(DnsName::of("_services._dns-sd._udp.local"), DnsType::ptr));
  const auto sent = speaker.until(speaker.now + seconds(1));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(std::get<DnsPointer>(sent[0].second.answers[0].data).to, hall().type_name());
}

TEST(Responder, keeps_quiet_about_what_the_asker_knows) {
  Speaker speaker;
  speaker.settle();
  DnsMessage query = question(hall().type_name(), DnsType::ptr);
  query.answers = records_of(hall(), Part::pointer);
  query.answers[0].ttl_s = 2250;
  speaker.hear(query);
  EXPECT_TRUE(speaker.until(speaker.now + seconds(5)).empty());
  query.answers[0].ttl_s = 2249;  // less than half of its time
  speaker.hear(query);
  EXPECT_EQ(speaker.until(speaker.now + seconds(5)).size(), 1U);
}

TEST(Responder, says_nothing_twice_within_a_second) {
  Speaker speaker;
  speaker.settle();
  speaker.hear(question(hall().instance_name(), DnsType::srv));
  const Instant first = speaker.now;
  ASSERT_EQ(speaker.until(first).size(), 1U);
  for (int i = 0; i < 5; ++i) {
    speaker.hear(question(hall().instance_name(), DnsType::srv));
    speaker.until(speaker.now + Duration(10));
  }
  const auto later = speaker.until(first + seconds(5));
  ASSERT_EQ(later.size(), 1U);
  EXPECT_EQ(later[0].first - first, Duration(1000));
  DnsMessage probe = question(hall().instance_name(), DnsType::any);
  probe.authority = records_of(hall(), Part::server);
  speaker.hear(question(hall().instance_name(), DnsType::srv));
  ASSERT_EQ(speaker.until(speaker.now).size(), 1U);
  const Instant again = speaker.now;
  speaker.hear(probe);  // who wants the name must not have to wait
  const auto defended = speaker.until(again + seconds(5));
  ASSERT_GE(defended.size(), 1U);
  EXPECT_LE(defended.back().first - again, Duration(250));
}

TEST(Responder, waits_for_more_known_answers_if_they_are_said_to_come) {
  Speaker speaker;
  speaker.settle();
  DnsMessage query = question(hall().type_name(), DnsType::ptr);
  query.truncated = true;
  const Instant asked = speaker.now;
  speaker.hear(query);
  const auto sent = speaker.until(asked + seconds(5));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_GE(sent[0].first - asked, Duration(400));
  EXPECT_LE(sent[0].first - asked, Duration(500));
}

TEST(Responder, answers_a_simple_resolver_itself) {
  Speaker speaker;
  DnsMessage query = question(hall().type_name(), DnsType::ptr);
  query.id = 77;
  EXPECT_FALSE(speaker.hear(query, 40000)) << "while the name is not ours yet";
  speaker.settle();
  const auto answer = speaker.hear(query, 40000);
  ASSERT_TRUE(answer);
  const DnsMessage said = read(*answer);
  EXPECT_EQ(said.id, 77);
  EXPECT_EQ(said.questions, query.questions);
  ASSERT_EQ(said.answers.size(), 1U);
  EXPECT_EQ(said.answers[0].ttl_s, 10U);
  EXPECT_FALSE(said.answers[0].flush);
  const auto own = speaker.hear(question(hall().instance_name(), DnsType::srv), 40000);
  ASSERT_TRUE(own);
  EXPECT_FALSE(read(*own).answers[0].flush);
  EXPECT_FALSE(speaker.hear(question(DnsName::of("x.local"), DnsType::ptr), 40000));
  EXPECT_TRUE(speaker.until(speaker.now + seconds(5)).empty()) << "and the group hears nothing of it";
}

DnsMessage claim(const Service& service) {
  DnsMessage out;
  out.response = true;
  out.answers = records_of(service, Part::server);
  return out;
}

TEST(Responder, takes_another_name_if_its_own_is_taken) {
  Speaker speaker;
  speaker.until(kStart + Duration(300));
  Service other = hall();
  other.host = "other";
  speaker.hear(claim(other));
  const auto sent = speaker.until(kStart + seconds(10));
  EXPECT_EQ(speaker.role.service().instance, "Hall-2");
  EXPECT_EQ(speaker.role.service().host, "imprint-1");
  ASSERT_EQ(sent.size(), 5U) << "it begins anew";
  EXPECT_EQ(sent[0].second.questions[0].name.text(), "Hall-2._brski-registrar._tcp.local");
}

TEST(Responder, takes_another_host_name_if_that_is_taken) {
  Speaker speaker;
  DnsMessage taken;
  taken.response = true;
  taken.additional = records_of(hall(), Part::host);
  std::get<DnsAddress>(taken.additional[0].data).address[3] = 99;
  speaker.hear(taken);
  EXPECT_EQ(speaker.role.service().host, "imprint-1-2");
  EXPECT_EQ(speaker.role.service().instance, "Hall");
}

TEST(Responder, what_it_hears_of_itself_is_no_conflict) {
  Speaker speaker;
  speaker.hear(claim(hall()));
  DnsMessage probe = question(hall().instance_name(), DnsType::any);
  probe.authority = records_of(hall(), Part::server);
  const auto texts = records_of(hall(), Part::text);
  probe.authority.insert(probe.authority.end(), texts.begin(), texts.end());
  speaker.hear(probe);
  Service other = hall();
  other.host = "other";
  DnsMessage leaving = claim(other);
  leaving.answers[0].ttl_s = 0;
  speaker.hear(leaving);
  speaker.hear(claim(other), 40000);
  speaker.hear(claim(other), kMdnsPort, false);
  EXPECT_EQ(speaker.until(kStart + seconds(10)).size(), 5U);
  EXPECT_EQ(speaker.role.service().instance, "Hall");
}

TEST(Responder, once_announced_it_probes_again_before_it_gives_its_name_up) {
  Speaker speaker;
  speaker.settle();
  Service other = hall();
  other.host = "other";
  speaker.hear(claim(other));
  EXPECT_FALSE(speaker.role.announced());
  EXPECT_EQ(speaker.role.service().instance, "Hall");
  const auto sent = speaker.until(speaker.now + seconds(10));
  EXPECT_EQ(sent.size(), 5U);
  EXPECT_EQ(speaker.role.service().instance, "Hall") << "nobody said it a second time";
}

TEST(Responder, many_conflicts_slow_it_down) {
  Speaker speaker;
  for (int i = 0; i < 15; ++i) {
    DnsMessage taken = claim(speaker.role.service());
    std::get<DnsServer>(taken.answers[0].data).port = 1;
    speaker.hear(taken);
  }
  EXPECT_EQ(speaker.role.service().instance, "Hall-16");
  EXPECT_EQ(speaker.role.wakes(), kStart + seconds(5));
}

TEST(Responder, of_two_that_probe_at_once_the_greater_claim_wins) {
  for (const bool theirs_greater : {true, false}) {
    Speaker speaker;
    speaker.until(kStart + Duration(300));
    DnsMessage probe = question(hall().instance_name(), DnsType::any);
    Service other = hall();
    other.text = {theirs_greater ? "zzz-tls" : "aaa-tls"};
    for (const Part part : {Part::server, Part::text}) {
      for (const DnsRecord& one : records_of(other, part)) {
        probe.authority.push_back(one);
      }
    }
    speaker.hear(probe);
    EXPECT_EQ(speaker.role.wakes() == speaker.now + seconds(1), theirs_greater);
    EXPECT_EQ(speaker.role.service().instance, "Hall");
  }
}

TEST(Responder, says_goodbye_for_what_is_its_own) {
  Speaker speaker;
  EXPECT_TRUE(speaker.role.goodbye().empty()) << "nobody knows of it yet";
  speaker.settle();
  const DnsMessage said = read(speaker.role.goodbye());
  ASSERT_EQ(said.answers.size(), 3U);
  for (const DnsRecord& one : said.answers) {
    EXPECT_EQ(one.ttl_s, 0U);
  }
}

// ---- the browser ----

struct Finder {
  explicit Finder(bool ask = true, std::size_t most = 256)
      : rng(3), role({{std::string(kRegistrarService), std::string(kProxyService)}, ask, most}, kStart, rng) {}

  std::vector<std::pair<Instant, DnsMessage>> until(Instant end) {
    std::vector<std::pair<Instant, DnsMessage>> out;
    for (auto when = role.wakes(); when && *when <= end; when = role.wakes()) {
      now = std::max(now, *when);
      if (const auto sent = role.due(now)) {
        out.emplace_back(now, read(*sent));
      }
    }
    now = end;
    return out;
  }
  Status hear(const std::vector<DnsRecord>& answers, bool near = true, std::uint16_t port = kMdnsPort) {
    DnsMessage message;
    message.response = true;
    message.answers = answers;
    const Bytes bytes = message.encode();
    return role.on({bytes, port, near, now});
  }
  Status hear(const Service& service) { return hear(all_of(service)); }
  static std::vector<DnsRecord> all_of(const Service& service) {
    std::vector<DnsRecord> all;
    for (const Part part : kParts) {
      for (const DnsRecord& one : records_of(service, part)) {
        all.push_back(one);
      }
    }
    return all;
  }

  SeededRng rng;
  Browser role;
  Instant now = kStart;
};

Browser::Found found_hall(Instant ends) {
  return {"Hall", std::string(kRegistrarService), "imprint-1.local", 8443, {"est-tls"}, {*from_hex("c0000201")}, ends};
}

TEST(Browser, asks_ever_more_seldom) {
  Finder finder;
  const auto asked = finder.until(kStart + hours(5));
  ASSERT_GE(asked.size(), 14U);
  EXPECT_GE(asked[0].first - kStart, Duration(20));
  EXPECT_LE(asked[0].first - kStart, Duration(120));
  for (std::size_t i = 0; i + 1 < asked.size(); ++i) {
    const Duration wanted = std::min<Duration>(seconds(1) * (1 << std::min<std::size_t>(i, 20)), hours(1));
    EXPECT_EQ(asked[i + 1].first - asked[i].first, wanted);
  }
  ASSERT_EQ(asked[0].second.questions.size(), 2U);
  EXPECT_EQ(asked[0].second.questions[0].name.text(), "_brski-registrar._tcp.local");
  EXPECT_EQ(asked[0].second.questions[0].type, DnsType::ptr);
  finder.role.ask_again(finder.now);
  EXPECT_EQ(finder.until(finder.now + seconds(2)).size(), 2U) << "the network has changed";
}

TEST(Browser, finds_what_a_responder_announces) {
  Finder finder;
  Speaker speaker;
  speaker.settle();
  finder.now = speaker.now;
  const auto queries = finder.until(speaker.now);
  ASSERT_FALSE(queries.empty());
  speaker.hear(queries.back().second);
  for (const auto& sent : speaker.until(speaker.now + seconds(1))) {
    finder.now = sent.first;
    const Bytes bytes = sent.second.encode();
    ASSERT_TRUE(finder.role.on(packet(bytes, finder.now)));
  }
  EXPECT_EQ(finder.role.found(finder.now), std::vector{found_hall(finder.now + seconds(120))});
  EXPECT_TRUE(finder.role.found(finder.now + seconds(120)).empty());
}

TEST(Browser, tells_what_it_knows_when_it_asks) {
  Finder finder;
  ASSERT_TRUE(finder.hear(hall()));
  const auto asked = finder.until(kStart + seconds(1));
  ASSERT_FALSE(asked.empty());
  ASSERT_EQ(asked[0].second.answers.size(), 1U);
  EXPECT_TRUE(asked[0].second.answers[0].same_as(records_of(hall(), Part::pointer)[0]));
  EXPECT_EQ(asked[0].second.answers[0].ttl_s, 4499U);
  Finder late;
  ASSERT_TRUE(late.hear(hall()));
  late.now = kStart + seconds(2251);
  const auto then = late.role.due(late.now);
  ASSERT_TRUE(then);
  EXPECT_TRUE(read(*then).answers.empty()) << "less than half of its time is left";
}

TEST(Browser, asks_for_what_is_missing) {
  Finder finder;
  finder.until(kStart + Duration(500));
  ASSERT_TRUE(finder.hear(records_of(hall(), Part::pointer)));
  EXPECT_TRUE(finder.role.found(finder.now).empty());
  auto asked = finder.until(kStart + Duration(900));
  ASSERT_EQ(asked.size(), 1U);
  ASSERT_EQ(asked[0].second.questions.size(), 2U);
  EXPECT_EQ(asked[0].second.questions[0].type, DnsType::srv);
  EXPECT_EQ(asked[0].second.questions[1].type, DnsType::txt);
  ASSERT_TRUE(finder.hear(records_of(hall(), Part::server)));
  ASSERT_TRUE(finder.hear(records_of(hall(), Part::text)));
  asked = finder.until(kStart + Duration(1950));
  const auto addresses = std::ranges::find_if(asked, [](const auto& one) {
    return std::ranges::any_of(one.second.questions, [](const DnsQuestion& q) { return q.type == DnsType::aaaa; });
  });
  ASSERT_NE(addresses, asked.end());
  ASSERT_TRUE(finder.hear(records_of(hall(), Part::host)));
  EXPECT_EQ(finder.role.found(finder.now).size(), 1U);
}

TEST(Browser, asks_before_what_it_knows_ends) {
  Finder finder;
  finder.until(kStart + seconds(10));
  ASSERT_TRUE(finder.hear(hall()));
  const Instant heard = finder.now;
  const auto asked = finder.until(heard + seconds(110));
  const auto again = std::ranges::find_if(asked, [](const auto& one) {
    return std::ranges::any_of(one.second.questions, [](const DnsQuestion& q) { return q.type == DnsType::srv; });
  });
  ASSERT_NE(again, asked.end());
  EXPECT_EQ(again->first - heard, seconds(96)) << "at four fifths of two minutes";
}

TEST(Browser, never_asks_if_it_is_only_to_listen) {
  Finder finder(/*ask=*/false);
  ASSERT_TRUE(finder.hear(hall()));
  EXPECT_EQ(finder.role.wakes(), std::nullopt);
  EXPECT_EQ(finder.role.due(kStart + hours(2)), std::nullopt);
  EXPECT_EQ(finder.role.found(kStart).size(), 1U);
}

TEST(Browser, believes_only_this_link_and_the_port) {
  Finder finder;
  const auto refused = finder.hear(Finder::all_of(hall()), /*near=*/false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, &kDnsSource);
  EXPECT_FALSE(finder.hear(Finder::all_of(hall()), true, 40000));
  DnsMessage query;
  query.answers = Finder::all_of(hall());
  EXPECT_TRUE(finder.role.on(packet(query.encode(), finder.now))) << "a question is nothing to believe";
  EXPECT_FALSE(finder.role.on(packet(view("rubbish"), finder.now)));
  EXPECT_TRUE(finder.role.found(finder.now).empty());
}

TEST(Browser, what_says_goodbye_is_gone_in_a_second) {
  Finder finder;
  ASSERT_TRUE(finder.hear(hall()));
  std::vector<DnsRecord> leaving = records_of(hall(), Part::pointer);
  leaving[0].ttl_s = 0;
  finder.now = kStart + seconds(10);
  ASSERT_TRUE(finder.hear(leaving));
  EXPECT_EQ(finder.role.found(finder.now + Duration(999)).size(), 1U);
  EXPECT_TRUE(finder.role.found(finder.now + Duration(1000)).empty());
}

TEST(Browser, what_was_true_before_is_flushed) {
  Finder finder;
  ASSERT_TRUE(finder.hear(hall()));
  Service moved = hall();
  moved.addresses = {*from_hex("c0000202"), *from_hex("c0000203")};
  finder.now = kStart + seconds(10);
  ASSERT_TRUE(finder.hear(moved));
  const auto found = finder.role.found(finder.now + Duration(1000));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].addresses, moved.addresses) << "both new ones stay, the old one goes";
}

TEST(Browser, keeps_what_concerns_it_and_no_more) {
  Finder finder(/*ask=*/true, /*most=*/5);
  Service other = hall();
  other.type = "_ipp._tcp";
  other.host = "printer";
  ASSERT_TRUE(finder.hear(other));
  for (int i = 0; i < 50; ++i) {
    ++finder.now.ms;
    std::vector<DnsRecord> one = records_of(hall(), Part::pointer);
    std::get<DnsPointer>(one[0].data).to.labels[0] = "Hall " + std::to_string(i);
    ASSERT_TRUE(finder.hear(one));
  }
  std::vector<DnsRecord> foreign = records_of(hall(), Part::pointer);
  std::get<DnsPointer>(foreign[0].data).to = DnsName::of("elsewhere.example");
  ASSERT_TRUE(finder.hear(foreign));
  ++finder.now.ms;
  ASSERT_TRUE(finder.hear(hall()));
  ASSERT_EQ(finder.role.found(finder.now).size(), 1U);
  EXPECT_EQ(finder.role.found(finder.now)[0].instance, "Hall");
}

TEST(Browser, believes_nobody_for_longer_than_a_day) {
  Finder finder;
  std::vector<DnsRecord> all = Finder::all_of(hall());
  for (DnsRecord& one : all) {
    one.ttl_s = 0xffffffff;
  }
  ASSERT_TRUE(finder.hear(all));
  EXPECT_EQ(finder.role.found(kStart + hours(23)).size(), 1U);
  EXPECT_TRUE(finder.role.found(kStart + hours(24)).empty());
}

}  // namespace
}  // namespace imprint::brski
