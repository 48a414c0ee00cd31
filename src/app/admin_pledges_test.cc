// BRSKI in the admin API: who asked for vouchers, what their MASAs said, a person's word on them, the makers.
#include <gtest/gtest.h>

#include "app/admin_testing.h"
#include "codec/base64.h"
#include "proto/brski/artifact.h"
#include "proto/brski/description.h"

namespace imprint::app {
namespace {

constexpr const char* kLog = R"({"version":"1","events":[]})";
const PledgeId kLamp{"lamp/0001", {0x0a}, {0x01}};
const PledgeId kPump{"pump-0001", {0x0b}, {0x02}};

void add(const Api& api, const std::string& id, Admission admission = Admission::approved) {
  Device device;
  device.id = id;
  device.admission = admission;
  api.write([&](store::Writer& w) { return w.add_device(device, "t"); });
}

void comes(const Api& api, const std::string& device, const PledgeId& id, std::int64_t at) {
  api.write([&](store::Writer& w) { return w.pledge_waits({id, device, "waits for approval", {}}, Instant{at}, "t"); });
}

void takes_voucher(const Api& api, const std::string& device, const PledgeId& id, const Bytes& voucher) {
  api.write([&](store::Writer& w) -> Status {
    VoucherObtained got;
    got.id = id;
    got.device = device;
    got.request = to_bytes("our request");
    got.voucher = voucher;
    got.form = "cms";
    got.nonce = "bm9uY2U=";
    got.domain_id = {1, 2, 3};
    got.masa = "masa.example";
    TRY([[maybe_unused]] const Ok had, w.voucher_obtained(got, Instant{2'000}, "t"));
    VoucherReported told;
    told.id = id;
    told.device = device;
    told.told.status = true;
    told.rule = "BRSKI-LOG-DOMAIN";
    told.reason = "another owner";
    told.log = kLog;
    return w.voucher_reported(told, Instant{3'000}, "t");
  });
}

Bytes cms_voucher() {
  brski::Voucher v;
  v.serial_number = "lamp/0001";
  v.assertion = brski::Assertion::logged;
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const store::Signer signer;
  v.pinned_domain_cert = signer.certificate(to_bytes("pinned"));
  return *brski::sign_voucher(v, brski::Form::cms, {key, {}});
}

std::string names(const Json& list, const char* member) {
  std::string out;
  for (const Json& one : list) {
    out += one[member].get<std::string>() + " ";
  }
  return out;
}

TEST(AdminPledges, are_listed_by_stage_and_by_what_they_wait_for) {
  const Api api;
  add(api, "lamp");
  add(api, "stranger", Admission::waiting);
  comes(api, "stranger", kPump, 1'000);
  takes_voucher(api, "lamp", kLamp, {1});
  const Json all = api.get("/v1/pledges").json();
  expect_schema(api, all, "PledgeList");
  ASSERT_EQ(all["pledges"].size(), 2U);
  const Json& held = all["pledges"][0];
  expect_schema(api, held, "Pledge");
  EXPECT_EQ(held["pledge"], "0a:lamp/0001");
  EXPECT_EQ(held["stage"], "imprinted");
  EXPECT_EQ(held["held"], true);
  EXPECT_EQ(held["rule"], "BRSKI-LOG-DOMAIN");
  EXPECT_EQ(held["next"], "imprint device clear lamp");
  EXPECT_EQ(held["masa"], "masa.example");
  EXPECT_EQ(held["domain_id"], base64(Bytes{1, 2, 3}));
  EXPECT_EQ(held["has_voucher"], true);
  EXPECT_EQ(held["reported"], utc_text(Instant{3'000}));
  EXPECT_TRUE(held["enrolled"].is_null());
  const Json& waiting = all["pledges"][1];
  EXPECT_EQ(waiting["next"], "imprint device approve stranger");
  EXPECT_EQ(waiting["held"], false);
  EXPECT_EQ(waiting["has_voucher"], false);
  const auto asked = [&](const std::string& query) {
    return names(api.get("/v1/pledges?" + query).json()["pledges"], "device");
  };
  EXPECT_EQ(asked("stage=asked"), "stranger ");
  EXPECT_EQ(asked("held=true"), "lamp ");
  EXPECT_EQ(asked("device=stranger"), "stranger ");
  EXPECT_EQ(asked("device=stranger&held=true"), "");
  expect_problem(api.get("/v1/pledges?stage=lost"), 400, "API-QUERY");
  expect_problem(api.get("/v1/pledges?limit=201"), 400, "API-QUERY");
}

TEST(AdminPledges, come_in_pages) {
  const Api api;
  for (int n = 0; n < 5; ++n) {
    const std::string id = "d" + std::to_string(n);
    add(api, id);
    comes(api, id, {"s" + std::to_string(n % 2), {static_cast<std::uint8_t>(n)}, {1}}, 1'000);
  }
  std::string seen, cursor;
  for (int page = 0; page < 5; ++page) {
    const Json json = api.get("/v1/pledges?limit=2" + cursor).json();
    seen += names(json["pledges"], "device") + "|";
    if (json["next"].is_null()) {
      break;
    }
    cursor = "&cursor=" + json["next"].get<std::string>();
  }
  EXPECT_EQ(seen, "d0 d1 |d2 d3 |d4 |");
  const std::string next = api.get("/v1/pledges?limit=2").json()["next"];
  expect_problem(api.get("/v1/pledges?limit=2&held=true&cursor=" + next), 400, "API-CURSOR");
}

TEST(AdminPledges, one_has_its_voucher_and_the_log_that_its_masa_showed) {
  const Api api;
  add(api, "lamp");
  const Bytes voucher = cms_voucher();
  takes_voucher(api, "lamp", kLamp, voucher);
  const std::string path = "/v1/pledges/0a%3Alamp%2F0001";
  const Json one = api.get(path).json();
  expect_schema(api, one, "PledgeWithVoucher");
  EXPECT_EQ(one["voucher"], base64(voucher));
  EXPECT_EQ(one["request"], base64(to_bytes("our request")));
  const Answer raw = api.get(path + "/voucher");
  EXPECT_EQ(raw.status, 200);
  EXPECT_TRUE(raw.has("Content-Type: application/voucher-cms+json")) << raw.head;
  EXPECT_EQ(to_bytes(raw.body), voucher);
  const Json log = api.get(path + "/log").json();
  expect_schema(api, log, "PledgeLog");
  EXPECT_EQ(log["log"], *parse_json(kLog));
  EXPECT_EQ(log["read"], utc_text(Instant{3'000}));
  EXPECT_EQ(log["reason"], "another owner");
}

TEST(AdminPledges, what_is_not_there_is_told) {
  const Api api;
  add(api, "lamp");
  comes(api, "lamp", kLamp, 1'000);
  expect_problem(api.get("/v1/pledges/0a%3Alamp%2F0001/voucher"), 404, "API-NO-VOUCHER");
  const Json log = api.get("/v1/pledges/0a%3Alamp%2F0001/log").json();
  EXPECT_TRUE(log["log"].is_null());
  EXPECT_TRUE(log["read"].is_null());
  for (const char* const name : {"0b%3Alamp%2F0001", "lamp", "xyz%3Alamp", "0a%3A", "%3Alamp%2F0001"}) {
    expect_problem(api.get(std::string("/v1/pledges/") + name), 404, "VOUCHER-NO-PLEDGE");
  }
  expect_problem(api.post("/v1/pledges", "{}"), 405, "API-METHOD");
}

// Whether EST is open to it stands in the rows.
bool is_cleared(const Api& api, const PledgeId& id) { return (*api.read()->pledge(id.issuer, id.serial))->cleared; }

TEST(AdminPledges, a_person_clears_and_holds_a_device) {
  const Api api;
  add(api, "lamp");
  takes_voucher(api, "lamp", kLamp, {1});
  ASSERT_EQ(api.get("/v1/devices/lamp").json()["held"].size(), 1U);
  const Answer cleared = api.post("/v1/devices/lamp/clear", R"({"reason":"bought second-hand"})");
  ASSERT_EQ(cleared.status, 200) << cleared.body;
  expect_schema(api, cleared.json(), "Device");
  EXPECT_EQ(cleared.json()["held"], Json::array());
  EXPECT_TRUE(is_cleared(api, kLamp));
  const AuditEntry entry = api.read()->audit(0, 1'000)->back();
  EXPECT_EQ(entry.actor, "admin");
  EXPECT_NE(entry.detail.find("bought second-hand"), std::string::npos) << entry.detail;
  const Answer held = api.post("/v1/devices/lamp/hold");
  ASSERT_EQ(held.status, 200) << held.body;
  ASSERT_EQ(held.json()["held"].size(), 1U);
  EXPECT_EQ(held.json()["held"][0]["rule"], kHeldByPerson);
  EXPECT_FALSE(is_cleared(api, kLamp));
}

TEST(AdminPledges, a_hold_is_about_the_device_and_ends_in_all_of_its_rows) {
  const Api api;
  add(api, "lamp");
  takes_voucher(api, "lamp", kLamp, {1});
  takes_voucher(api, "lamp", kPump, {1});
  EXPECT_EQ(api.post("/v1/devices/lamp/clear").status, 200);
  EXPECT_TRUE(is_cleared(api, kLamp));
  EXPECT_TRUE(is_cleared(api, kPump));
}

TEST(AdminPledges, a_word_on_nobody_changes_nothing) {
  const Api api;
  add(api, "pump");
  const std::int64_t before = *api.read()->count("audit");
  expect_problem(api.post("/v1/devices/lamp/clear"), 404, "DEVICE-UNKNOWN");
  expect_problem(api.post("/v1/devices/pump/clear"), 404, "VOUCHER-NO-PLEDGE");
  expect_problem(api.post("/v1/devices/pump/hold"), 404, "VOUCHER-NO-PLEDGE");
  expect_problem(api.post("/v1/devices/pump/clear", "{\"reason\":\"" + std::string(1'001, 'x') + "\"}"), 400,
                 "API-BODY");
  expect_problem(api.post("/v1/devices/pump/clear", R"({"why":"x"})"), 400, "API-BODY");
  EXPECT_EQ(*api.read()->count("audit"), before);
  expect_problem(api.ask({.path = "/v1/pledges", .with_token = false}), 401, "API-TOKEN");
}

// ---- makers ----

Makers some_makers(const Certificate& root) {
  Makers out;
  for (const char* const name : {"acme", "bolt", "cell"}) {
    MakerFile file;
    file.name = name;
    file.anchors = {root};
    site::MasaRule rule;
    rule.name = file.name + "/all";
    rule.from = "makers/" + file.name + ".toml:1";
    rule.url = *Uri::parse("https://masa.example:9443");
    rule.login = Login{"north", Secret("open sesame")};
    file.rules = {rule};
    out.book.rules.push_back(rule);
    out.files.push_back(file);
  }
  site::MasaRule second = out.book.rules.front();
  second.name = "acme/pool 1";
  second.from = "catalogue of acme, version 7";
  out.book.rules.push_back(second);
  out.catalogues.push_back({"acme", "makers/acme.catalogue", 7, Instant{1}, Instant{2}, 0, 1});
  out.unread.push_back({"makers/broken.toml", "no TOML"});
  return out;
}

TEST(AdminMakers, are_listed_with_what_could_not_be_read) {
  Api api;
  EXPECT_EQ(api.get("/v1/makers").json()["makers"], Json::array()) << "a site without any";
  api.know(some_makers(api.ca()), {});
  const Json list = api.get("/v1/makers?limit=2").json();
  expect_schema(api, list, "MakerList");
  EXPECT_EQ(names(list["makers"], "name"), "acme bolt ");
  const Json& acme = list["makers"][0];
  expect_schema(api, acme, "Maker");
  expect_schema(api, acme["anchors"][0], "Root");
  expect_schema(api, acme["catalogue"], "Catalogue");
  EXPECT_EQ(acme["rules"], 2);
  EXPECT_EQ(acme["anchors"][0]["sha256"], fingerprint_text(api.ca().fingerprint()));
  EXPECT_TRUE(list["makers"][1]["catalogue"].is_null());
  expect_schema(api, list["unread"][0], "Unread");
  EXPECT_EQ(list["unread"][0]["file"], "makers/broken.toml");
  const Json rest = api.get("/v1/makers?limit=2&cursor=" + list["next"].get<std::string>()).json();
  EXPECT_EQ(names(rest["makers"], "name"), "cell ");
  EXPECT_TRUE(rest["next"].is_null());
}

TEST(AdminMakers, one_shows_its_rules_and_no_password) {
  Api api;
  api.know(some_makers(api.ca()), {});
  const Answer acme = api.get("/v1/makers/acme");
  expect_schema(api, acme.json(), "MakerWithRules");
  ASSERT_EQ(acme.json()["rules"].size(), 2U);
  expect_schema(api, acme.json()["rules"][0], "MasaRule");
  EXPECT_EQ(acme.json()["rules"][0]["masa"], "https://masa.example:9443/");
  EXPECT_EQ(acme.json()["rules"][1]["from"], "catalogue of acme, version 7");
  EXPECT_EQ(acme.body.find("sesame"), std::string::npos);
  expect_problem(api.get("/v1/makers/acm"), 404, "MAKER-UNKNOWN");
}

TEST(AdminMakers, the_registrar_says_what_it_is) {
  Api api;
  expect_problem(api.get("/v1/registrar"), 404, "VOUCHER-NO-REGISTRAR");
  const Response says = brski::describe_registrar({"imprint 9", true, false, true}, {}, Instant{1});
  api.know({}, std::string(as_text(says.body)));
  const Json json = api.get("/v1/registrar").json();
  expect_schema(api, json, "Registrar");
  EXPECT_EQ(json["api"], brski::kRegistrarApi);
}

}  // namespace
}  // namespace imprint::app
