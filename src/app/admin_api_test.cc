// The admin API over a real socket: who may ask, how requests are read, events, and its own description. The routes one
// by one are in admin_routes_test.cc.
#include "app/admin_api.h"

#include "app/admin_request.h"
#include "app/admin_testing.h"
#include "app/version.h"

namespace imprint::app {
namespace {

// ---- who may ask ----

TEST(AdminApi, wants_the_token) {
  const Api api;
  const Answer none = api.ask({.path = "/v1/devices", .with_token = false});
  expect_problem(none, 401, "API-TOKEN");
  EXPECT_TRUE(none.has("WWW-Authenticate: Bearer"));
  for (const char* wrong : {"Bearer wrong", "Bearer the-token-of-this-tesT", "Bearer the-token-of-this-test2",
                            "Bearer ", "Basic dGhlLXRva2VuLW9mLXRoaXMtdGVzdDo="}) {
    const std::string header = std::string("Authorization: ") + wrong;
    expect_problem(api.ask({.path = "/v1/devices", .headers = {header}, .with_token = false}), 401, "API-TOKEN");
  }
  EXPECT_EQ(api.get("/v1/devices").status, 200);
}

TEST(AdminApi, does_not_say_what_is_there_without_the_token) {
  const Api api;
  expect_problem(api.ask({.path = "/v1/nothing", .with_token = false}), 401, "API-TOKEN");
  expect_problem(api.ask({.method = "POST", .path = "/v1/ca", .with_token = false}), 401, "API-TOKEN");
}

TEST(AdminApi, takes_no_body_without_the_token) {
  const Api api;
  for (const char* path : {"/v1/devices/import", "/v1/nothing", "/healthz"}) {
    Socket socket(api.port);
    socket.send(api.text_of({.path = path, .headers = {"Content-Length: 8000000"}, .with_token = false}));
    const std::string& got = socket.read_until("");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 401 ")) << path << got;
    EXPECT_NE(got.find("\r\nWWW-Authenticate: Bearer\r\n"), std::string::npos) << path;
  }
}

TEST(AdminApi, takes_a_body_that_comes_in_pieces_with_the_token) {
  const Api api;
  const std::string body = R"({"id":"a"})";
  const std::string whole =
      api.text_of({.method = "POST", .path = "/v1/devices", .body = body, .headers = {"Connection: close"}});
  Socket socket(api.port);
  socket.send(whole.substr(0, whole.size() - 3));
  EXPECT_EQ(api.get("/healthz").status, 200);  // meanwhile the server has looked at the head
  socket.send(whole.substr(whole.size() - 3));
  EXPECT_TRUE(socket.read_until("").starts_with("HTTP/1.1 201 "));
}

TEST(AdminApi, three_paths_are_open) {
  const Api api;
  for (const char* path : {"/healthz", "/metrics", "/openapi.json"}) {
    EXPECT_EQ(api.ask({.path = path, .with_token = false}).status, 200) << path;
  }
}

TEST(AdminApi, refuses_names_that_were_made_to_point_here) {
  const Api api;
  const std::string port = ":" + std::to_string(api.port);
  for (const std::string& host : {"evil.example" + port, "127.0.0.1.evil.example" + port, std::string("127.0.0.1"),
                                  std::string("localhost:1"), "[::2]" + port, "127.0.0.1" + port + "@evil.example"}) {
    expect_problem(api.ask({.path = "/v1/devices", .host = host}), 403, "API-HOST");
    EXPECT_EQ(api.ask({.path = "/healthz", .host = host}).status, 403) << host;
  }
  for (const std::string& host : {"localhost" + port, "LocalHost" + port, "[::1]" + port}) {
    EXPECT_EQ(api.ask({.path = "/v1/devices", .host = host}).status, 200) << host;
  }
}

// A browser shows its certificate to every page.
TEST(AdminApi, refuses_what_pages_of_other_origins_ask) {
  const Api api;
  const std::string port = ":" + std::to_string(api.port);
  for (const std::string& origin :
       {std::string("https://evil.example"), std::string("null"), "https://localhost" + port,
        "http://localhost" + port + ".evil.example", std::string("http://localhost:1")}) {
    expect_problem(api.ask({.path = "/v1/devices", .headers = {"Origin: " + origin}}), 403, "API-ORIGIN");
  }
  EXPECT_EQ(api.ask({.path = "/v1/devices", .headers = {"Origin: http://localhost" + port}}).status, 200);
}

TEST(AdminApi, knows_its_names) {
  using admin::is_own_host;
  const std::vector<std::string> names{"Site.example", "192.0.2.7", "2001:db8::7"};
  for (const char* host :
       {"site.example:8480", "SITE.example:8480", "192.0.2.7:8480", "[2001:db8::7]:8480", "localhost:8480"}) {
    EXPECT_TRUE(is_own_host(host, 8480, names)) << host;
  }
  for (const char* host : {"site.example", "site.example:8481", "other.example:8480", "2001:db8::7:8480", ""}) {
    EXPECT_FALSE(is_own_host(host, 8480, names)) << host;
  }
  EXPECT_TRUE(is_own_host("site.example", 443, names));
  EXPECT_FALSE(is_own_host("site.example:8480", 8480));
}

TEST(AdminApi, listens_on_loopback_only) {
  store::TestFolder folder;
  const auto store = store::open_store(folder.file());
  Hub hub(nullptr);
  io::Loop loop;
  AdminApi api(loop, *store, hub, {}, kToken);
  EXPECT_EQ(store::fault_of(api.listen("0.0.0.0", 0)), Fault::refused);
  EXPECT_EQ(store::fault_of(api.listen("192.0.2.1", 0)), Fault::refused);
  EXPECT_EQ(store::fault_of(api.listen("::", 0)), Fault::refused);
}

// ---- how requests are read ----

TEST(AdminApi, answers_head_as_get_without_the_body) {
  const Api api;
  const Answer head = api.ask({.method = "HEAD", .path = "/v1/devices"});
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.body.empty());
  const Answer get = api.get("/v1/devices");
  EXPECT_TRUE(head.has("Content-Length: " + std::to_string(get.body.size()))) << head.head;
  EXPECT_EQ(api.ask({.method = "HEAD", .path = "/v1/devices/a/approve"}).status, 405);
  EXPECT_EQ(api.ask({.method = "HEAD", .path = "/v1/events"}).status, 200);
}

TEST(AdminApi, knows_its_paths_and_methods) {
  const Api api;
  expect_problem(api.get("/v1/nothing"), 404, "API-PATH");
  expect_problem(api.get("/v1/devices/"), 404, "API-PATH");
  expect_problem(api.get("/v1/devices/a/b/c"), 404, "API-PATH");
  const Answer wrong = api.post("/v1/version");
  expect_problem(wrong, 405, "API-METHOD");
  EXPECT_TRUE(wrong.has("Allow: GET, HEAD"));
  EXPECT_TRUE(api.ask({.method = "DELETE", .path = "/v1/devices"}).has("Allow: GET, HEAD, POST"));
}

TEST(AdminApi, refuses_what_it_does_not_know_in_a_query) {
  const Api api;
  for (const char* query : {"color=red", "limit=0", "limit=1001", "limit=ten", "limit=", "limit", "limit=1&limit=2",
                            "cursor=%00", "cursor=%zz", "cursor=%4", "after=a"}) {
    expect_problem(api.get(std::string("/v1/devices?") + query), 400, "API-QUERY");
  }
  expect_problem(api.get("/v1/pending?decided=yes"), 400, "API-QUERY");
  EXPECT_EQ(api.get("/v1/certificates?limit=1000&device=a%3Ab").status, 200);
}

TEST(AdminApi, refuses_what_it_does_not_know_in_a_body) {
  const Api api;
  for (const char* body : {R"({"id":"a","colour":"red"})", R"({"id":7})", R"({"id":"a","one_time":"yes"})", "{}", "[]",
                           R"({"id":"a","id":"b"})", R"({"id":"a")", "null"}) {
    expect_problem(api.post("/v1/devices", body), 400, "API-BODY");
  }
  expect_problem(api.post("/v1/devices", R"({"id":")" + std::string(70'000, 'a') + "\"}"), 413, "API-BODY");
  EXPECT_EQ(*api.read()->count("devices"), 0);
}

