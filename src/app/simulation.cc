#include "app/simulation.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "io/loop.h"
#include "sim/fleet.h"

namespace imprint::app {
namespace {

sim::FleetPlan plan_of(const Simulation& options) {
  if (options.faults == "drawn") {
    sim::FleetPlan drawn = sim::swarm(options.seed, options.devices);
    drawn.coaps = options.coaps;
    drawn.rollover = options.rollover ? std::optional(drawn.faults_end / 2) : std::nullopt;
    return drawn;
  }
  sim::FleetPlan plan;
  plan.coaps = options.coaps;
  plan.rollover = options.rollover ? std::optional(plan.arrival / 2) : std::nullopt;
  plan.devices = options.devices;
  plan.seed = options.seed;
  if (options.faults == "none") {
    plan.link.loss = plan.link.duplicate = plan.disk.refusal = plan.signer.gone = plan.device_cut = plan.owner_cut = 0;
  }
  return plan;
}

double seconds(Duration d) { return static_cast<double>(d.count()) / 1000; }

std::string number(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  std::string out = std::to_string(std::round(value * scale) / scale);
  return out.substr(0, out.find('.') + (digits == 0 ? 0 : static_cast<std::size_t>(digits) + 1));
}

std::string percent(double chance) { return number(100 * chance, 2) + " %"; }

std::string protocol_of(const sim::FleetPlan& plan) { return plan.coaps ? "est-coaps" : "est"; }

Json to_json(const sim::FleetPlan& plan, const sim::FleetReport& r) {
  return {{"protocol", protocol_of(plan)},
          {"seed", plan.seed},
          {"devices", plan.devices},
          {"operational", r.operational},
          {"certificates", r.certificates},
          {"renewed_for_new_root", r.renewed},
          {"wrong", r.wrong},
          {"trace", hex(r.trace)},
          {"virtual_ms", r.lasted.count()},
          {"to_operational_ms", {{"p50", r.median.count()}, {"p99", r.p99.count()}, {"max", r.longest.count()}}},
          {"runs", r.runs},
          {"boots", r.boots},
          {"connections", r.connections},
          {"events", r.events},
          {"power_cuts", {{"devices", r.device_cuts}, {"owner", r.owner_cuts}}},
          {"actions", {{"devices", r.device_actions}, {"owner", r.owner_actions}}},
          {"messages",
           {{"carried", r.link.carried},
            {"lost", r.link.lost},
            {"duplicated", r.link.duplicated},
            {"overtaken", r.link.overtaken}}},
          {"faults",
           {{"loss", plan.link.loss},
            {"duplicate", plan.link.duplicate},
            {"delay_ms", {plan.link.least.count(), plan.link.most.count()}},
            {"disk_refusal", plan.disk.refusal},
            {"signer_gone", plan.signer.gone},
            {"device_cut", plan.device_cut},
            {"owner_cut", plan.owner_cut},
            {"until_ms", plan.faults_end.count()}}}};
}

std::string to_text(const sim::FleetPlan& plan, const sim::FleetReport& r, Duration took) {
  const auto count = [](std::uint64_t n) { return std::to_string(n); };
  const std::vector<std::vector<std::string>> rows{
      {"protocol", protocol_of(plan)},
      {"seed", count(plan.seed)},
      {"faults", percent(plan.link.loss) + " lost, " + percent(plan.link.duplicate) + " doubled, " +
                     count(static_cast<std::uint64_t>(plan.link.least.count())) + " to " +
                     count(static_cast<std::uint64_t>(plan.link.most.count())) + " ms late, power gone after " +
                     percent(plan.device_cut) + " of the devices' actions and " + percent(plan.owner_cut) +
                     " of the owner's, for " + number(seconds(plan.faults_end), 0) + " s"},
      {"operational", count(r.operational) + " of " + count(plan.devices)},
      {"certificates",
       count(r.certificates) + (plan.rollover ? ", " + count(r.renewed) + " of them renewed for the new root" : "")},
      {"from power-on to operational", "p50 " + number(seconds(r.median), 1) + " s, p99 " + number(seconds(r.p99), 1) +
                                           " s, longest " + number(seconds(r.longest), 1) + " s"},
      {"messages", count(r.link.carried) + ", of these " + count(r.link.lost) + " lost, " + count(r.link.duplicated) +
                       " doubled, " + count(r.link.overtaken) + " overtaken"},
      {"power cuts", count(r.device_cuts) + " of devices, " + count(r.owner_cuts) + " of the owner"},
      {"runs",
       count(r.runs) + " on " + count(r.connections) + " connections; " + count(r.boots) + " starts of devices"},
      {"time", number(seconds(r.lasted), 1) + " s virtual in " + number(seconds(took), 1) + " s"},
      {"trace", hex(BytesView(r.trace).first(8)) + " (the same seed gives the same)"}};
  std::string out = table({"simulated", ""}, rows);
  for (const std::string& wrong : r.wrong) {
    out += "WRONG: " + wrong + "\n";
  }
  return out + "\n" + count(r.operational) + " of " + count(plan.devices) + " devices are operational\n";
}

}  // namespace

OrProblem<Ok> simulate(const Context& context, const Simulation& options, const std::string& folder,
                       const std::function<bool()>& stop) {
  const sim::FleetPlan plan = plan_of(options);
  TRY(const auto store, about(store::open_sqlite(folder + "/simulation.db"), folder));
  context.progress("the factory makes " + std::to_string(plan.devices) + " devices");
  const Instant before = io::wall_clock();
  std::uint64_t next = 0;
  const auto progress = [&](std::uint64_t done, std::uint64_t of, Duration virtual_time) {
    if (done >= next || done == of) {
      next = done + std::max<std::uint64_t>(of / 10, 1);
      context.progress(std::to_string(done) + " of " + std::to_string(of) + " devices are operational after " +
                       number(seconds(virtual_time), 1) + " s");
    }
  };
  TRY(const sim::FleetReport report, about(sim::run_fleet(plan, *store, progress, stop), "simulation"));
  context.print(to_json(plan, report), to_text(plan, report, io::wall_clock() - before));
  if (!report.wrong.empty() || report.operational != plan.devices) {
    Problem problem(Error{Fault::internal, kSimulation});
    problem.next = "run it again with --seed " + std::to_string(plan.seed) + ": it will find the same";
    return problem;
  }
  return Ok{};
}

}  // namespace imprint::app
