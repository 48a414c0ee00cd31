#include "app/fleet.h"

#include "crypto/random.h"
#include "runtime/brski_device.h"
#include "sim/born.h"

namespace imprint::app {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(100);  // whether to stop

// With what it got, where it got it.
est::PlanRef renewal_plan(const est::Installed& held, const est::Plan& before) {
  auto out = std::make_shared<est::Plan>();
  out->server = before.server;
  out->label = before.label;
  out->origins.credential = out->origins.anchors = est::Origin::record;
  out->origins.server = est::Origin::factory;
  out->explicit_anchors = held.anchors;
  out->credential = Credential{held.key.id, {held.certificate}};
  out->credential->chain.insert(out->credential->chain.end(), held.via.begin(), held.via.end());
  out->names = {held.certificate.subject, held.certificate.alt_names};
  out->renew = true;
  return out;
}

// What all devices share.
struct Place {
  io::Loop& loop;
  Rng& rng;
  const io::Guard& guard;
  Journal& journal;
};

// One virtual device: its storage in memory, its runs, and how they went.
class VirtualDevice {
 public:
  using Told = std::function<void(Outcome, bool last)>;

  VirtualDevice(const Place& at, const FleetDevice& what, Told told) : at_(at), what_(what), told_(std::move(told)) {
    sim::fill(storage_, what.born);
  }

  void start() {
    renews_ = what_.part.way == Way::renewal;
    if (const auto* const est = std::get_if<est::PlanRef>(&what_.plan)) {
      enrol(*est);
    } else {
      join(std::get<brski::PledgePlanRef>(what_.plan));
    }
  }

 private:
  void enrol(const est::PlanRef& plan) {
    EstDevice::Hooks hooks;
    hooks.confirm = [](const ConfirmFingerprint&, const std::function<void(bool)>& answer) { answer(false); };
    hooks.ended = [this](const est::Client::State&, const Run& run, const std::optional<Error>&) { ended(run); };
    client_ = std::make_unique<EstDevice>(at_.loop, at_.rng, over_sockets(at_.loop, at_.guard, at_.rng), storage_,
                                          &at_.journal, what_.born.entry.id, std::move(hooks));
    client_->start(plan);
  }

  void join(const brski::PledgePlanRef& plan) {
    BrskiDevice::Hooks hooks;
    hooks.ended = [this](const brski::Pledge::State&, const Run& run, const std::optional<Error>&) { ended(run); };
    pledge_ = std::make_unique<BrskiDevice>(at_.loop, at_.rng, pledge_over_sockets(at_.loop, at_.guard, at_.rng),
                                            storage_, &at_.journal, what_.born.entry.id, std::move(hooks));
    pledge_->start(plan);
  }

  void ended(const Run& run) {
    Outcome out{what_.born.entry.id,
                what_.part,
                run.protocol,
                run.mode,
                run.result,
                run.rule,
                {},
                run.obtained,
                run.counts.round_trips,
                run.ended - run.started};
    if (!run.steps.empty()) {
      out.next = run.steps.back().next;
    }
    const auto held = storage_.installed();
    const bool goes_on = std::exchange(renews_, false) && held && *held;
    if (goes_on) {  // not on its own stack
      at_.loop.post([this, got = **held] { enrol(renewal_plan(got, *std::get<est::PlanRef>(what_.plan))); });
    }
    told_(std::move(out), !goes_on);
  }

  const Place at_;
  const FleetDevice& what_;
  Told told_;
  bool renews_ = false;
  MemoryStorage storage_;
  std::unique_ptr<EstDevice> client_;
  std::unique_ptr<BrskiDevice> pledge_;
};

// The devices one after the other, so many at the same time.
class Fleet {
 public:
  Fleet(Journal& journal, const std::vector<FleetDevice>& devices, const std::function<void(const Outcome&)>& report,
        const std::function<bool()>& stop)
      : place_{loop_, rng_, guard_, journal},
        devices_(devices),
        report_(report),
        stop_(stop),
        running_(devices.size()) {
    guard_.allow_loopback();
  }

  std::vector<Outcome> run(std::uint32_t at_once) {
    for (std::uint32_t i = 0; i < at_once; ++i) {
      loop_.post([this] { start_one(); });
    }
    loop_.post([this] { watch(); });
    if (!devices_.empty()) {
      loop_.run();
    }
    return std::move(outcomes_);
  }

 private:
  void start_one() {
    if (next_ >= devices_.size() || stop_()) {
      return;
    }
    const std::size_t i = next_++;
    running_[i] = std::make_unique<VirtualDevice>(place_, devices_[i], [this, i](Outcome o, bool last) {
      report_(o);
      outcomes_.push_back(std::move(o));
      if (last) {
        loop_.post([this, i] { over(i); });  // the device is still on the stack
      }
    });
    running_[i]->start();
  }

  void over(std::size_t i) {
    running_[i].reset();
    start_one();
    if (++ended_ == devices_.size()) {
      loop_.stop();
    }
  }

  void watch() {
    if (stop_()) {
      loop_.stop();
      return;
    }
    loop_.after(kLook, [this] { watch(); });
  }

  io::Loop loop_;
  SystemRng rng_;
  io::Guard guard_;
  const Place place_;
  const std::vector<FleetDevice>& devices_;
  const std::function<void(const Outcome&)>& report_;
  const std::function<bool()>& stop_;
  std::vector<std::unique_ptr<VirtualDevice>> running_;
  std::vector<Outcome> outcomes_;
  std::size_t next_ = 0, ended_ = 0;
};

}  // namespace

std::vector<Outcome> onboard_fleet(Journal& journal, const std::vector<FleetDevice>& devices, std::uint32_t at_once,
                                   const std::function<void(const Outcome&)>& report,
                                   const std::function<bool()>& stop) {
  Fleet fleet(journal, devices, report, stop);
  return fleet.run(at_once);
}

}  // namespace imprint::app
