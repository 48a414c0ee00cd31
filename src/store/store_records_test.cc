// Secrets, requests that wait for a person, and runs.
#include <future>

#include "store/rules.h"
#include "store/store_testing.h"

namespace imprint::store {
namespace {

// ---- secrets ----

class SecretTest : public StoreTest {
 protected:
  void SetUp() override { ASSERT_TRUE(add(device_named("dev-1"))); }
  Status add_secret(const std::string& user, bool one_time, std::uint8_t mac) {
    Sha256 value{};
    value.fill(mac);
    return write([&](Writer& w) { return w.add_secret({"dev-1", user, one_time, value, false}); });
  }
  std::optional<DeviceSecret> secret(std::uint8_t mac) {
    Sha256 value{};
    value.fill(mac);
    return *read()->secret(value);
  }
  Status issue_spending(std::uint32_t n, std::string spent) {
    Issued fact = issued_fact(signer_, n);
    fact.spent = std::move(spent);
    return issue(fact);
  }
};

TEST_F(SecretTest, one_time_secret_is_spent_by_one_certificate) {
  ASSERT_TRUE(add_secret("dev-1", true, 0xaa));
  EXPECT_FALSE(secret(0xbb));
  ASSERT_TRUE(secret(0xaa));
  EXPECT_EQ(secret(0xaa)->device, "dev-1");
  EXPECT_TRUE(secret(0xaa)->one_time);
  EXPECT_FALSE(secret(0xaa)->spent);
  const std::string named = hex(Bytes(32, 0xaa));
  ASSERT_TRUE(issue_spending(1, named));
  EXPECT_TRUE(secret(0xaa)->spent);
  EXPECT_EQ(fault_of(issue_spending(2, named)), Fault::conflict);
  EXPECT_FALSE(read()->certificate(numbered(2))->has_value());
  EXPECT_EQ((*read()->device("dev-1"))->version, 2);  // the refused one left the device alone
}

TEST_F(SecretTest, a_certificate_spends_the_token_that_it_names_and_no_other) {
  ASSERT_TRUE(add_secret("dev-1", true, 0xaa));
  ASSERT_TRUE(add_secret("dev-1", true, 0xbb));
  ASSERT_TRUE(issue_spending(1, hex(Bytes(32, 0xaa))));
  EXPECT_TRUE(secret(0xaa)->spent);
  EXPECT_FALSE(secret(0xbb)->spent);
}

TEST_F(SecretTest, password_stays_and_a_secret_of_another_device_is_not_touched) {
  ASSERT_TRUE(add_secret("user", false, 0xaa));
  ASSERT_TRUE(add(device_named("dev-2")));
  Sha256 other{};
  other.fill(0xbb);
  ASSERT_TRUE(write([&](Writer& w) { return w.add_secret({"dev-2", "user", true, other, false}); }));
  EXPECT_EQ(fault_of(issue_spending(1, hex(Bytes(32, 0xaa)))), Fault::conflict);
  EXPECT_EQ(fault_of(issue_spending(1, hex(Bytes(32, 0xbb)))), Fault::conflict);
  ASSERT_TRUE(write([](Writer& w) { return w.spend_one_time("dev-1", Instant{5}); }));
  EXPECT_FALSE(secret(0xaa)->spent);
  EXPECT_FALSE(secret(0xbb)->spent);
}

TEST_F(SecretTest, secret_exists_once_and_for_a_known_device) {
  ASSERT_TRUE(add_secret("user", true, 0xaa));
  EXPECT_EQ(fault_of(add_secret("user", true, 0xaa)), Fault::conflict);
  EXPECT_EQ(fault_of(write([](Writer& w) { return w.add_secret({"dev-2", "", true, {}, false}); })), Fault::refused);
}

// What HTTP Digest needs is found by user name: what may still be used first.
TEST_F(SecretTest, a_wrap_key_is_found_by_device_and_by_mac) {
  const auto add_key = [&](const std::string& device, Bytes id, std::uint8_t mac) {
    Sha256 value{};
    value.fill(mac);
    return write([&](Writer& w) { return w.add_wrap_key({device, id, value, {mac, mac}}); });
  };
  ASSERT_TRUE(add(device_named("dev-2")));
  ASSERT_TRUE(add_key("dev-1", {2}, 0xaa));
  ASSERT_TRUE(add_key("dev-1", {1}, 0xbb));
  ASSERT_TRUE(add_key("dev-2", {1}, 0xcc));
  EXPECT_EQ(fault_of(add_key("dev-1", {1}, 0xdd)), Fault::conflict);
  EXPECT_EQ(fault_of(add_key("dev-2", {3}, 0xaa)), Fault::conflict);
  EXPECT_EQ(fault_of(add_key("dev-3", {1}, 0xee)), Fault::refused);
  const auto found = *read()->wrap_keys("dev-1");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].id, Bytes{1});
  EXPECT_EQ(found[0].sealed, (Bytes{0xbb, 0xbb}));
  EXPECT_EQ(found[1].id, Bytes{2});
  EXPECT_EQ(*read()->wrap_key(found[1].mac), found[1]);
  EXPECT_FALSE(*read()->wrap_key(Sha256{}));
  ASSERT_TRUE(write([](Writer& w) { return w.forget_wrap_keys("dev-1", Bytes{1}); }));
  EXPECT_EQ(read()->wrap_keys("dev-1")->size(), 1U);
  ASSERT_TRUE(write([](Writer& w) { return w.forget_wrap_keys("dev-1", {}); }));
  EXPECT_TRUE(read()->wrap_keys("dev-1")->empty());
  EXPECT_EQ(read()->wrap_keys("dev-2")->size(), 1U);
}

