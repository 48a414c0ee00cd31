#include "app/fleet.h"

#include "crypto/random.h"
#include "runtime/est_device.h"
#include "sim/born.h"

namespace imprint::app {
namespace {

// The owner, as a device finds it.
struct Owner {
  Uri server, coaps;
  std::vector<Certificate> anchors;
};

// Without anchors, but with the fingerprint to expect: as if somebody had typed it in.
est::PlanRef bootstrap_plan(const factory::Born& born, const Owner& owner) {
  auto out = std::make_shared<est::Plan>(*sim::plan_of(born, owner.server, {}));
  out->expected = owner.anchors.back().fingerprint();  // the chain ends at the root
  return out;
}

est::PlanRef renewal_plan(const est::Installed& held, const factory::Born& born, const Owner& owner) {
  auto out = std::make_shared<est::Plan>();
  out->server = owner.server;
  out->label = born.entry.label;
  out->origins.credential = out->origins.anchors = est::Origin::record;
  out->origins.server = est::Origin::factory;
  out->explicit_anchors = held.anchors;
  out->credential = Credential{held.key.id, {held.certificate}};
  out->credential->chain.insert(out->credential->chain.end(), held.via.begin(), held.via.end());
  out->names = {held.certificate.subject, held.certificate.alt_names};
  out->renew = true;
  return out;
}

// One virtual device: its storage in memory, its runs, and how they went.
class VirtualDevice {
 public:
  using Told = std::function<void(Outcome, bool last)>;

  VirtualDevice(io::Loop& loop, Rng& rng, const io::Guard& guard, Journal& journal, const factory::Born& born,
                Told told)
      : loop_(loop), rng_(rng), guard_(guard), journal_(journal), born_(born), told_(std::move(told)) {
    sim::fill(storage_, born);
  }

  void start(const Owner& owner, Path path) {
    owner_ = &owner;
    renews_ = path == Path::renewal;
    const Uri& server = path == Path::coaps ? owner.coaps : owner.server;
    go(path == Path::bootstrap ? bootstrap_plan(born_, owner) : sim::plan_of(born_, server, owner.anchors));
  }

 private:
  void go(const est::PlanRef& plan) {
    EstDevice::Hooks hooks;
    hooks.confirm = [](const ConfirmFingerprint&, const std::function<void(bool)>& answer) { answer(false); };
    hooks.ended = [this](const est::Client::State&, const Run& run, const std::optional<Error>&) { ended(run); };
    device_ = std::make_unique<EstDevice>(loop_, rng_, over_sockets(loop_, guard_, rng_), storage_, &journal_, born_.entry.id,
                                          std::move(hooks));
    device_->start(plan);
  }

  void ended(const Run& run) {
    Outcome out{born_.entry.id,         run.protocol,           run.mode, run.result, run.rule, {}, run.obtained,
                run.counts.round_trips, run.ended - run.started};
    if (!run.steps.empty()) {
      out.next = run.steps.back().next;
    }
    const auto held = storage_.installed();
    const bool goes_on = std::exchange(renews_, false) && held && *held;
    if (goes_on) {
      loop_.post([this, held = **held] { go(renewal_plan(held, born_, *owner_)); });  // not on its own stack
    }
    told_(std::move(out), !goes_on);
  }

  io::Loop& loop_;
  Rng& rng_;
  const io::Guard& guard_;
  Journal& journal_;
  const factory::Born& born_;
  Told told_;
  const Owner* owner_ = nullptr;
  bool renews_ = false;
  MemoryStorage storage_;
  std::unique_ptr<EstDevice> device_;
};

}  // namespace

std::vector<Path> paths_of(const std::vector<factory::Born>& devices, Protocols protocols) {
  constexpr std::size_t kLeast = 4;
  std::vector<Path> out(devices.size(), Path::anchors);
  bool next = true;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (protocols.coaps && devices[i].entry.idevid) {
      out[i] = next || !protocols.est ? Path::coaps : Path::anchors;
      next = !next;
    }
  }
  if (protocols.est && devices.size() >= kLeast) {
    out.back() = Path::bootstrap;
    out[out.size() - 2] = Path::renewal;
  }
  return out;
}

std::vector<Outcome> onboard_fleet(Server& server, const std::vector<factory::Born>& devices,
                                   const std::vector<Path>& paths, std::uint32_t at_once,
                                   const std::function<void(const Outcome&)>& report,
                                   const std::function<bool()>& stop) {
  io::Loop loop;
  SystemRng rng;
  io::Guard guard;
  guard.allow_loopback();
  const auto https = Uri::parse("https://127.0.0.1:" + std::to_string(server.est_port()));
  const auto coaps = Uri::parse("coaps://127.0.0.1:" + std::to_string(server.coaps_port()));
  assert(https && (coaps || server.coaps_port() == 0));
  const Owner owner{*https, coaps ? *coaps : Uri{}, server.folder().ca.chain()};
  std::vector<Outcome> out;
  std::vector<std::unique_ptr<VirtualDevice>> running(devices.size());
  std::size_t next = 0, ended = 0;
  std::function<void()> start_one = [&] {
    if (next >= devices.size() || stop()) {
      return;
    }
    const std::size_t i = next++;
    running[i] =
        std::make_unique<VirtualDevice>(loop, rng, guard, server.hub(), devices[i], [&, i](Outcome o, bool last) {
          report(o);
          out.push_back(std::move(o));
          if (!last) {
            return;
          }
          loop.post([&, i] {  // the device is still on the stack
            running[i].reset();
            start_one();
            if (++ended == devices.size()) {
              loop.stop();
            }
          });
        });
    running[i]->start(owner, paths[i]);
  };
  for (std::uint32_t i = 0; i < at_once; ++i) {
    loop.post(start_one);
  }
  std::function<void()> watch = [&] {
    if (stop()) {
      loop.stop();
      return;
    }
    loop.after(std::chrono::milliseconds(100), watch);
  };
  loop.post(watch);
  if (!devices.empty()) {
    loop.run();
  }
  return out;
}

}  // namespace imprint::app
