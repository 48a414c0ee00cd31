#include "app/cmd_bench.h"

#include <nlohmann/json.hpp>

#include "app/bench_print.h"
#include "app/bench_site.h"
#include "app/cli_rules.h"
#include "bench/coaps.h"

namespace imprint::app {
namespace {

constexpr double kAimRatio = 1.3;
constexpr double kAimIdle_kib = 40;
constexpr double kAimP99_ms = 10;

constexpr unsigned kIdle = 1000, kIdleCoaps = 20000;

// ---- what is printed ----

std::string number(double value, int digits = 0) { return bench_number(value, digits); }
double rounded(double value) { return bench_rounded(value); }
std::string against(bool met, const std::string& aim) { return bench_against(met, aim); }

Json run_json(const bench::EstRun& run) {
  return {{"per_second", rounded(run.rate)},
          {"server_us", rounded(run.server_us)},
          {"server_waited_us", rounded(run.waited_us)},
          {"client_us", rounded(run.client_us)},
          {"p50_ms", rounded(run.p50_ms)},
          {"p99_ms", rounded(run.p99_ms)},
          {"count", run.done},
          {"failed", run.failed}};
}

Json to_json(const bench::EstFigures& f, std::int64_t on_record) {
  Json resumed = run_json(f.resumed);
  resumed["resumed_handshakes"] = f.resumed.resumed;
  Json half = run_json(f.half);
  half["aimed_per_second"] = rounded(f.half_rate);
  Json all = run_json(f.all_cores);
  all["server_cores_used"] = rounded(f.all_cores_used);
  all["loops_cpu_s"] = f.all_cores_loops_s;
  return {{"protocol", "est"},
          {"cores", f.cores},
          {"pinned", f.pinned},
          {"ratio", rounded(f.ratio())},
          {"enrolments", run_json(f.full)},
          {"best_per_second", rounded(f.best_rate)},
          {"floor",
           {{"server_us", rounded(f.floor_us)},
            {"handshake_us", rounded(f.floor_handshake_us)},
            {"request_us", rounded(f.floor_request_us)},
            {"certificate_us", rounded(f.floor_certificate_us)}}},
          {"bare_handshakes", run_json(f.bare)},
          {"half_rate", half},
          {"password", run_json(f.password)},
          {"password_resumed", resumed},
          {"idle", {{"connections", f.idle}, {"kib_each", rounded(f.idle_kib)}}},
          {"all_cores", all},
          {"enrolled", f.enrolled},
          {"on_record", on_record},
          {"failed", f.failed},
          {"first_failure", f.first_failure},
          {"aims",
           {{"ratio", {{"most", kAimRatio}, {"met", f.ratio() <= kAimRatio}}},
            {"idle_kib", {{"most", kAimIdle_kib}, {"met", f.idle_kib <= kAimIdle_kib}}},
            {"half_rate_p99_ms", {{"most", kAimP99_ms}, {"met", f.half.p99_ms <= kAimP99_ms}}}}}};
}

std::vector<std::string> row(const std::string& what, const bench::EstRun& run) {
  return {what,
          number(run.rate),
          number(run.server_us),
          number(run.waited_us),
          number(run.client_us),
          number(run.p50_ms, 1),
          number(run.p99_ms, 1)};
}

std::string to_text(const bench::EstFigures& f, std::int64_t on_record) {
  std::string out = table({"run", "a second", "server us", "waited us", "client us", "p50 ms", "p99 ms"},
                          {row("enrolments, one core", f.full), row("  at half the rate", f.half),
                           row("  by password, full handshake", f.password), row("  by password, resumed", f.resumed),
                           row("bare handshakes, same client", f.bare), row("enrolments, all cores", f.all_cores)});
  const std::string parts = "handshake " + number(f.floor_handshake_us) + ", request " + number(f.floor_request_us) +
                            ", certificate " + number(f.floor_certificate_us);
  out +=
      "\n" +
      table({"figure", "value", "aim"},
            {{"server CPU for an enrolment", number(f.full.server_us) + " us", ""},
             {"its floor, plain OpenSSL", number(f.floor_us) + " us", parts},
             {"ratio", number(f.ratio(), 2), against(f.ratio() <= kAimRatio, "<= 1.3")},
             {"an idle connection", number(f.idle_kib, 1) + " KiB", against(f.idle_kib <= kAimIdle_kib, "<= 40 KiB")},
             {"p99 at half the rate", number(f.half.p99_ms, 1) + " ms",
              against(f.half.p99_ms <= kAimP99_ms, "<= 10 ms")}});
  if (f.bare.rate < f.full.rate) {
    out +=
        "\nThe same client made fewer bare handshakes a second than enrolments: it may be what limits the rates "
        "above.\n";
  }
  out += "\n" +
         std::string(f.pinned ? "One core: the server has the first, the client the second, the floor the first again."
                              : "Not pinned: the machine has one core, and server and client share it.");
  out +=
      " Keys and requests are made before the clock starts.\nWaited: its threads were ready, and other work or each "
      "other had the core.\nAll cores: the server used " +
      number(f.all_cores_used, 2) + " of " + std::to_string(f.cores) + " cores, the clients share them; its loops:";
  for (const double loop : f.all_cores_loops_s) {
    out += " " + number(loop, 2) + " s";
  }
  return out + ".\n" + std::to_string(f.enrolled) + " enrolments, " + std::to_string(f.failed) + " failed, " +
         std::to_string(on_record) + " certificates on record.\n";
}

Json to_json(const bench::CoapsFigures& f, std::int64_t on_record) {
  return {{"protocol", "est-coaps"},
          {"cores", f.cores},
          {"pinned", f.pinned},
          {"ratio", rounded(f.ratio())},
          {"enrolments", run_json(f.full)},
          {"handshakes", run_json(f.handshakes)},
          {"floor",
           {{"server_us", rounded(f.floor_us)},
            {"handshake_us", rounded(f.floor_handshake_us)},
            {"request_us", rounded(f.floor_request_us)},
            {"certificate_us", rounded(f.floor_certificate_us)}}},
          {"idle", {{"associations", f.idle}, {"kib_each", rounded(f.idle_kib)}, {"seconds", rounded(f.idle_open_s)}}},
          {"enrolled", f.enrolled},
          {"on_record", on_record},
          {"failed", f.failed},
          {"first_failure", f.first_failure}};
}

std::string to_text(const bench::CoapsFigures& f, std::int64_t on_record) {
  const std::string parts = "handshake " + number(f.floor_handshake_us) + ", request " + number(f.floor_request_us) +
                            ", certificate " + number(f.floor_certificate_us);
  const std::string opened = std::to_string(f.idle) + " open, after " + number(f.idle_open_s, 1) + " s";
  std::string out = table({"run", "a second", "server us", "waited us", "client us", "p50 ms", "p99 ms"},
                          {row("enrolments, one core", f.full), row("handshakes alone", f.handshakes)});
  out += "\n" + table({"figure", "value", "what it is made of"},
                      {{"server CPU for an enrolment", number(f.full.server_us) + " us", ""},
                       {"its floor, plain OpenSSL over DTLS 1.2", number(f.floor_us) + " us", parts},
                       {"ratio", number(f.ratio(), 2), ""},
                       {"an open association", number(f.idle_kib, 1) + " KiB", opened}});
  return out + "\n" + std::to_string(f.enrolled) + " enrolments, " + std::to_string(f.failed) + " failed, " +
         std::to_string(on_record) + " certificates on record.\n";
}

// Every enrolment that was counted has to be on record, and none may have failed.
OrProblem<Ok> account(std::uint64_t enrolled, std::uint64_t failed, const std::string& first_failure,
                      std::int64_t on_record) {
  if (failed == 0 && static_cast<std::uint64_t>(on_record) == enrolled) {
    return Ok{};
  }
  Problem problem(Error{Fault::internal, kBench});
  problem.what = std::to_string(failed) + " enrolments failed, first: " + first_failure;
  problem.next = "the figures above do not count; run it again on a machine with less other work";
  return problem;
}

OrProblem<Ok> bench_est(const Context& context, const BenchOptions& given) {
  bench_signals();
  BenchOptions options = given;
  options.idle = options.idle != 0 ? options.idle : options.coaps ? kIdleCoaps : kIdle;
  TRY(const auto scratch, about(BenchFolder::make(), "bench"));
  TRY(auto plan, about(make_bench_site(options, scratch->path()), "bench"));
  plan.seconds = options.seconds;
  plan.at_once = options.at_once;
  plan.idle = options.idle;
  plan.interrupted = &bench_interrupted;
  plan.progress = [&context](std::string_view what) { context.progress(what); };
  if (options.coaps) {
    const auto figures = bench::measure_coaps(plan);
    if (!figures) {
      return bench_broken(figures.error(), {bench::log_of(plan)});
    }
    TRY(const std::int64_t on_record, about(certificates_on_record(scratch->path()), "bench est"));
    context.print(to_json(*figures, on_record), to_text(*figures, on_record));
    return account(figures->enrolled, figures->failed, figures->first_failure, on_record);
  }
  const auto figures = bench::measure_est(plan);
  if (!figures) {
    return bench_broken(figures.error(), {bench::log_of(plan)});
  }
  TRY(const std::int64_t on_record, about(certificates_on_record(scratch->path()), "bench est"));
  context.print(to_json(*figures, on_record), to_text(*figures, on_record));
  return account(figures->enrolled, figures->failed, figures->first_failure, on_record);
}

}  // namespace

void add_bench(Command top) {
  const Command parent = top.group("bench", "Measure what a protocol costs the server, beside its floor.",
                                   "imprint bench est\nimprint bench est --seconds 5 --json\nimprint bench brski");
  const auto options = std::make_shared<BenchOptions>();
  const Command command = parent.sub(
      "est",
      "Enrolments over new TLS 1.3 connections with client certificates, each for a fresh P-256 key, against `serve` "
      "in a folder of its own. Aims that are missed are shown and do not change the exit code.",
      "imprint bench est\nimprint bench est --seconds 5 --at-once 128\nimprint bench est --coaps --idle 2000\n"
      "imprint bench est --json | jq .ratio");
  command.option("--seconds", options->seconds, "How long each kind of run takes").between(0.2, 60.0).shows_default();
  command.option("--at-once", options->at_once, "Connections at the same time").between(1U, 512U).shows_default();
  command
      .option("--idle", options->idle, "Idle connections whose memory is measured (default 1000; 20000 with --coaps)")
      .between(10U, 100000U);
  command.flag("--coaps", options->coaps, "Over CoAPS: new DTLS 1.2 associations with client certificates");
  command.option("--devices", options->devices, "Registered devices, who enrol in turn")
      .between(1U, 10000U)
      .shows_default();
  command.runs([options](const Context& c) { return bench_est(c, *options); });
  add_bench_brski(parent);
}

}  // namespace imprint::app
