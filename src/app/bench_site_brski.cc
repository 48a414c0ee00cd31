#include "app/bench_site_brski.h"

#include <algorithm>

#include "app/config.h"
#include "app/data_folder.h"
#include "app/masa_folder.h"
#include "app/pem_file.h"
#include "crypto/random.h"
#include "factory/line.h"
#include "factory/masa_policy.h"
#include "io/file.h"
#include "io/loop.h"
#include "site/operations.h"

namespace imprint::app {
namespace {

constexpr std::string_view kActor = "bench", kCustomer = "bench", kMakerFile = "bench";
constexpr std::string_view kMasa = "127.0.0.1";  // in the IDevIDs; the port is told by the operator's word, later

struct Line {
  site::Ca maker;
  std::vector<factory::Born> onboarding, bulk;
};

// The maker, in a folder as `imprint factory make` leaves it, and its devices.
Result<Line> make_line(const BrskiBenchOptions& options, const std::string& folder, Instant now, Rng& rng) {
  Line out;
  TRY(const Name name, Name::from_text("CN=Imprint Bench Maker"));
  TRY(out.maker, site::make_root(KeyType::p256, name, now, std::chrono::hours(24 * 365), rng));
  TRY([[maybe_unused]] const Ok made, io::make_folder(folder));
  TRY(const Secret pem, out.maker.key.to_pem());
  TRY([[maybe_unused]] const Ok key, io::write_file(folder + "/key.pem", pem.expose()));
  TRY([[maybe_unused]] const Ok root, io::write_file(folder + "/root.pem", view(to_pem(out.maker.certificate))));
  factory::Order order;
  order.model = "bench";
  order.masa = kMasa;
  order.count = options.devices;
  TRY(out.onboarding, factory::make(order, out.maker, now, rng));
  if (options.bulk > 0) {
    order.model = "bulk";
    order.count = options.bulk;
    TRY(out.bulk, factory::make(order, out.maker, now, rng));
  }
  return out;
}

// The owner's site, with the devices that onboard themselves in its inventory.
Result<DataFolder> make_owner(Config& config, const Line& line, Instant now, Rng& rng) {
  TRY(DataFolder data, open_data_folder(config, now, rng));
  TRY([[maybe_unused]] const Ok known, add_maker(config.data, line.maker.certificate));
  TRY(const auto store, open_store(config));
  std::vector<ManifestEntry> entries;
  for (const factory::Born& one : line.onboarding) {
    entries.push_back(one.entry);
  }
  std::vector<site::Imported> results;
  TRY([[maybe_unused]] const Ok filled, store->write([&](store::Writer& w) -> Status {
    return site::import_manifest(w, data.pepper, entries, {std::string(kActor), now}, results);
  }));
  return data;
}

// The MASA, with the owner as its customer and all devices sold to it.
OrProblem<MasaFolder> make_maker_service(const std::string& folder, const std::string& maker, const Line& line,
                                         const Certificate& domain, Instant now, Rng& rng) {
  MasaSettings settings;
  settings.name = "Bench";
  settings.authority = std::string(kMasa) + ":9443";
  TRY([[maybe_unused]] const Ok made, make_masa(folder, maker, settings, {}, now, rng));
  TRY(MasaFolder out, open_masa(folder));
  Customer customer;
  customer.id = customer.name = kCustomer;
  customer.anchors = {domain};
  customer.added = now;
  TRY([[maybe_unused]] const Ok put,
      about(out.store->write([&](store::MakerWriter& w) { return w.put_customer(customer, kActor); }), folder));
  std::string order;
  for (const auto* const all : {&line.onboarding, &line.bulk}) {
    for (const factory::Born& one : *all) {
      order += factory::manifest_line(one.entry) + "\n";
    }
  }
  TRY(const factory::OrderOutcome taken,
      about(factory::import_order(*out.store, order, kCustomer, now, kActor), folder));
  if (taken.added != line.onboarding.size() + line.bulk.size()) {
    return Problem(Error{Fault::internal, "bench: the MASA did not take all devices"}, folder);
  }
  return out;
}

std::vector<bench::EstDevice> devices_of(const std::vector<factory::Born>& born) {
  std::vector<bench::EstDevice> out;
  for (const factory::Born& one : born) {
    out.push_back({one.entry.id, one.key, one.chain.front()});
  }
  return out;
}

// As the operator would write it: an address on this machine has to be named.
Status introduce_masa(const std::string& data, const Certificate& root, std::uint16_t port) {
  const std::string base = data + "/makers/" + std::string(kMakerFile);
  TRY([[maybe_unused]] const Ok made, io::make_folder(base));
  TRY([[maybe_unused]] const Ok anchor, io::write_file(base + "/tls.pem", view(to_pem(root))));
  TRY([[maybe_unused]] const Ok roots, io::write_file(base + ".pem", view(to_pem(root))));
  const std::string text =
      "[[rules]]\nname = \"all\"\nserials = [\"*\"]\nmasa = \"https://127.0.0.1:" + std::to_string(port) +
      "\"\noverride = true\nmasa_anchors = [\"" + std::string(kMakerFile) + "/tls.pem\"]\n";
  return io::write_file(base + ".toml", view(text));
}

Config site_config(const std::string& data) {
  Config out;
  out.data = data;
  out.est = out.api = {"127.0.0.1", 0};
  out.threads = 1;
  out.unknown = site::Unknown::refuse;
  out.certificates_per_device = 1'000'000;
  return out;
}

}  // namespace

OrProblem<bench::BrskiPlan> make_brski_bench_site(const BrskiBenchOptions& options, const std::string& folder) {
  SystemRng rng;
  const Instant now = io::wall_clock();
  bench::BrskiPlan out;
  out.data = folder + "/site";
  out.masa_folder = folder + "/masa";
  out.config = folder + "/site.toml";
  TRY(const Line line, about(make_line(options, folder + "/maker", now, rng), "bench"));
  Config config = site_config(out.data);
  TRY(const DataFolder data, about(make_owner(config, line, now, rng), "bench"));
  TRY([[maybe_unused]] const Ok written, about(io::write_file(out.config, view(config_text(config))), out.config));
  const std::vector<Certificate> owner = data.ca.chain();
  TRY(const MasaFolder masa, make_maker_service(out.masa_folder, folder + "/maker", line, owner.back(), now, rng));
  out.devices = devices_of(line.onboarding);
  out.bulk = devices_of(line.bulk);
  out.maker = line.maker.certificate;
  out.registrar_chain = data.tls_chain;
  for (const Certificate& one : owner) {
    if (std::ranges::find(out.registrar_chain, one) == out.registrar_chain.end()) {
      out.registrar_chain.push_back(one);
    }
  }
  out.registrar_key = data.tls_key;
  out.masa_chain = masa.tls.chain;
  out.masa_key = masa.tls.key;
  out.introduce = [data_folder = out.data, root = out.maker](std::uint16_t port) {
    return introduce_masa(data_folder, root, port);
  };
  out.seconds = options.seconds;
  out.at_once = options.at_once;
  return out;
}

OrProblem<BrskiOnRecord> brski_on_record(const bench::BrskiPlan& plan) {
  BrskiOnRecord out;
  TRY(out.certificates, about(certificates_on_record(plan.data), "bench brski"));
  TRY(const MasaFolder masa, open_masa(plan.masa_folder));
  TRY(const auto reader, about(masa.store->read(), "bench brski"));
  TRY(out.vouchers, about(reader->count("vouchers"), "bench brski"));
  return out;
}

}  // namespace imprint::app
