#include "sim/fleet.h"

#include <algorithm>

#include "crypto/seeded.h"
#include "sim/check.h"

namespace imprint::sim {
namespace {

constexpr Instant kStart{1'790'000'000'000};  // September 2026
constexpr Duration kLongest = std::chrono::hours(24 * 7);
constexpr Duration kTenYears = std::chrono::hours(24 * 3650);
constexpr std::uint32_t kMostDevices = 100'000;
constexpr std::uint64_t kMostEvents = 20'000;  // a device
constexpr std::uint64_t kStopEvery = 256;      // events between two looks at `stop`
// Each source of chance has a stream of its own, so that a change to one does not shift the others.
enum Stream : std::uint64_t { kOpenSsl = 1, kRoles, kLink, kDisk, kPower, kArrival, kSwarm };

std::uint64_t seed_of(std::uint64_t seed, Stream stream) {
  return SeededRng(seed * 16 + static_cast<std::uint64_t>(stream)).next();
}

// Hashes every step of every run as it happens.
class Trace final : public Journal {
 public:
  void step(const Run& run, const RunStep& step) override {
    add(run.id + ' ' + run.role + ' ' + run.device + ' ' + step.state + ' ' + step.check + ' ' + step.fault + ' ' +
        std::to_string(step.at.ms));
  }
  void ended(const Run& run) override {
    ++runs_;
    std::string line = run.id + ' ' + run.result;
    for (const std::string& one : run.obtained) {
      line += ' ' + one;
    }
    for (const BeliefChange& change : run.beliefs) {
      line += ' ' + change.belief.statement;
    }
    add(line);
  }
  std::uint64_t runs() const { return runs_; }
  const Sha256& hash() const { return hash_; }

 private:
  void add(std::string_view line) {
    Bytes all(hash_.begin(), hash_.end());
    all.insert(all.end(), line.begin(), line.end());
    hash_ = sha256(all);
  }
  Sha256 hash_{};
  std::uint64_t runs_ = 0;
};

// All that one seed stands for.
class Fleet {
 public:
  Fleet(const FleetPlan& plan, store::Store& disk)
      : plan_(plan),
        disk_(disk),
        openssl_(seed_of(plan.seed, kOpenSsl)),
        roles_(seed_of(plan.seed, kRoles)),
        link_(seed_of(plan.seed, kLink)),
        slow_(seed_of(plan.seed, kDisk)),
        luck_(seed_of(plan.seed, kPower)),
        arrival_(seed_of(plan.seed, kArrival)),
        clock_(kStart),
        network_(clock_, link_, plan.link),
        store_(disk, clock_, slow_, plan.disk),
        device_power_(luck_, plan.device_cut, plan.device_cut_after),
        owner_power_(luck_, plan.owner_cut, plan.owner_cut_after) {}

  Status set_up() {
    TRY(const Name name, Name::from_text("CN=Simulated Maker"));
    TRY(const site::Ca maker, site::make_root(KeyType::p256, name, clock_.now(), kTenYears, roles_));
    TRY(born_, make_mixed({}, plan_.devices, maker, clock_.now(), roles_, plan_.coaps ? Kinds::idevid : Kinds::both));
    TRY(owner_, Owner::make({clock_, network_, disk_, store_, owner_power_, roles_, trace_}, maker.certificate,
                            plan_.signer, plan_.coaps ? EstServer::Binding::coaps : EstServer::Binding::https));
    TRY(Ok{}, owner_->expect(born_));
    const auto window = static_cast<std::uint64_t>(plan_.arrival.count());
    for (const factory::Born& born : born_) {
      things_.push_back(std::make_unique<Thing>(clock_, network_, device_power_, roles_, trace_, born,
                                                plan_of(born, owner_->address(), owner_->anchors()), plan_.forgetful,
                                                [this](Thing& t) { ended(t); }));
      clock_.after(Duration(static_cast<std::int64_t>(arrival_.below(window + 1))),
                   [thing = things_.back().get()] { thing->boot(); });
    }
    clock_.after(plan_.faults_end, [this] { heal(); });
    if (plan_.rollover) {
      clock_.after(*plan_.rollover, [this] { rolled_ = static_cast<bool>(owner_->roll_over()); });
    }
    return Ok{};
  }

  Result<FleetReport> run(const Progress& progress, const std::function<bool()>& stop) {
    const Instant latest = clock_.now() + kLongest;
    const std::uint64_t most = kMostEvents * (plan_.devices + 1);
    std::uint64_t told = 0;
    while (ended_ < things_.size() && clock_.steps() < most && clock_.step(latest)) {
      if (progress && operational_ != told) {
        told = operational_;
        progress(operational_, things_.size(), clock_.now() - kStart);
      }
      if (stop && clock_.steps() % kStopEvery == 0 && stop()) {
        return Error{Fault::unreachable, "simulation: interrupted"};
      }
    }
    const Duration lasted = clock_.now() - kStart;
    while (clock_.steps() < most && clock_.step(latest)) {  // what is still on its way changes nothing any more
    }
    return report(lasted);
  }

