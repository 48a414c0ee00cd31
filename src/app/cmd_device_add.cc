// `imprint device add` and `imprint device token`.
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/cmd_device.h"
#include "app/token_file.h"
#include "app/wrap_key_file.h"
#include "crypto/random.h"

namespace imprint::app {
namespace {

constexpr const char* kTokenFile = "Write a one-time token into this new file (0600) in place of showing it";

struct AddOptions {
  std::string id, model, serial, label, idevid, token_file, wrap_key, wrap_key_id;
  bool one_time = false, manual = false;
};

// Into the inventory, but waiting for a person.
Status hold(store::Writer& writer, const std::string& id, const site::Act& act) {
  TRY(std::optional<Device> device, writer.device(id));
  device->admission = Admission::waiting;
  device->changed = act.at;
  return writer.update_device(*device, act.by, "device.waiting");
}

// Given out once, in the file if there is one and shown otherwise; the store keeps only a MAC of it.
void show_token(Json& json, std::string& text, const std::string& id, const Secret& token, const std::string& file) {
  json["user"] = id;
  if (!file.empty()) {
    json["token_file"] = file;
    text.append("\none-time token in ").append(file).append(": user ").append(id).append("\n");
    return;
  }
  json["token"] = as_text(token.expose());
  text.append("\none-time token (shown once): user ")
      .append(id)
      .append("\n")
      .append(as_text(token.expose()))
      .append("\n");
}

OrProblem<ManifestEntry> entry_of(const AddOptions& options) {
  ManifestEntry out;
  out.id = options.id;
  out.model = options.model;
  out.serial = options.serial;
  out.label = options.label;
  if (!options.idevid.empty()) {
    TRY(const auto certificates, read_certificates(options.idevid));
    out.idevid = certificates.front();
    out.serial = out.serial.empty() ? out.idevid->subject.first("serialNumber") : out.serial;
  }
  if (options.one_time || !options.token_file.empty()) {
    SystemRng rng;
    out.one_time = site::new_one_time(rng);
  }
  if (!options.wrap_key.empty()) {
    TRY(out.wrap_key, read_wrap_key(options.wrap_key, options.wrap_key_id));
  }
  return out;
}

OrProblem<Ok> add(const Context& context, const AddOptions& options) {
  TRY(const ManifestEntry entry, entry_of(options));
  TRY(const Offline data, context.offline());
  TRY(TokenFile file, TokenFile::make(options.token_file, entry.one_time));
  const site::Act act = by_cli();
  TRY(Ok{}, about(data.store->write([&](store::Writer& writer) -> Status {
        TRY(Ok{}, site::register_device(writer, data.folder.pepper, entry, act));
        return options.manual ? hold(writer, entry.id, act) : Status(Ok{});
      }),
                  options.id));
  file.keep();
  TRY(const auto reader, data.store->read());
  TRY(const Device device, find_device(*reader, options.id));
  Json json = admin::device_json(device);
  std::string text = device_text(device);
  const bool one_time = options.one_time || !options.token_file.empty();
  if (one_time) {
    show_token(json, text, device.id, entry.one_time, options.token_file);
  }
  context.print(json, text);
  if (!entry.idevid && !one_time) {
    context.progress("next: nothing proves yet who it is; give it a token with `imprint device token " + device.id +
                     "`");
  }
  return Ok{};
}

OrProblem<Ok> token(const Context& context, const std::string& id, const std::string& path) {
  TRY(const Offline data, context.offline());
  SystemRng rng;
  const Secret fresh = site::new_one_time(rng);
  TRY(TokenFile file, TokenFile::make(path, fresh));
  TRY(Ok{}, about(data.store->write([&](store::Writer& writer) {
        return site::add_one_time(writer, data.folder.pepper, {id, std::nullopt}, fresh, by_cli());
      }),
                  id));
  file.keep();
  Json json{{"id", id}};
  std::string text;
  show_token(json, text, id, fresh, path);
  context.print(json, text.substr(1));
  return Ok{};
}

}  // namespace

void add_device_add(Command device) {
  auto options = std::make_shared<AddOptions>();
  const Command command =
      device.sub("add", "Take a device into the inventory.",
                 "imprint device add dev-1 --one-time\nimprint device add dev-1 --token-file token\n"
                 "imprint device add pump-7 --idevid pump-7.pem --label pumps\n"
                 "imprint device add guest-1 --one-time --manual\n"
                 "imprint device add lamp-9 --token-file token --wrap-key key.hex --wrap-key-id 0a1b");
  command.option("ID", options->id, "Inventory id: [A-Za-z0-9][A-Za-z0-9._:-]{0,63}").required();
  command.option("--model", options->model, "The maker's model");
  command.option("--serial", options->serial, "The maker's serial number");
  command.option("--label", options->label, "EST label (profile) that it belongs to");
  command.option("--idevid", options->idevid, "The maker's certificate by which it is recognised (PEM)").type("FILE");
  command.flag("--one-time", options->one_time, "Make a one-time token and show it once");
  command.option("--token-file", options->token_file, kTokenFile).type("FILE");
  const Arg wrap_key = command.option("--wrap-key", options->wrap_key, kWrapKeyFile).type("FILE");
  command.option("--wrap-key-id", options->wrap_key_id, kWrapKeyId).type("HEX").needs(wrap_key);
  command.flag("--manual", options->manual, "Its first request waits for `imprint device approve`");
  command.runs([options](const Context& c) { return add(c, *options); });

  auto id = std::make_shared<std::string>();
  auto path = std::make_shared<std::string>();
  const Command fresh = device.sub("token", "Make a fresh one-time token for a device and show it once.",
                                   "imprint device token dev-1\nimprint device token dev-1 --token-file token");
  fresh.option("ID", *id, "Inventory id").required();
  fresh.option("--token-file", *path, kTokenFile).type("FILE");
  fresh.runs([id, path](const Context& c) { return token(c, *id, *path); });
}

}  // namespace imprint::app