TEST(AdminApi, refuses_other_types_of_body) {
  const Api api;
  const Asked form{.method = "POST", .path = "/v1/devices", .body = R"({"id":"a"})", .type = "text/plain"};
  expect_problem(api.ask(form), 415, "API-CONTENT-TYPE");
  const Asked charset{
      .method = "POST", .path = "/v1/devices", .body = R"({"id":"a"})", .type = "application/json; charset=utf-8"};
  EXPECT_EQ(api.ask(charset).status, 201);
}

TEST(AdminApi, a_path_without_a_body_takes_none) {
  const Api api;
  api.post("/v1/devices", R"({"id":"a"})");
  expect_problem(api.post("/v1/devices/a/refuse", R"({"why":"no"})"), 400, "API-BODY");
  EXPECT_EQ(api.post("/v1/devices/a/refuse", "{}").status, 200);
}

// ---- the event stream ----

TEST(AdminApi, streams_what_happens) {
  Api api;
  Socket socket(api.port);
  socket.send(api.text_of({.path = "/v1/events"}));
  EXPECT_NE(socket.read_until(": imprint\n\n").find("Content-Type: text/event-stream"), std::string::npos);
  api.hub.tell("test.said", R"({"a":1})");
  const std::string got = socket.read_until("{\"a\":1}\n\n");
  EXPECT_NE(got.find("\nevent: test.said\ndata: {\"a\":1}\n\n"), std::string::npos) << got;
}

