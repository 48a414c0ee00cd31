#include "app/bench_site.h"

#include <filesystem>

#include "app/config.h"
#include "app/data_folder.h"
#include "codec/base64.h"
#include "crypto/random.h"
#include "factory/line.h"
#include "io/file.h"
#include "io/loop.h"
#include "site/operations.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

// Registers the devices as a manifest would, and gives the first one a password too.
Status fill_store(const Config& config, const DataFolder& folder, const std::vector<factory::Born>& born,
                  const Secret& password, const site::Act& act) {
  TRY(const auto store, open_store(config));
  std::vector<ManifestEntry> entries;
  for (const factory::Born& one : born) {
    entries.push_back(one.entry);
  }
  const std::string& first = entries.front().id;
  const DeviceSecret secret{first, first, false, site::secret_mac(folder.pepper, first, password), false};
  return store->write([&](store::Writer& w) -> Status {
    std::vector<site::Imported> results;
    TRY([[maybe_unused]] const Ok taken, site::import_manifest(w, folder.pepper, entries, act, results));
    return w.add_secret(secret);
  });
}

Status write_config(Config config, std::uint32_t threads, const std::string& path) {
  config.threads = threads;
  return io::write_file(path, view(config_text(config)));
}

}  // namespace

Result<std::unique_ptr<BenchFolder>> BenchFolder::make() {
  SystemRng rng;
  const auto path = fs::temp_directory_path() / ("imprint-bench-" + hex(random_secret(rng, 6).expose()));
  TRY([[maybe_unused]] const Ok made, io::make_folder(path.string()));
  return std::unique_ptr<BenchFolder>(new BenchFolder(path.string()));
}

BenchFolder::~BenchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Result<bench::EstPlan> make_bench_site(const BenchOptions& options, const std::string& folder) {
  SystemRng rng;
  const Instant now = io::wall_clock();
  Config config;
  config.data = folder;
  config.est = config.api = {"127.0.0.1", 0};
  if (options.coaps) {
    config.coaps = Listen{"127.0.0.1", 0};
    config.max_associations = std::max<std::size_t>(config.max_associations, options.idle + 1024);
  }
  config.unknown = site::Unknown::refuse;
  config.certificates_per_device = 1'000'000;
  TRY(const DataFolder data, open_data_folder(config, now, rng));
  TRY(const Name name, Name::from_text("CN=Imprint Bench Factory"));
  TRY(const site::Ca maker, site::make_root(KeyType::p256, name, now, std::chrono::hours(24 * 365), rng));
  TRY([[maybe_unused]] const Ok known, add_maker(folder, maker.certificate));
  factory::Order order;
  order.model = "bench";
  order.count = options.devices;
  TRY(const auto born, factory::make(order, maker, now, rng));
  const std::string password = hex(random_secret(rng, 20).expose());
  TRY([[maybe_unused]] const Ok filled, fill_store(config, data, born, Secret(password), {"bench", now}));

  bench::EstPlan out;
  out.data = folder;
  out.one_core_config = folder + "/one-core.toml";
  out.all_cores_config = folder + "/all-cores.toml";
  TRY([[maybe_unused]] const Ok one, write_config(config, 1, out.one_core_config));
  TRY([[maybe_unused]] const Ok all, write_config(config, 0, out.all_cores_config));
  for (const factory::Born& device : born) {
    out.devices.push_back({device.entry.id, device.key, device.chain.front()});
  }
  out.maker = maker.certificate;
  out.tls_chain = data.tls_chain;
  out.tls_key = data.tls_key;
  out.ca = data.ca.certificate;
  out.ca_key = data.ca.key;
  out.login = "Basic " + base64(view(born.front().entry.id + ":" + password));
  return out;
}

Result<std::int64_t> certificates_on_record(const std::string& folder) {
  Config config;
  config.data = folder;
  TRY(const auto store, open_store(config));
  TRY(const auto reader, store->read());
  store::CertificateFilter own;
  own.device = store::kServer;
  TRY(const auto of_server, reader->certificates(own));
  TRY(const std::int64_t all, reader->count("certificates"));
  return all - static_cast<std::int64_t>(of_server.size());
}

}  // namespace imprint::app
