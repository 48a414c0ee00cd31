// Routes of the inventory: devices, manifests, timelines.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/operations.h"
#include "app/rules.h"
#include "factory/line.h"

namespace imprint::app::admin {
namespace {

constexpr std::string_view kActor = "admin";
constexpr std::int64_t kRunsLookedAt = 1000, kRunsShown = 20;

Act act_of(const Env& env) { return {std::string(kActor), env.now}; }

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Response device_answer(int status, const Device& device) {
  Response out = json_answer(status, device_json(device));
  out.etag = etag_of(device);
  return out;
}

// The device as it is now, for the answer and for the event stream.
Result<Changed> changed_device(store::Reader& reader, const std::string& id, int status) {
  TRY(const std::optional<Device> device, reader.device(id));
  CHECK_OR(device.has_value(), Error{Fault::refused, kDeviceUnknown});
  return Changed{device_answer(status, *device), "device.changed", dumped(device_json(*device))};
}

// Adds the member "token" to a JSON object. The token is written once and into its place, so that the caller can wipe
// it with the body; its alphabet needs no escapes.
void add_token(Bytes& object, const Secret& token) {
  static constexpr std::string_view kMember = ",\"token\":\"";
  static constexpr std::string_view kEnd = "\"}";
  Bytes out;
  out.reserve(object.size() + kMember.size() + token.size() + kEnd.size());
  out.insert(out.end(), object.begin(), object.end() - 1);
  out.insert(out.end(), kMember.begin(), kMember.end());
  out.insert(out.end(), token.expose().begin(), token.expose().end());
  out.insert(out.end(), kEnd.begin(), kEnd.end());
  object = std::move(out);
}

Result<Outcome> list_devices(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kPage);
  TRY(const auto reader, env.store.read());
  TRY(const std::vector<Device> devices, reader->devices(call.text("after"), limit));
  Json list = Json::array();
  for (const Device& device : devices) {
    list.push_back(device_json(device));
  }
  const bool more = static_cast<std::int64_t>(devices.size()) == limit;
  return json_answer(200, {{"devices", std::move(list)}, {"next", more ? Json(devices.back().id) : Json()}});
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
  if (call.flag("one_time")) {
    entry.one_time = new_one_time(env.rng);
  }
  Change out;
  out.run = [entry, act = act_of(env), pepper = env.site.pepper](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok added, register_device(writer, pepper, entry, act));
    TRY(Changed changed, changed_device(writer, entry.id, 201));
    changed.answer.location = "/v1/devices/" + entry.id;
    if (!entry.one_time.empty()) {
      add_token(changed.answer.body, entry.one_time);
    }
    return changed;
  };
  return out;
}

Result<Outcome> show_device(const Env& env, const Call& call) {
  TRY(const auto reader, env.store.read());
  TRY(const std::optional<Device> device, reader->device(call.id));
  CHECK_OR(device.has_value(), Error{Fault::refused, kDeviceUnknown});
  return device_answer(200, *device);
}

using DeviceOperation = Status (*)(store::Writer&, const Word&, const Act&);

Result<Outcome> change_device(const Env& env, const Call& call, DeviceOperation operation) {
  Change out;
  out.run = [operation, word = Word{call.id, call.version},
             act = act_of(env)](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok done, operation(writer, word, act));
    return changed_device(writer, word.id, 200);
  };
  return out;
}

Result<Outcome> approve(const Env& env, const Call& call) { return change_device(env, call, approve_device); }
Result<Outcome> refuse(const Env& env, const Call& call) { return change_device(env, call, refuse_device); }
Result<Outcome> retire(const Env& env, const Call& call) { return change_device(env, call, retire_device); }

Result<Outcome> make_token(const Env& env, const Call& call) {
  Change out;
  out.run = [word = Word{call.id, call.version}, act = act_of(env), pepper = env.site.pepper,
             token = new_one_time(env.rng)](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok added, add_one_time(writer, pepper, word, token, act));
    Changed changed{json_answer(201, {{"device", word.id}, {"user", word.id}}), "device.token",
                    dumped({{"device", word.id}})};
    add_token(changed.answer.body, token);
    return changed;
  };
  return out;
}

// ---- import ----

