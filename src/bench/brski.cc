#include "bench/brski.h"

#include <algorithm>
#include <future>

#include "bench/brski_floor.h"
#include "bench/brski_load.h"
#include "bench/machine.h"
#include "bench/process.h"
#include "io/file.h"

namespace imprint::bench {
namespace {

constexpr int kRounds = 4;       // onboardings and floor take turns: what else runs on the machine meets both
constexpr double kWarmUp = 0.3;  // of the time of a run
constexpr double kBulkFloor = 0.25;

double micros(double seconds, std::uint64_t count) {
  return count > 0 ? seconds * 1e6 / static_cast<double>(count) : 0;
}

// `imprint masa serve` says on its standard output where it listens.
std::optional<std::uint16_t> port_in(const std::string& log) {
  constexpr std::string_view kBefore = "https://127.0.0.1:";
  const auto text = io::read_file(log);
  const std::string_view said = text ? as_text(*text) : std::string_view();
  const auto at = said.find(kBefore);
  const auto end = at == std::string_view::npos ? at : said.find('/', at + kBefore.size());
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(std::strtoul(std::string(said.substr(at + kBefore.size())).c_str(), nullptr, 10));
}

TlsEnd end_of(const std::vector<Certificate>& chain, const PrivateKey& key, const Certificate* anchor) {
  TlsEnd out;
  out.certificate = openssl_certificate(chain.front());
  out.key = openssl_key(key);
  for (std::size_t i = 1; i < chain.size(); ++i) {
    out.above.push_back(openssl_certificate(chain[i]));
  }
  out.anchor = anchor != nullptr ? openssl_certificate(*anchor) : nullptr;
  return out;
}

class Measurement {
 public:
  explicit Measurement(const BrskiPlan& plan) : plan_(plan) {}

  Result<BrskiFigures> go() {
    raise_file_limit();
    out_.cores = cores();
    prepare();
    TRY(auto masa, ServerProcess::start(
                       {"masa", "serve", "--json", "--folder", plan_.masa_folder, "--listen", "127.0.0.1:0"},
                       [this](int) { return port_in(masa_log_of(plan_)); }, masa_log_of(plan_), std::nullopt));
    TRY([[maybe_unused]] const Ok told, plan_.introduce(masa.port()));
    TRY(auto registrar, ServerProcess::start({"--config", plan_.config, "--data", plan_.data, "serve"},
                                             plan_.data + "/endpoints.json", log_of(plan_), std::nullopt));
    TRY([[maybe_unused]] const Ok warm, warm_up(registrar));
    TRY([[maybe_unused]] const Ok full, measure_onboardings(registrar, masa));
    TRY([[maybe_unused]] const Ok bulk, measure_bulk(masa));
    CHECK_OR(registrar.stop() && masa.stop(), Error{Fault::internal, "bench: a server did not end well"});
    return std::move(out_);
  }

 private:
  // The device's second handshake shows what its owner gave it: a certificate below the site's CA, like the registrar's
  // own, which stands for it here.
  void prepare() {
    const Certificate& ca = plan_.registrar_chain.back();
    const EstDevice& device = plan_.devices.front();
    ends_.provisional = {end_of(plan_.registrar_chain, plan_.registrar_key, &plan_.maker),
                         end_of({device.certificate}, device.key, nullptr)};
    ends_.proven = {end_of(plan_.registrar_chain, plan_.registrar_key, &ca),
                    end_of(plan_.registrar_chain, plan_.registrar_key, &ca)};
    ends_.masa = {end_of(plan_.masa_chain, plan_.masa_key, nullptr),
                  end_of(plan_.registrar_chain, plan_.registrar_key, &plan_.maker)};
    ends_.key = openssl_key(plan_.registrar_key);
  }

  Status say(std::string_view what) const {
    CHECK_OR(plan_.interrupted == nullptr || !*plan_.interrupted, Error{Fault::unreachable, "bench: interrupted"});
    plan_.progress(what);
    return Ok{};
  }

  // On a thread of its own: its processor time is the devices'.
  LoadResult onboard(const ServerProcess& registrar, double seconds) {
    PledgePlanOf plan{registrar.port(), &plan_.devices, plan_.maker, plan_.at_once, seconds, plan_.interrupted};
    LoadResult out =
        std::async(std::launch::async, [&] { return run_pledges(plan, out_.onboarded + out_.failed); }).get();
    out_.onboarded += out.done;
    out_.failed += out.failed;
    if (out_.first_failure.empty()) {
      out_.first_failure = out.first_failure;
    }
    return out;
  }

  // On every core at once: the shared parts of the processor are as busy as when the players work.
  Result<BareCosts> floor_round(double seconds, bool handshakes) const {
    std::vector<std::future<Result<BareCosts>>> threads;
    for (unsigned i = 0; i < out_.cores; ++i) {
      threads.push_back(
          std::async(std::launch::async, [=, this] { return run_bare_costs(ends_, seconds, handshakes); }));
    }
    BareCosts sum;
    std::optional<Error> wrong;
    for (auto& one : threads) {
      const auto got = one.get();
      got ? sum.add(*got) : static_cast<void>(wrong = got.error());
    }
    CHECK_OR(!wrong, *wrong);
    return sum;
  }

  Status warm_up(const ServerProcess& registrar) {
    TRY([[maybe_unused]] const Ok said, say("warming up"));
    const LoadResult result = onboard(registrar, kWarmUp * plan_.seconds);
    CHECK_OR(out_.failed == 0, Error{Fault::unreachable, "bench: onboardings fail"});
    CHECK_OR(result.done > 0,
             Error{Fault::unreachable, "bench: no onboarding ended; more --seconds, or less --at-once"});
    return Ok{};
  }

