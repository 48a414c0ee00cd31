#include "app/fleet.h"

#include "crypto/random.h"
#include "runtime/est_device.h"
#include "sim/born.h"

namespace imprint::app {
namespace {

// One virtual device: its storage in memory, its run, and how it went.
class VirtualDevice {
 public:
  using Ended = std::function<void(Outcome)>;

  VirtualDevice(io::Loop& loop, Rng& rng, const io::Guard& guard, Journal& journal, const factory::Born& born,
                Ended ended)
      : born_(born), ended_(std::move(ended)) {
    sim::fill(storage_, born);
    EstDevice::Hooks hooks;
    hooks.confirm = [](const ConfirmFingerprint&, const std::function<void(bool)>& answer) { answer(false); };
    hooks.ended = [this](const est::Client::State&, const Run& run, const std::optional<Error>&) { report(run); };
    device_ = std::make_unique<EstDevice>(loop, rng, over_sockets(loop, guard), storage_, &journal, born.entry.id,
                                          std::move(hooks));
  }

  void start(const Uri& server, const std::vector<Certificate>& anchors) {
    device_->start(sim::plan_of(born_, server, anchors));
  }

 private:
  void report(const Run& run) {
    Outcome out{born_.entry.id,         run.protocol,           run.mode, run.result, run.rule, {}, run.obtained,
                run.counts.round_trips, run.ended - run.started};
    if (!run.steps.empty()) {
      out.next = run.steps.back().next;
    }
    ended_(std::move(out));
  }

  const factory::Born& born_;
  Ended ended_;
  MemoryStorage storage_;
  std::unique_ptr<EstDevice> device_;
};

}  // namespace

std::vector<Outcome> onboard_fleet(Server& server, const std::vector<factory::Born>& devices, std::uint32_t at_once,
                                   const std::function<void(const Outcome&)>& report,
                                   const std::function<bool()>& stop) {
  io::Loop loop;
  SystemRng rng;
  io::Guard guard;
  guard.allow_loopback();
  const auto uri = Uri::parse("https://127.0.0.1:" + std::to_string(server.est_port()));
  assert(uri);
  const std::vector<Certificate> anchors = server.folder().ca.chain();
  std::vector<Outcome> out;
  std::vector<std::unique_ptr<VirtualDevice>> running(devices.size());
  std::size_t next = 0;
  std::function<void()> start_one = [&] {
    if (next >= devices.size() || stop()) {
      return;
    }
    const std::size_t i = next++;
    running[i] = std::make_unique<VirtualDevice>(loop, rng, guard, server.hub(), devices[i], [&, i](Outcome o) {
      report(o);
      out.push_back(std::move(o));
      loop.post([&, i] {  // the device is still on the stack
        running[i].reset();
        start_one();
        if (out.size() == devices.size()) {
          loop.stop();
        }
      });
    });
    running[i]->start(*uri, anchors);
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