// The numbers of the lines that carry something, in order: those of the manifest's entries, if none was wrong.
std::vector<std::size_t> lines_with_text(std::string_view text) {
  std::vector<std::size_t> out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (text.substr(0, end).find_first_not_of(" \t\r") != std::string_view::npos) {
      out.push_back(number);
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

struct Import {
  std::vector<ManifestEntry> entries;
  std::vector<std::size_t> lines;  // of the entries
  std::vector<Imported> results;
};

Json results_json(const Import& import) {
  Json out = Json::array();
  for (std::size_t i = 0; i < import.results.size(); ++i) {
    const Imported& result = import.results[i];
    Json line{{"line", import.lines.at(i)}, {"id", result.id}};
    if (result.problem) {
      line["result"] = "refused";
      line["rule"] = result.problem->rule->id;
      line["detail"] = result.problem->what;
      line["next"] = result.problem->rule->next;
    } else {
      line["result"] = result.added ? "added" : "unchanged";
    }
    out.push_back(std::move(line));
  }
  return out;
}

Response refused_import(const Error& error, Json lines) {
  Response out = problem(error);
  if (error.rule == &kManifestRefused) {
    Json body = problem_json(error, {});
    body["lines"] = std::move(lines);
    out.body = to_bytes(dumped(body));
  }
  return out;
}

Json problem_lines(const std::vector<factory::ManifestProblem>& problems) {
  Json out = Json::array();
  for (const factory::ManifestProblem& each : problems) {
    out.push_back({{"line", each.line},
                   {"id", ""},
                   {"result", "refused"},
                   {"rule", kManifestRefused.id},
                   {"detail", each.text},
                   {"next", kManifestRefused.next}});
  }
  return out;
}

Result<Outcome> import_devices(const Env& env, const Call& call) {
  const auto import = std::make_shared<Import>();
  std::vector<factory::ManifestProblem> problems;
  import->entries = factory::parse_manifest(as_text(call.request.body), problems);
  if (!problems.empty()) {
    return refused_import(Error{Fault::refused, kManifestRefused}, problem_lines(problems));
  }
  import->lines = lines_with_text(as_text(call.request.body));
  Change out;
  out.run = [import, act = act_of(env), pepper = env.site.pepper](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok done, import_manifest(writer, pepper, import->entries, act, import->results));
    const auto added = std::ranges::count(import->results, true, &Imported::added);
    return Changed{json_answer(200, {{"added", added}, {"lines", results_json(*import)}}), "devices.imported",
                   dumped({{"added", added}})};
  };
  out.refused = [import](const Error& error) { return refused_import(error, results_json(*import)); };
  return out;
}

// ---- timeline ----

// What happened to one device, oldest first: the steps of its latest runs.
Result<Outcome> timeline(const Env& env, const Call& call) {
  TRY(const auto reader, env.store.read());
  TRY(const std::optional<Device> device, reader->device(call.id));
  CHECK_OR(device.has_value(), Error{Fault::refused, kDeviceUnknown});
  TRY(const std::vector<Run> latest, reader->runs(kRunsLookedAt));
  std::vector<std::pair<Instant, Json>> steps;
  Json runs = Json::array();
  for (const Run& head : latest) {
    if (head.device != call.id || static_cast<std::int64_t>(runs.size()) == kRunsShown) {
      continue;
    }
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
  return json_answer(200, {{"device", call.id}, {"runs", std::move(runs)}, {"steps", std::move(list)}});
}

constexpr std::array kListQuery{Field{"after", Kind::text, "the id after which the page begins"}, kLimit};
constexpr std::array kNewDevice{
    Field{"id", Kind::text, "the owner's name for the device", true},
    Field{"model", Kind::text, "the maker's model"},
    Field{"serial", Kind::text, "the maker's serial number"},
    Field{"label", Kind::text, "the profile that it belongs to; default: the default profile"},
    Field{"idevid", Kind::text, "its IDevID certificate, PEM"},
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
    Route{.method = Method::post,
          .pattern = "/v1/devices/import",
          .operation = "importDevices",
          .summary = "Take a factory manifest, all of it or nothing; taking it again changes nothing",
          .handler = import_devices,
          .schema = "ImportResult",
          .takes = "application/jsonl"},
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
          .summary =
              "The device's latest 20 runs (of the site's latest 1,000), newest first, and their steps, oldest first",
          .handler = timeline,
          .schema = "Timeline"}};

}  // namespace

std::span<const Route> device_routes() { return kRoutes; }

}  // namespace imprint::app::admin
