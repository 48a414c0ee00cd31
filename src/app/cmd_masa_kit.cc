// `imprint masa kit`: vouchers of all devices of a customer whose site reaches no MASA.
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/cmd_masa.h"
#include "codec/base64.h"
#include "factory/masa_offline.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr std::string_view kActor = "cli";
constexpr std::int64_t kPage = 1000;

struct KitOptions {
  std::string folder{kMasaFolder}, customer, pin, out, form = "cms";
  std::int64_t days = -1;
};

// Every device that the customer owns by the records, and that may have vouchers.
Result<std::vector<MakerDevice>> devices_of(store::MakerStore& store, const std::string& customer) {
  TRY(const auto reader, store.read());
  store::MakerDeviceFilter filter;
  filter.customer = customer;
  filter.limit = kPage;
  std::vector<MakerDevice> out;
  while (true) {
    TRY(std::vector<MakerDevice> page, reader->devices(filter));
    if (page.empty()) {
      return out;
    }
    filter.after_serial = page.back().serial;
    filter.after_issuer = page.back().issuer;
    for (MakerDevice& device : page) {
      if (device.state != Custody::retired) {
        out.push_back(std::move(device));
      }
    }
  }
}

Json line_of(const MakerDevice& device, const factory::OfflineVoucher& what, const Bytes& voucher) {
  const auto made = brski::parse_artifact(voucher);
  const bool ends = made && made->voucher.expires_on;
  return Json{{"serial", device.serial},
              {"issuer", hex(device.issuer)},
              {"customer", what.customer},
              {"form", brski::name(what.form)},
              {"pinned", fingerprint_text(what.pinned.fingerprint())},
              {"expires", ends ? Json(made->voucher.expires_on->text) : Json()},
              {"voucher", base64(voucher)}};
}

OrProblem<Ok> kit(const Context& context, const KitOptions& options) {
  TRY(const MasaFolder folder, open_masa(options.folder));
  factory::OfflineVoucher what;
  what.customer = options.customer;
  what.form = options.form == "cose" ? brski::Form::cose : options.form == "jws" ? brski::Form::jws : brski::Form::cms;
  what.lifetime = std::chrono::hours(24 * (options.days < 0 ? folder.settings.nonceless_days : options.days));
  {
    TRY(const auto reader, folder.store->read());
    TRY(const auto customer, reader->customer(options.customer));
    if (!customer) {
      return Problem(Error{Fault::refused, "no such customer"}, options.customer);
    }
    TRY(what.pinned, customer_pin(*customer, options.pin));
  }
  TRY(const std::vector<MakerDevice> devices, devices_of(*folder.store, options.customer));
  const Signer signer{folder.signer.key, folder.signer.chain};
  std::string text;
  for (const MakerDevice& device : devices) {
    what.device = device;
    TRY(const Bytes made,
        about(factory::make_offline_voucher(*folder.store, signer, what, io::wall_clock(), kActor), device.serial));
    text += line_of(device, what, made).dump() + "\n";
  }
  TRY([[maybe_unused]] const Ok written, about(io::write_file(options.out, view(text), 0644), options.out));
  context.print(Json{{"file", options.out},
                     {"customer", options.customer},
                     {"vouchers", devices.size()},
                     {"pinned", what.pinned.subject.text}},
                options.out + ": " + std::to_string(devices.size()) + " voucher(s) for " + options.customer +
                    ", pinning " + what.pinned.subject.text + "\n");
  context.progress("next, at the customer's: `imprint voucher import " + options.out + "`");
  return Ok{};
}

}  // namespace

void add_masa_kit(Command masa) {
  auto options = std::make_shared<KitOptions>();
  const Command command =
      masa.sub("kit",
               "Vouchers without a nonce for all devices of a customer, for a site that reaches no MASA: JSON Lines\n"
               "with serial, issuer, voucher (base64) and expires. Each is in the log, and its device claimed.",
               "imprint masa kit --customer acme-north --out north.kit");
  masa_folder_option(command, options->folder);
  command.option("--customer", options->customer, "The owner by the records").required();
  command.option("--pin", options->pin, "The customer's certificate to pin; without it its only one").type("FILE");
  command.option("--out", options->out, "File to write").required().type("FILE");
  command.option("--form", options->form, "cms, cose or jws").one_of({"cms", "cose", "jws"}).shows_default();
  command.option("--days", options->days, "How long they are good; 0: for ever; without it as masa.json says")
      .between(0, 36500);
  command.runs([options](const Context& c) { return kit(c, *options); });
}

}  // namespace imprint::app
