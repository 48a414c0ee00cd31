#include "bench/est.h"

#include <csignal>
#include <future>

#include "bench/bare.h"
#include "bench/machine.h"
#include "bench/process.h"

namespace imprint::bench {
namespace {

constexpr unsigned kServerCore = 0;
constexpr unsigned kClientCore = 1;
constexpr int kRounds = 4;  // server, floor and bare server take turns: what else runs on the machine meets all three
constexpr double kWarmUp = 0.2;  // of the time of a run
constexpr double kWarmUpRequests = 2000;
constexpr double kSpare = 1.7;  // requests made beforehand, over those that the warm-up's rate would need

double micros(double seconds, std::uint64_t count) {
  return count > 0 ? seconds * 1e6 / static_cast<double>(count) : 0;
}

// What a server has spent.
struct Spent {
  double cpu_s = 0, waited_s = 0;

  static Spent by(pid_t pid) { return {process_cpu_s(pid), bench::waited_s(pid)}; }
  void add(const Spent& begin, const Spent& end) {
    cpu_s += end.cpu_s - begin.cpu_s;
    waited_s += end.waited_s - begin.waited_s;
  }
};

class Measurement {
 public:
  explicit Measurement(const EstPlan& plan) : plan_(plan) {}

  Result<EstFigures> go() {
    std::signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    out_.cores = cores();
    out_.pinned = cores() > 1 && pin_to(kClientCore);
    const Status done = all();
    unpin();
    TRY([[maybe_unused]] const Ok good, done);
    return std::move(out_);
  }

 private:
  Status all() {
    TRY([[maybe_unused]] const Ok prepared, prepare());
    {
      TRY(auto server, serve(plan_.one_core_config, server_core()));
      TRY([[maybe_unused]] const Ok idle, measure_idle(server));
      TRY([[maybe_unused]] const Ok warm, warm_up(server));
      TRY([[maybe_unused]] const Ok full, measure_full(server));
      TRY([[maybe_unused]] const Ok half, measure_half(server));
      TRY([[maybe_unused]] const Ok resumed, measure_resumption(server));
      CHECK_OR(server.stop(), Error{Fault::internal, "bench: the server did not end well"});
    }
    return measure_all_cores();
  }

  std::optional<unsigned> server_core() const { return out_.pinned ? std::optional(kServerCore) : std::nullopt; }

  Status prepare() {
    for (const EstDevice& device : plan_.devices) {
      ids_.push_back(device.id);
      applicants_.push_back({device.id, openssl_key(device.key), openssl_certificate(device.certificate)});
    }
    identity_.certificate = openssl_certificate(plan_.tls_chain.front());
    identity_.key = openssl_key(plan_.tls_key);
    for (std::size_t i = 1; i < plan_.tls_chain.size(); ++i) {
      identity_.above.push_back(openssl_certificate(plan_.tls_chain[i]));
    }
    identity_.maker = openssl_certificate(plan_.maker);
    identity_.ca = openssl_certificate(plan_.ca);
    identity_.ca_key = openssl_key(plan_.ca_key);
    TRY(floor_requests_, make_enrolments(ids_, ids_.size()));
    return Ok{};
  }

  Result<ServerProcess> serve(const std::string& config, std::optional<unsigned> core) {
    return ServerProcess::start({"--config", config, "--data", plan_.data, "serve"}, plan_.data + "/endpoints.json",
                                log_of(plan_), core);
  }

  Status say(std::string_view what) const {
    CHECK_OR(plan_.interrupted == nullptr || !*plan_.interrupted, Error{Fault::unreachable, "bench: interrupted"});
    plan_.progress(what);
    return Ok{};
  }

  LoadPlan load_plan(std::uint16_t port, double seconds) const {
    LoadPlan out;
    out.port = port;
    out.applicants = &applicants_;
    out.at_once = plan_.at_once;
    out.seconds = seconds;
    out.interrupted = plan_.interrupted;
    return out;
  }

  Result<std::unique_ptr<Supply>> supply(const std::vector<std::string>& ids, double count) {
    TRY(auto made, make_enrolments(ids, static_cast<std::size_t>(count) + 4 * plan_.at_once));
    return std::make_unique<Supply>(std::move(made));
  }

  void count(const LoadResult& result) {
    out_.enrolled += result.done;
    out_.failed += result.failed;
    if (out_.first_failure.empty()) {
      out_.first_failure = result.first_failure;
    }
  }

  static EstRun figures(const LoadResult& result, const Spent& spent) {
    EstRun out;
    out.rate = result.rate();
    out.server_us = micros(spent.cpu_s, result.done);
    out.waited_us = micros(spent.waited_s, result.done);
    out.client_us = micros(result.cpu_s, result.done);
    out.p50_ms = quantile(result.latencies_ms, 0.5);
    out.p99_ms = quantile(result.latencies_ms, 0.99);
    out.done = result.done;
    out.failed = result.failed;
    out.resumed = result.resumed;
    return out;
  }

  // Enrolments against the server under measurement, and its processor time for them.
  LoadResult enrol(const ServerProcess& server, const LoadPlan& plan, Supply& supply, Spent& spent) {
    const Spent before = Spent::by(server.pid());
    LoadResult out = run_load(plan, supply);
    spent.add(before, Spent::by(server.pid()));
    count(out);
    return out;
  }

  Status measure_idle(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("memory of idle connections"));
    // What the first connections make once is not theirs.
    TRY(auto first, IdleConnections::open(server.port(), 16, applicants_));
    const double before = anonymous_kib(server.pid());
    TRY(const auto connections, IdleConnections::open(server.port(), plan_.idle, applicants_));
    out_.idle = plan_.idle;
    out_.idle_kib = (anonymous_kib(server.pid()) - before) / static_cast<double>(plan_.idle);
    return Ok{};
  }

