#include "proto/brski/discovery.h"

#include <gtest/gtest.h>

#include <set>

#include "proto/brski/discovery_rules.h"

namespace imprint::brski {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{1'790'000'000'000};
const Bytes kFe80 = *from_hex("fe800000000000000000000000000001");
const Bytes kGlobal = *from_hex("20010db8000000000000000000000001");
const Bytes kLoopback = *from_hex("7f000001");

Locator locator_of(const Bytes& address, std::uint16_t port) {
  return {address.size() == 4 ? Locator::Kind::ipv4 : Locator::Kind::ipv6, address, {}, kTcp, port};
}

Flood proxy_at(std::uint16_t port, const Bytes& address = kFe80) {
  return {1, address, 180000, {{proxy_objective(), locator_of(address, port)}}};
}

Arrival from(const Bytes& source, Instant at = kStart, std::uint32_t interface = 2) { return {at, interface, source}; }

const Rule* refused(FloodCache& cache, const Flood& flood, const Arrival& arrival) {
  const Status taken = cache.take(flood.encode(), arrival);
  return taken ? nullptr : taken.error().rule;
}

// ---- the cache ----

TEST(FloodCache, keeps_one_entry_for_a_name_and_a_locator) {
  FloodCache cache;
  Flood flood = proxy_at(4443);
  ASSERT_TRUE(cache.take(flood.encode(), from(kFe80)));
  flood.offers[0].objective.value = *from_hex("6131");
  ASSERT_TRUE(cache.take(flood.encode(), from(kFe80, kStart + seconds(60))));
  ASSERT_EQ(cache.all(kStart + seconds(60)).size(), 1U);
  EXPECT_EQ(hex(cache.all(kStart)[0].value), "6131");
  ASSERT_TRUE(cache.take(proxy_at(4444).encode(), from(kFe80, kStart + seconds(61))));
  EXPECT_EQ(cache.all(kStart + seconds(61)).size(), 2U);
  ASSERT_TRUE(cache.take(proxy_at(4444).encode(), from(kFe80, kStart + seconds(61), 3)));
  EXPECT_EQ(cache.all(kStart + seconds(61)).size(), 3U) << "another link";
}

TEST(FloodCache, an_entry_ends_with_its_time) {
  FloodCache cache;
  ASSERT_TRUE(cache.take(proxy_at(1).encode(), from(kFe80)));
  Flood lasting = proxy_at(2);
  lasting.ttl_ms = 0;
  ASSERT_TRUE(cache.take(lasting.encode(), from(kFe80)));
  EXPECT_EQ(cache.all(kStart + Duration(179999)).size(), 2U);
  ASSERT_EQ(cache.all(kStart + Duration(180000)).size(), 1U);
  EXPECT_EQ(cache.all(kStart + std::chrono::hours(9000))[0].locator->port, 2);
}

TEST(FloodCache, is_bounded_and_forgets_the_oldest_first) {
  FloodCache cache({.strict = true, .loopback = false, .most = 3});
  for (std::uint16_t port = 1; port <= 4; ++port) {
    ASSERT_TRUE(cache.take(proxy_at(port).encode(), from(kFe80, kStart + seconds(port))));
  }
  ASSERT_EQ(cache.all(kStart).size(), 3U);
  EXPECT_EQ(cache.all(kStart)[0].locator->port, 2);
}

TEST(FloodCache, who_announces_many_places_shuts_nobody_out) {
  FloodCache cache({.strict = true, .loopback = false, .most = 3});
  const Bytes liar = *from_hex("fe800000000000000000000000000bad");
  ASSERT_TRUE(cache.take(proxy_at(4443).encode(), from(kFe80, kStart)));
  for (std::uint16_t port = 1; port <= 20; ++port) {
    ASSERT_TRUE(cache.take(proxy_at(port).encode(), from(liar, kStart + seconds(port))));
  }
  const auto& all = cache.all(kStart + seconds(21));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].locator->port, 4443) << "heard longest ago, and alone of its source";
  EXPECT_EQ(all[2].locator->port, 20);
}

