#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/demo_fleet.h"
#include "app/demo_report.h"
#include "app/shell_word.h"
#include "app/simulation.h"
#include "io/file.h"
#include "io/log.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kGrace = std::chrono::seconds(5);
constexpr std::uint32_t kMaxDevices = 100'000;

struct Options {
  std::uint32_t devices = 20;
  std::vector<std::string> protocols = fleet_kind_names();
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

std::vector<FleetKind> kinds_of(const Options& options) {
  std::vector<FleetKind> out;
  for (const std::string& protocol : options.protocols) {
    if (const auto kind = fleet_kind_named(protocol)) {
      out.push_back(*kind);
    }
  }
  return out;
}

bool has(const std::vector<FleetPart>& parts, FleetKind kind) {
  return std::ranges::find(parts, kind, &FleetPart::kind) != parts.end();
}

bool has(const std::vector<FleetPart>& parts, FleetKind kind, Way way) {
  return std::ranges::any_of(parts, [&](const FleetPart& part) { return part.kind == kind && part.way == way; });
}

Config demo_config(const std::string& folder, const std::vector<FleetPart>& parts) {
  auto loaded = load_config("");
  Config out = std::holds_alternative<Config>(loaded) ? std::get<Config>(loaded) : Config{};
  out.data = folder;
  out.est = {"127.0.0.1", 0};
  if (has(parts, FleetKind::est_coaps) || has(parts, FleetKind::brski_coaps)) {
    out.coaps = Listen{"127.0.0.1", 0};
  }
  if (has(parts, FleetKind::brski_coaps, Way::proxy)) {
    out.coaps_join = Listen{"127.0.0.1", 0};
  }
  out.api = {"127.0.0.1", 0};
  out.unknown = site::Unknown::admit;  // nobody but this folder's own fleet, on loopback
  return out;
}

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

// Where everybody is, once they are there.
void tell_places(const Context& context, const Server& server, const DemoStreet& street) {
  const std::string here = "://127.0.0.1:";
  std::string line = "they onboard themselves at https" + here + std::to_string(server.est_port());
  line += server.coaps_port() == 0 ? "" : " and coaps" + here + std::to_string(server.coaps_port());
  context.progress(line);
  if (street.tls_proxy() != 0 || street.coaps_proxy() != 0) {
    line = "  join proxies at";
    line += street.tls_proxy() == 0 ? "" : " https" + here + std::to_string(street.tls_proxy());
    line += street.coaps_proxy() == 0 ? "" : " coaps" + here + std::to_string(street.coaps_proxy());
    context.progress(line);
  }
  for (const DemoMakerFacts& maker : street.facts()) {
    context.progress("  the MASA of " + maker.name + " at " + maker.masa);
  }
}

void serve_on(const Context& context, const Server& server, const DemoStreet& street, const std::string& folder) {
  const std::string api = "http://127.0.0.1:" + std::to_string(server.api_port());
  context.progress("API: " + api + "  (data in " + folder + ")");
  context.progress("  " + api_curl(folder, api, "/v1/devices"));
  context.progress("  imprint compare --data " + shell_word(folder));
  for (const DemoMakerFacts& maker : street.facts()) {
    context.progress("  imprint masa log --folder " + shell_word(folder + "/demo/" + maker.name + "/masa"));
  }
  context.progress("serving until Ctrl-C");
  wait_for_interrupt();
}

OrProblem<Ok> serve_fleet(const Context& context, const Options& options, const std::string& folder) {
  const std::vector<FleetPart> parts = plan_fleet(options.devices, kinds_of(options));
  const Config config = demo_config(folder, parts);
  TRY(const auto street, DemoStreet::open(folder, parts));
  TRY(const auto server, about(Server::start(config), "demo"));
  TRY(Ok{}, street->add_proxies(has(parts, FleetKind::brski, Way::proxy) ? server->est_port() : std::uint16_t{0},
                                server->join_port()));
  street->run();
  SystemRng rng;
  context.progress("the makers make " + std::to_string(options.devices) + " devices");
  TRY(const auto devices, make_demo_fleet(*server, config, *street, parts, rng));
  tell_places(context, *server, *street);
  Progress progress(context, devices.size());
  const auto outcomes = onboard_fleet(
      server->hub(), devices, options.at_once, [&](const Outcome& o) { progress.one(o); },
      [] { return interrupted.load(); });
  print_report(context, outcomes, street->facts(), devices.size());
  const bool all = operational_of(outcomes) == devices.size();
  if (!options.once && !interrupted) {
    serve_on(context, *server, *street, folder);
  }
  server->stop(kGrace);  // before the street: it may still wait for a MASA
  if (!all) {
    Problem problem(Error{Fault::internal, kFleet});
    problem.next = "the table names the rule that each one broke; `imprint audit list --data " + config.data +
                   "` tells what the owner decided (the folder stays for that)";
    return problem;
  }
  return Ok{};
}

// The simulator has a fleet of EST alone.
OrProblem<Ok> simulate_fleet(const Context& context, const Options& options, const std::string& folder) {
  const std::vector<FleetKind> kinds = kinds_of(options);
  const bool est = std::ranges::find(kinds, FleetKind::est) != kinds.end();
  return simulate(context, {options.devices, options.seed, options.faults, !est, options.rollover}, folder,
                  [] { return interrupted.load(); });
}

// Names that mean nothing, or nothing that the simulator has.
OrProblem<Ok> check_protocols(const Options& options) {
  bool simulated = false;
  for (const std::string& protocol : options.protocols) {
    const auto kind = fleet_kind_named(protocol);
    if (!kind) {
      return Problem(Error{Fault::unsupported, kProtocol}, "--protocols " + protocol);
    }
    simulated |= *kind == FleetKind::est || *kind == FleetKind::est_coaps;
  }
  if (options.simulated && !simulated) {
    Problem problem(Error{Fault::unsupported, kProtocol}, "--simulate --protocols " + options.protocols.front());
    problem.next = "the simulated fleet speaks est, or est-coaps alone; leave out --simulate";
    return problem;
  }
  return Ok{};
}

OrProblem<Ok> demo(const Context& context, const Options& options) {
  TRY(Ok{}, check_protocols(options));
  io::set_log(io::LogLevel::warning, true);
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  TRY(const std::string folder, demo_folder(context.globals));
  OrProblem<Ok> out =
      options.simulated ? simulate_fleet(context, options, folder) : serve_fleet(context, options, folder);
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
      "demo",
      "Makers with their MASAs, a site and a fleet of virtual devices that onboard themselves over real TLS on "
      "loopback.",
      "imprint demo\nimprint demo --once --devices 3\nimprint demo --once --devices 500 --protocols est --json\n"
      "imprint demo --once --protocols brski,brski-coaps,brski-cloud --data trial\n"
      "imprint demo --simulate --devices 10000 --seed 1\n"
      "imprint demo --simulate --protocols est-coaps --faults drawn\n"
      "imprint demo --simulate --rollover");
  command.option("--devices", options->devices, "How many devices").between(1U, kMaxDevices).shows_default();
  command.option("--protocols", options->protocols, "Which kinds of devices share the fleet").list(',').shows_default();
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