 private:
  // A device whose certificate is not of the root that the owner has at last goes on to renew it.
  void ended(Thing& thing) {
    const auto held = thing.installed();
    const bool latest =
        !plan_.rollover || (rolled_ && held && held->certificate.issuer == owner_->anchors()[0].subject);
    if (!thing.operational() || latest) {
      operational_ += thing.operational() ? 1 : 0;
      renewed_ += thing.certificates() == 2 ? 1 : 0;
      ++ended_;
      return;
    }
    const Duration until = kStart + *plan_.rollover - clock_.now();
    const auto luck = arrival_.below(static_cast<std::uint64_t>(plan_.arrival.count()) + 1);
    clock_.after(std::max(Duration(1), until + Duration(1)) + Duration(static_cast<std::int64_t>(luck)),
                 [&thing] { thing.renew(); });
  }

  void heal() {
    network_.link().set({.loss = 0, .duplicate = 0, .least = plan_.link.least, .most = plan_.link.least});
    store_.set({.refusal = 0, .least = plan_.disk.least, .most = plan_.disk.least});
    owner_->set({});
    device_power_.stay();
    owner_power_.stay();
  }

  Result<FleetReport> report(Duration lasted) {
    FleetReport out;
    out.operational = operational_;
    out.renewed = renewed_;
    out.runs = trace_.runs();
    out.connections = network_.connections();
    out.device_actions = device_power_.actions();
    out.owner_actions = owner_power_.actions();
    out.device_cuts = device_power_.cuts();
    out.owner_cuts = owner_power_.cuts();
    out.events = clock_.steps();
    out.link = network_.link().counts();
    out.lasted = lasted;
    out.trace = trace_.hash();
    std::vector<Duration> took;
    for (const auto& thing : things_) {
      out.boots += thing->boots();
      if (thing->operational()) {
        took.push_back(*thing->operational() - thing->first_boot());
      }
    }
    if (!took.empty()) {
      std::ranges::sort(took);
      out.median = took[(took.size() - 1) / 2];
      out.p99 = took[(took.size() - 1) * 99 / 100];
      out.longest = took.back();
    }
    TRY(const auto store, disk_.read());
    TRY(const std::int64_t certificates, store->count("certificates"));
    out.certificates = static_cast<std::uint64_t>(certificates);
    TRY(out.wrong, find_wrong(things_, disk_, owner_->anchors(), clock_.now()));
    return out;
  }

  const FleetPlan plan_;
  store::Store& disk_;
  SeededRandomness openssl_;
  SeededRng roles_, link_, slow_, luck_, arrival_;
  Clock clock_;
  Network network_;
  SlowStore store_;
  Power device_power_, owner_power_;
  Trace trace_;
  std::vector<factory::Born> born_;
  std::unique_ptr<Owner> owner_;
  std::vector<std::unique_ptr<Thing>> things_;
  std::uint64_t operational_ = 0, renewed_ = 0, ended_ = 0;
  bool rolled_ = false;
};

}  // namespace

FleetPlan swarm(std::uint64_t seed, std::uint32_t devices) {
  SeededRng rng(seed_of(seed, kSwarm));
  const auto up_to = [&rng](double most) {
    return rng.chance(0.3) ? 0.0 : most * static_cast<double>(rng.below(1001)) / 1000;
  };
  const auto ms = [&rng](std::uint64_t most) { return Duration(static_cast<std::int64_t>(rng.below(most + 1))); };
  FleetPlan out;
  out.devices = devices;
  out.seed = seed;
  out.link = {.loss = up_to(0.3), .duplicate = up_to(0.3), .least = ms(200), .most = {}};
  out.link.most = out.link.least + ms(20'000);
  out.disk = {.refusal = up_to(0.1), .least = ms(20), .most = {}};
  out.disk.most = out.disk.least + ms(500);
  out.signer = {.gone = up_to(0.2), .most = ms(30'000)};
  out.device_cut = up_to(0.1);
  out.owner_cut = up_to(0.05);
  out.arrival = ms(120'000);
  out.faults_end = std::chrono::minutes(1 + static_cast<std::int64_t>(rng.below(60)));
  out.coaps = rng.chance(0.5);
  if (rng.chance(0.5)) {
    out.rollover = ms(static_cast<std::uint64_t>(out.faults_end.count()));
  }
  return out;
}

Result<FleetReport> run_fleet(const FleetPlan& plan, store::Store& disk, const Progress& progress,
                              const std::function<bool()>& stop) {
  CHECK_OR(plan.devices >= 1 && plan.devices <= kMostDevices, Error{Fault::limit, "simulation: 1..100,000 devices"});
  Fleet fleet(plan, disk);
  TRY(Ok{}, fleet.set_up());
  return fleet.run(progress, stop);
}

}  // namespace imprint::sim
