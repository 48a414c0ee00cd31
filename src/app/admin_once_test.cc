// Idempotency keys: how they are read, and that a change that is asked for again is made once.
#include "app/admin_once.h"

#include <future>

#include "app/admin_testing.h"

namespace imprint::app {
namespace {

using admin::parse_key;

TEST(OnceKey, is_a_string_with_or_without_quotes) {
  EXPECT_EQ(parse_key("abc-1"), "abc-1");
  EXPECT_EQ(parse_key(R"("abc-1")"), "abc-1");
  EXPECT_EQ(parse_key(R"("a b")"), "a b");
  EXPECT_EQ(parse_key(R"("a\"\\b")"), R"(a"\b)");
  EXPECT_EQ(parse_key(std::string(255, 'k')), std::string(255, 'k'));
  EXPECT_EQ(parse_key('"' + std::string(255, 'k') + '"'), std::string(255, 'k'));
}

TEST(OnceKey, is_refused_if_it_is_no_string_or_too_long) {
  for (const std::string& bad :
       {std::string(), std::string(R"("")"), std::string(R"(")"), std::string("a b"), std::string("a,b"),
        std::string(R"(a"b)"), std::string(R"("a)"), std::string(R"("a"b")"), std::string(R"("a\")"),
        std::string(R"("a\b")"), std::string(R"("a";p=1)"), std::string("k\xc3\xa4"), std::string("\"k\xc3\xa4\""),
        std::string("\"a\tb\""), std::string(256, 'k'), '"' + std::string(256, 'k') + '"'}) {
    EXPECT_FALSE(parse_key(bad)) << bad;
  }
}

Asked keyed(std::string key, std::string path, std::string body = {}) {
  return {.method = "POST",
          .path = std::move(path),
          .body = std::move(body),
          .headers = {"Idempotency-Key: " + std::move(key)}};
}

std::int64_t audit_entries(const Api& api) { return *api.read()->count("audit"); }

TEST(AdminOnce, the_same_request_gets_the_same_answer_and_changes_nothing) {
  const Api api;
  const Asked asked = keyed("k1", "/v1/devices", R"({"id":"a"})");
  const Answer first = api.ask(asked);
  ASSERT_EQ(first.status, 201);
  const std::int64_t entries = audit_entries(api);
  const Answer second = api.ask(asked);
  EXPECT_EQ(second.status, 201);
  EXPECT_EQ(second.body, first.body);
  for (const char* line : {"ETag: \"1\"", "Location: /v1/devices/a", "Content-Type: application/json"}) {
    EXPECT_TRUE(first.has(line)) << line;
    EXPECT_TRUE(second.has(line)) << line;
  }
  EXPECT_EQ(audit_entries(api), entries);
  expect_problem(api.post("/v1/devices", R"({"id":"a"})"), 409, "DEVICE-EXISTS");  // without the key it is a new one
  EXPECT_EQ(api.ask(keyed("\"k1\"", "/v1/devices", R"({"id":"a"})")).body, first.body);
}

TEST(AdminOnce, the_answer_is_that_of_the_time_when_the_change_was_made) {
  const Api api;
  ASSERT_EQ(api.post("/v1/devices", R"({"id":"a"})").status, 201);
  const Answer retired = api.ask(keyed("k1", "/v1/devices/a/refuse"));
  ASSERT_EQ(retired.status, 200);
  ASSERT_EQ(api.post("/v1/devices/a/approve").status, 200);
  EXPECT_EQ(api.ask(keyed("k1", "/v1/devices/a/refuse")).body, retired.body);
  EXPECT_EQ(api.get("/v1/devices/a").json().value("admission", ""), "approved");
}

TEST(AdminOnce, another_request_with_the_key_is_refused) {
  const Api api;
  ASSERT_EQ(api.ask(keyed("k1", "/v1/devices", R"({"id":"a"})")).status, 201);
  expect_problem(api.ask(keyed("k1", "/v1/devices", R"({"id":"b"})")), 422, "API-KEY-REUSED");
  expect_problem(api.ask(keyed("k1", "/v1/devices/a/approve", "")), 422, "API-KEY-REUSED");
  Asked conditional = keyed("k2", "/v1/devices/a/refuse");
  ASSERT_EQ(api.ask(conditional).status, 200);
  conditional.headers.emplace_back("If-Match: \"2\"");
  expect_problem(api.ask(conditional), 422, "API-KEY-REUSED");
  EXPECT_EQ(api.get("/v1/devices/b").status, 404);
}

TEST(AdminOnce, a_refused_change_is_not_kept) {
  const Api api;
  const Asked asked = keyed("k1", "/v1/devices/a/approve");
  expect_problem(api.ask(asked), 404, "DEVICE-UNKNOWN");
  ASSERT_EQ(api.post("/v1/devices", R"({"id":"a"})").status, 201);
  EXPECT_EQ(api.ask(asked).status, 200);
}

TEST(AdminOnce, an_answer_with_a_secret_is_not_kept_and_not_made_again) {
  const Api api;
  const Asked device = keyed("k1", "/v1/devices", R"({"id":"a","one_time":true})");
  const Answer first = api.ask(device);
  ASSERT_EQ(first.status, 201);
  const std::string token = first.json().value("token", "");
  ASSERT_EQ(token.size(), 43U);
  const std::int64_t entries = audit_entries(api);
  expect_problem(api.ask(device), 409, "API-KEY-SECRET");
  const Asked fresh = keyed("k2", "/v1/devices/a/token");
  ASSERT_EQ(api.ask(fresh).status, 201);
  expect_problem(api.ask(fresh), 409, "API-KEY-SECRET");
  EXPECT_EQ(audit_entries(api), entries + 1);
  std::optional<store::KeptAnswer> kept;
  api.write([&](store::Writer& w) -> Status {
    Request request;
    TRY(kept, w.kept_answer(admin::once_key("k1", {"admin", {}}, request, kPepper).key, io::wall_clock()));
    return Ok{};
  });
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->had_secret);
  EXPECT_TRUE(kept->body.empty());
}

TEST(AdminOnce, an_import_is_told_again_as_it_was) {
  const Api api;
  Asked asked = keyed("k1", "/v1/devices/import", "{\"id\":\"a\",\"idevid\":" + Json(to_pem(api.ca())).dump() + "}\n");
  asked.type = "application/jsonl";
  const Answer first = api.ask(asked);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(api.ask(asked).body, first.body);
  asked.headers.clear();
  EXPECT_EQ(api.ask(asked).json().value("added", -1), 0);
}

TEST(AdminOnce, a_request_that_is_under_way_is_a_conflict) {
  const Api api;
  ASSERT_EQ(api.post("/v1/devices", R"({"id":"a"})").status, 201);
  std::promise<void> held, go_on;
  std::future<void> may_go_on = go_on.get_future();
  api.store->submit(
      [&](store::Writer&) -> Status {
        held.set_value();
        may_go_on.wait();  // the store's thread does nothing else meanwhile
        return Ok{};
      },
      [](const Status&) {});
  held.get_future().wait();
  const Asked asked = keyed("k1", "/v1/devices/a/retire");
  const auto ask = [&] { return api.ask(asked); };
  std::array both{std::async(std::launch::async, ask), std::async(std::launch::async, ask)};
  // Whichever comes second is answered while the other one waits for the store.
  std::size_t second = 0;
  for (int i = 0; i < 1000 && both.at(second).wait_for(Duration(10)) != std::future_status::ready; ++i) {
    second = 1 - second;
  }
  go_on.set_value();
  expect_problem(both.at(second).get(), 409, "API-KEY-BUSY");
  EXPECT_EQ(both.at(1 - second).get().status, 200);
  EXPECT_EQ(ask().status, 200);
}

TEST(AdminOnce, a_bad_key_is_refused_before_anything_is_done) {
  const Api api;
  for (const std::string& bad : {std::string("a b"), std::string("a,b"), std::string(R"("a)"), std::string(256, 'k')}) {
    expect_problem(api.ask(keyed(bad, "/v1/devices", R"({"id":"a"})")), 400, "API-KEY");
  }
  expect_problem(api.ask(keyed("", "/v1/devices", R"({"id":"a"})")), 400, "API-KEY");
  Asked twice = keyed("k1", "/v1/devices", R"({"id":"a"})");
  twice.headers.emplace_back("Idempotency-Key: k2");
  EXPECT_EQ(api.ask(twice).status, 400);
  EXPECT_EQ(api.get("/v1/devices/a").status, 404);
}

TEST(AdminOnce, a_request_that_changes_nothing_takes_no_key) {
  const Api api;
  EXPECT_EQ(api.ask({.path = "/v1/devices", .headers = {"Idempotency-Key: \"k1"}}).status, 200);
}

TEST(AdminOnce, askers_do_not_meet) {
  Request request;
  request.method = Method::post;
  request.path = "/v1/devices";
  const admin::OnceKey one = admin::once_key("k", {"a", {}}, request, kPepper);
  EXPECT_NE(one.key, admin::once_key("k", {"b", {}}, request, kPepper).key);
  EXPECT_NE(one.key, admin::once_key("", {"ak", {}}, request, kPepper).key);
  EXPECT_EQ(one.request, admin::once_key("k", {"b", {}}, request, kPepper).request);
  EXPECT_NE(one.request, admin::once_key("k", {"a", {}}, request, Secret("another pepper")).request);
}

}  // namespace
}  // namespace imprint::app