TEST(FloodCache, on_a_bare_link_takes_only_what_belongs_there) {
  FloodCache cache;
  EXPECT_EQ(refused(cache, proxy_at(1), from(kGlobal)), &kGraspSource);
  EXPECT_EQ(refused(cache, proxy_at(1, kLoopback), from(kLoopback)), &kGraspSource);
  EXPECT_EQ(refused(cache, proxy_at(1, kGlobal), from(kFe80)), &kGraspLocator);
  Flood named = proxy_at(1);
  named.offers[0].locator = Locator{Locator::Kind::fqdn, {}, "registrar.example", kTcp, 443};
  EXPECT_EQ(refused(cache, named, from(kFe80)), &kGraspLocator);
  Flood far = proxy_at(1);
  far.offers[0].objective.loop_count = 2;
  EXPECT_EQ(refused(cache, far, from(kFe80)), &kGraspLoopCount);
  far.offers[0].objective.loop_count = 0;
  EXPECT_EQ(refused(cache, far, from(kFe80)), &kGraspLoopCount);
  Flood foreign = proxy_at(1);
  foreign.offers.push_back({{"SRV.other", kSynchronization, 1, {}}, std::nullopt});
  EXPECT_EQ(refused(cache, foreign, from(kFe80)), &kGraspObjective);
  foreign.offers[1].objective = registrar_objective();
  foreign.offers[1].objective.loop_count = 1;
  EXPECT_EQ(refused(cache, foreign, from(kFe80)), &kGraspObjective);
  EXPECT_FALSE(cache.take(to_bytes("no flood"), from(kFe80)));
  EXPECT_TRUE(cache.all(kStart).empty()) << "nothing of a refused message is kept";
}

TEST(FloodCache, a_proxy_may_announce_its_acp_beside) {
  FloodCache cache;
  Flood flood = proxy_at(1);
  flood.offers.push_back({{std::string(kAnAcp), kSynchronization, 1, *from_hex("65494b457632")}, std::nullopt});
  EXPECT_EQ(refused(cache, flood, from(kFe80)), nullptr);
  ASSERT_EQ(cache.all(kStart).size(), 1U);
  EXPECT_EQ(cache.all(kStart)[0].name, kAnProxy);
}

TEST(FloodCache, loopback_counts_as_the_link_if_that_is_wanted) {
  FloodCache cache({.strict = true, .loopback = true, .most = 64});
  EXPECT_EQ(refused(cache, proxy_at(1, kLoopback), from(kLoopback)), nullptr);
  EXPECT_EQ(refused(cache, proxy_at(1, kGlobal), from(kGlobal)), &kGraspSource);
}

TEST(FloodCache, elsewhere_registrars_of_both_spellings_are_taken) {
  FloodCache cache({.strict = false, .loopback = false, .most = 64});
  Flood flood{1, kGlobal, 180000, {{registrar_objective(), locator_of(kGlobal, 8443)}}};
  EXPECT_EQ(refused(cache, flood, from(kGlobal)), nullptr);
  flood.offers[0].objective.name = "AN_Join_Registrar";
  EXPECT_EQ(refused(cache, flood, from(kGlobal)), nullptr);
  flood.offers[0].objective.name = "AN_something";
  EXPECT_EQ(refused(cache, flood, from(kGlobal)), nullptr);
  ASSERT_EQ(cache.of(kAnJoinRegistrar, kStart).size(), 1U) << "one registrar, whatever the spelling";
  EXPECT_EQ(cache.all(kStart).size(), 1U) << "what is not of discovery is not kept";
}