TEST_F(SecretTest, digests_of_a_user_are_found_what_is_not_spent_first) {
  const auto add_with_digest = [&](const std::string& user, std::uint8_t mac, Bytes digest) {
    Sha256 value{};
    value.fill(mac);
    return write([&](Writer& w) { return w.add_secret({"dev-1", user, true, value, false, digest}); });
  };
  ASSERT_TRUE(add_with_digest("dev-1", 1, {1, 1}));
  ASSERT_TRUE(write([](Writer& w) { return w.spend_one_time("dev-1", Instant{5}); }));
  ASSERT_TRUE(add_with_digest("dev-1", 2, {2, 2}));
  ASSERT_TRUE(add_with_digest("dev-1", 3, {}));
  ASSERT_TRUE(add_with_digest("dev-2", 4, {4}));
  const auto found = *read()->secrets_of("dev-1");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].digest, (Bytes{2, 2}));
  EXPECT_FALSE(found[0].spent);
  EXPECT_EQ(found[1].digest, (Bytes{1, 1}));
  EXPECT_TRUE(found[1].spent);
  EXPECT_TRUE(read()->secrets_of("dev-3")->empty());
  for (std::uint8_t mac = 10; mac < 30; ++mac) {
    ASSERT_TRUE(add_with_digest("dev-1", mac, {mac}));
  }
  EXPECT_EQ(read()->secrets_of("dev-1")->size(), 8U);
}

// ---- the owner's own server ----

TEST_F(StoreTest, a_server_certificate_is_on_record_and_revoked_like_any_other) {
  const Bytes der = signer_.certificate(numbered(7));
  const auto record = [&] {
    return write([&](Writer& w) { return w.issued_to_server(der, "made for tls/", Instant{4}, "server"); });
  };
  ASSERT_TRUE(record());
  EXPECT_EQ(fault_of(record()), Fault::conflict);
  ASSERT_TRUE(add(device_named("dev-1")));
  EXPECT_EQ(*read()->other_holder(signer_.spki_sha256(), "dev-1"), kServer);
  EXPECT_EQ(fault_of(issue(issued_fact(signer_, 8))), Fault::conflict) << "a device with the server's key";
  CertificateFilter filter;
  EXPECT_EQ(read()->certificates(filter)->size(), 1U);
  filter.device = kServer;
  const auto rows = *read()->certificates(filter);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].device, kServer);
  EXPECT_EQ(rows[0].der, der);
  EXPECT_EQ(rows[0].issued, Instant{4});
  filter.device = "dev-1";
  EXPECT_TRUE(read()->certificates(filter)->empty());
  ASSERT_TRUE(
      write([](Writer& w) { return w.revoke(numbered(7), RevocationReason::key_compromise, "cli", Instant{9}); }));
  EXPECT_EQ(read()->revoked(Instant{})->size(), 1U);
  EXPECT_EQ((*read()->certificate(numbered(7)))->revoked, Instant{9});
  EXPECT_EQ(actions(), (std::vector<std::string>{"certificate.issued", "device.added", "certificate.revoked"}));
  EXPECT_EQ(*read()->count("devices"), 1);
}