TEST(AdminApi, takes_a_stream_up_again) {
  Api api;
  std::uint64_t first = 0;
  const std::uint64_t listener =
      api.hub.listen(UINT64_MAX, [&](const Event& event) { first = first == 0 ? event.id : first; });
  api.hub.tell("one", "{}");
  api.hub.tell("two", "{}");
  api.hub.tell("three", "{}");
  api.hub.unlisten(listener);
  Socket socket(api.port);
  socket.send(api.text_of({.path = "/v1/events", .headers = {"Last-Event-ID: " + std::to_string(first)}}));
  const std::string got = socket.read_until("event: three\n");
  EXPECT_EQ(got.find("event: one\n"), std::string::npos) << got;
  EXPECT_NE(got.find("id: " + std::to_string(first + 1) + "\nevent: two\n"), std::string::npos) << got;
}

TEST(AdminApi, streams_changes_of_devices) {
  Api api;
  Socket socket(api.port);
  socket.send(api.text_of({.path = "/v1/events"}));
  socket.read_until(": imprint\n\n");
  EXPECT_EQ(api.post("/v1/devices", R"({"id":"lamp-7","one_time":true})").status, 201);
  const std::string got = socket.read_until("\"version\":1");
  EXPECT_NE(got.find("event: device.changed\ndata: {\"id\":\"lamp-7\""), std::string::npos) << got;
  EXPECT_EQ(got.find("token"), std::string::npos) << got;
}

