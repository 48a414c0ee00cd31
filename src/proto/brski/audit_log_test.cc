#include "proto/brski/audit_log.h"

#include "codec/base64.h"
#include "proto/brski/brski_testing.h"

namespace imprint::brski {
namespace {

using testing::certificate_of;

// RFC 8995 figure 18.
constexpr std::string_view kExample = R"({
  "version":"1",
  "events":[
    {"date":"2019-05-15T17:25:55.644-04:00", "domainID":"BduJhdHPpfhQLyponf48JzXSGZ8=",
     "nonce":"VOUFT-WwrEv0NuAQEHoV7Q", "assertion":"proximity", "truncated":"0"},
    {"date":"2017-05-15T17:25:55.644-04:00", "domainID":"BduJhdHPpfhQLyponf48JzXSGZ8=",
     "nonce":"f4G6Vi1t8nKo/FieCVgpBg==", "assertion":"proximity"}],
  "truncation": {"nonced duplicates": "0", "nonceless duplicates": "1", "arbitrary": "2"}})";

LogEvent event(std::int64_t at, std::uint8_t domain, bool nonced = true) {
  return {DateTime::of(Instant{at * 1000}), Bytes{domain}, nonced ? std::optional<std::string>("n") : std::nullopt,
          Assertion::logged, 0};
}

TEST(AuditLog, reads_the_example_of_the_rfc) {
  const auto log = parse_audit_log(kExample);
  ASSERT_TRUE(log);
  EXPECT_EQ(log->version, 1U);
  ASSERT_EQ(log->events.size(), 2U);
  EXPECT_EQ(log->events[0].domain_id, *parse_base64("BduJhdHPpfhQLyponf48JzXSGZ8="));
  EXPECT_EQ(log->events[0].nonce, "VOUFT-WwrEv0NuAQEHoV7Q") << "as text, whatever it is";
  EXPECT_EQ(log->events[0].assertion, Assertion::proximity);
  EXPECT_EQ(utc_text(log->events[0].date.at), "2019-05-15T21:25:55Z");
  EXPECT_EQ(log->nonced_duplicates, 0U);
  EXPECT_EQ(log->nonceless_duplicates, 1U);
  EXPECT_EQ(log->arbitrary, 2U);
}

TEST(AuditLog, comes_back_as_it_was) {
  AuditLog log = *parse_audit_log(kExample);
  log.events[1].nonce.reset();
  log.events[1].truncated = 3;
  EXPECT_EQ(parse_audit_log(encode_audit_log(log)), log);
  EXPECT_NE(encode_audit_log(log).find("\"nonce\":null"), std::string::npos);
  EXPECT_NE(encode_audit_log(log).find("\"version\":1"), std::string::npos) << "numbers are numbers";
}

TEST(AuditLog, a_missing_truncation_is_none_and_a_missing_nonce_is_nonceless) {
  const auto log = parse_audit_log(
      R"({"version":1,"events":[{"date":"2019-05-15T17:25:55Z","domainID":"AQ==","assertion":"verified"}]})");
  ASSERT_TRUE(log);
  EXPECT_EQ(log->arbitrary, 0U);
  EXPECT_FALSE(log->events.at(0).nonce);
}

TEST(AuditLog, counts_events_that_it_does_not_understand) {
  for (const std::string_view odd :
       {"1", R"({"date":"x","domainID":"AQ==","nonce":null,"assertion":"logged"})",
        R"({"date":"2019-05-15T17:25:55Z","domainID":"%","nonce":null,"assertion":"logged"})",
        R"({"date":"2019-05-15T17:25:55Z","domainID":"","nonce":null,"assertion":"logged"})",
        R"({"date":"2019-05-15T17:25:55Z","domainID":"AQ==","nonce":7,"assertion":"logged"})",
        R"({"date":"2019-05-15T17:25:55Z","domainID":"AQ==","nonce":null})",
        R"({"date":"2019-05-15T17:25:55Z","domainID":"AQ==","assertion":"logged","truncated":"x"})"}) {
    const auto log = parse_audit_log(R"({"version":2,"events":[)" + std::string(odd) + "]}");
    ASSERT_TRUE(log) << odd;
    EXPECT_EQ(log->unknown_events, 1U) << odd;
    EXPECT_TRUE(log->events.empty()) << odd;
  }
}

TEST(AuditLog, names_and_nonces_have_an_end) {
  const auto events = [](std::size_t domain, std::size_t nonce) {
    return parse_audit_log(R"({"version":1,"events":[{"date":"2019-05-15T17:25:55Z","domainID":")" +
                           base64(Bytes(domain, 1)) + R"(","nonce":")" + std::string(nonce, 'n') +
                           R"(","assertion":"logged"}]})")
        ->events.size();
  };
  EXPECT_EQ(events(64, 256), 1U);
  EXPECT_EQ(events(65, 1), 0U);
  EXPECT_EQ(events(1, 257), 0U);
}

