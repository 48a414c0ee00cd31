#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/fleet.h"
#include "app/shell_word.h"
#include "app/simulation.h"
#include "crypto/random.h"
#include "factory/line.h"
#include "io/file.h"
#include "io/log.h"
#include "io/loop.h"
#include "sim/born.h"
#include "site/operations.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kGrace = std::chrono::seconds(5);
constexpr std::uint32_t kMaxDevices = 100'000;

struct Options {
  std::uint32_t devices = 10;
  std::vector<std::string> protocols{"est", "est-coaps"};
  bool once = false;
  std::uint32_t at_once = 32;
  bool simulated = false;
  std::uint64_t seed = 1;
  std::string faults = "some";
  bool rollover = false;
};

// Set by a signal, read by the fleet and by the waiting loop.
std::atomic<bool> interrupted{false};

// Marks a folder as the demo's.
constexpr std::string_view kMarker = "imprint-demo";

// A folder that the user names: new, empty, or one of a demo before.
OrProblem<std::string> named_folder(const std::string& path) {
  const std::string marker = path + "/" + std::string(kMarker);
  std::error_code error;
  if (fs::exists(marker, error)) {
    return path;
  }
  const bool there = fs::symlink_status(path, error).type() != fs::file_type::not_found;
  const bool empty = there && fs::is_directory(path, error) && fs::is_empty(path, error) && !error;
  if (there && !empty) {
    return Problem(Error{Fault::refused, kDemoFolder}, path);
  }
  TRY(Ok{}, about(io::make_folder(path), path));
  TRY(Ok{}, about(io::write_file(marker, view("This folder belongs to `imprint demo`.\n")), path));
  return path;
}

// The demo's own folder, new each time unless the user names one.
OrProblem<std::string> demo_folder(const Globals& globals) {
  if (!globals.data.empty()) {
    return named_folder(globals.data);
  }
  SystemRng rng;
  const auto path = fs::temp_directory_path() / ("imprint-demo-" + hex(random_secret(rng, 6).expose()));
  std::error_code error;
  fs::create_directory(path, error);
  if (error) {
    return Problem(Error{Fault::unreachable, kFile}, path.string());
  }
  fs::permissions(path, fs::perms::owner_all, error);
  return named_folder(path.string());
}

constexpr std::string_view kEst = "est", kEstCoaps = "est-coaps";

Protocols spoken(const Options& options) {
  const auto has = [&options](std::string_view name) {
    return std::ranges::find(options.protocols, name) != options.protocols.end();
  };
  return {has(kEst), has(kEstCoaps)};
}

Config demo_config(const std::string& folder, Protocols protocols) {
  auto loaded = load_config("");
  Config out = std::holds_alternative<Config>(loaded) ? std::get<Config>(loaded) : Config{};
  out.data = folder;
  out.est = {"127.0.0.1", 0};
  if (protocols.coaps) {
    out.coaps = Listen{"127.0.0.1", 0};
  }
  out.api = {"127.0.0.1", 0};
  out.unknown = site::Unknown::admit;  // nobody but this folder's own fleet, on loopback
  return out;
}

// The factory makes two kinds of devices: most with an IDevID, every third with a one-time token, which works over
// HTTPS alone.
Result<std::vector<factory::Born>> make_fleet(Server& server, const Options& options, const Config& config, Rng& rng) {
  const Instant now = io::Loop().now();
  TRY(const Name name, Name::from_text("CN=Imprint Demo Factory"));
  TRY(const site::Ca maker, site::make_root(KeyType::p256, name, now, std::chrono::hours(24 * 3650), rng));
  TRY(Ok{}, add_maker(config.data, maker.certificate));
  TRY(Ok{}, server.reload(config));  // the site now takes this maker's IDevIDs
  factory::Order order;
  TRY(const auto reader, server.store().read());
  TRY(const std::int64_t there, reader->count("devices"));
  if (there > 0) {  // a demo's folder that is used again
    order.model = hex(random_secret(rng, 2).expose()) + "-";
  }
  order.anchors = server.folder().ca.chain();
  order.server_uri = "https://127.0.0.1:" + std::to_string(server.est_port());
  return sim::make_mixed(std::move(order), options.devices, maker, now, rng,
                         spoken(options).est ? sim::Kinds::both : sim::Kinds::idevid);
}