TEST_F(StoreTest, no_device_can_have_the_servers_name) {
  EXPECT_FALSE(valid_device_id(kServer));
  EXPECT_EQ(fault_of(add(device_named(std::string(kServer)))), Fault::malformed);
  EXPECT_EQ(fault_of(issue(issued_fact(signer_, 1, std::string(kServer)))), Fault::refused);
}

TEST_F(StoreTest, the_number_of_a_revocation_list_never_falls) {
  const auto next = [&](std::int64_t least) {
    std::int64_t out = 0;
    EXPECT_TRUE(write([&](Writer& w) -> Status {
      TRY(out, w.next_list_number(least));
      return Ok{};
    }));
    return out;
  };
  EXPECT_EQ(next(1000), 1000);
  EXPECT_EQ(next(2000), 2000);
  reopen();
  EXPECT_EQ(next(500), 2001) << "the clock was set back";
  EXPECT_EQ(next(2001), 2002);
}

// ---- requests ----

Pended pended_fact() {
  return {numbered(5), "dev-1", "IDevID CN=x", "x509:dev-1", "lamps", "CN=lamp", {1, 2, 3}, "a person decides", {}};
}

TEST_F(StoreTest, request_that_comes_again_is_counted_not_audited) {
  const auto ask = [&](Instant at) { return write([at](Writer& w) { return w.pended(pended_fact(), at, "est"); }); };
  ASSERT_TRUE(ask(Instant{1}));
  ASSERT_TRUE(ask(Instant{2}));
  reopen();
  const std::optional<PendingRow> row = *read()->pending(numbered(5));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->what, pended_fact());
  EXPECT_EQ(row->first, Instant{1});
  EXPECT_EQ(row->last, Instant{2});
  EXPECT_EQ(row->asked, 2);
  EXPECT_EQ(row->state, Admission::waiting);
  EXPECT_EQ(read()->all_pending()->size(), 1U);
  EXPECT_EQ(*read()->count("audit"), 1);
  EXPECT_FALSE(read()->pending(numbered(6))->has_value());
}

TEST_F(StoreTest, newcomer_joins_with_the_first_request_only) {
  Pended fact = pended_fact();
  fact.newcomer = device_named("dev-1");
  fact.newcomer->admission = Admission::waiting;
  const auto ask = [&](Writer& w) { return w.pended(fact, Instant{1}, "est"); };
  ASSERT_TRUE(write(ask));
  ASSERT_TRUE(write(ask));
  EXPECT_EQ((*read()->device("dev-1"))->admission, Admission::waiting);
  EXPECT_EQ(actions(), (std::vector<std::string>{"device.added", "request.pending"}));
}

TEST_F(StoreTest, request_is_decided_once) {
  ASSERT_TRUE(write([](Writer& w) { return w.pended(pended_fact(), Instant{1}, "est"); }));
  const auto decide = [&](const Bytes& key, Admission verdict) {
    return write([=](Writer& w) { return w.decide(key, verdict, "anna", Instant{9}); });
  };
  EXPECT_EQ(fault_of(decide(numbered(5), Admission::waiting)), Fault::malformed);
  EXPECT_EQ(fault_of(decide(numbered(6), Admission::approved)), Fault::refused);
  ASSERT_TRUE(decide(numbered(5), Admission::approved));
  EXPECT_EQ(fault_of(decide(numbered(5), Admission::refused)), Fault::conflict);
  const std::optional<PendingRow> row = *read()->pending(numbered(5));
  EXPECT_EQ(row->state, Admission::approved);
  EXPECT_EQ(row->decided_by, "anna");
  EXPECT_EQ(row->decided, Instant{9});
  EXPECT_EQ(actions(), (std::vector<std::string>{"request.pending", "request.approved"}));
}

TEST_F(StoreTest, denial_is_audited_with_its_rule) {
  const Denied fact{numbered(5), "nobody", "lamps", "CN=lamp", "SITE-UNKNOWN", "not in the inventory"};
  ASSERT_TRUE(write([&](Writer& w) { return w.denied(fact, Instant{3}, "est"); }));
  const std::vector<AuditEntry> audit = *read()->audit(0, 10);
  ASSERT_EQ(audit.size(), 1U);
  EXPECT_EQ(audit[0].sequence, 1);
  EXPECT_EQ(audit[0].actor, "est");
  EXPECT_EQ(audit[0].action, "request.denied");
  EXPECT_EQ(audit[0].detail, R"({"request":"01000005","identity":"nobody","label":"lamps","rule":"SITE-UNKNOWN",)"
                             R"("reason":"not in the inventory"})");
}

