// Each route of the admin API, with what it does to the store.
#include <set>

#include "app/admin_testing.h"
#include "app/version.h"
#include "factory/line.h"
#include "site/operations.h"

namespace imprint::app {
namespace {

std::string quoted(const std::string& text) { return Json(text).dump(); }

void add(const Api& api, const std::string& id) {
  const Answer added = api.post("/v1/devices", R"({"id":")" + id + "\"}");
  ASSERT_EQ(added.status, 201) << added.body;
}

std::set<std::string> audited(const Api& api) {
  std::set<std::string> out;
  for (const AuditEntry& entry : *api.read()->audit(0, 1'000)) {
    out.insert(entry.actor + " " + entry.action + " " + entry.subject);
  }
  return out;
}

// ---- devices ----

TEST(AdminDevices, a_device_is_registered_and_shown) {
  const Api api;
  const Answer added = api.post("/v1/devices", R"({"id":"lamp-7","model":"lamp","serial":"4711","label":"lamps"})");
  ASSERT_EQ(added.status, 201) << added.body;
  EXPECT_TRUE(added.has("Location: /v1/devices/lamp-7"));
  EXPECT_TRUE(added.has("ETag: \"1\""));
  expect_schema(api, added.json(), "NewDevice");
  EXPECT_FALSE(added.json().contains("token"));
  const Answer shown = api.get("/v1/devices/lamp-7");
  EXPECT_EQ(shown.status, 200);
  EXPECT_TRUE(shown.has("ETag: \"1\""));
  expect_schema(api, shown.json(), "Device");
  EXPECT_EQ(shown.json()["model"], "lamp");
  EXPECT_EQ(shown.json()["serial"], "4711");
  EXPECT_EQ(shown.json()["label"], "lamps");
  EXPECT_EQ(shown.json()["admission"], "approved");
  EXPECT_TRUE(audited(api).contains("admin device.added lamp-7"));
}

TEST(AdminDevices, a_shared_key_is_kept_and_never_shown) {
  const Api api;
  const std::string key = "d90c1f5a6be28347f1a0b3c45e7d9168";
  const Answer added = api.post("/v1/devices", R"({"id":"lamp-8","wrap_key_id":"0a1b","wrap_key":")" + key + "\"}");
  ASSERT_EQ(added.status, 201) << added.body;
  EXPECT_EQ(added.body.find(key), std::string::npos);
  EXPECT_EQ(api.get("/v1/devices/lamp-8").body.find(key), std::string::npos);
  const auto rows = *api.read()->wrap_keys("lamp-8");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].id, (Bytes{0x0a, 0x1b}));
  EXPECT_TRUE(audited(api).contains("admin device.wrap_key lamp-8"));
  EXPECT_EQ(api.post("/v1/devices", R"({"id":"lamp-9","wrap_key_id":"0c","wrap_key":")" + key + "\"}").status, 409);
  EXPECT_EQ(api.post("/v1/devices", R"({"id":"lamp-9","wrap_key_id":"0c","wrap_key":"0000"})").status, 400);
  EXPECT_EQ(api.post("/v1/devices", R"({"id":"lamp-9","wrap_key":")" + key + "\"}").status, 400);
  EXPECT_EQ(api.get("/v1/devices/lamp-9").status, 404);
}

TEST(AdminDevices, a_one_time_token_is_shown_once_and_stored_as_its_mac) {
  const Api api;
  const Answer added = api.post("/v1/devices", R"({"id":"lamp-7","one_time":true})");
  ASSERT_EQ(added.status, 201) << added.body;
  const std::string token = added.json().value("token", "");
  EXPECT_EQ(token.size(), 43U);
  const auto found = *api.read()->secret(site::secret_mac(kPepper, "lamp-7", Secret(token)));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->device, "lamp-7");
  EXPECT_EQ(found->user, "lamp-7");
  EXPECT_TRUE(found->one_time);
  EXPECT_EQ(api.get("/v1/devices/lamp-7").body.find(token), std::string::npos);
  EXPECT_EQ(api.get("/v1/audit").body.find(token), std::string::npos);
}

