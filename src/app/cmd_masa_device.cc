// `imprint masa device` and `imprint masa customer`.
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/cmd_masa.h"
#include "factory/masa_login.h"
#include "factory/masa_owner.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr std::string_view kActor = "cli";
constexpr std::size_t kMaxOrder = std::size_t{256} << 20U;

// ---- devices ----

Json device_json(const MakerDevice& d) {
  return Json{{"serial", d.serial},
              {"issuer", hex(d.issuer)},
              {"model", d.model},
              {"state", imprint::name(d.state)},
              {"customer", d.customer},
              {"claimant", d.claimant},
              {"claimed_key", hex(d.claimed_key)},
              {"owner",
               {{"kind", imprint::name(d.owner.kind)},
                {"url", d.owner.url},
                {"pinned", d.owner.pinned ? d.owner.pinned->subject.text : std::string()}}},
              {"added", utc_text(d.added)},
              {"changed", utc_text(d.changed)}};
}

struct ImportOptions {
  std::string folder{kMasaFolder}, file, customer;
};

OrProblem<Ok> import(const Context& context, const ImportOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  const auto text = io::read_file(options.file, kMaxOrder);
  if (!text) {
    return file_problem(options.file, text.error().what);
  }
  TRY(const factory::OrderOutcome done,
      about(factory::import_order(*folder.store, as_text(*text), options.customer, io::wall_clock(), kActor),
            options.file));
  Json problems = Json::array();
  std::string told;
  for (const factory::OrderProblem& one : done.problems) {
    problems.push_back({{"line", one.line}, {"problem", one.text}});
    told += options.file + ":" + std::to_string(one.line) + ": " + one.text + "\n";
  }
  context.print(Json{{"lines", done.lines},
                     {"added", done.added},
                     {"assigned", done.assigned},
                     {"unchanged", done.unchanged},
                     {"problems", problems}},
                told + std::to_string(done.added) + " added, " + std::to_string(done.assigned) + " assigned, " +
                    std::to_string(done.unchanged) + " unchanged, " + std::to_string(done.problems.size()) +
                    " with a problem\n");
  if (!done.problems.empty()) {
    return Problem(Error{Fault::malformed, kContent}, options.file);
  }
  return Ok{};
}

struct ListOptions {
  std::string folder{kMasaFolder}, customer, state, after;
  std::int64_t limit = 1000;
};

OrProblem<Ok> list(const Context& context, const ListOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  TRY(const auto reader, folder.store->read());
  store::MakerDeviceFilter filter;
  filter.customer = options.customer;
  filter.state = custody_named(options.state);
  filter.limit = options.limit;
  filter.after_serial = options.after;
  filter.after_issuer.assign(options.after.empty() ? 0 : 64, 0xff);  // behind every device of this serial number
  TRY(const auto devices, reader->devices(filter));
  Json json{{"devices", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const MakerDevice& d : devices) {
    json["devices"].push_back(device_json(d));
    rows.push_back({d.serial, hex(d.issuer).substr(0, 16), d.model.empty() ? "-" : d.model,
                    std::string(imprint::name(d.state)), d.customer.empty() ? "-" : d.customer,
                    d.claimant.empty() ? "-" : d.claimant, utc_text(d.changed)});
  }
  context.print(json, rows.empty()
                          ? "no devices\n"
                          : table({"SERIAL", "ISSUER", "MODEL", "STATE", "CUSTOMER", "CLAIMED BY", "CHANGED"}, rows));
  return Ok{};
}

struct ChangeOptions {
  std::string folder{kMasaFolder}, serial, issuer, to;
};
enum class Change : std::uint8_t { release, transfer, retire };

OrProblem<Ok> change(const Context& context, const ChangeOptions& options, Change what) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  const auto issuer = from_hex(options.issuer);
  if (!issuer) {
    return Problem(Error{Fault::malformed, kOption}, "--issuer " + options.issuer);
  }
  const Instant now = io::wall_clock();
  TRY([[maybe_unused]] const Ok done, about(folder.store->write([&](store::MakerWriter& writer) -> Status {
        TRY(const MakerDevice device, factory::find_maker_device(writer, options.serial, *issuer));
        return what == Change::release  ? factory::release_device(writer, device, now, kActor)
               : what == Change::retire ? factory::retire_device(writer, device, now, kActor)
                                        : factory::transfer_device(writer, device, options.to, now, kActor);
      }),
                                            options.serial));
  TRY(const auto reader, folder.store->read());
  TRY(const MakerDevice device, factory::find_maker_device(*reader, options.serial, *issuer));
  context.print(device_json(device), device.serial + ": " + std::string(imprint::name(device.state)) +
                                         (device.customer.empty() ? "" : ", of " + device.customer) + "\n");
  return Ok{};
}

// ---- where devices find their owners ----

struct OwnerOptions {
  std::string folder{kMasaFolder}, serial, issuer, registrar, est, pin, configuration;
  bool nobody = false, unsaid = false;
};