TEST(AuditLog, refuses_what_is_none) {
  for (const std::string_view bad :
       {"[]", "{}", R"({"version":1})", R"({"events":[]})", R"({"version":"x","events":[]})",
        R"({"version":1,"events":{}})", R"({"version":1,"events":[],"truncation":1})",
        R"({"version":1,"events":[],"truncation":{"arbitrary":-1}})"}) {
    const auto log = parse_audit_log(bad);
    ASSERT_FALSE(log) << bad;
    EXPECT_EQ(log.error().fault, Fault::malformed) << bad;
  }
  EXPECT_EQ(parse_audit_log(std::string((64U << 10U) + 1, ' ')).error().fault, Fault::limit);
  std::string many = R"({"version":1,"events":[0)";
  for (int i = 0; i < 1024; ++i) {
    many += ",0";
  }
  EXPECT_EQ(parse_audit_log(many + "]}").error().fault, Fault::limit);
}

// highway's, which a maker's file may let count.
TEST(AuditLog, entries_with_registrar_id_are_entries_only_where_it_is_told_to) {
  const std::string text =
      R"({"version":"1","events":[{"date":"2026-11-23T01:09:00.742Z","registrarID":"AQI=","nonce":"n"},)"
      R"({"date":"2026-11-23T01:09:00Z","registrarID":"AQI=","domainID":"AwQ=","assertion":"verified"},)"
      R"({"date":"2026-11-23T01:09:00Z","registrarID":7},{"date":"2026-11-23T01:09:00Z","domainID":"AwQ="},8]})";
  const auto strict = parse_audit_log(text);
  ASSERT_TRUE(strict);
  EXPECT_EQ(strict->events.size(), 1U);
  EXPECT_EQ(strict->unknown_events, 4U);
  const auto read = parse_audit_log(text, true);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->events.size(), 2U);
  EXPECT_EQ(read->unknown_events, 3U);
  EXPECT_EQ(read->events[0].domain_id, (Bytes{1, 2}));
  EXPECT_EQ(read->events[0].assertion, Assertion::logged);
  EXPECT_EQ(read->events[0].nonce, "n");
  EXPECT_EQ(read->events[1].domain_id, (Bytes{3, 4})) << "the RFC's own counts";
  EXPECT_EQ(read->events[1].assertion, Assertion::verified);
}

TEST(AuditLog, the_domain_is_the_key_identifier_else_the_hash_of_the_key) {
  EXPECT_EQ(hex(domain_id(certificate_of("rfc8995-c1-jrc_prime256v1"))),
            "3b2eb0daf4bc6abf26fc5b441eececeec97b2d20f7a56f724c280279ca082f73");
  EXPECT_EQ(hex(domain_id(certificate_of("rfc8995-c1-ownerca_secp384r1"))), "b9a5f6cb11e107a4492ca708c67c10bc87b37426");
}

TEST(AuditLog, abridged_keeps_of_each_domain_the_latest_of_each_kind) {
  AuditLog log;
  log.events = {event(1, 1), event(2, 1, false), event(3, 1), event(4, 2), event(5, 1), event(6, 1, false)};
  const AuditLog out = abridge(log, 1);
  ASSERT_EQ(out.events.size(), 3U);
  EXPECT_EQ(out.events[0].domain_id, Bytes{2});
  EXPECT_EQ(out.events[1].date.at, Instant{5000});
  EXPECT_EQ(out.events[1].truncated, 2U);
  EXPECT_EQ(out.events[2].date.at, Instant{6000});
  EXPECT_EQ(out.events[2].truncated, 1U);
  EXPECT_EQ(out.nonced_duplicates, 2U);
  EXPECT_EQ(out.nonceless_duplicates, 1U);
  EXPECT_EQ(out.arbitrary, 0U);
  EXPECT_EQ(abridge(log, 6), log);
  EXPECT_EQ(abridge(log, 4).events.size(), 4U) << "the latest four are three kinds and one more";
}

}  // namespace
// A domain with a long name of its own would make the log of every later owner unreadable.
TEST(AuditLog, a_domain_s_own_identifier_counts_if_a_reader_takes_it) {
  Certificate pinned = certificate_of("rfc8995-c1-ownerca_secp384r1");
  pinned.key_id.assign(64, 7);
  EXPECT_EQ(domain_id(pinned), pinned.key_id);
  pinned.key_id.assign(65, 7);
  EXPECT_EQ(domain_id(pinned), to_bytes(sha256(pinned.key.spki)));
}

TEST(AuditLog, abridged_is_never_more_than_is_read_and_says_how_many_went) {
  AuditLog log;
  for (std::int64_t i = 0; i < 4096; ++i) {
    LogEvent one = event(i, 1);
    one.domain_id = Bytes(64, static_cast<std::uint8_t>(i));
    one.domain_id.front() = static_cast<std::uint8_t>(i >> 8);
    log.events.push_back(one);
  }
  const AuditLog out = abridge(log, 10);
  EXPECT_GT(out.events.size(), 100U);
  EXPECT_EQ(out.events.size() + out.arbitrary, 4096U);
  EXPECT_EQ(out.events.back().date.at, Instant{4095 * 1000}) << "the latest stay";
  const auto read = parse_audit_log(encode_audit_log(out));
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(*read, out);
}

}  // namespace imprint::brski