TEST_F(StoreTest, the_same_denial_again_is_counted_not_audited) {
  Denied fact{numbered(5), "nobody", "lamps", "CN=lamp", "SITE-UNWANTED", "refused by anna"};
  const auto deny = [&](std::int64_t at) {
    return write([&](Writer& w) { return w.denied(fact, Instant{at}, "est"); });
  };
  ASSERT_TRUE(deny(3));
  ASSERT_TRUE(deny(4));
  EXPECT_EQ(*read()->count("audit"), 1);
  fact.rule = "SITE-RETIRED";
  ASSERT_TRUE(deny(5));
  fact.request_key = numbered(6);
  ASSERT_TRUE(deny(6));
  EXPECT_EQ(*read()->count("audit"), 3);
}

TEST_F(StoreTest, a_device_may_have_eight_requests_waiting) {
  const auto ask = [&](std::uint32_t n, const std::string& device) {
    Pended fact = pended_fact();
    fact.request_key = numbered(n);
    fact.device = device;
    return write([&](Writer& w) { return w.pended(fact, Instant{1}, "est"); });
  };
  for (std::uint32_t n = 1; n <= 8; ++n) {
    ASSERT_TRUE(ask(n, "dev-1"));
  }
  const Status ninth = ask(9, "dev-1");
  ASSERT_FALSE(ninth);
  EXPECT_EQ(ninth.error().fault, Fault::refused);
  EXPECT_EQ(ninth.error().rule, &kWaitingMany);
  EXPECT_TRUE(ask(8, "dev-1")) << "asked before";
  EXPECT_TRUE(ask(10, "dev-2")) << "another device";
  ASSERT_TRUE(write([](Writer& w) { return w.decide(numbered(1), Admission::refused, "anna", Instant{9}); }));
  EXPECT_TRUE(ask(9, "dev-1")) << "one was decided";
}

// ---- runs ----

Run full_run(std::string id, Instant started) {
  Run run{std::move(id), "est",   "idevid", "client", "dev-1", started, started + Duration(50),
          "failed",      "EST-X", {},       {},       {},      {}};
  run.obtained = {"2 CA certificates"};
  run.steps = {{"Enrolling", "path", started, Duration(7), "refused", "ask the owner"}};
  run.beliefs = {{Fate::replaced,
                  {"anchor:b", Topic::anchor, "key \"B\"\n speaks for ä", Instant{-5}},
                  Strength::confirmed,
                  {Ground::person, "compared", {0x00, 0xff}, {"anchor:a"}},
                  "anchor:a",
                  "rolled over"}};
  run.counts = {1, 2, 3, 4, 5, 6};
  return run;
}

TEST_F(StoreTest, run_is_read_back_whole_and_its_later_state_replaces_it) {
  const imprint::Run run = full_run("00000000000000aa", Instant{100});
  imprint::Run begun = run;
  begun.result.clear();
  begun.steps.clear();
  ASSERT_TRUE(write([&](Writer& w) { return w.save_run(begun); }));
  ASSERT_TRUE(write([&](Writer& w) { return w.save_run(run); }));
  reopen();
  const std::optional<imprint::Run> read_back = *read()->run(run.id);
  ASSERT_TRUE(read_back);
  EXPECT_EQ(read_back->steps, run.steps);
  EXPECT_EQ(read_back->beliefs, run.beliefs);
  EXPECT_EQ(read_back->counts, run.counts);
  EXPECT_EQ(read_back->obtained, run.obtained);
  EXPECT_EQ(read_back->result, "failed");
  EXPECT_EQ(read_back->rule, "EST-X");
  EXPECT_EQ(read_back->ended, run.ended);
  EXPECT_EQ(*read()->count("runs"), 1);
  EXPECT_FALSE(read()->run("00000000000000bb")->has_value());
}

TEST_F(StoreTest, change_that_nobody_waits_for_is_done_all_the_same) {
  std::promise<Status> kept;
  store_->submit_along([](Writer& w) { return w.save_run(full_run("00000000000000aa", Instant{100})); },
                       [&](Status status) { kept.set_value(status); });
  EXPECT_TRUE(kept.get_future().get());
  EXPECT_TRUE(read()->run("00000000000000aa")->has_value());
}

TEST_F(StoreTest, change_that_nobody_waits_for_goes_along_with_the_next_and_before_the_end) {
  const auto along = [&](const std::string& id) {
    store_->submit_along([id](Writer& w) { return w.save_run(full_run(id, Instant{100})); }, [](Status) {});
  };
  along("first");
  ASSERT_TRUE(write([](Writer& w) -> Status {
    const Result<std::optional<imprint::Run>> there = w.run("first");
    return there && there->has_value() ? Status(Ok{}) : Status(Error{Fault::internal, "not in this transaction"});
  }));
  along("last");
  reopen();
  EXPECT_EQ(*read()->count("runs"), 2);
}

