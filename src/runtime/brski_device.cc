#include "runtime/brski_device.h"

#include "io/any_client.h"
#include "runtime/brski_words.h"
#include "runtime/device_world.h"

namespace imprint {
namespace {

std::string mode_of(const brski::PledgePlan& plan) {
  const bool coaps = !plan.registrars.empty() && plan.registrars.front().scheme == "coaps";
  return coaps ? "coaps" : plan.cloud && plan.registrars.empty() ? "cloud" : "https";
}

// Such a voucher was not made for this attempt: another thing to believe, and a mode of its own.
bool is_nonceless(const brski::Imprinted& owner) {
  const auto voucher = brski::parse_artifact(owner.voucher);
  return voucher && !voucher->voucher.nonce;
}

}  // namespace

class BrskiDevice::World : public DeviceWorld<brski::Pledge, World> {
 public:
  using DeviceWorld::DeviceWorld;
  using DeviceWorld::perform;

  void start(brski::PledgePlanRef plan) {
    recorder_.emplace("brski", mode_of(*plan), "pledge", now(), rng_, journal_);
    recorder_->run().device = device_;
    plan_ = std::shared_ptr<const est::Plan>(plan, &plan->enrolment);
    auto imprinted = storage_.imprinted();
    auto installed = storage_.installed();
    auto asked = storage_.asked();
    if (!imprinted || !installed || !asked) {
      broken(!imprinted ? imprinted.error() : !installed ? installed.error() : asked.error());
      return;
    }
    pledge_plan_ = plan;
    engine_.feed(
        brski::Pledge::Start{std::move(plan), *std::move(imprinted), *std::move(installed), *std::move(asked)});
  }

  Run cut_short() {
    halt();
    if (!recorder_) {
      return {};
    }
    const bool waits = !pledge_waits_for(engine_.state(), device_).empty();
    recorder_->end(waits ? "waiting" : "incomplete", now());
    return recorder_->run();
  }

  void perform(const Ask<brski::SignRequestArtifact>& ask) {
    recorder_->run().counts.public_key_operations += 1;
    engine_.feed(Done<Bytes>{{ask.ticket}, sign_artifact(ask.question)});
  }

  void entered(const brski::Pledge::State& state, std::string_view name) {
    if (const auto* over = std::get_if<brski::Pledge::Failed>(&state)) {
      failed(name, over->why, over->detail);
      return;
    }
    if (const auto* told = std::get_if<brski::Pledge::Telling>(&state)) {
      const std::string how = is_nonceless(told->owner) ? "nonceless, " : "";
      recorder_->run().mode = how + mode_of(*pledge_plan_);
    }
    recorder_->entered(name, pledge_words(state, status_, delay_), now(), pledge_waits_for(state, device_));
    if (const auto* done = std::get_if<brski::Pledge::Configured>(&state)) {
      operational(done->got);
    }
  }

 private:
  Result<Bytes> sign_artifact(const brski::SignRequestArtifact& question) {
    CHECK_OR(question.as, Error{Fault::internal, "voucher request: no identity to sign with"});
    TRY(PrivateKey key, storage_.key(question.as->key_id));
    // In COSE nothing comes along: the handshake has shown the IDevID (draft-ietf-anima-constrained-voucher
    // section 6.6).
    const bool along = question.form != brski::Form::cose;
    return brski::sign_voucher(question.what, question.form,
                               Signer{std::move(key), along ? question.as->chain : std::vector<Certificate>{}},
                               question.content_type, question.named_voucher);
  }

  brski::PledgePlanRef pledge_plan_;
};

BrskiDevice::BrskiDevice(io::Schedule& schedule, Rng& rng, const Connector& connector, DeviceStorage& storage,
                         Journal* journal, std::string device, Hooks hooks)
    : world_(std::make_unique<World>(schedule, rng, connector, storage, journal, std::move(device), std::move(hooks))) {
}

BrskiDevice::~BrskiDevice() = default;

void BrskiDevice::start(brski::PledgePlanRef plan) { world_->start(std::move(plan)); }

void BrskiDevice::halt() { world_->halt(); }

Run BrskiDevice::cut_short() { return world_->cut_short(); }

Connector pledge_over_sockets(io::Loop& loop, const io::Guard& guard, Rng& rng) {
  io::CoapsClientOptions coaps;
  coaps.dtls.mtu = io::kWrappedMtu;  // a stateless join proxy may be on the way, which the pledge cannot see
  coaps.dtls.max_record = 1024;
  return [&loop, &guard, &rng, coaps](const io::HttpsClient::Keys& keys, std::function<void(std::uint64_t)> lost) {
    return io::make_any_client(loop, guard, rng, keys, std::move(lost), coaps);
  };
}

}  // namespace imprint