  Status warm_up(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("warming up"));
    TRY(const auto requests, supply(ids_, kWarmUpRequests));
    Spent ignored;
    expected_rate_ = enrol(server, load_plan(server.port(), kWarmUp * plan_.seconds), *requests, ignored).rate();
    CHECK_OR(out_.failed == 0, Error{Fault::unreachable, "bench: enrolments fail"});
    CHECK_OR(expected_rate_ > 0,
             Error{Fault::unreachable,
                   "bench: nothing ended in the time of the warm-up; more --seconds, or less --at-once"});
    return Ok{};
  }

  // The floor on the server's core. The client's core does the same meanwhile, so that neither the shared parts of the
  // processor nor its clock are better off than when server and client work.
  Result<FloorResult> floor_round(double seconds) const {
    const auto on = [this, seconds](std::optional<unsigned> core) {
      if (core) {
        pin_to(*core);
      }
      return run_floor(identity_, applicants_, floor_requests_, seconds);
    };
    auto measured = std::async(std::launch::async, on, server_core());
    if (out_.pinned) {
      auto company = std::async(std::launch::async, on, kClientCore);
      TRY([[maybe_unused]] const FloorResult unused, company.get());
    }
    return measured.get();
  }

  Status bare_round(double seconds, Supply& requests, LoadResult& sum, Spent& spent) {
    TRY(const auto server, BareServer::start(identity_, server_core()));
    LoadPlan plan = load_plan(server->port(), seconds);
    plan.check = false;
    sum.append(run_load(plan, requests));
    spent.cpu_s += server->stop();
    return Ok{};
  }

  Status measure_full(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("enrolments, their floor, and the client's own limit, in turns"));
    const double slice = plan_.seconds / kRounds;
    TRY(const auto requests, supply(ids_, expected_rate_ * kSpare * plan_.seconds));
    TRY(const auto bare_requests, supply(ids_, 3 * expected_rate_ * kSpare * plan_.seconds / 2));
    LoadResult full;
    LoadResult bare;
    FloorResult floor;
    Spent spent;
    Spent bare_spent;
    for (int i = 0; i < kRounds; ++i) {
      TRY(const FloorResult one_floor, floor_round(slice / 2));
      floor.add(one_floor);
      const LoadResult one = enrol(server, load_plan(server.port(), slice), *requests, spent);
      out_.best_rate = std::max(out_.best_rate, one.rate());
      full.append(one);
      TRY([[maybe_unused]] const Ok shaken, bare_round(slice / 2, *bare_requests, bare, bare_spent));
    }
    out_.full = figures(full, spent);
    out_.bare = figures(bare, bare_spent);
    out_.floor_us = micros(floor.total_s(), floor.done);
    out_.floor_handshake_us = micros(floor.handshake_s, floor.done);
    out_.floor_request_us = micros(floor.request_s, floor.done);
    out_.floor_certificate_us = micros(floor.certificate_s, floor.done);
    return Ok{};
  }

  Status measure_half(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("latency at half the rate"));
    out_.half_rate = out_.best_rate / 2;
    TRY(const auto requests, supply(ids_, out_.half_rate * plan_.seconds));
    LoadPlan plan = load_plan(server.port(), plan_.seconds);
    plan.per_second = out_.half_rate;
    Spent spent;
    const LoadResult result = enrol(server, plan, *requests, spent);
    out_.half = figures(result, spent);
    return Ok{};
  }

  Status measure_resumption(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("enrolments by password, with and without resumption"));
    for (const bool resume : {false, true}) {
      TRY(const auto requests, supply({ids_.front()}, expected_rate_ * kSpare * plan_.seconds));
      LoadPlan plan = load_plan(server.port(), plan_.seconds / 2);
      plan.applicants = nullptr;
      plan.login = plan_.login;
      plan.resume = resume;
      Spent spent;
      const LoadResult result = enrol(server, plan, *requests, spent);
      (resume ? out_.resumed : out_.password) = figures(result, spent);
    }
    return Ok{};
  }

  Status measure_all_cores() {
    TRY([[maybe_unused]] const Ok said, say("all cores, nothing pinned"));
    unpin();
    TRY(auto server, serve(plan_.all_cores_config, std::nullopt));
    const double rate = expected_rate_ * out_.cores;
    TRY(const auto requests, supply(ids_, rate * kSpare * plan_.seconds));
    const Spent before = Spent::by(server.pid());
    std::vector<std::future<LoadResult>> clients;
    for (unsigned i = 0; i < out_.cores; ++i) {
      clients.push_back(
          std::async(std::launch::async, [&] { return run_load(load_plan(server.port(), plan_.seconds), *requests); }));
    }
    LoadResult sum;
    for (auto& one : clients) {
      sum.add(one.get());
    }
    Spent spent;
    spent.add(before, Spent::by(server.pid()));
    count(sum);
    out_.all_cores = figures(sum, spent);
    out_.all_cores_used = sum.wall_s > 0 ? spent.cpu_s / sum.wall_s : 0;
    out_.all_cores_loops_s = thread_cpus_s(server.pid());
    out_.all_cores_loops_s.resize(out_.cores);
    CHECK_OR(server.stop(), Error{Fault::internal, "bench: the server did not end well"});
    return Ok{};
  }

  const EstPlan& plan_;
  EstFigures out_;
  std::vector<std::string> ids_;
  std::vector<Applicant> applicants_;
  ServerIdentity identity_;
  std::vector<Enrolment> floor_requests_;
  double expected_rate_ = 0;
};

}  // namespace

Result<EstFigures> measure_est(const EstPlan& plan) { return Measurement(plan).go(); }

}  // namespace imprint::bench