TEST(AdminDevices, a_device_with_an_idevid_is_known_by_it) {
  const Api api;
  const Answer added = api.post("/v1/devices", R"({"id":"lamp-7","idevid":)" + quoted(to_pem(api.ca())) + "}");
  ASSERT_EQ(added.status, 201) << added.body;
  EXPECT_EQ((*api.read()->device_by_identity(identity_of(api.ca())))->id, "lamp-7");
  expect_problem(api.post("/v1/devices", R"({"id":"lamp-8","idevid":)" + quoted(to_pem(api.ca())) + "}"), 409,
                 "DEVICE-IDENTITY-TAKEN");
  expect_problem(api.post("/v1/devices", R"({"id":"lamp-9","idevid":"no certificate"})"), 400, "API-BODY");
  EXPECT_EQ(*api.read()->count("devices"), 1);
}

TEST(AdminDevices, ids_are_checked_and_unique) {
  const Api api;
  expect_problem(api.post("/v1/devices", R"({"id":"../etc"})"), 400, "DEVICE-ID");
  expect_problem(api.post("/v1/devices", R"({"id":"a","model":"a\nb"})"), 400, "DEVICE-FIELD");
  add(api, "a");
  expect_problem(api.post("/v1/devices", R"({"id":"a"})"), 409, "DEVICE-EXISTS");
  expect_problem(api.get("/v1/devices/b"), 404, "DEVICE-UNKNOWN");
}

TEST(AdminDevices, a_held_one_says_by_which_rule_and_what_to_do) {
  const Api api;
  add(api, "a");
  EXPECT_EQ(api.get("/v1/devices/a").json()["held"], Json::array());
  const PledgeId id{"lamp-0001", {1}, {2}};
  api.write([&](store::Writer& w) -> Status {
    VoucherObtained voucher;
    voucher.id = id;
    voucher.device = "a";
    voucher.voucher = {1};
    TRY([[maybe_unused]] const Ok had, w.voucher_obtained(voucher, Instant{1}, "t"));
    VoucherReported told;
    told.id = id;
    told.device = "a";
    told.told.status = true;
    told.rule = "BRSKI-PAST";
    told.reason = "another owner";
    return w.voucher_reported(told, Instant{2}, "t");
  });
  const Json held = api.get("/v1/devices/a").json()["held"];
  ASSERT_EQ(held.size(), 1U);
  expect_schema(api, held[0], "Hold");
  EXPECT_EQ(held[0]["rule"], "BRSKI-PAST");
  EXPECT_EQ(held[0]["why"], "another owner");
  EXPECT_EQ(held[0]["next"], "imprint device clear a");
}

TEST(AdminDevices, the_owner_refuses_approves_and_retires) {
  const Api api;
  add(api, "a");
  EXPECT_EQ(api.post("/v1/devices/a/refuse").json()["admission"], "refused");
  EXPECT_EQ(api.post("/v1/devices/a/approve").json()["admission"], "approved");
  EXPECT_EQ(api.post("/v1/devices/a/retire").json()["lifecycle"], "decommissioned");
  EXPECT_EQ((*api.read()->device("a"))->admission, Admission::retired);
  expect_problem(api.post("/v1/devices/a/approve"), 409, "DEVICE-RETIRED");
  expect_problem(api.post("/v1/devices/a/refuse"), 409, "DEVICE-RETIRED");
  expect_problem(api.post("/v1/devices/a/token"), 409, "DEVICE-RETIRED");
  const std::set<std::string> log = audited(api);
  EXPECT_TRUE(log.contains("admin device.refused a"));
  EXPECT_TRUE(log.contains("admin device.approved a"));
  EXPECT_TRUE(log.contains("admin device.retired a"));
  for (const char* word : {"approve", "refuse", "retire", "token"}) {
    expect_problem(api.post(std::string("/v1/devices/b/") + word), 404, "DEVICE-UNKNOWN");
  }
}

TEST(AdminDevices, saying_it_twice_changes_nothing) {
  const Api api;
  add(api, "a");
  EXPECT_TRUE(api.post("/v1/devices/a/approve").has("ETag: \"1\""));
  EXPECT_TRUE(api.post("/v1/devices/a/refuse").has("ETag: \"2\""));
  EXPECT_TRUE(api.post("/v1/devices/a/refuse").has("ETag: \"2\""));
}

TEST(AdminDevices, a_device_that_has_moved_on_is_not_changed) {
  const Api api;
  add(api, "a");
  const auto refuse = [&](const std::string& tag) {
    return api.ask({.method = "POST", .path = "/v1/devices/a/refuse", .headers = {"If-Match: " + tag}});
  };
  expect_problem(refuse("\"7\""), 412, "DEVICE-CHANGED");
  expect_problem(refuse("1"), 400, "API-QUERY");
  expect_problem(refuse("W/\"1\""), 400, "API-QUERY");
  EXPECT_EQ((*api.read()->device("a"))->admission, Admission::approved);
  EXPECT_EQ(refuse("\"1\"").status, 200);
  EXPECT_EQ(refuse("*").status, 200);
  expect_problem(
      api.ask({.method = "POST", .path = "/v1/devices", .body = R"({"id":"b"})", .headers = {"If-Match: \"1\""}}), 400,
      "API-QUERY");
}

