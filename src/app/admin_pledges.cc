// Routes of BRSKI: devices that asked for vouchers, the vouchers, what their MASAs' logs said, and the makers.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "app/admin_page.h"
#include "app/device_pledges.h"
#include "app/makers_json.h"
#include "app/rules.h"
#include "app/voucher_rules.h"
#include "base/reader.h"
#include "codec/base64.h"
#include "proto/brski/artifact.h"
#include "site/masa_rules.h"
#include "site/operation_rules.h"
#include "store/pledges.h"

namespace imprint::app::admin {
namespace {

constexpr std::int64_t kMostPledges = 200;  // each is read with request, voucher and log
constexpr std::size_t kMostReason = 1000;   // characters; it stays in the audit log

// ---- devices that asked for vouchers ----

// Serial numbers count within the CA that issued the IDevID: its key identifier stands before.
std::string name_of(const PledgeId& id) { return hex(id.issuer) + ":" + id.serial; }

Result<PledgeRow> pledge_named(store::Reader& reader, const std::string& name) {
  const Error unknown{Fault::refused, kNoPledge};
  const std::size_t colon = name.find(':');
  const std::optional<Bytes> issuer = from_hex(name.substr(0, colon));
  CHECK_OR(colon != std::string::npos && issuer, unknown);
  TRY(std::optional<PledgeRow> row, reader.pledge(*issuer, name.substr(colon + 1)));
  CHECK_OR(row.has_value(), unknown);
  return *std::move(row);
}

Json time_or_null(const std::optional<Instant>& when) { return when ? Json(utc_text(*when)) : Json(); }
Json base64_or_null(const Bytes& octets) { return octets.empty() ? Json() : Json(base64(octets)); }

// What a person has to do before it goes on; empty: nothing.
Result<std::string> next_of_pledge(store::Reader& reader, const PledgeRow& row) {
  if (store::is_held(row)) {
    return "imprint device clear " + row.device;
  }
  TRY(const std::optional<Device> device, reader.device(row.device));
  const bool waits = row.stage == PledgeStage::asked && device && device->admission == Admission::waiting;
  return waits ? "imprint device approve " + row.device : std::string();
}

Result<Json> pledge_json(store::Reader& reader, const PledgeRow& row) {
  TRY(const std::string next, next_of_pledge(reader, row));
  const bool held = store::is_held(row);
  return Json{{"pledge", name_of(row.id)},
              {"device", row.device},
              {"serial", row.id.serial},
              {"issuer", hex(row.id.issuer)},
              {"key_sha256", hex(row.id.key)},
              {"stage", imprint::name(row.stage)},
              {"held", held},
              {"cleared", row.cleared},
              {"rule", held && !row.held.empty() ? row.held : row.rule},
              {"reason", row.reason},
              {"next", next},
              {"masa", row.masa},
              {"form", row.form},
              {"nonce", row.nonce},
              {"domain_id", base64(row.domain_id)},
              {"has_voucher", !row.voucher.empty()},
              {"has_log", !row.log.empty()},
              {"certificate", row.certificate},
              {"run", row.run},
              {"first", utc_text(row.first)},
              {"last", utc_text(row.last)},
              {"asked", row.asked},
              {"vouchered", time_or_null(row.vouchered)},
              {"reported", time_or_null(row.reported)},
              {"enrolled", time_or_null(row.enrolled)}};
}

Bytes place_of_pledge(const PledgeRow& row) {
  imprint::Writer w;
  w.u16(static_cast<std::uint16_t>(row.id.issuer.size()));
  w.bytes(row.id.issuer);
  w.text(row.id.serial);
  return std::move(w).out();
}

Result<Outcome> list_pledges(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kPage);
  store::PledgeFilter filter;
  filter.device = call.text("device");
  filter.held = call.flag("held");
  filter.limit = limit + 1;
  if (const std::string stage = call.text("stage"); !stage.empty()) {
    filter.stage = pledge_stage_named(stage);
    if (!filter.stage) {
      return problem(Error{Fault::malformed, kApiQuery},
                     "stage: must be asked, vouchered, imprinted, refused or enrolled");
    }
  }
  TRY(const std::optional<Bytes> place, place_of(call));
  if (place) {
    imprint::Reader r(*place);
    filter.after_issuer = to_bytes(r.take(r.u16()));
    filter.after_serial = as_text(r.take_rest());
    CHECK_OR(r.good(), Error{Fault::malformed, kApiCursor});
  }
  TRY(const auto reader, env.store.read());
  TRY(std::vector<PledgeRow> rows, reader->pledges(filter));
  const Json next = next_of(list_of(call), rows, limit, place_of_pledge);
  Json list = Json::array();
  for (const PledgeRow& row : rows) {
    TRY(Json one, pledge_json(*reader, row));
    list.push_back(std::move(one));
  }
  return json_answer(200, {{"pledges", std::move(list)}, {"next", next}});
}

Result<Outcome> show_pledge(const Env& env, const Call& call) {
  TRY(const auto reader, env.store.read());
  TRY(const PledgeRow row, pledge_named(*reader, call.id));
  TRY(Json json, pledge_json(*reader, row));
  json["request"] = base64_or_null(row.request);
  json["voucher"] = base64_or_null(row.voucher);
  return json_answer(200, json);
}

Result<Outcome> show_voucher(const Env& env, const Call& call) {
  TRY(const auto reader, env.store.read());
  TRY(const PledgeRow row, pledge_named(*reader, call.id));
  const std::optional<brski::Form> form = brski::form_of(row.voucher);
  CHECK_OR(form.has_value(), Error{Fault::refused, kApiNoVoucher});
  Response out;
  out.status = 200;
  out.content_type = brski::media_type(*form);
  out.body = row.voucher;
  return out;
}

// What the MASA's log said when the registrar read it last.
Result<Outcome> show_log(const Env& env, const Call& call) {
  TRY(const auto reader, env.store.read());
  TRY(const PledgeRow row, pledge_named(*reader, call.id));
  Result<Json> log = row.log.empty() ? Result<Json>(Json()) : parse_json(row.log);
  return json_answer(200, {{"pledge", call.id},
                           {"device", row.device},
                           {"serial", row.id.serial},
                           {"masa", row.masa},
                           {"read", time_or_null(row.log.empty() ? std::nullopt : row.reported)},
                           {"cleared", row.cleared},
                           {"reason", row.reason},
                           {"log", log ? *std::move(log) : Json{{"text", row.log}}}});
}

// A person's word on a device that took its voucher.
Result<Outcome> decide(const Env& env, const Call& call, bool cleared) {
  const std::string reason = call.text("reason");
  if (reason.size() > kMostReason) {
    return problem(Error{Fault::malformed, kApiBody}, "reason: more than 1,000 octets");
  }
  Change out;
  out.run = [id = call.id, cleared, reason, act = act_of(env)](store::Writer& writer) -> Result<Changed> {
    TRY(const std::optional<Device> device, writer.device(id));
    CHECK_OR(device.has_value(), Error{Fault::refused, site::kDeviceUnknown});
    TRY([[maybe_unused]] const auto rows, clear_pledges(writer, id, cleared, reason, act));
    TRY(const std::vector<PledgeRow> held, held_pledges(writer, id));
    Json json = device_json(*device);
    json["held"] = held_json(held);
    Response answer = json_answer(200, json);
    answer.etag = etag_of(*device);
    return Changed{std::move(answer), cleared ? "device.cleared" : "device.held", dumped(json)};
  };
  return out;
}

Result<Outcome> clear(const Env& env, const Call& call) { return decide(env, call, true); }
Result<Outcome> hold(const Env& env, const Call& call) { return decide(env, call, false); }

// ---- makers ----

std::shared_ptr<const Makers> makers_of(const Env& env) {
  auto makers = env.site.makers ? env.site.makers() : nullptr;
  return makers ? makers : std::make_shared<const Makers>();
}

Json roots_json(const std::vector<Certificate>& roots) {
  Json out = Json::array();
  for (const Certificate& root : roots) {
    out.push_back({{"subject", root.subject.text},
                   {"sha256", fingerprint_text(root.fingerprint())},
                   {"not_after", utc_text(root.not_after)}});
  }
  return out;
}

// Its rules, of the file and of the catalogue, in the order in which they are asked.
std::vector<site::MasaRule> rules_of_maker(const Makers& makers, const MakerFile& maker) {
  std::vector<site::MasaRule> out;
  std::ranges::copy_if(makers.book.rules, std::back_inserter(out),
                       [&](const site::MasaRule& rule) { return rule.name.starts_with(maker.name + "/"); });
  return out;
}

Json catalogue_of(const Makers& makers, const MakerFile& maker) {
  const auto at = std::ranges::find(makers.catalogues, maker.name, &CatalogueFacts::maker);
  return at == makers.catalogues.end() ? Json() : catalogue_json(*at);
}

Json maker_summary(const Makers& makers, const MakerFile& maker) {
  return {{"name", maker.name},
          {"anchors", roots_json(maker.anchors)},
          {"rules", rules_of_maker(makers, maker).size()},
          {"catalogue", catalogue_of(makers, maker)},
          {"catalogue_url", maker.catalogue_url ? Json(maker.catalogue_url->text()) : Json()}};
}

// In order of their names, as their files are read.
Result<Outcome> list_makers(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kPage);
  TRY(const std::optional<Bytes> place, place_of(call));
  const std::string after(place ? as_text(*place) : std::string_view());
  const std::shared_ptr<const Makers> makers = makers_of(env);
  std::vector<const MakerFile*> page;
  for (const MakerFile& maker : makers->files) {
    if (maker.name > after && static_cast<std::int64_t>(page.size()) <= limit) {
      page.push_back(&maker);
    }
  }
  const Json next = next_of(list_of(call), page, limit, [](const MakerFile* m) { return to_bytes(m->name); });
  Json list = Json::array();
  for (const MakerFile* const maker : page) {
    list.push_back(maker_summary(*makers, *maker));
  }
  return json_answer(200, {{"makers", std::move(list)}, {"unread", unread_json(*makers)}, {"next", next}});
}