Status import(Server& server, const std::vector<factory::Born>& devices) {
  std::vector<ManifestEntry> entries;
  for (const factory::Born& born : devices) {
    entries.push_back(born.entry);
  }
  std::vector<site::Imported> results;
  const site::Act act{"factory", io::Loop().now()};
  return server.store().write(
      [&](store::Writer& w) { return site::import_manifest(w, server.folder().pepper, entries, act, results); });
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    out += (out.empty() ? "" : ", ") + part;
  }
  return out;
}

// Devices all of whose runs went well.
std::size_t operational_of(const std::vector<Outcome>& outcomes) {
  std::set<std::string> good, bad;
  for (const Outcome& o : outcomes) {
    (o.result == "operational" ? good : bad).insert(o.device);
  }
  return static_cast<std::size_t>(std::ranges::count_if(good, [&](const auto& id) { return !bad.contains(id); }));
}

void print_outcomes(const Context& context, const std::vector<Outcome>& outcomes, std::size_t wanted) {
  Json json = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const Outcome& o : outcomes) {
    json.push_back({{"device", o.device},
                    {"protocol", o.protocol},
                    {"mode", o.mode},
                    {"result", o.result},
                    {"rule", o.rule},
                    {"obtained", o.obtained},
                    {"round_trips", o.round_trips},
                    {"ms", o.took.count()}});
    rows.push_back({o.device, o.protocol + " " + o.mode, o.rule.empty() ? o.result : o.result + " " + o.rule,
                    joined(o.obtained), std::to_string(o.round_trips), std::to_string(o.took.count())});
  }
  const std::size_t operational = operational_of(outcomes);
  const std::string summary =
      std::to_string(operational) + " of " + std::to_string(wanted) + " devices are operational\n";
  context.print(Json{{"devices", json}, {"operational", operational}, {"wanted", wanted}},
                table({"device", "protocol", "result", "obtained", "round trips", "ms"}, rows) + "\n" + summary);
}

// One line that grows on a terminal, a line every tenth of the way elsewhere.
class Progress {
 public:
  Progress(const Context& context, std::size_t wanted) : context_(context), wanted_(wanted) {}
  void one(const Outcome& o) {
    const bool counts = o.mode != "renewal";  // its device was counted when it enrolled
    done_ += counts ? 1 : 0;
    if (o.result != "operational") {
      context_.progress(o.device + ": " + o.result + " " + o.rule + (o.next.empty() ? "" : "; " + o.next));
    }
    const std::size_t step = wanted_ < 10 ? 1 : wanted_ / 10;
    if (counts && (done_ % step == 0 || done_ == wanted_)) {
      context_.progress(std::to_string(done_) + " of " + std::to_string(wanted_) + " devices done");
    }
  }

 private:
  const Context& context_;
  std::size_t wanted_;
  std::size_t done_ = 0;
};

void wait_for_interrupt() {
  io::Loop loop;
  const std::function<void()> watch = [&] {
    if (interrupted) {
      loop.stop();
      return;
    }
    loop.after(std::chrono::milliseconds(100), watch);
  };
  loop.post(watch);
  loop.run();
}