TEST(FloodCache, says_where_to_connect) {
  FloodCache cache;
  ASSERT_TRUE(cache.take(proxy_at(4443).encode(), from(kFe80)));
  EXPECT_EQ(place_of(cache.all(kStart)[0]), (Place{"fe80::1", 4443, 2, kTcp}));
  Heard global{std::string(kAnJoinRegistrar), locator_of(kGlobal, 443), {}, kGlobal, 2, kStart, {}};
  EXPECT_EQ(place_of(global), (Place{"2001:db8::1", 443, 0, kTcp}));
  global.locator->port = 0;
  EXPECT_EQ(place_of(global), std::nullopt);
  global.locator = Locator{Locator::Kind::uri, {}, "https://a/", kTcp, 443};
  EXPECT_EQ(place_of(global), std::nullopt);
  global.locator = Locator{Locator::Kind::fqdn, {}, "a.example", kTcp, 443};
  EXPECT_EQ(place_of(global), (Place{"a.example", 443, 0, kTcp}));
  global.locator.reset();
  EXPECT_EQ(place_of(global), std::nullopt);
}

// ---- candidates ----

const Place kA{"fe80::a", 1, 2, kTcp}, kB{"fe80::b", 1, 2, kTcp}, kC{"fe80::c", 1, 2, kTcp};

TEST(Candidates, come_in_turn_the_one_tried_longest_ago_first) {
  Candidates all;
  all.announced({kA, kB});
  EXPECT_EQ(all.next(kStart), kA);
  EXPECT_EQ(all.next(kStart + seconds(4)), kB) << "while the first is still tried";
  EXPECT_EQ(all.next(kStart + seconds(8)), std::nullopt);
  all.failed(kA, kStart + seconds(8));
  all.failed(kB, kStart + seconds(8));
  all.announced({kA, kB, kC});
  EXPECT_EQ(all.next(kStart + seconds(8)), kC) << "never tried";
  EXPECT_EQ(all.next(kStart + seconds(17)), std::nullopt);
  EXPECT_EQ(all.wakes(), kStart + seconds(18));
  EXPECT_EQ(all.next(kStart + seconds(18)), kA);
  EXPECT_EQ(all.next(kStart + seconds(18)), kB);
}

TEST(Candidates, pause_doubles_to_an_hour_for_each_by_itself) {
  Candidates all;
  all.announced({kA, kB});
  Instant now = kStart;
  std::vector<Duration> pauses;
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(all.next(now), kA);
    if (i == 0) {
      ASSERT_EQ(all.next(now), kB);
    }
    all.failed(kA, now);
    const Instant when = *all.wakes();
    EXPECT_EQ(all.next(when - Duration(1)), std::nullopt);
    pauses.push_back(when - now);
    now = when;
  }
  EXPECT_EQ(pauses[0], seconds(10));
  EXPECT_EQ(pauses[1], seconds(20));
  EXPECT_EQ(pauses[8], seconds(2560));
  EXPECT_EQ(pauses[9], minutes(60));
  EXPECT_EQ(pauses[11], minutes(60));
  all.failed(kB, now);
  EXPECT_EQ(all.all()[1].not_before, now + seconds(10)) << "the other one's failures are not its own";
}

TEST(Candidates, what_worked_is_tried_again_at_once) {
  Candidates all;
  all.announced({kA});
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(all.next(kStart + minutes(i)), kA);
    all.failed(kA, kStart + minutes(i));
  }
  ASSERT_EQ(all.next(kStart + minutes(5)), kA);
  all.worked(kA);
  EXPECT_EQ(all.next(kStart + minutes(5)), kA);
  all.failed(kA, kStart + minutes(5));
  EXPECT_EQ(all.wakes(), kStart + minutes(5) + seconds(10));
}

TEST(Candidates, leaving_and_coming_back_does_not_shorten_a_pause) {
  Candidates all;
  all.announced({kA});
  ASSERT_EQ(all.next(kStart), kA);
  all.failed(kA, kStart);
  all.announced({});
  EXPECT_EQ(all.next(kStart + minutes(5)), std::nullopt) << "it is not there";
  EXPECT_EQ(all.wakes(), std::nullopt);
  all.announced({kA});
  EXPECT_EQ(all.next(kStart + seconds(9)), std::nullopt);
  EXPECT_EQ(all.next(kStart + seconds(10)), kA);
}