Result<Outcome> show_maker(const Env& env, const Call& call) {
  const std::shared_ptr<const Makers> makers = makers_of(env);
  const MakerFile* const maker = makers->find(call.id);
  CHECK_OR(maker != nullptr, Error{Fault::refused, site::kMakerUnknown});
  Json out = maker_summary(*makers, *maker);
  out["rules"] = Json::array();
  for (const site::MasaRule& rule : rules_of_maker(*makers, *maker)) {
    out["rules"].push_back(rule_json(rule));
  }
  return json_answer(200, out);
}

Result<Outcome> show_registrar(const Env& env, const Call& /*call*/) {
  const std::string says = env.site.registrar ? env.site.registrar() : std::string();
  CHECK_OR(!says.empty(), Error{Fault::refused, kNoRegistrar});
  TRY(const Json json, parse_json(says));
  return json_answer(200, json);
}

constexpr std::array kPledgeQuery{
    Field{"device", Kind::text, "of this device of the inventory only"},
    Field{"stage", Kind::text, "asked, vouchered, imprinted, refused or enrolled"},
    Field{"held", Kind::flag, "only those that took their voucher and wait for a person"}, kCursor,
    Field{"limit", Kind::number, "at most so many, 1 to 200; default 100", false, 1, kMostPledges}};
