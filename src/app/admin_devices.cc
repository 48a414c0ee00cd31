// Routes of the inventory: devices and their timelines.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/admin_page.h"
#include "app/device_pledges.h"
#include "app/rules.h"
#include "site/operation_rules.h"
#include "site/operations.h"

namespace imprint::app::admin {
namespace {

constexpr std::int64_t kRunsShown = 20, kMostRunsShown = 100;  // each is read with its steps

Response device_answer(int status, const Device& device) {
  Response out = json_answer(status, device_json(device));
  out.etag = etag_of(device);
  return out;
}

// The device as it is now, for the answer and for the event stream.
Result<Changed> changed_device(store::Reader& reader, const std::string& id, int status) {
  TRY(const std::optional<Device> device, reader.device(id));
  CHECK_OR(device.has_value(), Error{Fault::refused, site::kDeviceUnknown});
  return Changed{device_answer(status, *device), "device.changed", dumped(device_json(*device))};
}

// Adds the member "token" to the answer's JSON object. The token is written once and into its place, so that the caller
// can wipe it with the body; its alphabet needs no escapes.
void add_token(Changed& changed, const Secret& token) {
  Bytes& object = changed.answer.body;
  static constexpr std::string_view kMember = ",\"token\":\"";
  static constexpr std::string_view kEnd = "\"}";
  Bytes out;
  out.reserve(object.size() + kMember.size() + token.size() + kEnd.size());
  out.insert(out.end(), object.begin(), object.end() - 1);
  out.insert(out.end(), kMember.begin(), kMember.end());
  out.insert(out.end(), token.expose().begin(), token.expose().end());
  out.insert(out.end(), kEnd.begin(), kEnd.end());
  object = std::move(out);
  changed.has_secret = true;
}

Result<Outcome> list_devices(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kPage);
  TRY(const std::optional<Bytes> place, place_of(call));
  TRY(const auto reader, env.store.read());
  TRY(std::vector<Device> devices, reader->devices(place ? as_text(*place) : std::string_view(), limit + 1));
  const Json next = next_of(list_of(call), devices, limit, [](const Device& d) { return to_bytes(d.id); });
  Json list = Json::array();
  for (const Device& device : devices) {
    list.push_back(device_json(device));
  }
  return json_answer(200, {{"devices", std::move(list)}, {"next", next}});
}

Result<Outcome> add_device(const Env& env, const Call& call) {
  ManifestEntry entry;
  entry.id = call.text("id");
  entry.model = call.text("model");
  entry.serial = call.text("serial");
  entry.label = call.text("label");
  if (const std::string pem = call.text("idevid"); !pem.empty()) {
    auto certificates = parse_pem_certificates(pem);
    if (!certificates || certificates->size() != 1) {
      return problem(Error{Fault::malformed, kApiBody}, "idevid: not one certificate in PEM");
    }
    entry.idevid = std::move(certificates->front());
  }
  if (const std::string key = call.text("wrap_key"), id = call.text("wrap_key_id"); !key.empty() || !id.empty()) {
    auto shared = parse_shared_key(id, key);
    if (!shared) {
      return problem(Error{Fault::malformed, kApiBody}, "wrap_key: " + std::string(shared.error().what));
    }
    entry.wrap_key = *std::move(shared);
  }
  if (call.flag("one_time")) {
    entry.one_time = site::new_one_time(env.rng);
  }
  Change out;
  out.run = [entry, act = act_of(env), pepper = env.site.pepper](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok added, site::register_device(writer, pepper, entry, act));
    TRY(Changed changed, changed_device(writer, entry.id, 201));
    changed.answer.location = "/v1/devices/" + entry.id;
    if (!entry.one_time.empty()) {
      add_token(changed, entry.one_time);
    }
    return changed;
  };
  return out;
}

Result<Outcome> show_device(const Env& env, const Call& call) {
  TRY(const auto reader, env.store.read());
  TRY(const std::optional<Device> device, reader->device(call.id));
  CHECK_OR(device.has_value(), Error{Fault::refused, site::kDeviceUnknown});
  TRY(const std::vector<PledgeRow> held, held_pledges(*reader, call.id));
  Json json = device_json(*device);
  json["held"] = held_json(held);
  Response out = json_answer(200, json);
  out.etag = etag_of(*device);
  return out;
}

using DeviceOperation = Status (*)(store::Writer&, const site::Word&, const site::Act&);

Result<Outcome> change_device(const Env& env, const Call& call, DeviceOperation operation) {
  Change out;
  out.run = [operation, word = site::Word{call.id, call.version},
             act = act_of(env)](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok done, operation(writer, word, act));
    return changed_device(writer, word.id, 200);
  };
  return out;
}

Result<Outcome> approve(const Env& env, const Call& call) { return change_device(env, call, site::approve_device); }
Result<Outcome> refuse(const Env& env, const Call& call) { return change_device(env, call, site::refuse_device); }
Result<Outcome> retire(const Env& env, const Call& call) { return change_device(env, call, site::retire_device); }

