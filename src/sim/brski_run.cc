#include "sim/brski_run.h"

#include "crypto/seeded.h"
#include "runtime/brski_device.h"

namespace imprint::sim {
namespace {

constexpr Instant kStart{1'790'000'000'000};  // September 2026
constexpr Duration kLongest = std::chrono::hours(24);
constexpr Duration kPowerBack{5'000};
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
        network_(clock_, link_rng_, plan.link),
        store_(owners, clock_, link_rng_, {}),
        device_power_(link_rng_, 0, plan.device_cut),
        owner_power_(link_rng_, 0, plan.owner_cut),
        masa_power_(link_rng_, 0, plan.masa_cut) {}

  Result<BrskiReport> run() {
    TRY(Ok{}, set_up());
    const std::uint64_t before = maker_->answered();
    boot();
    go([this] { return over_; });
    go([] { return false; });  // what is still on its way changes nothing any more
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
    TRY(domain_, Domain::make({clock_, network_, owners_, store_, owner_power_, rng_, journal_}, *maker_, log));
    TRY(Ok{}, domain_->expect(born_));
    storage_.add_key(std::string(kIdevidKey), born_.key);
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
    out->voucher_anchors = {maker_->root()};
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
    running_->halt();
    clock_.post([this] { running_.reset(); });  // it is still on the stack
    clock_.after(kPowerBack, [this] { boot(); });
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
  std::unique_ptr<BrskiDevice> running_;
  BrskiReport report_;
  bool over_ = false, halted_ = false;
};

}  // namespace

Result<BrskiReport> run_brski(const BrskiPlan& plan, store::Store& owners, store::MakerStore& makers,
                              Journal& journal) {
  World world(plan, owners, makers, journal);
  return world.run();
}

}  // namespace imprint::sim
