#include "app/cmd_device.h"

#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/device_pledges.h"
#include "io/loop.h"
#include "site/operation_rules.h"

namespace imprint::app {
namespace {

constexpr std::int64_t kPage = 1000;

struct ListOptions {
  std::string admission, label;
  std::int64_t limit = 1000;
  std::string after;
};

bool fits(const ListOptions& options, const Device& device) {
  return (options.admission.empty() || imprint::name(device.admission) == options.admission) &&
         (options.label.empty() || device.label == options.label);
}

OrProblem<std::vector<Device>> find_devices(store::Reader& reader, const ListOptions& options) {
  std::vector<Device> out;
  std::string after = options.after;
  while (true) {
    TRY(const std::vector<Device> page, reader.devices(after, kPage));
    for (const Device& device : page) {
      if (fits(options, device) && static_cast<std::int64_t>(out.size()) < options.limit) {
        out.push_back(device);
      }
    }
    if (page.empty() || static_cast<std::int64_t>(out.size()) >= options.limit) {
      return out;
    }
    after = page.back().id;
  }
}

OrProblem<std::vector<store::PendingRow>> find_waiting(store::Reader& reader, const std::string& device) {
  TRY(std::vector<store::PendingRow> rows, reader.waiting(device));
  return rows;
}

Json pending_list(const std::vector<store::PendingRow>& rows) {
  Json out = Json::array();
  for (const store::PendingRow& row : rows) {
    out.push_back(admin::pending_json(row));
  }
  return out;
}

OrProblem<Ok> list(const Context& context, const ListOptions& options) {
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const std::vector<Device> devices, find_devices(*reader, options));
  TRY(const std::vector<store::PendingRow> waiting, find_waiting(*reader, {}));
  TRY(const std::vector<PledgeRow> held, held_pledges(*reader, {}));
  Json json{{"devices", Json::array()}, {"pending", pending_list(waiting)}, {"held", held_json(held)}};
  for (const Device& device : devices) {
    json["devices"].push_back(admin::device_json(device));
  }
  std::string text = devices.empty() ? "no devices\n" : device_table(devices);
  if (!waiting.empty()) {
    text += "\nwaiting for approval:\n" + pending_table(waiting);
  }
  text += held.empty() ? "" : "\n" + held_text(held);
  context.print(json, text);
  return Ok{};
}

OrProblem<Ok> pending(const Context& context) {
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const std::vector<store::PendingRow> waiting, find_waiting(*reader, {}));
  TRY(const std::vector<PledgeRow> pledges, waiting_pledges(*reader));
  TRY(const std::vector<PledgeRow> held, held_pledges(*reader, {}));
  std::string text = waiting.empty() ? "" : pending_table(waiting);
  for (const std::string& more : {waiting_text(pledges), held_text(held)}) {
    text += text.empty() || more.empty() ? more : "\n" + more;
  }
  context.print(Json{{"pending", pending_list(waiting)}, {"pledges", waiting_json(pledges)}, {"held", held_json(held)}},
                text.empty() ? "nothing waits\n" : text);
  return Ok{};
}

OrProblem<Ok> show(const Context& context, const std::string& word) {
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const std::string id, device_id_of(*reader, word));
  TRY(const Device device, find_device(*reader, id));
  store::CertificateFilter filter;
  filter.device = id;
  TRY(const auto certificates, reader->certificates(filter));
  TRY(const auto waiting, find_waiting(*reader, id));
  TRY(const auto wrap_keys, reader->wrap_keys(id));
  TRY(const auto held, held_pledges(*reader, id));
  Json json = admin::device_json(device);
  json["certificates"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const store::CertificateRow& row : certificates) {
    json["certificates"].push_back(admin::certificate_json(row));
    rows.push_back({hex(row.serial), row.subject, utc_text(row.not_after),
                    row.revoked ? "revoked " + utc_text(*row.revoked) : "good"});
  }
  json["pending"] = pending_list(waiting);
  json["held"] = held_json(held);
  json["wrap_keys"] = wrap_key_ids(wrap_keys);
  std::string text = device_text(device);
  for (const store::WrapKeyRow& row : wrap_keys) {
    text += "shares key " + hex(row.id) + "\n";
  }
  text += rows.empty() ? "" : "\ncertificates:\n" + table({"SERIAL", "SUBJECT", "UNTIL", "STATE"}, rows);
  text += waiting.empty() ? "" : "\nwaiting for approval:\n" + pending_table(waiting);
  text += held.empty() ? "" : "\n" + held_text(held);
  context.print(json, text);
  return Ok{};
}