TEST(Candidates, are_bounded_and_those_announced_stay) {
  Candidates all({.first_pause = seconds(10), .longest_pause = minutes(60), .most = 2});
  all.announced({kA, kB, kC});
  EXPECT_EQ(all.all().size(), 2U);
  ASSERT_EQ(all.next(kStart), kA);
  all.announced({kB, kC});
  EXPECT_EQ(all.all().size(), 2U) << "the one under way is not forgotten";
  all.failed(kA, kStart);
  all.announced({kB, kC});
  ASSERT_EQ(all.all().size(), 2U);
  EXPECT_EQ(all.all()[1].place, kC);
  all.failed(kA, kStart);  // nobody knows it any more
  all.worked(kA);
}

TEST(Candidates, who_had_the_device_wait_comes_in_turns_with_those_never_tried) {
  Candidates all;
  std::vector<Place> places;
  const auto another = [&](int n) {
    places.push_back({"fe80::" + std::to_string(n), 4443, 2});
    all.announced(places);
  };
  for (int n = 0; n < 12; ++n) {
    another(n);
  }
  const Place first = places[0], second = places[1];
  ASSERT_EQ(all.next(kStart), first);
  ASSERT_EQ(all.next(kStart), second);
  all.left_waiting(first, kStart);
  all.left_waiting(second, kStart);
  EXPECT_EQ(all.next(kStart + seconds(9)), places[2]) << "its pause is not over";
  const Instant later = kStart + seconds(10);
  EXPECT_EQ(all.next(later), first);
  EXPECT_EQ(all.next(later), places[3]);
  EXPECT_EQ(all.next(later), second);
  EXPECT_EQ(all.next(later), places[4]);
  EXPECT_EQ(all.next(later), places[5]) << "nobody else waits";
  all.left_waiting(first, later);
  all.failed(second, later);
  EXPECT_EQ(all.next(later + seconds(10)), first) << "as long a pause as before";
  all.failed(first, later + seconds(10));
  for (std::size_t n = 6; n < 12; ++n) {
    EXPECT_EQ(all.next(later + seconds(20)), places[n]) << "who failed comes after all others";
  }
  EXPECT_EQ(all.next(later + seconds(20)), second);
}

// ---- the announcer ----

TEST(Announcer, floods_every_minute_with_a_fresh_session) {
  SeededRng rng(1);
  Announcer announcer;
  EXPECT_EQ(announcer.wakes(), std::nullopt);
  EXPECT_EQ(announcer.due(kStart, rng), std::nullopt);
  announcer.say(proxy_at(4443).offers, kFe80, kStart);
  std::set<std::uint32_t> sessions;
  for (int i = 0; i < 5; ++i) {
    const Instant when = kStart + minutes(i);
    ASSERT_EQ(announcer.wakes(), when);
    EXPECT_EQ(announcer.due(when - Duration(1), rng), std::nullopt);
    const auto sent = announcer.due(when, rng);
    ASSERT_TRUE(sent);
    Flood flood = *Flood::parse(*sent);
    sessions.insert(flood.session);
    flood.session = 1;
    EXPECT_EQ(flood, proxy_at(4443)) << "ttl, initiator and offers as said";
  }
  EXPECT_EQ(sessions.size(), 5U);
}

TEST(Announcer, stops_when_there_is_nothing_to_say) {
  SeededRng rng(1);
  Announcer announcer;
  announcer.say(proxy_at(1).offers, kFe80, kStart);
  ASSERT_TRUE(announcer.due(kStart, rng));
  announcer.say({}, {}, kStart + seconds(1));
  EXPECT_EQ(announcer.due(kStart + minutes(9), rng), std::nullopt);
  EXPECT_EQ(announcer.wakes(), std::nullopt);
}

}  // namespace
}  // namespace imprint::brski
