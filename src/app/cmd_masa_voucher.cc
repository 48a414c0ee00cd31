// What a MASA has given: `imprint masa log`, `prune`, `voucher` and `catalog`.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/cli_rules.h"
#include "app/cmd_masa.h"
#include "app/masa_folder_rules.h"
#include "codec/base64.h"
#include "factory/masa_offline.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr std::string_view kActor = "cli";

// ---- log ----

struct LogOptions {
  std::string folder{kMasaFolder}, serial, issuer;
  bool verify = false, refused = false;
  std::int64_t after = 0, limit = 1000;
};

OrProblem<Ok> device_log(const Context& context, const LogOptions& options, store::MakerReader& reader) {
  const auto issuer = from_hex(options.issuer);
  if (!issuer) {
    return Problem(Error{Fault::malformed, kOption}, "--issuer " + options.issuer);
  }
  TRY(const MakerDevice device, about(factory::find_maker_device(reader, options.serial, *issuer), options.serial));
  TRY(const auto entries, reader.vouchers(device.issuer, device.serial));
  Json json{{"serial", device.serial}, {"state", imprint::name(device.state)}, {"vouchers", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const VoucherEntry& e : entries) {
    json["vouchers"].push_back({{"date", utc_text(e.at)},
                                {"domain_id", base64(e.domain_id)},
                                {"nonce", e.nonce ? Json(*e.nonce) : Json()},
                                {"assertion", e.assertion},
                                {"customer", e.customer},
                                {"pinned_key", hex(e.pinned_key)},
                                {"truncated", e.truncated}});
    rows.push_back({utc_text(e.at), base64(e.domain_id), e.nonce ? "yes" : "no", e.assertion,
                    e.customer.empty() ? "-" : e.customer, std::to_string(e.truncated)});
  }
  context.print(json, rows.empty() ? "no vouchers\n"
                                   : table({"AT", "DOMAIN", "NONCE", "ASSERTION", "CUSTOMER", "LEFT OUT"}, rows));
  return Ok{};
}

OrProblem<Ok> refused_claims(const Context& context, const LogOptions& options, store::MakerReader& reader) {
  TRY(const auto claims, reader.refused(options.limit));
  Json json{{"refused", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const store::RefusedClaim& c : claims) {
    json["refused"].push_back({{"serial", c.serial},
                               {"issuer", hex(c.issuer)},
                               {"rule", c.rule},
                               {"registrar", c.registrar},
                               {"customer", c.customer},
                               {"first", utc_text(c.first)},
                               {"last", utc_text(c.last)},
                               {"times", c.times}});
    rows.push_back({c.serial, c.rule, c.registrar, utc_text(c.last), std::to_string(c.times)});
  }
  context.print(json, rows.empty() ? "no claim was refused\n"
                                   : table({"SERIAL", "RULE", "LATEST REGISTRAR", "LAST", "TIMES"}, rows));
  return Ok{};
}

OrProblem<Ok> verify(const Context& context, store::MakerReader& reader) {
  TRY(const auto broken, store::verify_audit(reader));
  TRY(const std::int64_t count, reader.count("audit"));
  if (broken) {
    Problem problem(Error{Fault::internal, kAuditBroken}, "entry " + std::to_string(*broken));
    problem.state = "its hash or its number does not fit the entry before";
    return problem;
  }
  context.print(Json{{"entries", count}, {"ok", true}}, "ok: " + std::to_string(count) + " entries\n");
  return Ok{};
}

OrProblem<Ok> log(const Context& context, const LogOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  TRY(const auto reader, folder.store->read());
  if (!options.serial.empty()) {
    return device_log(context, options, *reader);
  }
  if (options.refused) {
    return refused_claims(context, options, *reader);
  }
  if (options.verify) {
    return verify(context, *reader);
  }
  TRY(const auto entries, reader->audit(options.after, options.limit));
  Json json{{"audit", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const AuditEntry& e : entries) {
    json["audit"].push_back(admin::audit_json(e));
    rows.push_back({std::to_string(e.sequence), utc_text(e.at), e.actor, e.action, e.subject, e.detail});
  }
  context.print(json, rows.empty() ? "no entries\n" : table({"NUMBER", "AT", "BY", "ACTION", "ABOUT", "DETAIL"}, rows));
  return Ok{};
}

// ---- retention ----

struct PruneOptions {
  std::string folder{kMasaFolder};
  std::int64_t days = 0;
};

OrProblem<Ok> prune(const Context& context, const PruneOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  const Instant now = io::wall_clock();
  std::int64_t lines = 0;
  TRY([[maybe_unused]] const Ok done, about(folder.store->write([&](store::MakerWriter& writer) -> Status {
        TRY(lines, writer.prune(now - std::chrono::hours(24 * options.days), now, kActor));
        return Ok{};
      }),
                                            options.folder));
  context.print(Json{{"lines", lines}}, std::to_string(lines) + " line(s) left the log, and are counted there\n");
  return Ok{};
}

// ---- vouchers for sites without a net ----

struct VoucherOptions {
  std::string folder{kMasaFolder}, serial, issuer, customer, pin, out, form = "cms";
  std::int64_t days = -1;
};

OrProblem<Ok> voucher(const Context& context, const VoucherOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  const auto issuer = from_hex(options.issuer);
  if (!issuer) {
    return Problem(Error{Fault::malformed, kOption}, "--issuer " + options.issuer);
  }
  factory::OfflineVoucher what;
  what.customer = options.customer;
  {
    TRY(const auto reader, folder.store->read());
    TRY(what.device, about(factory::find_maker_device(*reader, options.serial, *issuer), options.serial));
    TRY(const auto customer, reader->customer(options.customer));
    if (!customer) {
      return Problem(Error{Fault::refused, "no such customer"}, options.customer);
    }
    TRY(what.pinned, customer_pin(*customer, options.pin));
  }
  what.form = options.form == "cose" ? brski::Form::cose : options.form == "jws" ? brski::Form::jws : brski::Form::cms;
  what.lifetime = std::chrono::hours(24 * (options.days < 0 ? folder.settings.nonceless_days : options.days));
  const Signer signer{folder.signer.key, folder.signer.chain};
  TRY(const Bytes made,
      about(factory::make_offline_voucher(*folder.store, signer, what, io::wall_clock(), kActor), options.serial));
  TRY([[maybe_unused]] const Ok written, about(io::write_file(options.out, made, 0644), options.out));
  context.print(Json{{"serial", options.serial},
                     {"customer", options.customer},
                     {"pinned", what.pinned.subject.text},
                     {"form", brski::name(what.form)},
                     {"file", options.out}},
                options.out + ": voucher for " + options.serial + ", pins " + what.pinned.subject.text + "\n");
  return Ok{};
}

// ---- catalogue ----

struct CatalogOptions {
  std::string folder{kMasaFolder}, out;
};

OrProblem<Ok> catalog(const Context& context, const CatalogOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  TRY(const std::string text, masa_catalogue(folder, io::wall_clock()));
  if (!options.out.empty()) {
    TRY([[maybe_unused]] const Ok written, about(io::write_file(options.out, view(text), 0644), options.out));
  }
  context.print(Json{{"file", options.out}, {"catalogue", text}},
                options.out.empty() ? text + "\n" : options.out + "\n");
  return Ok{};
}

}  // namespace

OrProblem<Certificate> customer_pin(const Customer& customer, const std::string& file) {
  if (file.empty()) {
    if (customer.anchors.size() != 1) {
      return Problem(Error{Fault::refused, kMasaPin}, customer.id);
    }
    return customer.anchors.front();
  }
  TRY(const std::vector<Certificate> given, read_certificates(file));
  const Instant now = io::wall_clock();
  const bool own = static_cast<bool>(verify_chain(given.front(), given, customer.anchors, {Purpose::any, now, true}));
  if (!own) {
    return Problem(Error{Fault::refused, kMasaPin}, file);
  }
  return given.front();
}

void add_masa_vouchers(Command masa) {
  auto log_options = std::make_shared<LogOptions>();
  const Command log_command =
      masa.sub("log", "Who has got vouchers, and who changed what.",
               "imprint masa log lamp-0001\nimprint masa log --refused\nimprint masa log --verify");
  masa_folder_option(log_command, log_options->folder);
  log_command.option("SERIAL", log_options->serial, "Only the vouchers of this device");
  log_command.option("--issuer", log_options->issuer, "Key identifier of its CA").type("HEX");
  const Arg refused = log_command.flag("--refused", log_options->refused, "Claims that were refused");
  log_command.flag("--verify", log_options->verify, "Check the chain of hashes").excludes(refused);
  log_command.option("--after", log_options->after, "Only entries after this number").not_negative();
  log_command.option("--limit", log_options->limit, "At most so many").between(1, 100000);
  log_command.runs([log_options](const Context& c) { return log(c, *log_options); });

  auto prune_options = std::make_shared<PruneOptions>();
  const Command prune_command = masa.sub(
      "prune",
      "Shorten the log: of what is older, each domain's latest voucher with a nonce and without one stays, and counts "
      "the rest.",
      "imprint masa prune --older-than 365");
  masa_folder_option(prune_command, prune_options->folder);
  prune_command.option("--older-than", prune_options->days, "Days").required().between(0, 36500);
  prune_command.runs([prune_options](const Context& c) { return prune(c, *prune_options); });

  auto options = std::make_shared<VoucherOptions>();
  const Command command = masa.sub("voucher", "Make a voucher without a nonce, for a site that reaches no MASA.",
                                   "imprint masa voucher --serial lamp-0001 --customer acme-north --out lamp-0001.vcj");
  masa_folder_option(command, options->folder);
  command.option("--serial", options->serial, "Of the device").required();
  command.option("--issuer", options->issuer, "Key identifier of its CA, if several have this serial number")
      .type("HEX");
  command.option("--customer", options->customer, "Its owner by the records").required();
  command.option("--pin", options->pin, "The customer's certificate to pin; without it its only one").type("FILE");
  command.option("--out", options->out, "File to write").required().type("FILE");
  command.option("--form", options->form, "cms, cose or jws").one_of({"cms", "cose", "jws"}).shows_default();
  command.option("--days", options->days, "How long it is good; 0: for ever; without it as masa.json says")
      .between(0, 36500);
  command.runs([options](const Context& c) { return voucher(c, *options); });

  auto catalog_options = std::make_shared<CatalogOptions>();
  const Command catalog_command =
      masa.sub("catalog", "The signed catalogue by which registrars find this MASA. It is also served.",
               "imprint masa catalog --out acme.jws");
  masa_folder_option(catalog_command, catalog_options->folder);
  catalog_command.option("--out", catalog_options->out, "File to write in place of printing").type("FILE");
  catalog_command.runs([catalog_options](const Context& c) { return catalog(c, *catalog_options); });
}

}  // namespace imprint::app
