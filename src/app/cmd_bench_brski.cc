// `imprint bench brski`.
#include <nlohmann/json.hpp>

#include "app/bench_print.h"
#include "app/bench_site_brski.h"
#include "app/cli_rules.h"
#include "app/cmd_bench.h"

namespace imprint::app {
namespace {

constexpr double kAimRatio = 1.3;
constexpr double kAimBulk = 1.2;

// ---- what is printed ----

Json player_json(const bench::Player& player) {
  Json operations = Json::array();
  for (const bench::Operation& one : player.operations) {
    operations.push_back({{"what", one.what}, {"count", one.count}, {"us", bench_rounded(one.us)}});
  }
  return {{"us", bench_rounded(player.us)},
          {"floor_us", bench_rounded(player.floor_us())},
          {"ratio", bench_rounded(player.ratio())},
          {"operations", operations}};
}

Json aim_json(double most, double value) { return {{"most", most}, {"met", value > 0 && value <= most}}; }

Json to_json(const bench::BrskiFigures& f, const BrskiOnRecord& on_record) {
  Json out{
      {"protocol", "brski"},
      {"cores", f.cores},
      {"onboardings",
       {{"per_second", bench_rounded(f.rate)},
        {"count", f.onboarded},
        {"p50_ms", bench_rounded(f.p50_ms)},
        {"p99_ms", bench_rounded(f.p99_ms)}}},
      {"players",
       {{"pledge", player_json(f.pledge)}, {"registrar", player_json(f.registrar)}, {"masa", player_json(f.masa)}}},
      {"on_record", {{"certificates", on_record.certificates}, {"vouchers", on_record.vouchers}}},
      {"failed", f.failed},
      {"first_failure", f.first_failure},
      {"aims",
       {{"pledge", aim_json(kAimRatio, f.pledge.ratio())},
        {"registrar", aim_json(kAimRatio, f.registrar.ratio())},
        {"masa", aim_json(kAimRatio, f.masa.ratio())}}}};
  if (f.bulk > 0) {
    out["bulk"] = {{"vouchers", f.bulk},
                   {"per_second", bench_rounded(f.bulk_rate())},
                   {"masa_us", bench_rounded(f.bulk_masa_us)},
                   {"floor_us", bench_rounded(f.sign_us + f.verify_us)},
                   {"sign_us", bench_rounded(f.sign_us)},
                   {"verify_us", bench_rounded(f.verify_us)},
                   {"ratio", bench_rounded(f.bulk_ratio())},
                   {"cpu_ratio", bench_rounded(f.bulk_cpu_ratio())}};
    out["aims"]["bulk"] = aim_json(kAimBulk, f.bulk_ratio());
  }
  return out;
}

std::vector<std::string> player_row(const std::string& name, const bench::Player& player) {
  return {name, bench_number(player.us), bench_number(player.floor_us()), bench_number(player.ratio(), 2),
          bench_against(player.ratio() <= kAimRatio, "<= 1.3")};
}

void add_operations(std::vector<std::vector<std::string>>& rows, const std::string& name, const bench::Player& player) {
  std::string who = name;
  for (const bench::Operation& one : player.operations) {
    rows.push_back({who, std::string(one.what), std::to_string(one.count), bench_number(one.us),
                    bench_number(one.count * one.us)});
    who.clear();
  }
}

std::string bulk_text(const bench::BrskiFigures& f) {
  const double floor = f.sign_us + f.verify_us;
  return "\n" +
         table({"bulk vouchers", "value", "aim"},
               {{"vouchers in one call", std::to_string(f.bulk) + " in " + bench_number(f.bulk_s, 2) + " s", ""},
                {"a second", bench_number(f.bulk_rate()), ""},
                {"time of a voucher", bench_number(1e6 / f.bulk_rate()) + " us", ""},
                {"one verification and one signature",
                 bench_number(f.verify_us) + " + " + bench_number(f.sign_us) + " = " + bench_number(floor) + " us", ""},
                {"ratio", bench_number(f.bulk_ratio(), 2), bench_against(f.bulk_ratio() <= kAimBulk, "<= 1.2")},
                {"MASA CPU for a voucher", bench_number(f.bulk_masa_us) + " us",
                 "(" + bench_number(f.bulk_cpu_ratio(), 2) + " of the floor)"}});
}

std::string to_text(const bench::BrskiFigures& f, const BrskiOnRecord& on_record) {
  std::string out = table({"onboardings", "value"},
                          {{"a second, on " + std::to_string(f.cores) + " cores that all share", bench_number(f.rate)},
                           {"p50", bench_number(f.p50_ms, 1) + " ms"},
                           {"p99", bench_number(f.p99_ms, 1) + " ms"}});
  out +=
      "\n" + table({"player", "CPU us", "floor us", "ratio", "aim"},
                   {player_row("pledge", f.pledge), player_row("registrar", f.registrar), player_row("MASA", f.masa)});
  std::vector<std::vector<std::string>> rows;
  add_operations(rows, "pledge", f.pledge);
  add_operations(rows, "registrar", f.registrar);
  add_operations(rows, "MASA", f.masa);
  out += "\n" + table({"floor of", "operations of one onboarding (RFC 8995)", "times", "us", "us in all"}, rows);
  if (f.bulk > 0) {
    out += bulk_text(f);
  }
  return out +
         "\nCPU: of all threads of a player, for one onboarding. Floor: the same operations bare, by plain OpenSSL, in "
         "turns\nwith the onboardings; handshakes in memory. Parsing, HTTP, JSON and the databases are in the first "
         "alone.\nDevices keep their records in memory.\n" +
         std::to_string(f.onboarded) + " onboardings, " + std::to_string(f.failed) + " failed; on record " +
         std::to_string(on_record.certificates) + " certificates and " + std::to_string(on_record.vouchers) +
         " vouchers.\n";
}

// Whatever was counted has to be on record, and nothing may have failed. A device in its second run asks for another
// voucher.
OrProblem<Ok> account(const bench::BrskiFigures& f, const BrskiOnRecord& on_record) {
  const bool certificates = static_cast<std::uint64_t>(on_record.certificates) == f.onboarded;
  const bool vouchers = static_cast<std::uint64_t>(on_record.vouchers) == f.onboarded + f.bulk;
  if (f.failed == 0 && certificates && vouchers) {
    return Ok{};
  }
  Problem problem(Error{Fault::internal, kBench});
  problem.what = f.failed > 0 ? std::to_string(f.failed) + " failed, first: " + f.first_failure
                              : std::string("what was counted and what is on record differ");
  problem.next = "the figures above do not count; run it again on a machine with less other work";
  return problem;
}

OrProblem<Ok> bench_brski(const Context& context, const BrskiBenchOptions& options) {
  bench_signals();
  TRY(const auto scratch, about(BenchFolder::make(), "bench"));
  context.progress("making a maker, a MASA and a site");
  TRY(auto plan, make_brski_bench_site(options, scratch->path()));
  plan.interrupted = &bench_interrupted;
  plan.progress = [&context](std::string_view what) { context.progress(what); };
  const auto figures = bench::measure_brski(plan);
  if (!figures) {
    return bench_broken(figures.error(), {bench::log_of(plan), bench::masa_log_of(plan)});
  }
  TRY(const BrskiOnRecord on_record, brski_on_record(plan));
  context.print(to_json(*figures, on_record), to_text(*figures, on_record));
  return account(*figures, on_record);
}

}  // namespace

void add_bench_brski(Command bench) {
  const auto options = std::make_shared<BrskiBenchOptions>();
  const Command command = bench.sub(
      "brski",
      "Whole onboardings by BRSKI (RFC 8995) against `serve` and `masa serve` in folders of their own: voucher, "
      "certificate and reports over new TLS 1.3 connections, then vouchers in bulk. CPU of each player beside the "
      "floor of its cryptographic operations. Aims that are missed are shown and do not change the exit code.",
      "imprint bench brski\nimprint bench brski --seconds 10 --at-once 32\nimprint bench brski --bulk 5000\n"
      "imprint bench brski --json | jq .players.masa.ratio");
  command.option("--seconds", options->seconds, "How long onboardings take in all").between(0.2, 60.0).shows_default();
  command.option("--at-once", options->at_once, "Onboardings at the same time").between(1U, 256U).shows_default();
  command.option("--devices", options->devices, "Devices, who onboard in turn").between(1U, 10000U).shows_default();
  command.option("--bulk", options->bulk, "Vouchers in one bulk call; 0: none").between(0U, 5000U).shows_default();
  command.runs([options](const Context& c) { return bench_brski(c, *options); });
}

}  // namespace imprint::app
