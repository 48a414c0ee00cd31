// sim_est: simulates a fleet for each of many seeds, each twice, and says whether anything was wrong or differed.
#include <stdlib.h>

#include <charconv>
#include <cstdio>
#include <filesystem>

#include "sim/fleet.h"

namespace imprint::sim {
namespace {

constexpr std::string_view kUsage =
    "usage: sim_est [--seed FIRST] [--seeds COUNT] [--devices N]\n"
    "Simulates COUNT fleets of N devices (100 of 20) under faults that each seed draws. Exit code 1: something was "
    "wrong,\n"
    "or the same seed did not give the same run.\n";

struct Options {
  std::uint64_t seed = 1, seeds = 100;
  std::uint32_t devices = 20;
};

bool read_number(std::string_view text, auto& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_options(std::span<char*> arguments, Options& out) {
  for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
    const std::string_view name = arguments[i];
    const bool good = name == "--seed"      ? read_number(arguments[i + 1], out.seed)
                      : name == "--seeds"   ? read_number(arguments[i + 1], out.seeds)
                      : name == "--devices" ? read_number(arguments[i + 1], out.devices)
                                            : false;
    if (!good) {
      return false;
    }
  }
  return arguments.size() % 2 == 1;
}

// One run on a store of its own.
Result<FleetReport> simulate(const FleetPlan& plan) {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "imprint-sim-XXXXXX").string();
  CHECK_OR(::mkdtemp(folder.data()) != nullptr, Error{Fault::unreachable, "simulation: its folder cannot be made"});
  Result<FleetReport> out = Error{Fault::unreachable, "simulation: no store"};
  if (auto store = store::open_sqlite(folder + "/site.db")) {
    out = run_fleet(plan, **store);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return out;
}

bool one_seed(std::uint64_t seed, std::uint32_t devices) {
  const FleetPlan plan = swarm(seed, devices);
  const Result<FleetReport> first = simulate(plan);
  const Result<FleetReport> again = simulate(plan);
  if (!first || !again) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), (first ? again : first).error().what.data());
    return false;
  }
  std::printf(
      "seed %llu: %llu of %u operational, %llu + %llu power cuts, %llu of %llu messages lost, %.0f s virtual, %s\n",
      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(first->operational), devices,
      static_cast<unsigned long long>(first->device_cuts), static_cast<unsigned long long>(first->owner_cuts),
      static_cast<unsigned long long>(first->link.lost), static_cast<unsigned long long>(first->link.carried),
      static_cast<double>(first->lasted.count()) / 1000, hex(BytesView(first->trace).first(8)).c_str());
  for (const std::string& wrong : first->wrong) {
    std::printf("  WRONG: %s\n", wrong.c_str());
  }
  if (first->trace != again->trace) {
    std::printf("  WRONG: the same seed gave another run\n");
  }
  return first->wrong.empty() && first->trace == again->trace;
}

}  // namespace
}  // namespace imprint::sim

int main(int argc, char** argv) {
  using namespace imprint::sim;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Options options;
  if (!read_options({argv, static_cast<std::size_t>(argc)}, options)) {
    std::fwrite(kUsage.data(), 1, kUsage.size(), stderr);
    return 2;
  }
  bool good = true;
  for (std::uint64_t i = 0; i < options.seeds; ++i) {
    good = one_seed(options.seed + i, options.devices) && good;
  }
  return good ? 0 : 1;
}