void add_list(Command device) {
  auto options = std::make_shared<ListOptions>();
  const Command command =
      device.sub("list", "List devices, and requests that wait for approval.",
                 "imprint device list\nimprint device list --admission waiting\nimprint device list --json");
  command.option("--admission", options->admission, "Only those that are waiting, approved, refused or retired")
      .one_of({"waiting", "approved", "refused", "retired"});
  command.option("--label", options->label, "Only those of this label (profile)");
  command.option("--limit", options->limit, "At most so many").between(1, 1000000);
  command.option("--after", options->after, "Only those whose id comes after this one");
  command.runs([options](const Context& c) { return list(c, *options); });
}

void add_show(Command device) {
  auto id = std::make_shared<std::string>();
  const Command command = device.sub("show", "Show a device with its certificates and waiting requests.",
                                     "imprint device show dev-1\nimprint device show dev-1 --json");
  command.option("ID|SERIAL", *id, "Inventory id, or a serial number that no other device has").required();
  command.runs([id](const Context& c) { return show(c, *id); });
}

}  // namespace

std::string device_table(const std::vector<Device>& devices) {
  std::vector<std::vector<std::string>> rows;
  for (const Device& d : devices) {
    rows.push_back({d.id, std::string(imprint::name(d.admission)), std::string(imprint::name(d.lifecycle)),
                    d.label.empty() ? "-" : d.label, d.model.empty() ? "-" : d.model,
                    d.serial.empty() ? "-" : d.serial});
  }
  return table({"ID", "ADMISSION", "LIFECYCLE", "LABEL", "MODEL", "SERIAL"}, rows);
}

std::string pending_table(const std::vector<store::PendingRow>& rows) {
  std::vector<std::vector<std::string>> out;
  for (const store::PendingRow& row : rows) {
    out.push_back({hex(row.what.request_key).substr(0, 16), row.what.device, row.what.subject, row.what.identity,
                   utc_text(row.last), std::to_string(row.asked)});
  }
  return table({"REQUEST", "DEVICE", "SUBJECT", "PROVEN IDENTITY", "LAST ASKED", "TIMES"}, out);
}

std::string device_text(const Device& device) {
  std::string out = device_table({device});
  for (const std::string& identity : device.identities) {
    out += "recognised by " + identity + "\n";
  }
  return out + "added " + utc_text(device.added) + ", changed " + utc_text(device.changed) + "\n";
}

site::Act by_cli() { return {"cli", io::wall_clock()}; }

OrProblem<Device> find_device(store::Reader& reader, const std::string& id) {
  TRY(const std::optional<Device> device, reader.device(id));
  if (!device) {
    return Problem(Error{Fault::refused, site::kDeviceUnknown}, id);
  }
  return *device;
}

void add_device(Command top) {
  const Command device =
      top.group("device", "The inventory: which devices are wanted. Works beside a running server, too.",
                "imprint device add dev-1 --one-time\nimprint device import acme/manifest.jsonl\nimprint device list");
  add_device_add(device);
  add_device_import(device);
  add_list(device);
  add_show(device);
  device
      .sub("pending",
           "List what waits for a person: requests for certificates, devices that came for a voucher, and those that "
           "are held.",
           "imprint device pending\nimprint device pending --json")
      .runs(pending);
  add_device_words(device);
  add_device_clear(device);
  add_device_wrap_key(device);
}

}  // namespace imprint::app
