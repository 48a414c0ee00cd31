#include "sim/brski_run.h"

#include <array>

#include "crypto/seeded.h"
#include "runtime/brski_device.h"
#include "sim/brski_check.h"

namespace imprint::sim {
namespace {

constexpr Instant kStart{1'790'000'000'000};  // September 2026
constexpr Duration kLongest = std::chrono::hours(24);
constexpr Duration kPowerBack{5'000};
constexpr Duration kUserTriesAgain = std::chrono::minutes(10);
constexpr std::uint64_t kMostEvents = 200'000;
constexpr std::string_view kIdevidKey = "idevid";

class World {
 public:
  World(const BrskiPlan& plan, store::Store& owners, store::MakerStore& makers, Journal& journal)
      : plan_(plan),
        owners_(owners),
        makers_(makers),
        journal_(journal),
        openssl_(plan.seed * 4),
        rng_(plan.seed * 4 + 1),
        link_rng_(plan.seed * 4 + 2),
        clock_(kStart),
        network_(clock_, link_rng_, {}),  // all is well until the device is switched on
        store_(owners, clock_, link_rng_, {}),
        device_power_(link_rng_, 0, plan.device_cut),
        owner_power_(link_rng_, 0, plan.owner_cut),
        masa_power_(link_rng_, 0, plan.masa_cut) {}

  Result<BrskiReport> run() {
    TRY(Ok{}, set_up());
    const std::uint64_t before = maker_->answered();
    begin_faults();
    boot();
    go([this] { return over_; });
    go([] { return false; });  // what is still on its way changes nothing any more
    check_->look();
    report_.wrong = check_->wrong();
    report_.link = network_.link().counts();
    report_.masa = maker_->answered() - before;
    report_.device_actions = device_power_.actions();
    report_.owner_actions = owner_power_.actions();
    report_.masa_actions = masa_power_.actions();
    report_.owner_root = domain_->root();
    TRY(report_.owner, storage_.imprinted());
    TRY(report_.installed, storage_.installed());
    TRY(const auto owners, owners_.read());
    TRY(report_.certificates, owners->count("certificates"));
    TRY(const auto makers, makers_.read());
    TRY(report_.vouchers, makers->count("vouchers"));
    return std::move(report_);
  }

 private:
  Status set_up() {
    TRY(maker_, Maker::make(clock_, network_, makers_, masa_power_, rng_));
    TRY(born_, maker_->make_device());
    brski::LogPolicy log;
    log.log_needed = plan_.way != BrskiPlan::Way::nonceless;  // behind an air gap there is none to be had
    const auto binding = plan_.coaps ? EstServer::Binding::coaps : EstServer::Binding::https;
    TRY(domain_,
        Domain::make({clock_, network_, owners_, store_, owner_power_, rng_, journal_}, *maker_, log, binding));
    TRY(Ok{}, domain_->expect(born_));
    storage_.add_key(std::string(kIdevidKey), born_.key);
    check_.emplace(
        BrskiBooks{storage_, owners_, makers_, born_, voucher_anchors(), domain_->root(), plan_.sold_to_other});
    for (Power* const power : {&device_power_, &owner_power_, &masa_power_}) {
      power->watch([this] { check_->look(); });
    }
    if (plan_.sold_to_other) {
      TRY(const Name name, Name::from_text("CN=Another Owner"));
      TRY(const site::Ca other, site::make_root(KeyType::p256, name, clock_.now(), kLongest, rng_));
      TRY(Ok{}, maker_->sell(born_, "other", other.certificate));
    }
    if (plan_.way == BrskiPlan::Way::nonceless) {
      TRY(Ok{}, fetch_ahead());
    }
    if (plan_.way == BrskiPlan::Way::cloud) {
      TRY(Ok{}, maker_->send_all_to(domain_->address()));
    }
    if (plan_.masa_closed) {
      maker_->close_masa();
    }
    return Ok{};
  }

  // Who asks without a nonce has to be the owner by the maker's sales data (RFC 8995 section 5.5.4).
  Status fetch_ahead() {
    TRY(Ok{}, maker_->sell(born_, "owner", domain_->root()));
    std::optional<Status> fetched;
    domain_->fetch_ahead(born_, [&](Status status) { fetched = status; });
    go([&] { return fetched.has_value(); });
    CHECK_OR(fetched, Error{Fault::internal, "simulation: no answer of the MASA"});
    return *fetched;
  }

  void begin_faults() {
    network_.link().set(plan_.link);
    for (Power* const power : {&device_power_, &owner_power_, &masa_power_}) {
      power->strike(plan_.cut_chance);
    }
    if (plan_.faults_end) {
      clock_.after(*plan_.faults_end, [this] { heal(); });
    }
  }

  void heal() {
    network_.link().set({.loss = 0, .duplicate = 0, .least = plan_.link.least, .most = plan_.link.least});
    device_power_.stay();
    owner_power_.stay();
    masa_power_.stay();
  }

  // In COSE nothing says who has signed: a constrained device knows the signer itself
  // (draft-ietf-anima-constrained-voucher section 7.3).
  std::vector<Certificate> voucher_anchors() const { return {plan_.coaps ? maker_->signer() : maker_->root()}; }

  void go(const std::function<bool()>& enough) {
    const std::uint64_t most = clock_.steps() + kMostEvents;
    while (!enough() && clock_.steps() < most && clock_.step(kStart + kLongest)) {
    }
  }

  brski::PledgePlanRef pledge_plan() const {
    auto out = std::make_shared<brski::PledgePlan>();
    if (plan_.way == BrskiPlan::Way::cloud) {
      out->cloud = maker_->cloud();
      out->cloud_anchors = {maker_->root()};
    } else {
      out->registrars = {domain_->address()};
    }
    out->heard = plan_.way != BrskiPlan::Way::direct;
    out->identity = {std::string(kIdevidKey), born_.chain};
    out->voucher_anchors = voucher_anchors();
    if (const auto name = Name::from_text("CN=" + born_.entry.id)) {
      out->enrolment.names.subject = *name;
    }
    return out;
  }

  void boot() {
    ++report_.boots;
    const auto held = storage_.imprinted();
    if (held && *held && (*held)->configured) {  // the power went after the last save: nothing is left to do
      over_ = true;
      return;
    }
    const Connector connector = [this](io::HttpsClient::Keys keys, std::function<void(std::uint64_t)> lost) {
      return network_.client(std::move(keys), std::move(lost));
    };
    BrskiDevice::Hooks hooks;
    hooks.confirm = [](const ConfirmFingerprint&, const std::function<void(bool)>& answer) { answer(false); };
    hooks.ended = [this](const brski::Pledge::State&, const Run& run, const std::optional<Error>&) { ended(run); };
    hooks.acted = [this] { acted(); };
    halted_ = false;
    running_ =
        std::make_unique<BrskiDevice>(clock_, rng_, connector, storage_, &journal_, born_.entry.id, std::move(hooks));
    running_->start(pledge_plan());
  }

  void acted() {
    if (halted_ || !device_power_.goes()) {
      return;
    }
    halted_ = true;
    note_cut();
    running_->halt();
    clock_.post([this] { running_.reset(); });  // it is still on the stack
    clock_.after(kPowerBack, [this] { boot(); });
  }

  void note_cut() {
    const auto owner = storage_.imprinted();
    const auto held = storage_.installed();
    const auto makers = makers_.read();
    report_.vouchers_then.reset();
    if (owner && *owner && held && !*held && makers) {
      const auto count = (*makers)->count("vouchers");
      report_.vouchers_then = count ? std::optional(*count) : std::nullopt;
    }
  }

  void ended(const Run& run) {
    if (halted_) {
      return;
    }
    Beliefs mind;
    for (const BeliefChange& change : run.beliefs) {
      report_.sound = mind.apply(change) && report_.sound;
    }
    report_.run = run;
    if (run.result != "operational" && report_.boots < plan_.tries) {
      clock_.post([this] { running_.reset(); });  // it is still on the stack
      clock_.after(kUserTriesAgain, [this] { boot(); });
      return;
    }
    over_ = true;
  }

  const BrskiPlan plan_;
  store::Store& owners_;
  store::MakerStore& makers_;
  Journal& journal_;
  SeededRandomness openssl_;
  SeededRng rng_, link_rng_;
  Clock clock_;
  Network network_;
  SlowStore store_;
  Power device_power_, owner_power_, masa_power_;
  std::unique_ptr<Maker> maker_;
  factory::Born born_;
  std::unique_ptr<Domain> domain_;
  MemoryStorage storage_;
  std::optional<BrskiCheck> check_;
  std::unique_ptr<BrskiDevice> running_;
  BrskiReport report_;
  bool over_ = false, halted_ = false;
};

}  // namespace

BrskiPlan brski_swarm(std::uint64_t seed) {
  SeededRng rng(seed * 4 + 3);
  const auto up_to = [&rng](double most) {
    return rng.chance(0.3) ? 0.0 : most * static_cast<double>(rng.below(1001)) / 1000;
  };
  const auto ms = [&rng](std::uint64_t most) { return Duration(static_cast<std::int64_t>(rng.below(most + 1))); };
  constexpr std::array kWays{BrskiPlan::Way::direct, BrskiPlan::Way::proxy, BrskiPlan::Way::nonceless,
                             BrskiPlan::Way::cloud};
  BrskiPlan out;
  out.seed = seed;
  out.coaps = rng.chance(0.5);
  out.way = kWays[rng.below(out.coaps ? 2 : kWays.size())];
  out.link = {.loss = up_to(0.3), .duplicate = up_to(0.3), .least = ms(100), .most = {}};
  out.link.most = out.link.least + ms(out.coaps ? 5'000 : 20'000);
  out.cut_chance = up_to(0.1);
  out.faults_end = std::chrono::minutes(1 + static_cast<std::int64_t>(rng.below(60)));
  out.tries = 50;
  return out;
}

Result<BrskiReport> run_brski(const BrskiPlan& plan, store::Store& owners, store::MakerStore& makers,
                              Journal& journal) {
  World world(plan, owners, makers, journal);
  return world.run();
}

}  // namespace imprint::sim