OrProblem<Ok> serve_fleet(const Context& context, const Options& options, const Config& config) {
  TRY(const auto server, about(Server::start(config), "demo"));
  SystemRng rng;
  context.progress("the factory makes " + std::to_string(options.devices) + " devices");
  TRY(const auto devices, about(make_fleet(*server, options, config, rng), "factory"));
  TRY(Ok{}, about(import(*server, devices), "import"));
  const std::string coaps =
      server->coaps_port() == 0 ? "" : " and coaps://127.0.0.1:" + std::to_string(server->coaps_port());
  context.progress("they onboard themselves at https://127.0.0.1:" + std::to_string(server->est_port()) + coaps);
  Progress progress(context, devices.size());
  const auto outcomes = onboard_fleet(
      *server, devices, paths_of(devices, spoken(options)), options.at_once, [&](const Outcome& o) { progress.one(o); },
      [] { return interrupted.load(); });
  print_outcomes(context, outcomes, devices.size());
  const bool all = operational_of(outcomes) == devices.size();
  if (!options.once && !interrupted) {
    const std::string api = "http://127.0.0.1:" + std::to_string(server->api_port());
    context.progress("API: " + api + "  (data in " + config.data + ")");
    context.progress("  " + api_curl(config.data, api, "/v1/devices"));
    context.progress("serving until Ctrl-C");
    wait_for_interrupt();
  }
  server->stop(kGrace);
  if (!all) {
    Problem problem(Error{Fault::internal, kFleet});
    problem.next = "the table names the rule that each one broke; `imprint audit list --data " + config.data +
                   "` tells what the owner decided (the folder stays for that)";
    return problem;
  }
  return Ok{};
}

OrProblem<Ok> demo(const Context& context, const Options& options) {
  for (const std::string& protocol : options.protocols) {
    if (protocol != kEst && protocol != kEstCoaps) {
      return Problem(Error{Fault::unsupported, kProtocol}, "--protocols " + protocol);
    }
  }
  io::set_log(io::LogLevel::warning, true);
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  TRY(const std::string folder, demo_folder(context.globals));
  OrProblem<Ok> out =
      options.simulated
          ? simulate(context, {options.devices, options.seed, options.faults, !spoken(options).est, options.rollover},
                     folder, [] { return interrupted.load(); })
          : serve_fleet(context, options, demo_config(folder, spoken(options)));
  // What went wrong can be looked up in the folder.
  const bool wanted_later = !out && !options.simulated && !interrupted;
  if (context.globals.data.empty() && !wanted_later) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  return out;
}

}  // namespace

void add_demo(Command top) {
  const auto options = std::make_shared<Options>();
  const Command command = top.sub(
      "demo", "A factory, a site and a fleet of virtual devices that onboard themselves over real TLS on loopback.",
      "imprint demo\nimprint demo --once --devices 3\nimprint demo --once --devices 500 --protocols est --json\n"
      "imprint demo --once --protocols est-coaps\n"
      "imprint demo --simulate --devices 10000 --seed 1\n"
      "imprint demo --simulate --protocols est-coaps --faults drawn\n"
      "imprint demo --simulate --rollover");
  command.option("--devices", options->devices, "How many devices").between(1U, kMaxDevices).shows_default();
  command.option("--protocols", options->protocols, "Which protocols they speak").list(',').shows_default();
  command.option("--at-once", options->at_once, "How many onboard at the same time").between(1U, 1024U).shows_default();
  const Arg simulated = command.flag("--simulate", options->simulated,
                                     "Without sockets, in virtual time, with faults; ends with a report");
  command.option("--seed", options->seed, "Of the simulation: the same seed gives the same run")
      .needs(simulated)
      .shows_default();
  command.option("--faults", options->faults, "Of the simulation: none, some, or drawn from the seed")
      .one_of({"none", "some", "drawn"})
      .needs(simulated)
      .shows_default();
  command.flag("--rollover", options->rollover, "Of the simulation: the owner's root is rolled over in the midst")
      .needs(simulated);
  command.flag("--once", options->once, "End after the fleet; exit code 0 only if every device is operational");
  command.runs([options](const Context& c) { return demo(c, *options); });
}

}  // namespace imprint::app