TEST(AdminDevices, a_retired_device_has_no_certificates_left) {
  const Api api;
  const store::Signer signer;
  add(api, "a");
  api.write([&](store::Writer& w) { return w.issued(store::issued_fact(signer, 1, "a"), Instant{1'000}, "est"); });
  EXPECT_EQ(api.post("/v1/devices/a/retire").status, 200);
  const auto row = *api.read()->certificate(store::numbered(1));
  ASSERT_TRUE(row && row->revoked);
  EXPECT_EQ(row->revocation_reason, RevocationReason::cessation);
}

TEST(AdminDevices, a_fresh_token_works_beside_the_old_one) {
  const Api api;
  add(api, "a");
  const Answer made = api.post("/v1/devices/a/token");
  ASSERT_EQ(made.status, 201) << made.body;
  expect_schema(api, made.json(), "Token");
  EXPECT_EQ(made.json()["user"], "a");
  const Answer second = api.post("/v1/devices/a/token");
  EXPECT_NE(second.json()["token"], made.json()["token"]);
  for (const Answer& each : {made, second}) {
    EXPECT_TRUE(
        (*api.read()->secret(site::secret_mac(kPepper, "a", Secret(each.json().value("token", ""))))).has_value());
  }
  EXPECT_TRUE(audited(api).contains("admin device.token a"));
}

// ---- import ----

Answer import(const Api& api, std::string manifest) {
  return api.ask(
      {.method = "POST", .path = "/v1/devices/import", .body = std::move(manifest), .type = "application/jsonl"});
}

std::string token_line(const std::string& id) {
  SystemRng rng;
  ManifestEntry entry;
  entry.id = id;
  entry.model = "lamp";
  entry.one_time = site::new_one_time(rng);
  return factory::manifest_line(entry);
}

TEST(AdminImport, takes_a_manifest_and_takes_it_again) {
  const Api api;
  const std::string manifest = token_line("a") + "\n" + token_line("b");
  const Answer first = import(api, manifest);
  ASSERT_EQ(first.status, 200) << first.body;
  expect_schema(api, first.json(), "ImportResult");
  EXPECT_EQ(first.json()["added"], 2);
  EXPECT_EQ(first.json()["lines"][1]["line"], 3);  // the second is empty
  EXPECT_EQ(first.json()["lines"][1]["id"], "b");
  EXPECT_EQ(first.json()["lines"][1]["result"], "added");
  const Answer again = import(api, manifest);
  EXPECT_EQ(again.json()["added"], 0);
  EXPECT_EQ(again.json()["lines"][0]["result"], "unchanged");
  EXPECT_EQ(*api.read()->count("devices"), 2);
}

TEST(AdminImport, takes_nothing_if_a_device_is_there_with_other_contents) {
  const Api api;
  add(api, "b");
  const Answer refused = import(api, token_line("a") + token_line("b"));
  expect_problem(refused, 422, "MANIFEST-REFUSED");
  const Json lines = refused.json()["lines"];
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1]["line"], 2);
  EXPECT_EQ(lines[1]["rule"], "DEVICE-EXISTS");
  expect_schema(api, lines[1], "ImportLine");
  EXPECT_FALSE((*api.read()->device("a")).has_value());
  EXPECT_FALSE(audited(api).contains("admin device.added a"));
}

TEST(AdminImport, names_the_lines_that_cannot_be_read) {
  const Api api;
  const Answer refused = import(api, token_line("a") + "{}\nnonsense\n");
  expect_problem(refused, 422, "MANIFEST-REFUSED");
  ASSERT_EQ(refused.json()["lines"].size(), 2U);
  EXPECT_EQ(refused.json()["lines"][0]["line"], 2);
  EXPECT_EQ(refused.json()["lines"][1]["line"], 3);
  EXPECT_EQ(*api.read()->count("devices"), 0);
}

TEST(AdminImport, wants_json_lines) {
  const Api api;
  const Answer refused = api.post("/v1/devices/import", token_line("a"));
  expect_problem(refused, 415, "API-CONTENT-TYPE");
  EXPECT_NE(refused.json().value("detail", "").find("application/jsonl"), std::string::npos);
  EXPECT_EQ(refused.json().value("next", "").find("application/json"), std::string::npos) << "it names another type";
}

// ---- requests that wait ----

TEST(AdminPending, a_request_is_approved_with_its_device) {
  const Api api;
  api.write([](store::Writer& w) { return w.pended(pended_fact(1, "new"), Instant{1'000}, "est"); });
  const Json list = api.get("/v1/pending").json();
  ASSERT_EQ(list["pending"].size(), 1U);
  expect_schema(api, list["pending"][0], "Pending");
  EXPECT_EQ(list["pending"][0]["key"], hex(store::numbered(1)));
  const Answer approved = api.post("/v1/pending/" + hex(store::numbered(1)) + "/approve");
  ASSERT_EQ(approved.status, 200) << approved.body;
  EXPECT_EQ(approved.json()["state"], "approved");
  EXPECT_EQ(approved.json()["decided_by"], "admin");
  EXPECT_EQ((*api.read()->device("new"))->admission, Admission::approved);
  EXPECT_TRUE(api.get("/v1/pending").json()["pending"].empty());
  EXPECT_EQ(api.get("/v1/pending?decided=true").json()["pending"].size(), 1U);
  expect_problem(api.post("/v1/pending/" + hex(store::numbered(1)) + "/refuse"), 409, "REQUEST-DECIDED");
}

TEST(AdminPending, a_request_is_refused_with_its_device) {
  const Api api;
  api.write([](store::Writer& w) { return w.pended(pended_fact(1, "new"), Instant{1'000}, "est"); });
  EXPECT_EQ(api.post("/v1/pending/" + hex(store::numbered(1)) + "/refuse").json()["state"], "refused");
  EXPECT_EQ((*api.read()->device("new"))->admission, Admission::refused);
}

TEST(AdminPending, approving_a_device_approves_what_waits) {
  const Api api;
  api.write([](store::Writer& w) { return w.pended(pended_fact(1, "new"), Instant{1'000}, "est"); });
  EXPECT_EQ(api.post("/v1/devices/new/approve").json()["admission"], "approved");
  EXPECT_EQ((*api.read()->pending(store::numbered(1)))->state, Admission::approved);
}

TEST(AdminPending, unknown_keys_are_not_found) {
  const Api api;
  for (const char* key : {"00ff", "nonsense"}) {
    expect_problem(api.post(std::string("/v1/pending/") + key + "/approve"), 404, "REQUEST-UNKNOWN");
    expect_problem(api.post(std::string("/v1/pending/") + key + "/refuse"), 404, "REQUEST-UNKNOWN");
  }
}

// ---- certificates and CA ----

TEST(AdminCertificates, are_listed_shown_and_revoked) {
  const Api api;
  const store::Signer signer, other;  // two devices never share a key
  add(api, "a");
  add(api, "b");
  api.write([&](store::Writer& w) { return w.issued(store::issued_fact(signer, 1, "a"), Instant{1'000}, "est"); });
  api.write([&](store::Writer& w) { return w.issued(store::issued_fact(other, 2, "b"), Instant{1'000}, "est"); });
  const Json page = api.get("/v1/certificates?limit=1").json();
  expect_schema(api, page, "CertificateList");
  expect_schema(api, page["certificates"][0], "Certificate");
  EXPECT_TRUE(page["next"].is_string());
  const Json of_b = api.get("/v1/certificates?device=b").json();
  ASSERT_EQ(of_b["certificates"].size(), 1U);
  EXPECT_EQ(of_b["certificates"][0]["device"], "b");

  const std::string path = "/v1/certificates/" + hex(store::numbered(1));
  const Json shown = api.get(path).json();
  expect_schema(api, shown, "CertificateWithPem");
  EXPECT_EQ(parse_pem_certificates(shown.value("pem", ""))->at(0).serial, store::numbered(1));
  EXPECT_TRUE(shown["revoked"].is_null());

  expect_problem(api.post(path + "/revoke", R"({"reason":"boredom"})"), 400, "API-BODY");
  const Answer revoked = api.post(path + "/revoke", R"({"reason":"key_compromise"})");
  ASSERT_EQ(revoked.status, 200) << revoked.body;
  EXPECT_EQ(revoked.json()["revocation_reason"], "key_compromise");
  EXPECT_EQ((*api.read()->certificate(store::numbered(1)))->revocation_reason, RevocationReason::key_compromise);
  EXPECT_EQ(api.get("/v1/certificates?revoked=true").json()["certificates"].size(), 1U);
  expect_problem(api.post(path + "/revoke"), 409, "CERTIFICATE-REVOKED");
}

TEST(AdminCertificates, are_searched_exported_and_traced) {
  const Api api;
  const store::Signer signer, other;
  add(api, "a");
  api.write([&](store::Writer& w) { return w.issued(store::issued_fact(signer, 1, "a"), Instant{1'000}, "est"); });
  api.write([&](store::Writer& w) {
    return w.issued_to_server(other.certificate(store::numbered(2)), "made", Instant{1'000}, "server");
  });
  const auto found = [&](const std::string& query) {
    return api.get("/v1/certificates?" + query).json()["certificates"].size();
  };
  EXPECT_EQ(found("text=LAMP"), 2U);
  EXPECT_EQ(found("text=lamp&device=a"), 1U);
  EXPECT_EQ(found("profile=default"), 1U);
  EXPECT_EQ(found("serial=" + hex(store::numbered(2))), 1U);
  EXPECT_EQ(found("fingerprint=" + hex(sha256((*api.read()->certificate(store::numbered(1)))->der))), 1U);
  EXPECT_EQ(found("state=revoked"), 0U);
  EXPECT_EQ(found("ends_before=2000-01-01"), 0U);
  expect_problem(api.get("/v1/certificates?state=lost"), 400, "API-QUERY");
  expect_problem(api.get("/v1/certificates?ends_before=soon"), 400, "API-QUERY");
  expect_problem(api.get("/v1/certificates/export?format=xml"), 400, "API-QUERY");

  const Answer csv = api.get("/v1/certificates/export?format=csv&limit=10000");
  EXPECT_TRUE(csv.has("Content-Type: text/csv; charset=utf-8"));
  EXPECT_EQ(std::count(csv.body.begin(), csv.body.end(), '\n'), 3) << csv.body;
  EXPECT_EQ(parse_pem_certificates(api.get("/v1/certificates/export?format=pem&device=a").body)->size(), 1U);
  EXPECT_EQ(api.get("/v1/certificates/export?text=nowhere").body, "");

  const Json trace = api.get("/v1/certificates/" + hex(store::numbered(1)) + "/trace").json();
  expect_schema(api, trace, "CertificateTrace");
  expect_schema(api, trace["certificate"], "CertificateWithPem");
  EXPECT_EQ(trace["issued"]["action"], "certificate.issued");
  EXPECT_EQ(trace["admission"][0]["action"], "device.added");
  expect_problem(api.get("/v1/certificates/00ff/trace"), 404, "CERTIFICATE-UNKNOWN");
  expect_problem(api.get("/v1/certificates/nonsense/trace"), 404, "CERTIFICATE-UNKNOWN");
}

TEST(AdminCertificates, unknown_ones_are_not_found) {
  const Api api;
  expect_problem(api.get("/v1/certificates/00ff"), 404, "CERTIFICATE-UNKNOWN");
  expect_problem(api.get("/v1/certificates/nonsense"), 404, "CERTIFICATE-UNKNOWN");
  expect_problem(api.post("/v1/certificates/00ff/revoke"), 404, "CERTIFICATE-UNKNOWN");
}

TEST(AdminCa, shows_its_certificate_and_its_revocation_list) {
  const Api api;
  const Json ca = api.get("/v1/ca").json();
  expect_schema(api, ca, "Ca");
  EXPECT_EQ(ca["subject"], "CN=Owner");
  EXPECT_EQ(ca["sha256"], fingerprint_text(api.ca().fingerprint()));
  EXPECT_EQ(parse_pem_certificates(ca.value("pem", ""))->at(0), api.ca());
  const Answer list = api.get("/v1/ca/crl");
  EXPECT_TRUE(list.has("Content-Type: application/pkix-crl"));
  EXPECT_EQ(list.body, std::string("\x30\x00", 2));
}

// ---- runs ----

Run ended_run(std::string id, std::string device, std::int64_t at) {
  Run run;
  run.id = std::move(id);
  run.protocol = "est";
  run.mode = "secret";
  run.role = "server";
  run.device = std::move(device);
  run.started = Instant{at};
  run.ended = Instant{at + 30};
  run.result = "refused";
  run.rule = "EST-CSR";
  run.steps = {{"Admitting", "checked", Instant{at + 10}, Duration{10}, "", ""},
               {"Admitting", "bad", Instant{at + 20}, Duration{10}, "malformed", "make a better one"}};
  BeliefChange change;
  change.belief = {"peer:a", Topic::peer, "the peer is a", kNoEnd};
  run.beliefs = {change};
  return run;
}

TEST(AdminRuns, are_listed_newest_first_and_shown_whole) {
  Api api;
  api.hub.ended(ended_run("0000000000000001", "a", 1'000));
  api.hub.ended(ended_run("0000000000000002", "b", 2'000));
  api.write([](store::Writer&) -> Status { return Ok{}; });
  const Json list = api.get("/v1/runs").json();
  ASSERT_EQ(list["runs"].size(), 2U);
  EXPECT_EQ(list["runs"][0]["run"], "0000000000000002");
  expect_schema(api, list["runs"][0], "Run");
  expect_schema(api, list["runs"][0]["counts"], "Counts");
  EXPECT_EQ(api.get("/v1/runs?limit=1").json()["runs"].size(), 1U);
  const Json run = api.get("/v1/runs/0000000000000001").json();
  expect_schema(api, run, "RunWithSteps");
  ASSERT_EQ(run["steps"].size(), 2U);
  expect_schema(api, run["steps"][1], "Step");
  EXPECT_EQ(run["steps"][0]["rule"], "");
  EXPECT_EQ(run["steps"][1]["rule"], "EST-CSR");
  ASSERT_EQ(run["beliefs"].size(), 1U);
  expect_schema(api, run["beliefs"][0], "Belief");
  expect_problem(api.get("/v1/runs/0000000000000003"), 404, "RUN-UNKNOWN");
}

TEST(AdminRuns, a_timeline_has_the_steps_of_one_device) {
  Api api;
  add(api, "a");
  api.hub.ended(ended_run("0000000000000001", "a", 1'000));
  api.hub.ended(ended_run("0000000000000002", "b", 2'000));
  api.hub.ended(ended_run("0000000000000003", "a", 3'000));
  api.write([](store::Writer&) -> Status { return Ok{}; });
  const Json timeline = api.get("/v1/devices/a/timeline").json();
  expect_schema(api, timeline, "Timeline");
  ASSERT_EQ(timeline["runs"].size(), 2U);
  ASSERT_EQ(timeline["steps"].size(), 4U);
  EXPECT_EQ(timeline["steps"][0]["run"], "0000000000000001");
  EXPECT_EQ(timeline["steps"][3]["run"], "0000000000000003");
  expect_problem(api.get("/v1/devices/c/timeline"), 404, "DEVICE-UNKNOWN");
}

// ---- audit ----

TEST(AdminAudit, is_listed_in_pages_and_verified) {
  const Api api;
  add(api, "a");
  add(api, "b");
  const Json page = api.get("/v1/audit?limit=1").json();
  expect_schema(api, page, "AuditList");
  expect_schema(api, page["entries"][0], "AuditEntry");
  EXPECT_TRUE(page["entries"][0]["detail"].is_object());
  const Json verdict = api.get("/v1/audit/verify").json();
  expect_schema(api, verdict, "AuditVerdict");
  EXPECT_EQ(verdict["good"], true);
  EXPECT_EQ(verdict["entries"], 2);
  EXPECT_EQ(api.get("/v1/audit/verify").status, 200);  // once more, after the first
}

// ---- the program ----

TEST(AdminProgram, says_its_version_and_health) {
  Api api;
  EXPECT_EQ(api.get("/v1/version").json()["version"], kVersion);
  EXPECT_EQ(api.get("/healthz").json()["status"], "ok");
  api.ready = false;
  const Answer failing = api.get("/healthz");
  EXPECT_EQ(failing.status, 503);
  EXPECT_EQ(failing.json()["listeners"], false);
  expect_schema(api, failing.json(), "Health");
}

TEST(AdminProgram, shows_metrics_without_devices) {
  const Api api;
  add(api, "lamp-7");
  const Answer metrics = api.get("/metrics");
  EXPECT_NE(metrics.body.find("imprint_build_info{"), std::string::npos);
  EXPECT_NE(metrics.body.find("\nimprint_connections_open 3\n"), std::string::npos) << metrics.body;
  EXPECT_NE(metrics.body.find("\nimprint_store_rows{table=\"devices\"} 1\n"), std::string::npos) << metrics.body;
  EXPECT_EQ(metrics.body.find("lamp-7"), std::string::npos);
}

}  // namespace
}  // namespace imprint::app
