#include "sim/thing.h"

namespace imprint::sim {
namespace {

constexpr Duration kPowerBack{5'000};
constexpr Duration kUserTriesAgain = std::chrono::minutes(10);
constexpr std::uint32_t kMaxBoots = 50;

}  // namespace

Thing::Thing(Clock& clock, Network& network, Power& power, Rng& rng, Journal& journal, const factory::Born& born,
             est::PlanRef plan, bool forgetful, Ended ended)
    : clock_(clock),
      network_(network),
      power_(power),
      rng_(rng),
      journal_(journal),
      born_(born),
      plan_(std::move(plan)),
      forgetful_(forgetful),
      ended_(std::move(ended)) {
  fill(storage_, born);
}

std::optional<est::Installed> Thing::installed() {
  const auto held = storage_.installed();
  return held ? *held : std::nullopt;
}

est::PlanRef Thing::errand() {
  const auto held = installed();
  if (!held) {
    return plan_;
  }
  if (!renewed_ || held->certificate != *renewed_) {
    return nullptr;
  }
  auto out = std::make_shared<est::Plan>();
  out->server = plan_->server;
  out->label = plan_->label;
  out->origins = {est::Origin::factory, est::Origin::record, est::Origin::record, est::Origin::factory};
  out->explicit_anchors = held->anchors;
  out->credential = Credential{held->key.id, {held->certificate}};
  out->names = {held->certificate.subject, held->certificate.alt_names};
  out->renew = true;
  return out;
}

void Thing::renew() {
  renewed_ = installed()->certificate;
  operational_.reset();
  boot();
}

void Thing::boot() {
  if (boots_++ == 0) {
    first_boot_ = clock_.now();
  }
  const est::PlanRef plan = errand();
  if (!plan) {  // the power went after the last save
    operational_ = clock_.now();
    last_.result = "operational";
    ended_(*this);
    return;
  }
  halted_ = false;
  const Connector connector = [this](io::HttpsClient::Keys keys, std::function<void(std::uint64_t)> lost) {
    return network_.client(std::move(keys), std::move(lost));
  };
  EstDevice::Hooks hooks;
  hooks.confirm = [](const ConfirmFingerprint&, const std::function<void(bool)>& answer) { answer(false); };
  hooks.ended = [this](const est::Client::State&, const Run& run, const std::optional<Error>&) { ended(run); };
  hooks.acted = [this] { acted(); };
  running_ = std::make_unique<EstDevice>(clock_, rng_, connector, storage_, &journal_, id(), std::move(hooks));
  running_->start(plan);
}

void Thing::off() {
  clock_.post([this] { running_.reset(); });  // it is still on the stack
}

void Thing::acted() {
  if (power_.goes()) {
    halted_ = true;
    running_->halt();
    if (forgetful_) {
      storage_.lose_asked();
    }
    off();
    clock_.after(kPowerBack, [this] { boot(); });
  }
}

void Thing::ended(const Run& run) {
  if (halted_) {
    return;
  }
  last_ = run;
  Beliefs mind;
  for (const BeliefChange& change : run.beliefs) {
    sound_ = mind.apply(change) && sound_;
  }
  off();
  if (run.result == "failed" && boots_ < kMaxBoots) {  // nobody answered: a person switches it off and on
    clock_.after(kUserTriesAgain, [this] { boot(); });
    return;
  }
  if (run.result == "operational") {
    operational_ = clock_.now();
  }
  ended_(*this);
}

}  // namespace imprint::sim