Result<Outcome> make_token(const Env& env, const Call& call) {
  Change out;
  out.run = [word = site::Word{call.id, call.version}, act = act_of(env), pepper = env.site.pepper,
             token = site::new_one_time(env.rng)](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok added, site::add_one_time(writer, pepper, word, token, act));
    Changed changed{json_answer(201, {{"device", word.id}, {"user", word.id}}), "device.token",
                    dumped({{"device", word.id}})};
    add_token(changed, token);
    return changed;
  };
  return out;
}

// ---- timeline ----

// What happened to one device: a page of its runs, and their steps, oldest first.
Result<Outcome> timeline(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kRunsShown);
  TRY(store::RunFilter filter, run_filter(call, limit));
  filter.device = call.id;
  TRY(const auto reader, env.store.read());
  TRY(const std::optional<Device> device, reader->device(call.id));
  CHECK_OR(device.has_value(), Error{Fault::refused, site::kDeviceUnknown});
  TRY(std::vector<Run> latest, reader->runs(filter));
  const Json next = next_of(list_of(call), latest, limit, place_of_run);
  std::vector<std::pair<Instant, Json>> steps;
  Json runs = Json::array();
  for (const Run& head : latest) {
    runs.push_back(run_json(head));
    TRY(const std::optional<Run> run, reader->run(head.id));
    if (run) {
      std::ranges::transform(run->steps, std::back_inserter(steps),
                             [&](const RunStep& step) { return std::pair(step.at, step_json(*run, step)); });
    }
  }
  std::ranges::stable_sort(steps, {}, &std::pair<Instant, Json>::first);
  Json list = Json::array();
  for (auto& [at, step] : steps) {
    list.push_back(std::move(step));
  }
  return json_answer(200, {{"device", call.id}, {"runs", std::move(runs)}, {"steps", std::move(list)}, {"next", next}});
}

constexpr std::array kListQuery{kCursor, kLimit};
constexpr std::array kTimelineQuery{
    kCursor, Field{"limit", Kind::number, "at most so many runs, 1 to 100; default 20", false, 1, kMostRunsShown}};
constexpr std::array kNewDevice{
    Field{"id", Kind::text, "the owner's name for the device", true},
    Field{"model", Kind::text, "the maker's model"},
    Field{"serial", Kind::text, "the maker's serial number"},
    Field{"label", Kind::text, "the profile that it belongs to; default: the default profile"},
    Field{"idevid", Kind::text, "its IDevID certificate, PEM"},
    Field{"wrap_key", Kind::text,
          "a key that it shares with its owner, hexadecimal or base64; keys made for it may be wrapped with it"},
    Field{"wrap_key_id", Kind::text, "how the device names that key, hexadecimal; given with it"},
    Field{"one_time", Kind::flag, "make a one-time token; the answer is the only place that shows it"}};

const std::array kRoutes{
    Route{.pattern = "/v1/devices",
          .operation = "listDevices",
          .summary = "The inventory, in order of id",
          .handler = list_devices,
          .schema = "DeviceList",
          .query = kListQuery},
    Route{.method = Method::post,
          .pattern = "/v1/devices",
          .operation = "addDevice",
          .summary = "Register a device before it comes",
          .handler = add_device,
          .schema = "NewDevice",
          .body = kNewDevice,
          .status = 201},
    Route{.pattern = "/v1/devices/{id}",
          .operation = "getDevice",
          .summary = "One device",
          .handler = show_device,
          .schema = "Device"},
    Route{.method = Method::post,
          .pattern = "/v1/devices/{id}/approve",
          .operation = "approveDevice",
          .summary = "The owner wants this device; its waiting requests are approved",
          .handler = approve,
          .schema = "Device",
          .conditional = true},
    Route{.method = Method::post,
          .pattern = "/v1/devices/{id}/refuse",
          .operation = "refuseDevice",
          .summary = "The owner does not want this device; its waiting requests are refused",
          .handler = refuse,
          .schema = "Device",
          .conditional = true},
    Route{.method = Method::post,
          .pattern = "/v1/devices/{id}/retire",
          .operation = "retireDevice",
          .summary = "Decommission the device and revoke its certificates",
          .handler = retire,
          .schema = "Device",
          .conditional = true},
    Route{.method = Method::post,
          .pattern = "/v1/devices/{id}/token",
          .operation = "addToken",
          .summary = "Make a one-time token; the answer is the only place that shows it",
          .handler = make_token,
          .schema = "Token",
          .status = 201,
          .conditional = true},
    Route{.pattern = "/v1/devices/{id}/timeline",
          .operation = "getTimeline",
          .summary = "A page of the device's runs, newest first, and the steps of these runs, oldest first",
          .handler = timeline,
          .schema = "Timeline",
          .query = kTimelineQuery}};

}  // namespace

std::span<const Route> device_routes() { return kRoutes; }

}  // namespace imprint::app::admin
