// Pages of the API's lists, asked for as a client does.
#include "app/admin_testing.h"

namespace imprint::app {
namespace {

// The values of `member` on every page, a bar after each page. `between` is called after the first page.
std::string pages(const Api& api, const std::string& path, const std::string& list, const std::string& member,
                  const std::function<void()>& between = {}) {
  std::string out, cursor;
  for (int page = 0; page < 20; ++page) {
    const Answer answer = api.get(path + cursor);
    EXPECT_EQ(answer.status, 200) << answer.body;
    const Json json = answer.json();
    if (!json.contains(list) || !json.contains("next")) {
      ADD_FAILURE() << answer.body;
      return out;
    }
    for (const Json& row : json[list]) {
      out += row[member].is_string() ? row[member].get<std::string>() : row[member].dump();
      out += " ";
    }
    out += "|";
    if (json["next"].is_null()) {
      return out;
    }
    cursor = "&cursor=" + json["next"].get<std::string>();
    if (page == 0 && between) {
      between();
    }
  }
  ADD_FAILURE() << path << ": no end";
  return out;
}

void add(const Api& api, const std::string& id) {
  ASSERT_EQ(api.post("/v1/devices", R"({"id":")" + id + "\"}").status, 201);
}

Run run_of(const std::string& id, const std::string& device, std::int64_t at) {
  Run run;
  run.id = id;
  run.protocol = "est";
  run.device = device;
  run.started = Instant{at};
  run.ended = Instant{at + 1};
  run.result = "operational";
  run.steps = {{"Admitting", id, Instant{at}, Duration{1}, "", ""}};
  return run;
}

TEST(AdminPages, of_devices_are_stable_while_others_come) {
  const Api api;
  for (const char* const id : {"b", "d", "f", "h"}) {
    add(api, id);
  }
  EXPECT_EQ(pages(api, "/v1/devices?limit=2", "devices", "id"), "b d |f h |");  // a full last page has no next
  EXPECT_EQ(pages(api, "/v1/devices?limit=3", "devices", "id"), "b d f |h |");
  EXPECT_EQ(pages(api, "/v1/devices?limit=2", "devices", "id",
                  [&] {
                    add(api, "a");  // before the place: not shown, and nothing is shown twice
                    add(api, "e");  // after it
                  }),
            "b d |e f |h |");
}

TEST(AdminPages, of_certificates) {
  const Api api;
  for (const char* const id : {"a", "b", "c"}) {
    add(api, id);
  }
  const store::Signer first, second, third;
  api.write([&](store::Writer& w) { return w.issued(store::issued_fact(first, 1, "a"), Instant{1}, "est"); });
  api.write([&](store::Writer& w) { return w.issued(store::issued_fact(second, 2, "b"), Instant{1}, "est"); });
  api.write([&](store::Writer& w) { return w.issued(store::issued_fact(third, 3, "c"), Instant{1}, "est"); });
  EXPECT_EQ(pages(api, "/v1/certificates?limit=2", "certificates", "device"), "a b |c |");
  EXPECT_EQ(pages(api, "/v1/certificates?limit=1&device=b", "certificates", "device"), "b |");
}

TEST(AdminPages, of_runs_and_of_a_timeline) {
  const Api api;
  add(api, "x");
  api.write([](store::Writer& w) -> Status {
    for (const auto& [id, device, at] : {std::tuple{"1", "x", 1}, {"2", "y", 2}, {"3", "x", 2}, {"4", "x", 3}}) {
      TRY([[maybe_unused]] const Ok saved, w.save_run(run_of(id, device, at)));
    }
    return Ok{};
  });
  EXPECT_EQ(pages(api, "/v1/runs?limit=3", "runs", "run"), "4 3 2 |1 |");
  EXPECT_EQ(pages(api, "/v1/runs?limit=2&device=x", "runs", "run"), "4 3 |1 |");
  EXPECT_EQ(pages(api, "/v1/devices/x/timeline?limit=2", "runs", "run"), "4 3 |1 |");
  EXPECT_EQ(pages(api, "/v1/devices/x/timeline?limit=2", "steps", "check"), "3 4 |1 |");
  // One that comes first and one that goes last move nothing between them.
  EXPECT_EQ(pages(api, "/v1/runs?limit=2", "runs", "run",
                  [&] {
                    api.write([](store::Writer& w) -> Status {
                      TRY([[maybe_unused]] const Ok saved, w.save_run(run_of("5", "x", 9)));
                      return w.prune_runs(4);
                    });
                  }),
            "4 3 |2 |");
}

// Far more runs of others than were looked at before: the timeline is the device's own.
TEST(AdminPages, a_timeline_is_not_hidden_by_the_runs_of_others) {
  const Api api;
  add(api, "x");
  api.write([](store::Writer& w) -> Status {
    TRY([[maybe_unused]] const Ok mine, w.save_run(run_of("mine", "x", 1)));
    for (int n = 0; n < 1200; ++n) {
      TRY([[maybe_unused]] const Ok other, w.save_run(run_of("other-" + std::to_string(n), "y", 2 + n)));
    }
    return Ok{};
  });
  EXPECT_EQ(pages(api, "/v1/devices/x/timeline?limit=2", "runs", "run"), "mine |");
}

TEST(AdminPages, of_requests_that_wait) {
  const Api api;
  for (const std::uint32_t n : {1U, 2U, 3U}) {
    api.write(
        [&](store::Writer& w) { return w.pended(pended_fact(n, "dev-" + std::to_string(n)), Instant{10 * n}, "est"); });
  }
  EXPECT_EQ(pages(api, "/v1/pending?limit=2", "pending", "device"), "dev-1 dev-2 |dev-3 |");
  EXPECT_EQ(pages(api, "/v1/pending?limit=1&decided=true", "pending", "device",
                  [&] {
                    const std::string key = hex(store::numbered(1));
                    EXPECT_EQ(api.post("/v1/pending/" + key + "/refuse").status, 200);
                  }),
            "dev-1 |dev-2 |dev-3 |");
  EXPECT_EQ(pages(api, "/v1/pending?limit=1", "pending", "device"), "dev-2 |dev-3 |");
}

TEST(AdminPages, of_the_audit_log) {
  const Api api;
  add(api, "a");
  add(api, "b");
  add(api, "c");
  EXPECT_EQ(pages(api, "/v1/audit?limit=2", "entries", "sequence"), "1 2 |3 |");
}

TEST(AdminPages, a_cursor_is_good_for_its_list_alone) {
  const Api api;
  for (const char* const id : {"a", "b", "c"}) {
    add(api, id);
  }
  const std::string cursor = api.get("/v1/devices?limit=1").json().value("next", "");
  ASSERT_FALSE(cursor.empty());
  EXPECT_EQ(api.get("/v1/devices?cursor=" + cursor).status, 200);  // another limit is no other list
  for (const std::string& path :
       {"/v1/certificates?cursor=" + cursor, "/v1/runs?cursor=" + cursor, "/v1/audit?cursor=" + cursor,
        "/v1/pending?cursor=" + cursor, "/v1/devices/a/timeline?cursor=" + cursor}) {
    expect_problem(api.get(path), 400, "API-CURSOR");
  }
  const std::string of_audit = api.get("/v1/audit?limit=1").json().value("next", "");
  expect_problem(api.get("/v1/devices?cursor=" + of_audit), 400, "API-CURSOR");
}

TEST(AdminPages, a_cursor_keeps_the_filter) {
  const Api api;
  add(api, "x");
  api.write([](store::Writer& w) -> Status {
    TRY([[maybe_unused]] const Ok first, w.save_run(run_of("1", "x", 1)));
    return w.save_run(run_of("2", "x", 2));
  });
  const std::string cursor = api.get("/v1/runs?limit=1&device=x").json().value("next", "");
  EXPECT_EQ(api.get("/v1/runs?device=x&cursor=" + cursor).status, 200);
  expect_problem(api.get("/v1/runs?cursor=" + cursor), 400, "API-CURSOR");
  expect_problem(api.get("/v1/runs?device=y&cursor=" + cursor), 400, "API-CURSOR");
}

TEST(AdminPages, a_cursor_that_was_changed_is_refused) {
  const Api api;
  add(api, "a");
  add(api, "b");
  const std::string cursor = api.get("/v1/devices?limit=1").json().value("next", "");
  ASSERT_GT(cursor.size(), 4U);
  std::string other = cursor;
  other.back() = other.back() == 'A' ? 'Q' : 'A';
  for (const std::string& bad : {std::string("x"), std::string("nonsense"), cursor.substr(0, 8), cursor + "AAAA", other,
                                 "%2B" + cursor, std::string(600, 'A')}) {
    expect_problem(api.get("/v1/devices?cursor=" + bad), 400, "API-CURSOR");
  }
}

}  // namespace
}  // namespace imprint::app