TEST(AdminApi, has_room_for_32_streams) {
  Api api;
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 32; ++i) {
    sockets.push_back(std::make_unique<Socket>(api.port));
    sockets.back()->send(api.text_of({.path = "/v1/events"}));
    sockets.back()->read_until(": imprint\n\n");
  }
  expect_problem(api.get("/v1/events"), 503, "API-BUSY");
  sockets.pop_back();
  bool room = false;
  for (int i = 0; i < 200 && !room; ++i) {  // the server notices when the connection's end arrives
    Socket socket(api.port);
    socket.send(api.text_of({.path = "/v1/events"}));
    room = socket.read_until("\r\n").starts_with("HTTP/1.1 200");
  }
  EXPECT_TRUE(room);
}

// ---- its own description ----

TEST(OpenApi, names_every_route_and_no_other) {
  const Api api;
  const Json json = api.get("/openapi.json").json();
  EXPECT_EQ(json.value("openapi", ""), "3.1.0");
  EXPECT_EQ(json["info"]["version"], kVersion);
  std::size_t described = 0;
  for (const auto& [path, methods] : json["paths"].items()) {
    described += methods.size();
  }
  const std::vector<admin::Route> routes = admin::routes();
  EXPECT_EQ(described, routes.size());
  std::set<std::string> operations;
  for (const admin::Route& route : routes) {
    const std::string method = route.method == Method::post ? "post" : "get";
    const std::string path(route.pattern);
    ASSERT_TRUE(json["paths"].contains(path) && json["paths"][path].contains(method)) << path;
    const Json& operation = json["paths"][path][method];
    EXPECT_EQ(operation["operationId"], route.operation);
    EXPECT_TRUE(operations.insert(std::string(route.operation)).second) << route.operation;
    EXPECT_EQ(operation.contains("security"), route.open) << path;
    EXPECT_TRUE(operation["responses"].contains(std::to_string(route.status))) << path;
  }
}

TEST(OpenApi, every_reference_leads_somewhere) {
  const std::string text = admin::openapi(admin::routes());
  const Json json = *parse_json(text);
  static constexpr std::string_view kMark = "\"#/components/schemas/";
  std::size_t found = 0;
  for (std::size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at + 1)) {
    const std::size_t from = at + kMark.size();
    const std::string name = text.substr(from, text.find('"', from) - from);
    EXPECT_TRUE(json["components"]["schemas"].contains(name)) << name;
    ++found;
  }
  EXPECT_GT(found, admin::routes().size());
}

TEST(OpenApi, types_are_json_schema_types_or_references) {
  const Json json = *parse_json(admin::openapi(admin::routes()));
  static const std::set<std::string> known{"string", "integer", "boolean", "object", "array"};
  for (const auto& [name, schema] : json["components"]["schemas"].items()) {
    const Json members = schema.value("properties", Json::object());
    for (const auto& [member, type] : members.items()) {
      const Json shown = type.value("type", Json("object"));
      EXPECT_TRUE(known.contains(shown.is_array() ? shown[0].get<std::string>() : shown.get<std::string>()))
          << name << "." << member;
    }
  }
}

// ---- parts ----

TEST(AdminRequest, decodes_one_segment) {
  Request request;
  request.path = "/v1/devices/a%3Ab/approve";
  request.method = Method::post;
  const std::vector<admin::Route> routes = admin::routes();
  const admin::Match found = admin::match(routes, request);
  ASSERT_NE(found.route, nullptr);
  EXPECT_EQ(found.route->operation, "approveDevice");
  EXPECT_EQ(found.id, "a:b");
  request.path = "/v1/devices/a%2Fapprove";
  request.method = Method::get;
  EXPECT_EQ(admin::match(routes, request).id, "a/approve");
}

TEST(AdminRequest, fixed_paths_win_over_ids) {
  Request request;
  request.path = "/v1/devices/import";
  request.method = Method::post;
  const std::vector<admin::Route> routes = admin::routes();
  EXPECT_EQ(admin::match(routes, request).route->operation, "importDevices");
  request.path = "/v1/audit/verify";
  request.method = Method::get;
  EXPECT_EQ(admin::match(routes, request).route->operation, "verifyAudit");
}

}  // namespace
}  // namespace imprint::app