TEST_F(StoreTest, the_oldest_runs_go_first) {
  for (const std::int64_t started : {1, 4, 3, 2}) {
    ASSERT_TRUE(write([&](Writer& w) { return w.save_run(full_run(std::to_string(started), Instant{started})); }));
  }
  ASSERT_TRUE(write([](Writer& w) { return w.prune_runs(2); }));
  EXPECT_EQ(*read()->count("runs"), 2);
  EXPECT_TRUE(read()->run("3")->has_value());
  EXPECT_TRUE(read()->run("4")->has_value());
  ASSERT_TRUE(write([](Writer& w) { return w.prune_runs(2); }));
  EXPECT_EQ(*read()->count("runs"), 2);
}

TEST_F(StoreTest, runs_are_listed_newest_first_without_their_parts) {
  for (const std::int64_t started : {1, 3, 2}) {
    ASSERT_TRUE(write([&](Writer& w) { return w.save_run(full_run(std::to_string(started), Instant{started})); }));
  }
  const std::vector<imprint::Run> runs = *read()->runs({.device = {}, .limit = 2});
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].id, "3");
  EXPECT_EQ(runs[1].id, "2");
  EXPECT_TRUE(runs[0].steps.empty());
  EXPECT_TRUE(runs[0].beliefs.empty());
}

// Page after page, by the place where the last one ended.
std::string pages_of(Reader& reader, RunFilter filter) {
  std::string out;
  while (true) {
    const std::vector<imprint::Run> page = *reader.runs(filter);
    if (page.empty()) {
      return out;
    }
    for (const imprint::Run& run : page) {
      out += run.id;
    }
    out += "|";
    filter.before = page.back().started;
    filter.before_id = page.back().id;
  }
}

TEST_F(StoreTest, pages_of_runs_leave_nothing_out_and_repeat_nothing) {
  const auto save = [&](const std::string& id, std::int64_t started, const std::string& device) {
    imprint::Run run = full_run(id, Instant{started});
    run.device = device;
    ASSERT_TRUE(write([&](Writer& w) { return w.save_run(run); }));
  };
  save("a", 1, "x");
  save("b", 2, "y");
  save("c", 2, "x");  // at the same time as another
  save("d", 2, "x");
  save("e", 3, "y");
  EXPECT_EQ(pages_of(*read(), {.device = {}, .limit = 2}), "ed|cb|a|");
  EXPECT_EQ(pages_of(*read(), {.device = "x", .limit = 2}), "dc|a|");
  EXPECT_EQ(pages_of(*read(), {.device = "z", .limit = 2}), "");
  // What comes and goes between two pages moves nobody else.
  const RunFilter second{.device = {}, .limit = 2, .before = Instant{2}, .before_id = "d"};
  save("f", 4, "x");
  ASSERT_TRUE(write([](Writer& w) { return w.prune_runs(5); }));  // "a" goes
  EXPECT_EQ(pages_of(*read(), second), "cb|");
}

TEST_F(StoreTest, pages_of_requests) {
  for (const std::uint8_t n : Bytes{3, 1, 2}) {
    Pended what;
    what.request_key = {n};
    what.device = "dev-" + std::to_string(n);
    ASSERT_TRUE(write([&](Writer& w) { return w.pended(what, Instant{n == 3 ? 1 : 5}, "est"); }));
  }
  ASSERT_TRUE(write([](Writer& w) { return w.decide(Bytes{1}, Admission::approved, "cli", Instant{9}); }));
  const auto keys = [&](const PendingFilter& filter) {
    Bytes out;
    for (const PendingRow& row : *read()->pending_page(filter)) {
      out.push_back(row.what.request_key.at(0));
    }
    return out;
  };
  EXPECT_EQ(keys({}), (Bytes{3, 2}));
  EXPECT_EQ(keys({.decided = true, .limit = 2}), (Bytes{3, 1}));
  EXPECT_EQ(keys({.decided = true, .limit = 2, .after = Instant{5}, .after_key = {1}}), (Bytes{2}));
  EXPECT_EQ(keys({.decided = false, .limit = 2, .after = Instant{1}, .after_key = {3}}), (Bytes{2}));
}

}  // namespace
}  // namespace imprint::store