OrProblem<OwnerAddress> address_of(const OwnerOptions& options) {
  using Kind = OwnerAddress::Kind;
  OwnerAddress out;
  const int said = (options.registrar.empty() ? 0 : 1) + (options.est.empty() ? 0 : 1) + (options.nobody ? 1 : 0) +
                   (options.unsaid ? 1 : 0);
  if (said != 1) {
    return Problem(Error{Fault::malformed, kOption}, "one of --registrar, --est, --nobody and --unsaid");
  }
  out.kind = !options.registrar.empty() ? Kind::registrar
             : !options.est.empty()     ? Kind::est
             : options.nobody           ? Kind::nobody
                                        : Kind::unsaid;
  out.url = options.registrar.empty() ? options.est : options.registrar;
  out.configuration = options.configuration;
  if (!options.pin.empty()) {
    TRY(const std::vector<Certificate> given, read_certificates(options.pin));
    out.pinned = given.front();
  }
  return out;
}

OrProblem<Ok> set_owner(const Context& context, const OwnerOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  TRY(const OwnerAddress owner, address_of(options));
  const auto issuer = from_hex(options.issuer);
  if (!issuer) {
    return Problem(Error{Fault::malformed, kOption}, "--issuer " + options.issuer);
  }
  TRY([[maybe_unused]] const Ok done, about(folder.store->write([&](store::MakerWriter& writer) -> Status {
        TRY(const MakerDevice device, factory::find_maker_device(writer, options.serial, *issuer));
        return factory::set_owner(writer, device, owner, io::wall_clock(), kActor);
      }),
                                            options.serial));
  TRY(const auto reader, folder.store->read());
  TRY(const MakerDevice device, factory::find_maker_device(*reader, options.serial, *issuer));
  context.print(device_json(device), device.serial + ": " + std::string(imprint::name(device.owner.kind)) +
                                         (device.owner.url.empty() ? "" : " " + device.owner.url) + "\n");
  return Ok{};
}

void add_owner(Command device) {
  auto options = std::make_shared<OwnerOptions>();
  const Command command =
      device.sub("owner",
                 "Say where a device finds its owner when it asks the maker: the default registrar tells it.\n"
                 "Until somebody has said, the device is told to come again.",
                 "imprint masa device owner lamp-0001 --registrar https://registrar.north.example\n"
                 "imprint masa device owner lamp-0001 --est https://est.south.example --pin south-ca.pem\n"
                 "imprint masa device owner lamp-0001 --nobody");
  masa_folder_option(command, options->folder);
  command.option("SERIAL", options->serial, "Serial number").required();
  command.option("--issuer", options->issuer, "Key identifier of its CA, if several devices have this serial number")
      .type("HEX");
  command.option("--registrar", options->registrar, "The owner's registrar").type("URL");
  command.option("--est", options->est, "The owner's EST server, if it has no registrar: the device gets a voucher")
      .type("URL");
  command.option("--pin", options->pin, "With --est: the certificate by which that server is known").type("FILE");
  command.option("--configuration", options->configuration, "With --est: where the device finds more to read")
      .type("URL");
  command.flag("--nobody", options->nobody, "It has no owner: the device is refused");
  command.flag("--unsaid", options->unsaid, "Take back what was said");
  command.runs([options](const Context& c) { return set_owner(c, *options); });
}

void add_change(Command device, const std::string& name, const std::string& text, Change what) {
  auto options = std::make_shared<ChangeOptions>();
  const Command command = device.sub(
      name, text, "imprint masa device " + name + " lamp-0001" + (what == Change::transfer ? " --to acme-north" : ""));
  masa_folder_option(command, options->folder);
  command.option("SERIAL", options->serial, "Serial number").required();
  command.option("--issuer", options->issuer, "Key identifier of its CA, if several devices have this serial number")
      .type("HEX");
  if (what == Change::transfer) {
    command.option("--to", options->to, "The customer; without it nobody");
  }
  command.runs([options, what](const Context& c) { return change(c, *options, what); });
}

// ---- customers ----

constexpr const char* kBase64Bodies = "base64_bodies";  // as in a maker's file

Json customer_json(const Customer& c) {
  Json anchors = Json::array();
  for (const Certificate& one : c.anchors) {
    anchors.push_back({{"subject", one.subject.text}, {"sha256", fingerprint_text(one.fingerprint())}});
  }
  return Json{{"id", c.id},
              {"name", c.name},
              {"certificates", anchors},
              {"password", c.password.has_value()},
              {"digest", !c.digest.empty()},
              {"quirks", c.base64_bodies ? Json{kBase64Bodies} : Json::array()},
              {"added", utc_text(c.added)}};
}

struct CustomerOptions {
  std::string folder{kMasaFolder}, id, name, password_file;
  std::vector<std::string> certificates, quirks;
};

