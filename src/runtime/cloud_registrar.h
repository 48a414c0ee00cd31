// The maker's default registrar (draft-ietf-anima-brski-cloud) on one loop, beside its MASA: devices' requests in, the
// role in the middle, the maker's store and voucher key behind. It is fed by whoever has the listener.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "crypto/signed_data.h"
#include "io/gate.h"
#include "io/schedule.h"
#include "proto/brski/cloud.h"
#include "store/maker/maker_store.h"

namespace imprint {

// What may be exchanged while the server runs; never changed in place.
struct CloudSite {
  brski::CloudConfig config;
  Signer voucher_signer;  // chain: up to the anchor that devices have
};

class CloudRegistrar {
 public:
  // What became of a request, for log and metrics.
  struct Told {
    std::string_view path;
    int status = 0;
    std::string device, rule;  // as far as they are known
  };

  CloudRegistrar(io::Schedule& schedule, store::MakerStore& store, Rng& rng,
                 std::function<void(Exchange, const Response&)> reply);
  CloudRegistrar(const CloudRegistrar&) = delete;
  CloudRegistrar& operator=(const CloudRegistrar&) = delete;
  ~CloudRegistrar();

  // Whether a request is for it: a POST of a device of this maker, by its certificate in the handshake, to a path that
  // registrars have.
  static bool is_for(const Request& request, const CloudSite& site, Instant now);
  // Answers it, in its own time.
  void take(Exchange from, Request request, std::shared_ptr<const CloudSite> site);
  void gone(Exchange from);
  void halt();
  void on_told(std::function<void(const Told&)> told) { told_ = std::move(told); }

 private:
  class Conversation;
  struct Asked {
    Exchange from;
    brski::Cloud::Input what;
    std::shared_ptr<const CloudSite> site;
    Told told;
    int again = 0;
  };
  void begin(Asked asked);
  void finished(std::uint64_t exchange);

  io::Schedule& schedule_;
  const std::shared_ptr<io::Gate> gate_;  // for the store's answers, which may come after we are gone
  store::MakerStore& store_;
  Rng& rng_;
  std::function<void(Exchange, const Response&)> reply_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Conversation>> conversations_;
  std::function<void(const Told&)> told_;
  bool halted_ = false;
};

}  // namespace imprint
