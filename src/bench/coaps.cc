#include "bench/coaps.h"

#include <csignal>
#include <future>
#include <nlohmann/json.hpp>

#include "bench/coaps_load.h"
#include "bench/machine.h"
#include "bench/process.h"
#include "codec/json.h"
#include "codec/uri.h"
#include "io/file.h"

namespace imprint::bench {
namespace {

constexpr unsigned kServerCore = 0;
constexpr unsigned kClientCore = 1;
constexpr int kRounds = 4;                // server and floor take turns: what else runs on the machine meets both
constexpr std::size_t kOtherFiles = 200;  // of this process; each association of the client has a socket
constexpr double kWarmUp = 0.2;
constexpr double kWarmUpRequests = 2000;
constexpr double kSpare = 1.7;  // requests made beforehand, over those that the warm-up's rate would need

double micros(double seconds, std::uint64_t count) {
  return count > 0 ? seconds * 1e6 / static_cast<double>(count) : 0;
}

Result<std::uint16_t> coaps_port(const std::string& endpoints) {
  TRY(const Bytes text, io::read_file(endpoints, 64 * 1024));
  TRY(const Json json, parse_json(as_text(text)));
  const auto at = json.is_object() ? json.find("coaps") : json.end();
  CHECK_OR(at != json.end() && at->is_string(), Error{Fault::unreachable, "bench: the server listens for no CoAPS"});
  TRY(const Uri uri, Uri::parse(at->get<std::string>()));
  return uri.port;
}

class Measurement {
 public:
  explicit Measurement(const EstPlan& plan) : plan_(plan) {}

  Result<CoapsFigures> go() {
    std::signal(SIGPIPE, SIG_IGN);
    const std::size_t files = raise_file_limit();
    most_idle_ = files > 2 * kOtherFiles ? files - kOtherFiles : kOtherFiles;
    out_.cores = cores();
    out_.pinned = cores() > 1 && pin_to(kClientCore);
    const Status done = all();
    unpin();
    TRY([[maybe_unused]] const Ok good, done);
    return std::move(out_);
  }

 private:
  Status all() {
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
    const std::string endpoints = plan_.data + "/endpoints.json";
    TRY(auto server, ServerProcess::start({"--config", plan_.one_core_config, "--data", plan_.data, "serve"}, endpoints,
                                          log_of(plan_), server_core()));
    TRY(load_.port, coaps_port(endpoints));
    load_.devices = &plan_.devices;
    load_.ca = plan_.ca;
    load_.at_once = plan_.at_once;
    load_.interrupted = plan_.interrupted;
    TRY([[maybe_unused]] const Ok warm, warm_up());
    TRY([[maybe_unused]] const Ok full, measure_full(server));
    TRY([[maybe_unused]] const Ok handshakes, measure_handshakes(server));
    TRY([[maybe_unused]] const Ok idle, measure_idle(server));
    CHECK_OR(server.stop(), Error{Fault::internal, "bench: the server did not end well"});
    return Ok{};
  }

  std::optional<unsigned> server_core() const { return out_.pinned ? std::optional(kServerCore) : std::nullopt; }

  Status say(std::string_view what) const {
    CHECK_OR(plan_.interrupted == nullptr || !*plan_.interrupted, Error{Fault::unreachable, "bench: interrupted"});
    plan_.progress(what);
    return Ok{};
  }

  Result<std::unique_ptr<Supply>> supply(double count) {
    TRY(auto made, make_enrolments(ids_, static_cast<std::size_t>(count) + 4 * plan_.at_once));
    return std::make_unique<Supply>(std::move(made));
  }

  LoadResult load(double seconds, bool enrol, Supply& requests) {
    CoapsLoadPlan plan = load_;
    plan.seconds = seconds;
    plan.enrol = enrol;
    LoadResult out = run_coaps_load(plan, requests);
    out_.enrolled += enrol ? out.done : 0;
    out_.failed += out.failed;
    if (out_.first_failure.empty()) {
      out_.first_failure = out.first_failure;
    }
    return out;
  }

