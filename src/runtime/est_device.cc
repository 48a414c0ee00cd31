#include "runtime/est_device.h"

#include "runtime/device_world.h"
#include "runtime/est_words.h"

namespace imprint {
namespace {

// How device and server know each other.
std::string_view known_by(const est::Plan& plan) {
  if (plan.renew) {
    return "renewal";
  }
  if (plan.login_by == est::LoginBy::srp) {  // without anchors, too, nobody is asked
    return "srp";
  }
  if (plan.explicit_anchors.empty() && plan.implicit_anchors.empty()) {
    return "bootstrap";
  }
  if (plan.server.scheme == "coaps") {
    return "coaps";
  }
  return plan.credential ? "certificate" : plan.login ? "secret" : "nobody";
}

std::string mode_of(const est::Plan& plan) {
  const std::string_view asks = plan.server_key ? "server key, " : plan.full_cmc ? "fullcmc, " : "";
  return std::string(asks).append(known_by(plan));
}

}  // namespace

class EstDevice::World : public DeviceWorld<est::Client, World> {
 public:
  using DeviceWorld::DeviceWorld;

  void start(est::PlanRef plan) {
    recorder_.emplace("est", mode_of(*plan), "client", now(), rng_, journal_);
    recorder_->run().device = device_;
    plan_ = plan;
    auto before = storage_.asked();
    if (!before) {
      broken(before.error());
      return;
    }
    engine_.feed(est::Client::Start{std::move(plan), *std::move(before)});
  }

  void entered(const est::Client::State& state, std::string_view name) {
    if (const auto* over = std::get_if<est::Client::Failed>(&state)) {
      failed(name, over->why, over->detail);
      return;
    }
    const bool waits = std::holds_alternative<est::Client::Waiting>(state) && status_ == 202;
    recorder_->entered(name, client_words(state, status_, delay_), now(),
                       waits ? approval_words(device_) : std::string());
    if (const auto* enrolled = std::get_if<est::Client::Enrolled>(&state)) {
      operational(enrolled->result);
    }
  }
};

EstDevice::EstDevice(io::Schedule& schedule, Rng& rng, const Connector& connector, DeviceStorage& storage,
                     Journal* journal, std::string device, Hooks hooks)
    : world_(std::make_unique<World>(schedule, rng, connector, storage, journal, std::move(device), std::move(hooks))) {
}

EstDevice::~EstDevice() = default;

void EstDevice::start(est::PlanRef plan) { world_->start(std::move(plan)); }

void EstDevice::halt() { world_->halt(); }

Connector over_sockets(io::Loop& loop, const io::Guard& guard, Rng& rng) {
  return [&loop, &guard, &rng](const io::HttpsClient::Keys& keys, std::function<void(std::uint64_t)> lost) {
    return io::make_any_client(loop, guard, rng, keys, std::move(lost));
  };
}

}  // namespace imprint