OrProblem<Ok> add_customer(const Context& context, const CustomerOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  Customer customer;
  customer.id = options.id;
  customer.name = options.name;
  customer.added = io::wall_clock();
  customer.base64_bodies = !options.quirks.empty();  // the only one there is
  for (const std::string& file : options.certificates) {
    TRY(const std::vector<Certificate> found, read_certificates(file));
    customer.anchors.insert(customer.anchors.end(), found.begin(), found.end());
  }
  if (!options.password_file.empty()) {
    TRY(const Secret password, read_secret(options.password_file));
    TRY([[maybe_unused]] const Ok strong, about(check_secret_strength(password), options.password_file));
    customer.password = customer_mac(folder.pepper, customer.id, password);
    if (folder.settings.digest) {  // else nothing that could answer for the customer is kept
      TRY(customer.digest, about(factory::customer_digest(folder.pepper, customer.id, password), options.id));
    }
  }
  TRY([[maybe_unused]] const Ok put,
      about(folder.store->write([&](store::MakerWriter& writer) { return writer.put_customer(customer, kActor); }),
            options.id));
  context.print(customer_json(customer), customer.id + ": " + std::to_string(customer.anchors.size()) +
                                             " certificate(s), " + (customer.password ? "a password" : "no password") +
                                             "\n");
  return Ok{};
}

OrProblem<Ok> list_customers(const Context& context, const std::string& path) {
  TRY(const MasaFolder folder, open_masa(path));
  TRY(const auto reader, folder.store->read());
  TRY(const auto customers, reader->customers());
  Json json{{"customers", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const Customer& c : customers) {
    json["customers"].push_back(customer_json(c));
    rows.push_back({c.id, c.name.empty() ? "-" : c.name, std::to_string(c.anchors.size()), c.password ? "yes" : "no",
                    utc_text(c.added)});
  }
  context.print(json,
                rows.empty() ? "no customers\n" : table({"ID", "NAME", "CERTIFICATES", "PASSWORD", "CHANGED"}, rows));
  return Ok{};
}

}  // namespace

void add_masa_devices(Command masa) {
  const Command device = masa.group("device", "Devices as their maker knows them.",
                                    "imprint masa device list\nimprint masa device release lamp-0001");
  auto order = std::make_shared<ImportOptions>();
  const Command import_command = device.sub(
      "import",
      "Take over what was made or sold: JSON Lines with serial, idevid (PEM) or issuer (hexadecimal), model, "
      "customer.\n"
      "A factory's manifest is one. Taken again it changes nothing.",
      "imprint masa device import acme/manifest.jsonl --customer acme-north\nimprint masa device import order.jsonl");
  masa_folder_option(import_command, order->folder);
  import_command.option("FILE", order->file, "The order or manifest").required();
  import_command.option("--customer", order->customer, "Of lines that name none");
  import_command.runs([order](const Context& c) { return import(c, *order); });

  auto options = std::make_shared<ListOptions>();
  const Command list_command = device.sub("list", "List devices, by serial number.",
                                          "imprint masa device list\nimprint masa device list --state claimed --json");
  masa_folder_option(list_command, options->folder);
  list_command.option("--customer", options->customer, "Only those of this customer");
  list_command.option("--state", options->state, "Only those in this state")
      .one_of({"made", "sold", "claimed", "released", "retired"});
  list_command.option("--limit", options->limit, "At most so many").between(1, 100000);
  list_command.option("--after", options->after, "Only those after this serial number");
  list_command.runs([options](const Context& c) { return list(c, *options); });

  add_change(device, "release", "The owner gives a device up: the next one may claim it. The log keeps what was.",
             Change::release);
  add_change(device, "transfer", "A device changes hands: it is this customer's from now on.", Change::transfer);
  add_change(device, "retire", "A device gets no vouchers any more.", Change::retire);
  add_owner(device);
}

void add_masa_customers(Command masa) {
  const Command customer = masa.group("customer", "Accounts of those who buy devices.",
                                      "imprint masa customer add acme-north --certificate domain-ca.pem");
  auto options = std::make_shared<CustomerOptions>();
  const Command add =
      customer.sub("add", "Add an account, or change one: all that is known of it is given anew.",
                   "imprint masa customer add acme-north --name \"Acme North\" --certificate data/ca/chain.pem\n"
                   "imprint masa customer add acme-south --password-file password");
  masa_folder_option(add, options->folder);
  add.option("ID", options->id, "Its name here, and its user name").required();
  add.option("--name", options->name, "For people");
  add.option("--certificate", options->certificates,
             "File with its domain CA or registrars: whoever leads to one of these is this customer; again for more")
      .type("FILE");
  add.option("--password-file", options->password_file,
             "Password for HTTP Basic, and for Digest if masa.json turns that on; - reads it from standard input")
      .type("FILE");
  add.option("--quirk", options->quirks, "What its registrars do otherwise than RFC 8995; again for more")
      .one_of({kBase64Bodies});
  add.runs([options](const Context& c) { return add_customer(c, *options); });

  auto folder = std::make_shared<std::string>(kMasaFolder);
  const Command list = customer.sub("list", "List accounts.", "imprint masa customer list");
  masa_folder_option(list, *folder);
  list.runs([folder](const Context& c) { return list_customers(c, *folder); });
}

}  // namespace imprint::app