  static EstRun figures(const LoadResult& result, double server_cpu_s) {
    EstRun out;
    out.rate = result.rate();
    out.server_us = micros(server_cpu_s, result.done);
    out.client_us = micros(result.cpu_s, result.done);
    out.p50_ms = quantile(result.latencies_ms, 0.5);
    out.p99_ms = quantile(result.latencies_ms, 0.99);
    out.done = result.done;
    out.failed = result.failed;
    return out;
  }

  Status warm_up() {
    TRY([[maybe_unused]] const Ok said, say("warming up"));
    TRY(const auto requests, supply(kWarmUpRequests));
    expected_rate_ = load(kWarmUp * plan_.seconds, true, *requests).rate();
    CHECK_OR(out_.failed == 0, Error{Fault::unreachable, "bench: enrolments fail"});
    CHECK_OR(expected_rate_ > 0,
             Error{Fault::unreachable,
                   "bench: nothing ended in the time of the warm-up; more --seconds, or less --at-once"});
    return Ok{};
  }

  Result<FloorResult> floor_round(double seconds) const {
    const auto on = [this, seconds] {
      if (const auto core = server_core()) {
        pin_to(*core);
      }
      return run_floor(identity_, applicants_, floor_requests_, seconds, Transport::dtls12);
    };
    return std::async(std::launch::async, on).get();
  }

  Status measure_full(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("enrolments and their floor, in turns"));
    const double slice = plan_.seconds / kRounds;
    TRY(const auto requests, supply(expected_rate_ * kSpare * plan_.seconds));
    LoadResult sum;
    FloorResult floor;
    double cpu_s = 0;
    for (int i = 0; i < kRounds; ++i) {
      TRY(const FloorResult one, floor_round(slice / 2));
      floor.add(one);
      const double before = process_cpu_s(server.pid());
      sum.append(load(slice, true, *requests));
      cpu_s += process_cpu_s(server.pid()) - before;
    }
    out_.full = figures(sum, cpu_s);
    out_.floor_us = micros(floor.total_s(), floor.done);
    out_.floor_handshake_us = micros(floor.handshake_s, floor.done);
    out_.floor_request_us = micros(floor.request_s, floor.done);
    out_.floor_certificate_us = micros(floor.certificate_s, floor.done);
    return Ok{};
  }

  Status measure_handshakes(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("handshakes alone"));
    TRY(const auto requests, supply(3 * expected_rate_ * kSpare * plan_.seconds));
    const double before = process_cpu_s(server.pid());
    const LoadResult result = load(plan_.seconds, false, *requests);
    out_.handshakes = figures(result, process_cpu_s(server.pid()) - before);
    return Ok{};
  }

  Status measure_idle(const ServerProcess& server) {
    TRY([[maybe_unused]] const Ok said, say("memory of open associations"));
    const double memory = anonymous_kib(server.pid());
    const double begun = now_s();
    out_.idle = std::min(plan_.idle, most_idle_);
    TRY(const auto open, IdleAssociations::open(load_, out_.idle));
    out_.idle_open_s = now_s() - begun;
    out_.idle_kib = (anonymous_kib(server.pid()) - memory) / static_cast<double>(out_.idle);
    return Ok{};
  }

  const EstPlan& plan_;
  CoapsFigures out_;
  CoapsLoadPlan load_;
  std::vector<std::string> ids_;
  std::vector<Applicant> applicants_;
  ServerIdentity identity_;
  std::vector<Enrolment> floor_requests_;
  double expected_rate_ = 0;
  std::size_t most_idle_ = 0;
};

}  // namespace

Result<CoapsFigures> measure_coaps(const EstPlan& plan) { return Measurement(plan).go(); }

}  // namespace imprint::bench
