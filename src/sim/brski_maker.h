// A maker in the simulator: its line, the real MASA with a book of its own, and a registrar for those who find no
// other.
#pragma once

#include "factory/line.h"
#include "proto/brski/questions.h"
#include "runtime/masa_server.h"
#include "sim/network.h"
#include "sim/power.h"

namespace imprint::sim {

// The maker's book behind a queue: a change is durable a moment later, and what waits is lost with the power.
class SlowMakerStore final : public store::MakerStore {
 public:
  SlowMakerStore(store::MakerStore& disk, Clock& clock) : disk_(disk), clock_(clock) {}
  void submit(Change change, std::function<void(Status)> done) override;
  Result<std::unique_ptr<store::MakerReader>> read() override { return disk_.read(); }
  void cut() { ++life_; }

 private:
  store::MakerStore& disk_;
  Clock& clock_;
  std::uint64_t life_ = 0;
};

class Maker {
 public:
  // `power` is the MASA's. All references outlive the maker.
  static Result<std::unique_ptr<Maker>> make(Clock& clock, Network& network, store::MakerStore& disk, Power& power,
                                             SeededRng& rng);
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;

  // A device that nobody has bought.
  Result<factory::Born> make_device();
  // It is this customer's from now on, whose registrars are below the anchor.
  Status sell(const factory::Born& device, const std::string& customer, const Certificate& anchor);
  // Nobody answers at the MASA any more.
  void close_masa();
  // The maker's own registrar sends every device there (draft-ietf-anima-brski-cloud section 3.1).
  Status send_all_to(const Uri& registrar);

  const Certificate& root() const { return ca_.certificate; }
  const Certificate& signer() const { return site_->voucher_signer.chain.front(); }  // of vouchers
  brski::MasaContact contact() const;
  Uri cloud() const;
  std::uint64_t answered() const { return answered_; }  // requests that the MASA has answered

 private:
  Maker(Clock& clock, Network& network, store::MakerStore& disk, Power& power, SeededRng& rng)
      : clock_(clock), network_(network), disk_(disk), book_(disk, clock), power_(power), rng_(rng) {}
  Status set_up();
  Result<Endpoint> endpoint(std::string_view host, std::uint16_t port);
  void switch_on();
  void acted();

  Clock& clock_;
  Network& network_;
  store::MakerStore& disk_;
  SlowMakerStore book_;
  Power& power_;
  SeededRng& rng_;
  site::Ca ca_;
  std::shared_ptr<MasaSite> site_ = std::make_shared<MasaSite>();
  Endpoint endpoint_;
  std::unique_ptr<MasaServer> masa_;
  std::unique_ptr<io::HttpsServer> cloud_;
  std::uint64_t answered_ = 0;
  bool down_ = false;
};

}  // namespace imprint::sim