constexpr std::array kMakerQuery{kCursor, kLimit};
constexpr std::array kWhy{Field{"reason", Kind::text, "for the audit log, at most 1,000 octets"}};

const std::array kRoutes{
    Route{.pattern = "/v1/pledges",
          .operation = "listPledges",
          .summary = "Devices that asked for vouchers (BRSKI), in order of their IDevID's CA and serial number",
          .handler = list_pledges,
          .schema = "PledgeList",
          .query = kPledgeQuery},
    Route{.pattern = "/v1/pledges/{pledge}",
          .operation = "getPledge",
          .summary = "One of them, with our request and the voucher in base64",
          .handler = show_pledge,
          .schema = "PledgeWithVoucher"},
    Route{.pattern = "/v1/pledges/{pledge}/voucher",
          .operation = "getVoucher",
          .summary = "Its voucher as it came from the MASA, for `imprint voucher inspect`",
          .handler = show_voucher},
    Route{.pattern = "/v1/pledges/{pledge}/log",
          .operation = "getPledgeLog",
          .summary = "The MASA's audit log of it as the registrar read it last",
          .handler = show_log,
          .schema = "PledgeLog"},
    Route{.method = Method::post,
          .pattern = "/v1/devices/{id}/clear",
          .operation = "clearDevice",
          .summary = "Let a device enrol that took its voucher and is held",
          .handler = clear,
          .schema = "Device",
          .body = kWhy},
    Route{.method = Method::post,
          .pattern = "/v1/devices/{id}/hold",
          .operation = "holdDevice",
          .summary = "The other way round: it may not go on until it is cleared",
          .handler = hold,
          .schema = "Device",
          .body = kWhy},
    Route{.pattern = "/v1/makers",
          .operation = "listMakers",
          .summary = "Makers that have a file here, in order of their names, and what could not be read",
          .handler = list_makers,
          .schema = "MakerList",
          .query = kMakerQuery},
    Route{.pattern = "/v1/makers/{maker}",
          .operation = "getMaker",
          .summary = "One maker with its rules, of file and catalogue, in the order in which they are asked",
          .handler = show_maker,
          .schema = "MakerWithRules"},
    Route{.pattern = "/v1/registrar",
          .operation = "getRegistrar",
          .summary = "What the registrar says of itself to whoever asks, at /.well-known/brski",
          .handler = show_registrar,
          .schema = "Registrar"}};

}  // namespace

std::span<const Route> pledge_routes() { return kRoutes; }

}  // namespace imprint::app::admin