  Status measure_onboardings(const ServerProcess& registrar, const ServerProcess& masa) {
    TRY([[maybe_unused]] const Ok said, say("onboardings and their floor, in turns"));
    LoadResult sum;
    BareCosts bare;
    double registrar_s = 0;
    double masa_s = 0;
    for (int i = 0; i < kRounds; ++i) {
      TRY(const BareCosts one, floor_round(plan_.seconds / kRounds / 2, true));
      bare.add(one);
      registrar_s -= process_cpu_s(registrar.pid());
      masa_s -= process_cpu_s(masa.pid());
      sum.append(onboard(registrar, plan_.seconds / kRounds));
      registrar_s += process_cpu_s(registrar.pid());
      masa_s += process_cpu_s(masa.pid());
      TRY([[maybe_unused]] const Ok on, say("onboardings and their floor, in turns"));
    }
    CHECK_OR(process_cpu_s(registrar.pid()) > 0 && process_cpu_s(masa.pid()) > 0,
             Error{Fault::unreachable, "bench: a server has ended"});
    CHECK_OR(sum.done > 0, Error{Fault::unreachable, "bench: no onboarding ended; more --seconds, or less --at-once"});
    out_.rate = sum.rate();
    out_.p50_ms = quantile(sum.latencies_ms, 0.5);
    out_.p99_ms = quantile(sum.latencies_ms, 0.99);
    out_.pledge.us = micros(sum.cpu_s, sum.done);
    out_.registrar.us = micros(registrar_s, sum.done);
    out_.masa.us = micros(masa_s, sum.done);
    set_operations(bare);
    return Ok{};
  }

  // What each player has to do in RFC 8995's own sequence, and nothing twice: the device one level below its maker's
  // root, as the MASA's TLS server and the signer of its vouchers are, the registrar and the new certificate one level
  // below the site's CA. Each player checks a certificate once, wherever it comes to it; that of a handshake is in the
  // handshake.
  void set_operations(const BareCosts& bare) {
    const double sign = bare.micros(bare.sign_s);
    const double verify = bare.micros(bare.verify_s);
    constexpr std::string_view kFirst = "handshake with the registrar, provisional (section 5.1)",
                               kAgain = "handshake again, with the new certificate (section 5.9.4)",
                               kMasa = "handshakes with the MASA, for voucher and log (sections 5.4, 5.8)";
    out_.pledge.operations = {{kFirst, 1, bare.micros(bare.provisional.client_s)},
                              {kAgain, 1, bare.micros(bare.proven.client_s)},
                              {"key of the new certificate", 1, bare.micros(bare.make_key_s)},
                              {"signatures: voucher request, certificate request", 2, sign},
                              {"verifications: voucher, its signer, registrar to the pin, new certificate", 4, verify}};
    out_.registrar.operations = {{kFirst, 1, bare.micros(bare.provisional.server_s)},
                                 {kAgain, 1, bare.micros(bare.proven.server_s)},
                                 {kMasa, 2, bare.micros(bare.masa.client_s)},
                                 {"signatures: voucher request, new certificate", 2, sign},
                                 {"verifications: the device's voucher request, its certificate request", 2, verify}};
    out_.masa.operations = {
        {kMasa, 2, bare.micros(bare.masa.server_s)},
        {"signature: voucher", 1, sign},
        {"verifications: the registrar's request, its certificate, the device's request, its IDevID", 4, verify}};
  }

  Status measure_bulk(const ServerProcess& masa) {
    if (plan_.bulk.empty()) {
      return Ok{};
    }
    TRY([[maybe_unused]] const Ok said, say("vouchers in bulk: making the requests"));
    const BulkPlan plan{masa.port(), plan_.maker, plan_.registrar_key, plan_.registrar_chain};
    TRY(Bytes body, make_bulk_body(plan, plan_.bulk));
    TRY([[maybe_unused]] const Ok next, say("vouchers in bulk"));
    const double slice = kBulkFloor * plan_.seconds;
    TRY(BareCosts bare, floor_round(slice, false));
    double masa_s = 0;
    TRY(const BulkResult got, run_bulk(plan, std::move(body), [&] { masa_s -= process_cpu_s(masa.pid()); }));
    masa_s += process_cpu_s(masa.pid());
    TRY(const BareCosts after, floor_round(slice, false));
    bare.add(after);
    out_.sign_us = bare.micros(bare.sign_s);
    out_.verify_us = bare.micros(bare.verify_s);
    out_.bulk = got.vouchers;
    out_.bulk_s = got.wall_s;
    out_.bulk_masa_us = micros(masa_s, got.vouchers);
    out_.failed += got.failed;
    out_.first_failure = out_.first_failure.empty() ? got.first_failure : out_.first_failure;
    return Ok{};
  }

  const BrskiPlan& plan_;
  BrskiEnds ends_;
  BrskiFigures out_;
};

}  // namespace

double Player::floor_us() const {
  double out = 0;
  for (const Operation& one : operations) {
    out += one.count * one.us;
  }
  return out;
}

double BrskiFigures::bulk_ratio() const {
  const double floor = sign_us + verify_us;
  return floor > 0 ? micros(bulk_s, bulk) / floor : 0;
}

double BrskiFigures::bulk_cpu_ratio() const {
  const double floor = sign_us + verify_us;
  return floor > 0 ? bulk_masa_us / floor : 0;
}

Result<BrskiFigures> measure_brski(const BrskiPlan& plan) { return Measurement(plan).go(); }

}  // namespace imprint::bench
